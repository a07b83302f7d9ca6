/* SPDX-License-Identifier: MIT */
/*
 * journal -- which chunks are on disk, in a file that validates itself
 *
 *        0  header (struct journal_header in canonical bytes, XXH3-64 at its end), padded to 4096
 *     4096  slot[chunks]: XXH3-128 of the chunk that lies on disk, all-zero = absent
 *
 * A slot is written after its chunk's data; no order is forced and nothing synced while running.
 * After a crash each slot is absent, right, or provably wrong. (A digest that is really all-zero
 * counts as absent: the chunk is fetched again.) Same boot, mount and device: the page cache is the
 * one that was written through, slots can be believed. Blocking; slots of different chunks from any
 * thread.
 */
#ifndef CORE_JOURNAL_H
#define CORE_JOURNAL_H

#include "proto/wire.h"

enum { JOURNAL_HEADER_LEN = 4096, JOURNAL_VERIFY_ALL = 1, JOURNAL_PATH_MAX = 3072 };

struct journal_header {
    uint8_t flags;
    uint8_t manifest_id[WIRE_ID_LEN];
    uint8_t origin[WIRE_KEY_LEN]; /* key of the peer whose manifest it is */
    uint8_t boot_id[16];          /* /proc/sys/kernel/random/boot_id */
    uint64_t mnt_id, dev;         /* statx(2) stx_mnt_id and st_dev of the staging folder */
    uint64_t chunks;
    char path[JOURNAL_PATH_MAX]; /* what was asked for at the origin */
};

void journal_header_put(uint8_t out[static JOURNAL_HEADER_LEN], const struct journal_header *h);
int journal_header_get(struct journal_header *h,
                       const uint8_t in[static JOURNAL_HEADER_LEN]); /* ERR_FORMAT */

int journal_write_header(int fd, const struct journal_header *h);
int journal_read_header(int fd, struct journal_header *h);
int journal_put(int fd, uint64_t chunk, const uint8_t digest[static WIRE_DIGEST_LEN]);
/* Reads n slots; those beyond the end of the file are absent. */
int journal_get(int fd, uint64_t first, uint32_t n, uint8_t *digests);

#endif
