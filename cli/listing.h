/* SPDX-License-Identifier: MIT */
/*
 * listing -- the rows of `list` and `find`: fixed columns first, then PEER:PATH, which `download`
 * takes
 */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include "cli/hits.h"
#include "cli/survey.h"

/* Prints the rows, sorted; as objects if json. *heading: print one before the first row, then
 * false. 0 or -ENOMEM. */
int listing_print(const struct survey *r, struct hits *h, bool json, bool *heading);

/* The same for people, on stderr. */
void listing_candidates(const struct survey *r, struct hits *h);

#endif
