/* SPDX-License-Identifier: MIT */
/*
 * blocks -- output gathered in a few large blocks, each one write of the socket
 *
 *     blocks_append ...   blocks_out -> the next block to send   blocks_done, in the same order
 *
 * At most BLOCKS_MAX blocks of BLOCK_LEN bytes at a time. All owners of one budget share `max`
 * blocks: beyond that each owner has a single block of BLOCK_SMALL bytes, so that memory stays
 * bounded and nobody starves. Blocks that are done are kept for the next output until blocks_trim.
 * One thread for a budget and its owners, but for what is reserved.
 */
#ifndef CORE_BLOCKS_H
#define CORE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLOCK_LEN = 256 * 1024, BLOCKS_MAX = 4, BLOCK_SMALL = 32 * 1024 };

struct block_budget {
    unsigned used, max; /* of BLOCK_LEN bytes, spare ones too */
};

struct block {
    uint8_t *mem;
    size_t len, cap;
};

struct blocks {
    struct block_budget *budget;
    struct block ring[BLOCKS_MAX]; /* n from `first` on, the first n_out are out */
    unsigned first, n, n_out;
    uint8_t *spare[BLOCKS_MAX];
    unsigned n_spare;
    bool reserved; /* see blocks_reserve() */
};

/* budget must outlive it. */
void blocks_init(struct blocks *b, struct block_budget *budget);
void blocks_clear(struct blocks *b);

size_t blocks_room(const struct blocks *b); /* bytes that blocks_append takes now */
/* All of it: 0; or -ENOBUFS beyond blocks_room(), -ENOMEM: then some of it. */
int blocks_append(struct blocks *b, const void *data, size_t len);

/* 1: a block to send, good until its blocks_done; 0: none. Several may be out. A block that is not
 * full comes only if `all` and no other is out: what is appended meanwhile joins it. */
int blocks_out(struct blocks *b, bool all, const uint8_t **data, size_t *len);
void blocks_done(struct blocks *b);

void blocks_trim(struct blocks *b);

/* Takes spare blocks out of the budget, so that b has up to `most` that are not out. Until
 * blocks_release it has no others of BLOCK_LEN, keeps what is done, and does not look at the
 * budget: so another thread may have it. */
void blocks_reserve(struct blocks *b, unsigned most);
void blocks_release(struct blocks *b);

#endif
