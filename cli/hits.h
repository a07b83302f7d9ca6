/* SPDX-License-Identifier: MIT */
/*
 * hits -- rows that peers answered, and which of them a NAME means
 *
 * Memory is bounded: hits_add says when it is full, the caller prints and clears, or stops. Pure.
 */
#ifndef CLI_HITS_H
#define CLI_HITS_H

#include "proto/wire.h"

enum { HITS_BYTES_MAX = 16 << 20, HITS_FULL = 1 };

struct survey_peer;

struct hit {
    const struct survey_peer *peer; /* outlives it */
    const char *peer_name;          /* escaped; the same */
    char *path;                     /* SHARE/dir/file, raw */
    uint64_t size;
    int64_t mtime_ns;
    uint16_t mode;
    uint8_t kind; /* enum wire_kind */
};

struct hits {
    struct hit *all;
    size_t n, cap, bytes;
};

void hits_init(struct hits *h);
void hits_clear(struct hits *h); /* empty again */
/* dir: what e's path is below; "" for none. 0; HITS_FULL: not added, no room; -ENOMEM. */
int hits_add(struct hits *h, const struct hit *about, const char *dir, const struct wire_entry *e);
void hits_sort(struct hits *h); /* by name of the peer, peer, path */

const char *hit_base(const struct hit *hit); /* last component of its path */

/* Which hits does `name` mean? Keeps the hits that it can mean at all (a peer may answer anything),
 * in order: first all that the best rank has, full path, share's name, base name. */
enum hits_meaning {
    HITS_NONE,
    HITS_ONE,  /* all[0 .. n-1] are one file, or the only hit: one of each peer */
    HITS_MANY, /* all[0 .. n-1] are the candidates */
};
enum hits_meaning hits_resolve(struct hits *h, const char *name);

#endif
