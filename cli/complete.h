/* SPDX-License-Identifier: MIT */
/*
 * complete -- what a word at the prompt could become
 *
 * Commands, peers, names of shares, paths inside a peer, known peers. Asks the network for at most
 * COMPLETE_MS.
 */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include "cli/app.h"

#include <stddef.h>

enum { COMPLETE_MS = 400, COMPLETE_MAX = 256 };

struct completions {
    char *all[COMPLETE_MAX]; /* whole words, sorted, no doubles */
    size_t n;
};

/* words[0 .. n-1] stand before the word, the first one is the command. */
void complete(struct app *app, const char *const *words, int n, const char *word,
              struct completions *c);
void completions_clear(struct completions *c);

/* How many bytes all of them have in common; ends at a whole character. */
size_t completions_common(const struct completions *c);

#endif
