/* SPDX-License-Identifier: MIT */
#include "cli/opts.h"

#include "cli/rate.h"
#include "cli/say.h"
#include "core/log.h"
#include "proto/name.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_MAX = 24, WORD_SHOWN = 256, DISTANCE_MAX_LEN = 32 };

/* "1.5" -> 1500. */
static int parse_seconds(const char *text, uint64_t *ms) {
    char *end;
    double s = strtod(text, &end);

    if (end == text || *end || !isfinite(s) || s < 0 || s > 86400)
        return -EINVAL;
    *ms = (uint64_t)(s * 1000 + 0.5);
    return 0;
}

static int parse_port(const char *text, int *port) {
    char *end;
    long n = strtol(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || n < 1 || n > 65535)
        return -EINVAL;
    *port = (int)n;
    return 0;
}

static size_t distance(const char *a, const char *b) {
    size_t la = strlen(a), lb = strlen(b), row[DISTANCE_MAX_LEN + 1];

    if (la > DISTANCE_MAX_LEN || lb > DISTANCE_MAX_LEN)
        return DISTANCE_MAX_LEN;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

const char *opts_closest(const char *word, const char *const *candidates, size_t n) {
    size_t best = strlen(word) < 3 ? 2 : strlen(word) / 3 + 1;
    const char *found = NULL;

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, candidates[i]);
        if (strlen(word) >= 2 && strncmp(word, candidates[i], strlen(word)) == 0)
            d = 0;
        if (d < best) {
            best = d;
            found = candidates[i];
        }
    }
    return found;
}

/* The first line of usage, as a reminder below a complaint. */
static void remind(const struct usage *u) {
    note("usage: lanyard %s [OPTION...]%s%.*s\nSee `lanyard %s --help`.", u->name,
         *u->args ? " " : "", (int)strcspn(u->args, "\n"), u->args, u->name);
}

int opts_misused(const struct usage *u, const char *format, ...) {
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail(CODE_USAGE, "%s: %s", u->name, text);
    remind(u);
    return CODE_USAGE;
}

int opts_code(int parsed) { return parsed == OPTS_HELPED ? CODE_DONE : CODE_USAGE; }

static int unknown(const struct usage *u, const struct opt *table, const char *word) {
    const char *names[TABLE_MAX], *near = NULL;
    char shown[WORD_SHOWN], bare[WORD_SHOWN];
    size_t n = 0;

    for (const struct opt *o = table; o->name && n < TABLE_MAX; o++)
        names[n++] = o->name;
    name_show(word, strlen(word), shown, sizeof shown);
    if (strncmp(word, "--", 2) == 0) {
        snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word + 2, "="), word + 2);
        near = opts_closest(bare, names, n);
    }
    if (near)
        opts_misused(u, "unknown option %s; did you mean --%s?", shown, near);
    else
        opts_misused(u, "unknown option %s", shown);
    return -EINVAL;
}

static int set_texts(const struct usage *u, const struct opt *o, const char *value) {
    struct opt_texts *t = o->target;

    if (t->n == OPT_TEXTS_MAX) {
        opts_misused(u, "--%s was given more than %d times", o->name, OPT_TEXTS_MAX);
        return -EINVAL;
    }
    t->text[t->n++] = value;
    return 0;
}

static int misfit(const struct usage *u, const struct opt *o, const char *value,
                  const char *wanted) {
    char shown[WORD_SHOWN];

    name_show(value, strlen(value), shown, sizeof shown);
    opts_misused(u, "--%s takes %s, not `%s`", o->name, wanted, shown);
    return -EINVAL;
}

/* Whoever lists processes has seen it for a moment at most. */
static int set_secret(const struct usage *u, const struct opt *o, char *value) {
    size_t len = strlen(value);
    bool fits = len > 0 && len < OPT_SECRET_LEN;

    if (fits)
        memcpy(o->target, value, len + 1);
    memset(value, 'x', len);
    if (fits)
        return 0;
    opts_misused(u, "--%s takes 1 to %d characters", o->name, OPT_SECRET_LEN - 1);
    return -EINVAL;
}

static int set_rate(const struct usage *u, const struct opt *o, const char *value) {
    struct rate_option *r = o->target;

    r->given = true;
    return rate_parse(value, &r->rate) == 0 ? 0 : misfit(u, o, value, RATE_WANTED);
}

