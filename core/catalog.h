/* SPDX-License-Identifier: MIT */
/*
 * catalog -- a manifest in a file, and the way from a number to its entry
 *
 *     catalog_new(fd)  catalog_append...  catalog_finish  ->  catalog_at / catalog_chunk / _path
 *
 * Both ends use it: the server appends what it walks, the receiver what arrives, and the same check
 * (proto/manifest) runs over both. The file stays on disk; memory holds one mark per 64 entries, so
 * 10^6 entries cost about 400 KiB. After catalog_finish it never changes: any thread may look up,
 * each with a cursor of its own.
 */
#ifndef CORE_CATALOG_H
#define CORE_CATALOG_H

#include "proto/manifest.h"

struct catalog;

struct catalog_totals {
    uint8_t id[WIRE_ID_LEN]; /* SHA-256; set by catalog_finish */
    uint64_t length;         /* bytes of manifest */
    uint32_t entries;
    uint64_t chunks, bytes;
};

/* fd: an empty file open for reading and writing. It becomes the catalog's, if it returns 0; so
 * with catalog_load. */
int catalog_new(struct catalog **c, int fd);
/* Reads and checks a manifest that lies in fd already; finished when it returns 0. */
int catalog_load(struct catalog **c, int fd);
void catalog_free(struct catalog *c);

/* Appends manifest bytes, cut anywhere. Writes are gathered. Checks while it goes:
 * WIRE_ERR(PROTOCOL), WIRE_ERR(LIMIT), or an errno of the write. */
int catalog_append(struct catalog *c, const uint8_t *bytes, size_t len);
/* Header first, then one entry (the server's way). After WIRE_ERR(PROTOCOL), it may not stand here,
 * nothing has changed: leave it out and go on. */
int catalog_append_entry(struct catalog *c, const struct manifest_entry *e);
/* WIRE_ERR(PROTOCOL) if it ends in the middle of an entry or has none. */
int catalog_finish(struct catalog *c);

const struct catalog_totals *catalog_totals(const struct catalog *c);

/* Bytes of the manifest itself, for MANIFEST. */
int catalog_read(const struct catalog *c, uint64_t offset, uint8_t *out, size_t len);

/* A place in the catalog; lookups near the last one cost O(1), others a binary search and a scan of
 * at most 64 entries. entry.name and entry.target are good until the next call with this cursor. */
struct catalog_cursor {
    const struct catalog *c;
    uint32_t index;       /* of entry */
    uint64_t first_chunk; /* of entry; of one without chunks: the next one's */
    struct manifest_entry entry;
    uint64_t next_at; /* private from here: where the next entry starts in the file */
    uint64_t window_at;
    size_t window_len;
    uint8_t *window;
};

void catalog_cursor_init(struct catalog_cursor *cur, const struct catalog *c);
void catalog_cursor_clear(struct catalog_cursor *cur);

int catalog_at(struct catalog_cursor *cur, uint32_t index);    /* 0; -EINVAL beyond the end */
int catalog_chunk(struct catalog_cursor *cur, uint64_t chunk); /* the entry that owns the chunk */
/* 1, or 0 at the end. The first call, and the one after an error: entry 0. */
int catalog_next(struct catalog_cursor *cur);

/* Bytes of a chunk of cur's entry: WIRE_CHUNK_SIZE but for the last one. 0: not one of its. */
uint32_t catalog_chunk_len(const struct catalog_cursor *cur, uint64_t chunk);

/* Path of an entry below entry 0 ("" for entry 0 itself), NUL-terminated. out: PATH_MAX_LEN + 1
 * bytes. Moves cur to `index`. */
int catalog_path(struct catalog_cursor *cur, uint32_t index, char *out);

#endif
