/* SPDX-License-Identifier: MIT */
#include "core/glob.h"

#include "proto/name.h"

#include <stdint.h>
#include <string.h>

bool glob_is_pattern(const char *text) { return strpbrk(text, "*?[") != NULL; }

/* Takes one character off the front of a text that is not empty: its code point, or a number beyond
 * all of them for a byte that is not UTF-8. */
static uint32_t take(const char **text) {
    enum { NOT_UTF8 = 0x110000 };
    const unsigned char *at = (const unsigned char *)*text;
    size_t len = *at < 0xc0 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
    if (*at < 0x80 || strnlen(*text, len) < len || !name_utf8_ok(*text, len)) {
        *text += 1;
        return *at < 0x80 ? *at : NOT_UTF8 + *at;
    }
    uint32_t c = *at & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        c = c << 6 | (at[i] & 0x3f);
    *text += len;
    return c;
}

/* *pattern begins with '['. False if that is no set but stands for itself. */
static bool take_set(const char **pattern, uint32_t c, bool *matches) {
    const char *at = *pattern + 1;
    bool inverted = *at == '!' || *at == '^', in = false;
    at += inverted;
    for (const char *first = at; *at != ']' || at == first;) { /* "[]x]" has a ']' in it */
        if (!*at)
            return false;
        uint32_t low = take(&at), high = low;
        if (at[0] == '-' && at[1] && at[1] != ']') {
            at++;
            high = take(&at);
        }
        in |= low <= c && c <= high;
    }
    *pattern = at + 1;
    *matches = in != inverted;
    return true;
}

/* Takes one element, no '*', off the pattern. Does it match this character? */
static bool take_match(const char **pattern, uint32_t c) {
    bool matches;
    switch (**pattern) {
    case '\0':
        return false;
    case '?':
        ++*pattern;
        return true;
    case '[':
        if (take_set(pattern, c, &matches))
            return matches;
        break;
    case '\\':
        *pattern += (*pattern)[1] != 0;
        break;
    }
    return take(pattern) == c;
}

/* Only the last '*' is ever tried again: what an earlier one could still give, the last one can. */
bool glob_match(const char *pattern, const char *name) {
    const char *star = NULL, *from = NULL; /* behind the last '*'; where its text ends so far */
    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            from = name;
            continue;
        }
        uint32_t c = take(&name);
        if (take_match(&pattern, c))
            continue;
        if (!star)
            return false;
        take(&from);
        name = from;
        pattern = star;
    }
    pattern += strspn(pattern, "*");
    return !*pattern;
}
