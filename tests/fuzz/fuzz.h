/* SPDX-License-Identifier: MIT */
/* fuzz -- what fuzz targets share: must() ends the run if what has to hold does not. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define must(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A copy in memory of exactly len bytes: the sanitizer sees one byte too far. To be freed. */
static inline uint8_t *exact(const uint8_t *data, size_t len) {
    uint8_t *copy = malloc(len + (len == 0));
    must(copy);
    memcpy(copy, data, len);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
