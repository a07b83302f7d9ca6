/* SPDX-License-Identifier: MIT */
/*
 * buf -- the fixed pool of frame buffers: the only bulk memory of the program
 *
 *     pool_init(n)    pool_get -> NULL: none free, pool_wait   pool_put    pool_clear
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

struct pool_waiter {                      /* embedded in whoever waits; zero it first */
    void (*ready)(struct pool_waiter *w); /* a buffer is free: take it now */
    struct pool_waiter *next, *prev;
};

struct pool {
    uint8_t *mem;
    unsigned n, n_free;
    unsigned *free; /* stack of indices */
    struct pool_waiter waiters;
};

int pool_init(struct pool *p, unsigned n);   /* 0 or -ENOMEM */
void pool_clear(struct pool *p);             /* all buffers must be back; takes a zeroed pool */
uint8_t *pool_get(struct pool *p);           /* NULL: none free */
void pool_put(struct pool *p, uint8_t *buf); /* takes NULL; calls the waiter that waited longest */
void pool_wait(struct pool *p, struct pool_waiter *w);   /* no-op if it waits already */
void pool_unwait(struct pool *p, struct pool_waiter *w); /* no-op if it does not wait */
bool pool_wanted(const struct pool *p);                  /* somebody waits */
/* Is there more than those need who have none yet? */
bool pool_plenty(const struct pool *p);
void pool_trim(struct pool *p);

#endif
