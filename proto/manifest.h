/* SPDX-License-Identifier: MIT */
/*
 * manifest -- the canonical list of what one download transfers
 *
 *     "LANYMAN2" chunk_shift u8, reserved[7]                              header, 16 bytes
 *     kind u8, flags u8, mode u16, parent u32, size u64, mtime_ns i64,    one per entry
 *     version u64, name_len u16, name [, target_len u16, target]
 *
 * Entry 0 is what was asked for, its parent is 0. The children of one folder follow each other,
 * their names strictly increase bytewise, and folders are expanded in the order in which they
 * appear (breadth first): parents never decrease. So one pass with little state proves: no
 * duplicates, no cycles, no "..", every parent a folder that came before.
 * Files own consecutive chunk numbers in the order of their entries: (size + 2^shift - 1) >> shift.
 * Same selection, same bytes: the id is the SHA-256 of them. Pure.
 */
#ifndef PROTO_MANIFEST_H
#define PROTO_MANIFEST_H

#include "proto/wire.h"

enum {
    MANIFEST_HEADER_LEN = 16,
    MANIFEST_ENTRY_FIXED = 34, /* bytes of an entry before its name */
    MANIFEST_ENTRY_MAX = MANIFEST_ENTRY_FIXED + 255 + 2 + 4095,
    MANIFEST_ENTRIES_MAX = 1 << 24,
    MANIFEST_DIRS_MAX = 1 << 21, /* that wait for their entries: 32 MiB at most to check them */
    MANIFEST_LEN_MAX = 1 << 30,
};

enum manifest_flag {
    MANIFEST_SPARSE = 1,     /* the file has holes at its source */
    MANIFEST_UNREADABLE = 2, /* a folder whose contents the server could not read: none follow */
};

struct manifest_entry {
    uint8_t kind;  /* enum wire_kind */
    uint8_t flags; /* enum manifest_flag */
    uint16_t mode; /* & 0777 */
    uint32_t parent;
    uint64_t size; /* bytes, files only */
    int64_t mtime_ns;
    uint64_t version;    /* opaque: equal means the file at its source did not change */
    struct bytes name;   /* good as long as the bytes that were parsed */
    struct bytes target; /* symlinks: 1..4095 bytes without NUL */
};

void manifest_header_put(uint8_t out[static MANIFEST_HEADER_LEN]);
/* 0 or WIRE_ERR(PROTOCOL). */
int manifest_header_check(const uint8_t in[static MANIFEST_HEADER_LEN]);

/* Returns the bytes written, at most MANIFEST_ENTRY_MAX; out has room for that. Lengths of e are
 * within their limits. */
size_t manifest_entry_put(const struct manifest_entry *e, uint8_t *out);

/* Parses the entry at the front. Returns its length; 0 if `len` bytes do not hold all of it;
 * WIRE_ERR(PROTOCOL) if it is malformed whatever follows. Checks what can be seen without the other
 * entries (kind, name, mode, sizes up to 2^62, targets). */
int manifest_entry_get(struct manifest_entry *e, const uint8_t *in, size_t len);

uint64_t manifest_chunks(const struct manifest_entry *e);

/* Below 0: a comes first in their folder; 0: they are equal. */
int manifest_name_order(struct bytes a, struct bytes b);

/* The rest of the check: feed it every entry in order. */
struct manifest_dir { /* a folder whose children may still come */
    uint32_t index;
    uint16_t depth;
    uint16_t path_len; /* of its path below entry 0, bytes */
};

struct manifest_check {
    uint32_t n;             /* entries so far */
    uint64_t chunks, bytes; /* totals so far */
    uint32_t parent;        /* of the last entry */
    uint8_t last_len;
    uint8_t last[255];         /* name of the last entry */
    struct manifest_dir *dirs; /* a queue: dirs[head .. tail) */
    size_t head, tail, cap;
};

void manifest_check_init(struct manifest_check *c);
void manifest_check_clear(struct manifest_check *c);

/* 0; WIRE_ERR(PROTOCOL) if the entry may not stand here (order, parent, depth, path length, sums);
 * WIRE_ERR(LIMIT) above MANIFEST_ENTRIES_MAX or MANIFEST_DIRS_MAX; -ENOMEM. After an error nothing
 * has changed: another entry may be tried. */
int manifest_check_next(struct manifest_check *c, const struct manifest_entry *e);

#endif
