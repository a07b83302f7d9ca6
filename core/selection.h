/* SPDX-License-Identifier: MIT */
/*
 * selection -- what one peer opened: a walked tree with its manifest, read chunk by chunk
 *
 *     selection_new                      walks; the manifest lies in an unlinked temporary file
 *       selection_reader_new
 *         selection_read                 one DATA frame: open, fstat, pread, XXH3, fstat
 *         selection_hole, _read_hole     one of a single record, for chunks that are a hole
 *         selection_digests
 *       selection_reader_free
 *     selection_free                     after its readers
 *
 * Opens everything beneath the share's held folder, never through a symlink, and serves a file only
 * as long as it is the one that was walked. Calls block; a selection may be used by any thread, a
 * reader by one at a time. The shares must outlive it.
 */
#ifndef CORE_SELECTION_H
#define CORE_SELECTION_H

#include "core/catalog.h"
#include "core/share.h"

struct selection { /* private to core/selection.c and core/selection_reader.c */
    struct catalog *catalog;
    int64_t now_ns;
    uint32_t left_out;
    char *first; /* of those, below entry 0 */
    int root;    /* the share's, borrowed */
    char *below; /* where entry 0 lies beneath it */
};

/* WIRE_ERR(NOT_FOUND) if there is no such path, WIRE_ERR(LIMIT) if it has too many entries.
 * Symlinks that cannot be read are left out. watch: of the walk, may be NULL. */
int selection_new(struct selection **sel, const struct shares *s, const char *path,
                  struct walk_watch *watch);
void selection_free(struct selection *sel); /* takes NULL */
const struct catalog *selection_catalog(const struct selection *sel);
int64_t selection_now_ns(const struct selection *sel); /* CLOCK_REALTIME before the walk */
/* How many entries are there, but are neither in the manifest nor below a folder that it calls
 * unreadable. *first: path of the first of them below entry 0, the selection's. */
uint32_t selection_left_out(const struct selection *sel, const char **first);

/* What manifest_entry.version is for a file: XXH3-64 over dev, ino, size, mtime and ctime. */
uint64_t selection_version(const struct stat *st);

/* A reader keeps a cursor, the last folder and the last file open. */
struct selection_reader;
int selection_reader_new(struct selection_reader **r, const struct selection *sel);
void selection_reader_free(struct selection_reader *r); /* takes NULL */

/* Chunks that it has read so far. Any thread. */
uint64_t selection_reader_count(const struct selection_reader *r);

/* Lays out one DATA frame (proto/wire, at most WIRE_FRAME_MAX bytes) of the `n` chunks in chunks[];
 * takes as many of them from the front as fit in a frame, at least one, at most WIRE_RECORDS_MAX.
 * Each becomes exactly one record: data; zeros (holes are found with SEEK_DATA and not read); or an
 * error: CHANGED if dev, ino, size, mtime or ctime differ before or after the read from the walk's,
 * GONE if it is not there, NOT_FOUND beyond the last chunk, IO otherwise. Returns how many chunks
 * were taken; *frame_len: bytes of the frame. */
unsigned selection_read(struct selection_reader *r, const uint64_t *chunks, unsigned n,
                        uint16_t req, uint8_t *frame, size_t *frame_len);

/* How many of the n chunks from `first` on lie, whole, in the hole that it saw last. A guess that
 * costs nothing: it does not look at the file. */
uint32_t selection_hole(const struct selection_reader *r, uint64_t first, uint32_t n);
/* The same as selection_read for n > 0 chunks that follow each other. If all are a hole still, one
 * record answers them; if not, the first one alone is taken. Returns how many were. */
uint32_t selection_read_hole(struct selection_reader *r, uint64_t first, uint32_t n, uint16_t req,
                             uint8_t *frame, size_t *frame_len);

/* XXH3-128 of n chunks from `first` to out (n * WIRE_DIGEST_LEN), all-zero where it cannot be read
 * or the file changed. Reads up to n MiB. */
void selection_digests(struct selection_reader *r, uint64_t first, uint32_t n, uint8_t *out);

#endif
