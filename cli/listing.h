/* SPDX-License-Identifier: MIT */
/*
 * listing -- the rows of `list` and `find`: fixed columns first, then PEER:PATH, which `download`
 * takes
 *
 *     listing_add ... -> listing_flush
 *
 * Rows are gathered and sorted; those that are too many to gather are printed in several lots.
 */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include "cli/hits.h"
#include "cli/survey.h"

struct listing {
    const struct survey *survey;
    bool json;
    const char *dir; /* what the rows are below; "" for none */
    struct hits hits;
    size_t printed;
    int err; /* the first: -ENOMEM, or of writing */
};

/* on_row of a question whose owner is the listing. */
void listing_add(void *listing, const struct survey_peer *p, const struct wire_entry *e);

/* Prints what was gathered. Returns l->err. */
int listing_flush(struct listing *l);

/* Things that one name can mean, for people, on stderr. */
void listing_candidates(const struct survey *r, struct hits *h);

#endif
