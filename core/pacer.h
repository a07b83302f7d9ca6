/* SPDX-License-Identifier: MIT */
/*
 * pacer -- a rate that many connections share: how much may move now, and whose turn it is
 *
 *     pacer_ask -> bytes -> pacer_moved        pacer_ask -> 0: again at turn->at_ns
 *     pacer_idle   when there was nothing to move, or no room for it
 *
 * Time is cut into slots, each long enough for one portion. Whoever asks gets the next free slot:
 * so those who want more than there is take turns, with equal portions, and what one does not want
 * is the others'. Times in nanoseconds, of any clock that never goes back; now is a parameter.
 * Pure.
 */
#ifndef CORE_PACER_H
#define CORE_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pacer {
    uint64_t rate;    /* bytes a second; 0: as fast as it goes */
    uint64_t free_ns; /* the beginning of the next free slot */
};

/* What one connection has of it. Zeroed: nothing. */
struct pacer_turn {
    uint64_t at_ns; /* its slot begins */
    size_t left;    /* of the portion; 0: it has no slot */
    bool hungry;    /* it waited for its slot, and wants more since */
};

/* At any time. Slots that were given stay as they are: each is short. */
void pacer_set_rate(struct pacer *p, uint64_t rate, uint64_t now_ns);

/* How many of `want` bytes (not 0) may move now; 0: none before t->at_ns. p NULL: no limit. */
size_t pacer_ask(struct pacer *p, struct pacer_turn *t, size_t want, uint64_t now_ns);
void pacer_moved(struct pacer_turn *t, size_t n); /* so many of them did */
void pacer_idle(struct pacer_turn *t);

/* These have moved, whether there was a slot or not. */
void pacer_charge(struct pacer *p, size_t n, uint64_t now_ns);

/* All slots up to now are taken: it is the limit that holds things up. */
bool pacer_is_ahead(const struct pacer *p, uint64_t now_ns);

#endif
