/* SPDX-License-Identifier: MIT */
/*
 * plan -- which chunk to ask whom for next
 *
 * One byte of state per chunk. Pure: no I/O, no clock, no allocation after plan_init().
 *
 *     ABSENT -> ASKED by source i -> HAVE
 *     CHECK (on disk, not believed yet) -> HAVE or ABSENT
 *     SUSPECT (on disk, of an older version; its digest at the source decides) -> HAVE or ABSENT
 *     any -> FAILED (the source cannot give it in this round)
 */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

/* 32 TiB; so is what a download remembers of its chunks within the memory that it may take. */
enum { PLAN_CHUNKS_MAX = 1 << 25 };

enum plan_state {
    PLAN_ABSENT,
    PLAN_HAVE,
    PLAN_CHECK,
    PLAN_SUSPECT,
    PLAN_FAILED,
    PLAN_ASKED, /* + number of the source */
    PLAN_SOURCES_MAX = 200,
};

struct plan {
    uint8_t *state;
    uint64_t n;
    uint64_t count[PLAN_ASKED + 1]; /* chunks in each state; all asked ones together */
    uint64_t low[PLAN_ASKED];       /* no chunk below this one is in this state */
};

int plan_init(struct plan *p, uint64_t n_chunks); /* all ABSENT; 0 or -ENOMEM */
void plan_clear(struct plan *p);

void plan_set(struct plan *p, uint64_t chunk, enum plan_state state);
enum plan_state plan_get(const struct plan *p, uint64_t chunk); /* PLAN_ASKED for all of those */
bool plan_asked_of(const struct plan *p, uint64_t chunk, unsigned source);

/* The first run of at most `max` chunks in `state`: 1 and *first, *n; 0: there is none. */
int plan_run(struct plan *p, enum plan_state state, uint32_t max, uint64_t *first, uint32_t *n);

void plan_ask(struct plan *p, uint64_t first, uint32_t n, unsigned source); /* must be ABSENT */
void plan_drop_source(struct plan *p, unsigned source); /* what it was asked for is ABSENT again */

#endif
