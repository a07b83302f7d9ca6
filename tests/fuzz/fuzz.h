/* SPDX-License-Identifier: MIT */
/*
 * fuzz -- what fuzz targets share: must() ends the run if what has to hold does not; struct input
 * is what is left of the fuzzer's bytes, taken from the front, zeros beyond the end.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
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

struct input {
    const uint8_t *at;
    size_t left;
};

/* At most len bytes; *len: how many. */
static inline const uint8_t *take(struct input *in, size_t *len) {
    const uint8_t *at = in->at;

    *len = *len < in->left ? *len : in->left;
    in->at += *len;
    in->left -= *len;
    return at;
}

/* A big-endian integer of n bytes. */
static inline uint64_t take_number(struct input *in, size_t n) {
    const uint8_t *at = take(in, &n);
    uint64_t v = 0;

    while (n-- > 0)
        v = v << 8 | *at++;
    return v;
}

/* What a length of n bytes in front says. */
static inline struct input take_part(struct input *in, size_t n) {
    struct input part = {.left = (size_t)take_number(in, n)};

    part.at = take(in, &part.left);
    return part;
}

/* A text of a length of n bytes in front, with a NUL behind it. To be freed. */
static inline char *take_text(struct input *in, size_t n) {
    struct input part = take_part(in, n);
    char *text = malloc(part.left + 1);

    must(text);
    memcpy(text, part.at, part.left);
    text[part.left] = '\0';
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
