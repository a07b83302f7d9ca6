/* SPDX-License-Identifier: MIT */
/*
 * be -- big-endian integers in bytes; a writer that never overflows, a reader that never overruns
 *
 * Both remember the first thing that went wrong and do nothing from then on, so that a message is
 * written or read in straight lines and checked once at the end. Pure, inline.
 */
#ifndef PROTO_BE_H
#define PROTO_BE_H

#include "proto/wire.h"

#include <string.h>

static inline void be_put(uint8_t *out, uint64_t v, unsigned n) {
    while (n-- > 0) {
        out[n] = (uint8_t)v;
        v >>= 8;
    }
}

static inline uint64_t be_get(const uint8_t *in, unsigned n) {
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | in[i];
    return v;
}

struct be_writer {
    uint8_t *at;
    size_t left;
    bool full; /* something did not fit */
    bool bad;  /* a string was longer than its length field can say */
};

static inline uint8_t *be_room(struct be_writer *w, size_t len) {
    uint8_t *at = w->at;
    if (w->full || len > w->left) {
        w->full = true;
        return NULL;
    }
    w->at += len;
    w->left -= len;
    return at;
}

static inline void be_write(struct be_writer *w, uint64_t v, unsigned n) {
    uint8_t *at = be_room(w, n);
    if (at)
        be_put(at, v, n);
}

/* `from` may lie in place already. */
static inline void be_write_raw(struct be_writer *w, const void *from, size_t len) {
    uint8_t *at = be_room(w, len);
    if (at && len > 0 && at != from)
        memmove(at, from, len);
}

/* A length of n bytes (at most 4), then the string. */
static inline void be_write_string(struct be_writer *w, struct bytes b, unsigned n) {
    if (b.len >> (8 * n) != 0)
        w->bad = true;
    be_write(w, b.len, n);
    be_write_raw(w, b.at, b.len);
}

struct be_reader {
    const uint8_t *at;
    size_t left;
    bool bad; /* the end came too early; what was read since is 0 or empty */
};

static inline struct bytes be_read_raw(struct be_reader *r, uint64_t len) {
    struct bytes b = {r->at, 0};
    if (r->bad || len > r->left) {
        r->bad = true;
        return b;
    }
    b.len = (size_t)len;
    r->at += b.len;
    r->left -= b.len;
    return b;
}

static inline uint64_t be_read(struct be_reader *r, unsigned n) {
    struct bytes b = be_read_raw(r, n);
    return be_get(b.at, (unsigned)b.len);
}

static inline struct bytes be_read_string(struct be_reader *r, unsigned n) {
    return be_read_raw(r, be_read(r, n));
}

#endif
