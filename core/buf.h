/* SPDX-License-Identifier: MIT */
/*
 * buf -- the fixed pool of frame buffers: the only bulk memory of the program
 *
 *     pool_init(n)    pool_get -> NULL: none free, pool_wait   pool_put    pool_clear
 *     pool_join(whose)    pool_take -> NULL: not its turn, pool_wait       pool_leave
 *
 * Whoever joins has a share; those who join under one name have it together. A share takes
 * another buffer only while it holds fewer than are free: one alone may have half of them, two a
 * third each, and there is always one for who comes next. Of those who wait, the share that holds
 * least comes first, then the one that has taken least so far.
 *
 * Each buffer holds one frame (WIRE_FRAME_MAX bytes, page aligned). Memory is touched only when
 * used, and given back to the system (MADV_DONTNEED) by pool_trim() when the owner is idle. Loop
 * thread only; a job on the worker pool may fill a buffer that the loop thread holds for it.
 */
#ifndef CORE_BUF_H
#define CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_WHOSE_LEN = 32 };

struct pool_share; /* private to core/buf.c */

struct pool_waiter {                      /* embedded in whoever waits; zero it first */
    void (*ready)(struct pool_waiter *w); /* a buffer is free: take it now */
    struct pool_share *share;             /* NULL: of nobody, who may always have one */
    bool more;                            /* who waits has one already */
    struct pool_waiter *next, *prev;
};

struct pool {
    uint8_t *mem;
    unsigned n, n_free;
    unsigned *free;              /* stack of indices */
    struct pool_share **holders; /* of each buffer, NULL: nobody, or it is free */
    struct pool_share *shares;   /* all of them */
    uint64_t taken_most;         /* buffers that one of the shares has taken so far */
    uint64_t turn;               /* all who wait have taken so many */
    struct pool_waiter waiters;
};

int pool_init(struct pool *p, unsigned n);   /* 0 or -ENOMEM */
void pool_clear(struct pool *p);             /* all buffers must be back; takes a zeroed pool */
uint8_t *pool_get(struct pool *p);           /* NULL: none free */
void pool_put(struct pool *p, uint8_t *buf); /* takes NULL; calls the waiters whose turn it is */

/* The share of that name, until pool_leave, which may come before its buffers are back. NULL: no
 * memory. */
struct pool_share *pool_join(struct pool *p, const uint8_t whose[static POOL_WHOSE_LEN]);
void pool_leave(struct pool_share *s); /* takes NULL; nobody of it waits */
/* NULL: it is not its turn. more: for one who has a buffer already, and leaves room for others of
 * its share who may have none. */
uint8_t *pool_take(struct pool *p, struct pool_share *s, bool more);

void pool_wait(struct pool *p, struct pool_waiter *w);   /* no-op if it waits already */
void pool_unwait(struct pool *p, struct pool_waiter *w); /* no-op if it does not wait */
/* Does somebody without a buffer wait who has more right to `buf` than its holder, since its share
 * holds less, or is the same one? NULL: of nobody. */
bool pool_wanted(const struct pool *p, const uint8_t *buf);
void pool_trim(struct pool *p);

#endif
