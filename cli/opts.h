/* SPDX-License-Identifier: MIT */
/*
 * opts -- the options of one command: one table that parses, complains and makes --help
 *
 *     const struct opt table[] = {{"output", 'o', "DIR", "put it there", OPT_TEXT, &o.dir}, ...
 *                                 OPT_COMMON(&o.json), {0}};
 *     opts_parse -> 0: act; anything else: return opts_code(it)
 *
 * Options and operands may be mixed, "--" ends the options, long ones may be shortened as long as
 * they are unambiguous (getopt_long(3)). May be called again and again.
 */
#ifndef CLI_OPTS_H
#define CLI_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum opt_kind {
    OPT_FLAG,    /* bool: true */
    OPT_TEXT,    /* const char *: the word, in argv */
    OPT_TEXTS,   /* struct opt_texts: each of them */
    OPT_SECRET,  /* char[OPT_SECRET_LEN]: the word, which argv shows no more */
    OPT_SECONDS, /* uint64_t: milliseconds, up to a day; fractions are welcome */
    OPT_PORT,    /* int: 1..65535 */
    OPT_RATE,    /* struct rate_option */
    OPT_VERBOSE, /* raises the log level */
    OPT_HELP,    /* prints the help */
};

struct opt {
    const char *name; /* long; NULL ends the table */
    char letter;      /* short, or 0 */
    const char *arg;  /* what it takes, in capitals; NULL: nothing */
    const char *help;
    enum opt_kind kind;
    void *target;
};

enum { OPT_TEXTS_MAX = 16, OPT_SECRET_LEN = 64 };
struct opt_texts {
    const char *text[OPT_TEXTS_MAX];
    unsigned n;
};

/* clang-format off */
#define OPT_COMMON(json_target) \
    {"json", 0, NULL, "one JSON object a line on stdout", OPT_FLAG, json_target}, \
    {"verbose", 'v', NULL, "tell more on stderr; twice: every message", OPT_VERBOSE, NULL}, \
    {"help", 'h', NULL, "this help", OPT_HELP, NULL}
/* clang-format on */

/* What a command says about itself. */
struct usage {
    const char *name;    /* as typed */
    const char *args;    /* operands; several forms are separated by '\n' */
    const char *summary; /* one sentence, without a full stop */
    const char *details; /* paragraphs below it, with newlines; or NULL */
};

enum { OPTS_HELPED = 1 };

/* argv[0] is the command's name. 0: all targets are set, operands are argv[*first..argc-1];
 * OPTS_HELPED: the help was printed; -EINVAL: a complaint was. argv is reordered. */
int opts_parse(const struct usage *u, const struct opt *table, int argc, char **argv, int *first);
int opts_code(int parsed); /* exit code for an answer of opts_parse that is not 0 */

/* A complaint about operands, with the usage line. Returns CODE_USAGE. */
int opts_misused(const struct usage *u, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void opts_help(const struct usage *u, const struct opt *table, FILE *out);

/* The candidate (n of them) nearest to word, or NULL if none is near: Levenshtein distance of at
 * most a third of the length, or word is its beginning. */
const char *opts_closest(const char *word, const char *const *candidates, size_t n);

#endif
