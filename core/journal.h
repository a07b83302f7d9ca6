/* SPDX-License-Identifier: MIT */
/*
 * journal -- which chunks are on disk, in a file that validates itself
 *
 *        0  header (struct journal_header in canonical bytes, XXH3-64 at its end), padded to 4096
 *     4096  slot[chunks]: XXH3-128 of the chunk that lies on disk, and XXH3-64 of the slot's number
 *           and those bytes; all-zero = absent
 *           candidate[chunks]: the same for chunks of an older version of the file, not believed
 *           before the source says that it has the same digest; usually beyond the end of the file
 *
 * A slot is written after its chunk's data; no order is forced and nothing synced while running.
 * After a crash each slot is absent, right, or provably wrong. (A digest that is really all-zero
 * counts as absent: the chunk is fetched again.) Same boot, mount, device and folder: the page
 * cache is the one that was written through, slots can be believed. Blocking; slots of different
 * chunks from any thread.
 */
#ifndef CORE_JOURNAL_H
#define CORE_JOURNAL_H

#include "core/here.h"
#include "proto/wire.h"

enum { JOURNAL_HEADER_LEN = 4096, JOURNAL_SLOT_LEN = 24, JOURNAL_PATH_MAX = 3072 };

enum journal_flag {
    JOURNAL_VERIFY_ALL = 1, /* the disk had an error: believe no slot */
    JOURNAL_COMMITTED = 2,  /* all is synced: once `data` is renamed, only clean-up is left */
    JOURNAL_SWEEP = 4,      /* `data` may hold what the manifest does not list */
};

struct journal_header {
    uint8_t flags; /* enum journal_flag */
    uint8_t manifest_id[WIRE_ID_LEN];
    uint8_t origin[WIRE_KEY_LEN]; /* key of the peer whose manifest it is */
    struct here here;             /* where the slots can be believed */
    uint64_t chunks;
    int64_t listed_ns; /* the origin's clock before the first listing that slots stem from */
    char path[JOURNAL_PATH_MAX]; /* what was asked for at the origin, cut if longer */
};

void journal_header_put(uint8_t out[static JOURNAL_HEADER_LEN], const struct journal_header *h);
int journal_header_get(struct journal_header *h,
                       const uint8_t in[static JOURNAL_HEADER_LEN]); /* ERR_FORMAT */

int journal_write_header(int fd, const struct journal_header *h);

/* JOURNAL_NONE: nothing was written yet, it is empty or begins with zeros. ERR_FORMAT: it is torn.
 * ERR_OTHER_VERSION: whole, but of another version of this format: each begins with the same seven
 * letters and has its sum at the same place. ERR_FOREIGN: it is something else. */
enum { JOURNAL_NONE = 1 };
int journal_read_header(int fd, struct journal_header *h);

/* n slots from `first` on, 16 bytes of digest each; candidate i is slot chunks + i. Those beyond
 * the end of the file, and those whose sum is wrong, are read as absent. */
int journal_put(int fd, uint64_t first, uint32_t n, const uint8_t *digests);
int journal_get(int fd, uint64_t first, uint32_t n, uint8_t *digests);
/* The same digest n times: chunks of a hole. */
int journal_fill(int fd, uint64_t first, uint32_t n, const uint8_t digest[static WIRE_DIGEST_LEN]);

/* Where a slot begins in the file. */
static inline uint64_t journal_slot_at(uint64_t slot) {
    return JOURNAL_HEADER_LEN + slot * JOURNAL_SLOT_LEN;
}

#endif
