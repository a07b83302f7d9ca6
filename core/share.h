/* SPDX-License-Identifier: MIT */
/*
 * share -- what we offer: resolve a path, list, find, walk into a manifest, read chunks
 *
 *     shares_add ...            while starting: each share's folder is opened once and held
 *     share_count | share_rows | selection_new       jobs on the worker pool
 *     selection_read            one DATA frame: open, fstat, pread, XXH3, fstat
 *
 * Paths are SHARE/dir/file. Files and folders are served in place, opened beneath the held folder
 * by core/fs, never through a symlink. Nothing is read before it is asked for. All calls block and
 * may run on any thread; shares do not change after start.
 */
#ifndef CORE_SHARE_H
#define CORE_SHARE_H

#include "core/catalog.h"
#include "core/walk.h"

struct share {
    char name[256]; /* under which it is seen */
    char base[256]; /* "" for a folder; a single file: its name in the held folder */
    int root;       /* the folder itself, or the one that holds the file */
};

struct shares {
    struct share *all;
    unsigned n;
    bool hidden; /* serve entries with a leading dot too */
};

void shares_init(struct shares *s, bool hidden);
void shares_clear(struct shares *s);
/* path: a file or folder the user named, seen under its base name (of realpath(3) for "." and
 * ".."). -ENOENT, -EACCES, ... ; -EEXIST: another share has this name; -EINVAL: neither file nor
 * folder. */
int shares_add(struct shares *s, const char *path);

struct share_totals {
    uint64_t files, bytes;
    struct walk_counts left_out;
};
/* Walks all shares. *stop (may be NULL) turned true ends it early with -ECANCELED. */
int share_count(const struct shares *s, struct share_totals *t, const volatile bool *stop);

/* LIST and FIND: rows in pages, in the order of the walk. */
struct share_rows;
int share_rows_list(struct share_rows **r, const struct shares *s,
                    const char *path); /* children of a folder, or the file itself; "" the shares */
int share_rows_find(struct share_rows **r, const struct shares *s, enum wire_find_mode mode,
                    const char *pattern);
/* Fills `out` with as many rows (wire_entry_put) as fit. 1: there may be more; 0: that was the last
 * page (which may be empty); below 0: an error. *len, *n: bytes and rows of this page. */
int share_rows_page(struct share_rows *r, uint8_t *out, size_t cap, size_t *len, uint16_t *n);
void share_rows_free(struct share_rows *r);

/* What one peer opened: a walked tree with its manifest. */
struct selection;
/* WIRE_ERR(NOT_FOUND) if there is no such path. The manifest lies in an unlinked temporary file. */
int selection_new(struct selection **sel, const struct shares *s, const char *path);
void selection_free(struct selection *sel);
const struct catalog *selection_catalog(const struct selection *sel);
int64_t selection_now_ns(const struct selection *sel); /* clock before the walk */

/* A reader keeps a cursor, the last folder and the last file open. One job at a time each. */
struct selection_reader;
int selection_reader_new(struct selection_reader **r, const struct selection *sel);
void selection_reader_free(struct selection_reader *r);

/* Lays out one DATA frame (proto/wire) of the `n` chunks (<= WIRE_RECORDS_MAX) in chunks[]; takes
 * as many of them from the front as fit in a frame, at least one. Each becomes exactly one record:
 * data, zeros (holes are found with SEEK_DATA and not read) or an error: CHANGED if dev, ino, size,
 * mtime or ctime differ before or after the read from the walk's, GONE if it is not there, IO
 * otherwise. Returns how many chunks were taken; *frame_len: bytes of the frame. */
unsigned selection_read(struct selection_reader *r, const uint64_t *chunks, unsigned n,
                        uint16_t req, uint8_t *frame, size_t *frame_len);

/* XXH3-128 of n chunks from `first` to out (n * WIRE_DIGEST_LEN), all-zero where it cannot be read
 * or the file changed. */
void selection_digests(struct selection_reader *r, uint64_t first, uint32_t n, uint8_t *out);

#endif
