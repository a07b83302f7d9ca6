/* SPDX-License-Identifier: MIT */
/*
 * origin -- the true selection behind a lying peer: a manifest, and what its files hold
 *
 * The bytes of a file follow from its version in the manifest, so that every honest answer can be
 * made from the number of a chunk, and what a download has left on disk can be compared.
 */
#ifndef TESTS_FUZZ_ORIGIN_H
#define TESTS_FUZZ_ORIGIN_H

#include "proto/manifest.h"
#include "tests/fuzz/fuzz.h"

enum { ORIGIN_BYTES = 8192, ORIGIN_ENTRIES = 256, ORIGIN_DATA = 4096 };

struct origin {
    uint8_t manifest[ORIGIN_BYTES]; /* with its header */
    size_t len;
    struct manifest_entry all[ORIGIN_ENTRIES]; /* as far as it can be read */
    uint32_t n;
    bool whole; /* all of it can be read */
    uint64_t chunks, bytes;
};

struct chunk {
    uint32_t len; /* 0: there is none of this number */
    bool zeros;   /* else `data` */
    uint8_t data[ORIGIN_DATA];
    uint8_t digest[WIRE_DIGEST_LEN];
};

/* entries: a manifest without its header, cut to ORIGIN_BYTES. */
void origin_init(struct origin *o, struct input entries);
/* What OPENED says. */
void origin_opened(const struct origin *o, struct msg *m);
/* The byte of the manifest at `offset`; beyond its end its entries begin again. */
uint8_t origin_byte(const struct origin *o, uint64_t offset);
void origin_chunk(const struct origin *o, uint64_t number, struct chunk *c);

/* What may be expected of what lies at a path. Everything there must be in the manifest, unless
 * ORIGIN_MORE: other things were there before. */
enum {
    ORIGIN_ALL = 1,       /* nothing is missing */
    ORIGIN_DATA_TRUE = 2, /* files hold what they should */
    ORIGIN_MORE = 4,
};
void origin_compare(const struct origin *o, const char *path, unsigned expected);

#endif
