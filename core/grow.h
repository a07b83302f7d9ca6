/* SPDX-License-Identifier: MIT */
/*
 * grow -- room for one more element of an array that doubles
 *
 *     struct x *all = grow(s->all, &s->cap, s->n + 1, sizeof *all);
 *     if (!all)
 *         return -ENOMEM;
 *     s->all = all;
 */
#ifndef CORE_GROW_H
#define CORE_GROW_H

#include <stdlib.h>

/* Room for `need` elements of `size` bytes: the memory, perhaps moved, or NULL, then `mem` and *cap
 * are as they were. The caller limits `need`. */
static inline void *grow(void *mem, size_t *cap, size_t need, size_t size) {
    if (need <= *cap)
        return mem;
    size_t new_cap = *cap ? *cap : 64;
    while (new_cap < need)
        new_cap *= 2;
    mem = realloc(mem, new_cap * size);
    if (mem)
        *cap = new_cap;
    return mem;
}

#endif