static int set(const struct usage *u, const struct opt *table, const struct opt *o, char *value) {
    switch (o->kind) {
    case OPT_FLAG:
        *(bool *)o->target = true;
        return 0;
    case OPT_TEXT:
        *(const char **)o->target = value;
        return 0;
    case OPT_TEXTS:
        return set_texts(u, o, value);
    case OPT_SECRET:
        return set_secret(u, o, value);
    case OPT_SECONDS:
        if (parse_seconds(value, o->target) == 0)
            return 0;
        return misfit(u, o, value, "seconds, like 3 or 0.5");
    case OPT_PORT:
        if (parse_port(value, o->target) == 0)
            return 0;
        return misfit(u, o, value, "a number from 1 to 65535");
    case OPT_RATE:
        return set_rate(u, o, value);
    case OPT_VERBOSE:
        log_set_level(log_level() == LOG_WARN ? LOG_INFO : LOG_DEBUG);
        return 0;
    case OPT_HELP:
        opts_help(u, table, stdout);
        return OPTS_HELPED;
    }
    return -EINVAL;
}

/* The table as getopt_long wants it. */
static void convert(const struct opt *table, struct option *longs, char *shorts) {
    size_t n = 0;

    *shorts++ = ':'; /* tell a missing argument from an unknown option */
    for (; table[n].name && n < TABLE_MAX; n++) {
        longs[n] = (struct option){table[n].name, table[n].arg ? required_argument : no_argument,
                                   NULL, (int)(256 + n)};
        if (table[n].letter) {
            *shorts++ = table[n].letter;
            if (table[n].arg)
                *shorts++ = ':';
        }
    }
    longs[n] = (struct option){0};
    *shorts = '\0';
}

static const struct opt *by_value(const struct opt *table, int value) {
    if (value >= 256)
        return &table[value - 256];
    for (; table->name; table++)
        if (table->letter == value)
            return table;
    return NULL;
}

/* getopt_long's answer when it could not make sense of a word. */
static int complain(const struct usage *u, const struct opt *table, int c, const char *word) {
    const struct opt *o = optopt ? by_value(table, optopt) : NULL;
    char letter[3] = {'-', (char)optopt, '\0'};

    if (c == ':' && o) {
        opts_misused(u, "--%s needs %s", o->name, o->arg);
        return -EINVAL;
    }
    if (o && !o->arg) {
        opts_misused(u, "--%s takes no argument", o->name);
        return -EINVAL;
    }
    return unknown(u, table, optopt && optopt < 256 ? letter : word);
}

int opts_parse(const struct usage *u, const struct opt *table, int argc, char **argv, int *first) {
    struct option longs[TABLE_MAX + 1];
    char shorts[2 * TABLE_MAX + 2];

    convert(table, longs, shorts);
    optind = 0; /* start over: getopt(3), notes on GNU */
    opterr = 0;
    for (;;) {
        int err, c = getopt_long(argc, argv, shorts, longs, NULL);

        if (c == -1)
            break;
        if (c == '?' || c == ':')
            return complain(u, table, c, argv[optind - 1]);
        err = set(u, table, by_value(table, c), optarg);
        if (err)
            return err;
    }
    *first = optind;
    return 0;
}

void opts_help(const struct usage *u, const struct opt *table, FILE *out) {
    const char *lead = "usage:", *args = u->args;

    for (;;) {
        size_t len = strcspn(args, "\n");

        fprintf(out, "%-6s lanyard %s [OPTION...]%s%.*s\n", lead, u->name, len ? " " : "", (int)len,
                args);
        if (!args[len])
            break;
        args += len + 1;
        lead = "";
    }
    fprintf(out, "\n%s.\n", u->summary);
    if (u->details)
        fprintf(out, "\n%s", u->details);
    fputs("\nOptions:\n", out);
    for (const struct opt *o = table; o->name; o++) {
        char left[64];

        snprintf(left, sizeof left, "%c%c%c --%s%s%s", o->letter ? '-' : ' ',
                 o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name, o->arg ? " " : "",
                 o->arg ? o->arg : "");
        fprintf(out, "  %-26s %s\n", left, o->help);
    }
}
