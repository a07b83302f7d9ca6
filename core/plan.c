/* SPDX-License-Identifier: MIT */
#include "core/plan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static enum plan_state state_of(uint8_t byte) {
    return byte < PLAN_ASKED ? (enum plan_state)byte : PLAN_ASKED;
}

/* The only place where a state changes: counts and low marks stay true. */
static void change(struct plan *p, uint64_t chunk, uint8_t to) {
    p->count[state_of(p->state[chunk])]--;
    p->count[state_of(to)]++;
    p->state[chunk] = to;
    if (to < PLAN_ASKED && chunk < p->low[to])
        p->low[to] = chunk;
}

int plan_init(struct plan *p, uint64_t n_chunks) {
    memset(p, 0, sizeof *p);
    /* PLAN_ABSENT is 0: the pages of a huge plan are touched only as chunks arrive. */
    static_assert(PLAN_ABSENT == 0, "calloc makes every chunk absent");
    p->state = calloc(n_chunks ? n_chunks : 1, 1);
    if (!p->state)
        return -ENOMEM;
    p->n = n_chunks;
    p->count[PLAN_ABSENT] = n_chunks;
    for (unsigned i = 0; i < PLAN_ASKED; i++)
        p->low[i] = i == PLAN_ABSENT ? 0 : n_chunks;
    return 0;
}

void plan_clear(struct plan *p) {
    free(p->state);
    memset(p, 0, sizeof *p);
}

void plan_set(struct plan *p, uint64_t chunk, enum plan_state state) {
    assert(chunk < p->n && state < PLAN_ASKED);
    change(p, chunk, (uint8_t)state);
}

enum plan_state plan_get(const struct plan *p, uint64_t chunk) {
    assert(chunk < p->n);
    return state_of(p->state[chunk]);
}

bool plan_asked_of(const struct plan *p, uint64_t chunk, unsigned source) {
    assert(chunk < p->n && source < PLAN_SOURCES_MAX);
    return p->state[chunk] == PLAN_ASKED + source;
}

int plan_run(struct plan *p, enum plan_state state, uint32_t max, uint64_t *first, uint32_t *n) {
    assert(state < PLAN_ASKED);
    if (!p->count[state])
        p->low[state] = p->n;
    if (!p->count[state] || !max)
        return 0;
    uint64_t from = p->low[state];
    const uint8_t *hit = memchr(p->state + from, state, p->n - from);
    uint64_t at = (uint64_t)(hit - p->state);
    uint32_t len = 1;
    while (len < max && at + len < p->n && p->state[at + len] == state)
        len++;
    p->low[state] = at;
    *first = at;
    *n = len;
    return 1;
}

void plan_ask(struct plan *p, uint64_t first, uint32_t n, unsigned source) {
    assert(first <= p->n && n <= p->n - first && source < PLAN_SOURCES_MAX);
    for (uint32_t i = 0; i < n; i++) {
        assert(p->state[first + i] == PLAN_ABSENT);
        change(p, first + i, (uint8_t)(PLAN_ASKED + source));
    }
}

void plan_drop_source(struct plan *p, unsigned source) {
    assert(source < PLAN_SOURCES_MAX);
    const uint8_t *end = p->state + p->n;
    for (const uint8_t *at = p->state; p->count[PLAN_ASKED]; at++) {
        at = memchr(at, PLAN_ASKED + (int)source, (size_t)(end - at));
        if (!at)
            return;
        change(p, (uint64_t)(at - p->state), PLAN_ABSENT);
    }
}
