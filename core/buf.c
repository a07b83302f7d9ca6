/* SPDX-License-Identifier: MIT */
#include "core/buf.h"

#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Whole pages of any size in use (up to 64 KiB): trimming one buffer leaves its neighbour alone. */
enum { PAGE = 64 * 1024, STRIDE = (WIRE_FRAME_MAX + PAGE - 1) / PAGE * PAGE };

/* Buffers that one may be behind the others and have more of them for it later. */
enum { CREDIT = 8 };

struct pool_share {
    struct pool_share *next, **link;
    unsigned users, held;
    uint64_t taken; /* buffers so far, or so many that it is not too far behind the others */
    uint8_t whose[POOL_WHOSE_LEN];
};

/* ---- buffers ---- */

int pool_init(struct pool *p, unsigned n) {
    size_t some = n > 0 ? n : 1;

    memset(p, 0, sizeof *p);
    p->free = calloc(some, sizeof *p->free);
    p->holders = calloc(some, sizeof *p->holders);
    p->mem = MAP_FAILED;
    if (p->free && p->holders)
        p->mem = mmap(NULL, some * STRIDE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->mem == MAP_FAILED) {
        free(p->free);
        free(p->holders);
        memset(p, 0, sizeof *p);
        return -ENOMEM;
    }
    p->n = p->n_free = n;
    for (unsigned i = 0; i < n; i++)
        p->free[i] = n - 1 - i;
    p->waiters.next = p->waiters.prev = &p->waiters;
    return 0;
}

void pool_clear(struct pool *p) {
    if (!p->mem)
        return;
    munmap(p->mem, (size_t)(p->n > 0 ? p->n : 1) * STRIDE);
    free(p->free);
    free(p->holders);
    memset(p, 0, sizeof *p);
}

static unsigned index_of(const struct pool *p, const uint8_t *buf) {
    return (unsigned)((size_t)(buf - p->mem) / STRIDE);
}

uint8_t *pool_get(struct pool *p) {
    /* the one that was put back last: its pages are in the cache, others may never be touched */
    return p->n_free > 0 ? p->mem + (size_t)p->free[--p->n_free] * STRIDE : NULL;
}

void pool_trim(struct pool *p) {
    for (unsigned i = 0; i < p->n_free; i++)
        madvise(p->mem + (size_t)p->free[i] * STRIDE, STRIDE, MADV_DONTNEED);
}

/* ---- shares ---- */

/* Behind those who wait: else whoever comes anew for each buffer were always the next. */
static uint64_t first_turn(const struct pool *p) {
    uint64_t least = p->taken_most > CREDIT ? p->taken_most - CREDIT : 0;

    return (p->turn > least ? p->turn : least) + 1;
}

struct pool_share *pool_join(struct pool *p, const uint8_t whose[static POOL_WHOSE_LEN]) {
    struct pool_share *s;

    for (s = p->shares; s; s = s->next)
        if (memcmp(s->whose, whose, sizeof s->whose) == 0)
            break;
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            return NULL;
        memcpy(s->whose, whose, sizeof s->whose);
        s->taken = first_turn(p);
        s->next = p->shares;
        s->link = &p->shares;
        if (s->next)
            s->next->link = &s->next;
        p->shares = s;
    }
    s->users++;
    return s;
}

static void free_if_unused(struct pool_share *s) {
    if (s->users || s->held)
        return;
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    free(s);
}

void pool_leave(struct pool_share *s) {
    if (!s)
        return;
    s->users--;
    free_if_unused(s);
}

static unsigned held_by(const struct pool_share *s) { return s ? s->held : 0; }

/* Of several users of a share one who has some already leaves room for others: it may be slow. */
static bool may_take(const struct pool *p, const struct pool_share *s, bool more) {
    return held_by(s) * (more && s && s->users > 1 ? 4 : 1) < p->n_free;
}

uint8_t *pool_take(struct pool *p, struct pool_share *s, bool more) {
    uint8_t *buf = may_take(p, s, more) ? pool_get(p) : NULL;

    if (!buf || !s)
        return buf;
    p->holders[index_of(p, buf)] = s;
    s->held++;
    s->taken++;
    if (s->taken > p->taken_most)
        p->taken_most = s->taken;
    else if (s->taken + CREDIT < p->taken_most)
        s->taken = p->taken_most - CREDIT;
    return buf;
}

static void give_back(struct pool *p, uint8_t *buf) {
    unsigned i = index_of(p, buf);
    struct pool_share *s = p->holders[i];

    p->free[p->n_free++] = i;
    p->holders[i] = NULL;
    if (!s)
        return;
    s->held--;
    free_if_unused(s);
}

/* ---- who waits ---- */

void pool_wait(struct pool *p, struct pool_waiter *w) {
    if (w->next)
        return;
    w->prev = p->waiters.prev;
    w->next = &p->waiters;
    w->prev->next = w->next->prev = w;
}

void pool_unwait(struct pool *p, struct pool_waiter *w) {
    if (!w->next)
        return;
    w->prev->next = w->next;
    w->next->prev = w->prev;
    w->next = w->prev = NULL;
}

bool pool_wanted(const struct pool *p, const uint8_t *buf) {
    const struct pool_share *s = buf ? p->holders[index_of(p, buf)] : NULL;

    for (const struct pool_waiter *w = p->waiters.next; w != &p->waiters; w = w->next)
        if (!w->more && (w->share == s || held_by(w->share) < held_by(s)))
            return true;
    return false;
}

/* Does a come before b, which has waited longer? */
static bool is_before(const struct pool_waiter *a, const struct pool_waiter *b) {
    uint64_t taken_a = a->share ? a->share->taken : 0, taken_b = b->share ? b->share->taken : 0;

    if (held_by(a->share) != held_by(b->share))
        return held_by(a->share) < held_by(b->share);
    if (taken_a != taken_b)
        return taken_a < taken_b;
    return a->share == b->share && !a->more && b->more;
}

/* NULL: nobody waits who may take one now. */
static struct pool_waiter *next_waiter(struct pool *p) {
    struct pool_waiter *best = NULL;

    for (struct pool_waiter *w = p->waiters.next; w != &p->waiters; w = w->next)
        if (may_take(p, w->share, w->more) && (!best || is_before(w, best)))
            best = w;
    return best;
}

/* Not that of whoever is served: one who holds less than others may be far ahead of them, and each
 * who came anew would put the next one still further back. */
static void note_turn(struct pool *p) {
    uint64_t least = UINT64_MAX;

    for (const struct pool_waiter *w = p->waiters.next; w != &p->waiters; w = w->next)
        if (w->share && w->share->taken < least)
            least = w->share->taken;
    if (least != UINT64_MAX && least > p->turn)
        p->turn = least;
}

void pool_put(struct pool *p, uint8_t *buf) {
    struct pool_waiter *w;

    if (!buf)
        return;
    give_back(p, buf);
    note_turn(p);
    while ((w = next_waiter(p)) != NULL) { /* each takes one, or waits no longer */
        pool_unwait(p, w);
        w->ready(w);
    }
}
