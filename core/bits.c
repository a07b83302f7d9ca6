/* SPDX-License-Identifier: MIT */
#include "core/bits.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static uint64_t mask(uint64_t i) { return (uint64_t)1 << (i & 63); }

int bits_init(struct bits *b, uint64_t n) {
    b->words = calloc(n / 64 + 1, sizeof *b->words);
    return b->words ? 0 : -ENOMEM;
}

void bits_clear(struct bits *b) {
    free(b->words);
    b->words = NULL;
}

bool bits_has(const struct bits *b, uint64_t i) {
    return b->words && atomic_load_explicit(&b->words[i / 64], memory_order_relaxed) & mask(i);
}

void bits_add(struct bits *b, uint64_t i) {
    atomic_fetch_or_explicit(&b->words[i / 64], mask(i), memory_order_relaxed);
}

bool bits_remove(struct bits *b, uint64_t i) {
    if (!bits_has(b, i))
        return false;
    return atomic_fetch_and_explicit(&b->words[i / 64], ~mask(i), memory_order_relaxed) & mask(i);
}
