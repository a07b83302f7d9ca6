/* SPDX-License-Identifier: MIT */
#include "core/buf.h"

#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Whole pages of any size in use (up to 64 KiB): trimming one buffer leaves its neighbour alone. */
enum { PAGE = 64 * 1024, STRIDE = (WIRE_FRAME_MAX + PAGE - 1) / PAGE * PAGE };

int pool_init(struct pool *p, unsigned n) {
    memset(p, 0, sizeof *p);
    p->free = calloc(n > 0 ? n : 1, sizeof *p->free);
    if (!p->free)
        return -ENOMEM;
    p->mem = mmap(NULL, (size_t)(n > 0 ? n : 1) * STRIDE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->mem == MAP_FAILED) {
        free(p->free);
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
    memset(p, 0, sizeof *p);
}

uint8_t *pool_get(struct pool *p) {
    /* the one that was put back last: its pages are in the cache, others may never be touched */
    return p->n_free > 0 ? p->mem + (size_t)p->free[--p->n_free] * STRIDE : NULL;
}

void pool_put(struct pool *p, uint8_t *buf) {
    if (!buf)
        return;
    p->free[p->n_free++] = (unsigned)((size_t)(buf - p->mem) / STRIDE);

    struct pool_waiter *w = p->waiters.next;
    if (w == &p->waiters)
        return;
    pool_unwait(p, w);
    w->ready(w);
}

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

bool pool_wanted(const struct pool *p) { return p->waiters.next != &p->waiters; }

bool pool_plenty(const struct pool *p) { return p->n_free > p->n / 4 && !pool_wanted(p); }

void pool_trim(struct pool *p) {
    for (unsigned i = 0; i < p->n_free; i++)
        madvise(p->mem + (size_t)p->free[i] * STRIDE, STRIDE, MADV_DONTNEED);
}
