/* SPDX-License-Identifier: MIT */
#include "cli/text.h"

#include "proto/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

const char *text_size(uint64_t bytes, char out[static TEXT_LEN]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    unsigned u = 0;

    /* 1023.95 would be printed as 1024.0, so it is one of the next unit */
    while (u < 6 && value >= (u == 0 ? 1024 : 1023.5)) {
        value /= 1024;
        u++;
    }
    if (u == 0)
        snprintf(out, TEXT_LEN, "%u B", (unsigned)bytes);
    else
        snprintf(out, TEXT_LEN, value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[u]);
    return out;
}

const char *text_duration(uint64_t s, char out[static TEXT_LEN]) {
    unsigned long long d = s / 86400, h = s / 3600 % 24, m = s / 60 % 60;

    if (s < 60)
        snprintf(out, TEXT_LEN, "%us", (unsigned)s);
    else if (s < 3600)
        snprintf(out, TEXT_LEN, "%llum%02us", m, (unsigned)(s % 60));
    else if (s < 86400)
        snprintf(out, TEXT_LEN, "%lluh%02llum", h, m);
    else
        snprintf(out, TEXT_LEN, "%llud%02lluh", d, h);
    return out;
}

const char *text_time(int64_t ns, char out[static TEXT_LEN]) {
    time_t t = ns / 1000000000 - (ns % 1000000000 < 0); /* round down, also before 1970 */
    struct tm tm;

    if (!localtime_r(&t, &tm) || tm.tm_year < -900 || tm.tm_year > 8099 ||
        strftime(out, TEXT_LEN, "%Y-%m-%d %H:%M", &tm) == 0)
        strcpy(out, "-");
    return out;
}

/* The next character of text: its bytes, and its columns in *width. */
static size_t next_char(const char *text, mbstate_t *state, unsigned *width) {
    wchar_t wc;
    size_t n = mbrtowc(&wc, text, strlen(text), state);
    int columns;

    if (n == 0 || n == (size_t)-1 || n == (size_t)-2) { /* not of this locale */
        memset(state, 0, sizeof *state);
        *width = 1;
        return 1;
    }
    columns = wcwidth(wc);
    *width = columns < 0 ? 1 : (unsigned)columns;
    return n;
}

unsigned text_width(const char *text) {
    mbstate_t state = {0};
    unsigned width = 0, one;

    while (*text) {
        text += next_char(text, &state, &one);
        width += one;
    }
    return width;
}

void text_clip(const char *text, unsigned width, char *out) {
    mbstate_t state = {0};
    unsigned used = 0, one;

    if (text_width(text) <= width) {
        strcpy(out, text);
        return;
    }
    while (*text) {
        size_t n = next_char(text, &state, &one);

        if (used + one + 1 > width)
            break;
        memcpy(out, text, n);
        out += n;
        text += n;
        used += one;
    }
    strcpy(out, width > 0 ? "\xe2\x80\xa6" : "");
}

char *text_shown(const char *text, size_t len) {
    char *out = malloc(4 * len + 1);

    if (out)
        name_show(text, len, out, 4 * len + 1);
    return out;
}
