/* SPDX-License-Identifier: MIT */
#include "core/blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct block *at(struct blocks *b, unsigned i) {
    return &b->ring[(b->first + i) % BLOCKS_MAX];
}

void blocks_init(struct blocks *b, struct block_budget *budget) {
    memset(b, 0, sizeof *b);
    b->budget = budget;
}

/* cap: BLOCK_LEN, or BLOCK_SMALL, which is nobody's budget. NULL: no memory. */
static uint8_t *new_block(struct blocks *b, size_t cap) {
    uint8_t *mem = malloc(cap);

    if (mem && cap == BLOCK_LEN) /* never while it is reserved */
        b->budget->used++;
    return mem;
}

static void free_block(struct blocks *b, uint8_t *mem, size_t cap) {
    if (cap == BLOCK_LEN)
        b->budget->used--;
    free(mem);
}

void blocks_clear(struct blocks *b) {
    for (unsigned i = 0; i < b->n; i++)
        free_block(b, at(b, i)->mem, at(b, i)->cap);
    blocks_trim(b);
    b->n = b->n_out = 0;
}

void blocks_trim(struct blocks *b) {
    while (b->n_spare > 0)
        free_block(b, b->spare[--b->n_spare], BLOCK_LEN);
}

/* How many large blocks may be added. */
static unsigned blocks_left(const struct blocks *b) {
    const struct block_budget *budget = b->budget;
    unsigned left = b->n_spare;

    if (!b->reserved && budget->used < budget->max)
        left += budget->max - budget->used;
    return left < BLOCKS_MAX - b->n ? left : BLOCKS_MAX - b->n;
}

/* Room in the last block; one that is out takes nothing more. */
static size_t last_room(const struct blocks *b) {
    const struct block *last = &b->ring[(b->first + b->n + BLOCKS_MAX - 1) % BLOCKS_MAX];

    return b->n > b->n_out ? last->cap - last->len : 0;
}

size_t blocks_room(const struct blocks *b) {
    size_t room = last_room(b) + (size_t)blocks_left(b) * BLOCK_LEN;

    return room == 0 && b->n == 0 ? BLOCK_SMALL : room;
}

static int add_block(struct blocks *b) {
    struct block new = {.cap = BLOCK_LEN};

    if (blocks_left(b) == 0 && b->n > 0)
        return -ENOBUFS;
    if (blocks_left(b) == 0)
        new.cap = BLOCK_SMALL;
    if (b->n_spare > 0) {
        new.mem = b->spare[--b->n_spare];
    } else {
        new.mem = new_block(b, new.cap);
        if (!new.mem)
            return -ENOMEM;
    }
    *at(b, b->n++) = new;
    return 0;
}

int blocks_append(struct blocks *b, const void *data, size_t len) {
    const uint8_t *from = data;

    while (len > 0) {
        int r = last_room(b) > 0 ? 0 : add_block(b);
        if (r < 0)
            return r;
        struct block *last = at(b, b->n - 1);
        size_t n = len < last->cap - last->len ? len : last->cap - last->len;
        memcpy(last->mem + last->len, from, n);
        last->len += n;
        from += n;
        len -= n;
    }
    return 0;
}

int blocks_out(struct blocks *b, bool all, const uint8_t **data, size_t *len) {
    struct block *next = b->n > b->n_out ? at(b, b->n_out) : NULL;

    if (!next || (next->len < next->cap && (!all || b->n_out > 0)))
        return 0;
    b->n_out++;
    *data = next->mem;
    *len = next->len;
    return 1;
}

/* When many share it, what one keeps another one lacks. */
static bool is_ample(const struct block_budget *budget) { return budget->used <= budget->max / 2; }

void blocks_done(struct blocks *b) {
    struct block *done = at(b, 0);

    b->first = (b->first + 1) % BLOCKS_MAX;
    b->n--;
    b->n_out--;
    if (done->cap == BLOCK_LEN && (b->reserved || is_ample(b->budget)))
        b->spare[b->n_spare++] = done->mem;
    else
        free_block(b, done->mem, done->cap);
}

void blocks_reserve(struct blocks *b, unsigned most) {
    unsigned want = is_ample(b->budget) ? most : 1;

    while (b->n - b->n_out + b->n_spare < want && b->n + b->n_spare < BLOCKS_MAX &&
           b->budget->used < b->budget->max) {
        uint8_t *mem = new_block(b, BLOCK_LEN);
        if (!mem)
            break;
        b->spare[b->n_spare++] = mem;
    }
    b->reserved = true;
}

void blocks_release(struct blocks *b) {
    b->reserved = false;
    while (b->n_spare > 0 && !is_ample(b->budget))
        free_block(b, b->spare[--b->n_spare], BLOCK_LEN);
}
