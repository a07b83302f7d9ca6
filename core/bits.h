/* SPDX-License-Identifier: MIT */
/*
 * bits -- a set of small numbers, one bit each; any thread may look and change
 *
 * A zeroed set is empty and has room for nothing: bits_has() and bits_remove() say false.
 */
#ifndef CORE_BITS_H
#define CORE_BITS_H

#include <stdbool.h>
#include <stdint.h>

struct bits {
    _Atomic uint64_t *words;
};

int bits_init(struct bits *b, uint64_t n); /* for numbers below n, empty; 0 or -ENOMEM */
void bits_clear(struct bits *b);           /* frees */
bool bits_has(const struct bits *b, uint64_t i);
void bits_add(struct bits *b, uint64_t i);
bool bits_remove(struct bits *b, uint64_t i); /* was it in? */

#endif
