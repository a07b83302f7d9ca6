/* SPDX-License-Identifier: MIT */
#include "core/journal.h"
#include "core/digest.h"
#include "core/err.h"
#include "core/fs.h"
#include "proto/be.h"

#include <string.h>

/*
 *   0  magic "LANYJRN2"            24  mnt_id u64      88  manifest id[32]
 *   8  chunk_shift u8, flags u8,   32  dev u64        120  path, zeros up to 4064
 *                                                    4064  listed_ns i64
 *      path_len u16, reserved u32  40  boot_id[16]   4072  ino u64, born_ns u64
 *  16  chunks u64                  56  origin[32]    4088  XXH3-64 of bytes 0..4087
 *                                                          integers big-endian
 */
static const uint8_t magic[8] = "LANYJRN2";

enum {
    AT_SHIFT = 8,
    AT_FLAGS = 9,
    AT_PATH_LEN = 10,
    AT_CHUNKS = 16,
    AT_MNT_ID = 24,
    AT_DEV = 32,
    AT_BOOT_ID = 40,
    AT_ORIGIN = 56,
    AT_MANIFEST_ID = 88,
    AT_PATH = 120,
    AT_LISTED = JOURNAL_HEADER_LEN - 32,
    AT_INO = JOURNAL_HEADER_LEN - 24,
    AT_BORN = JOURNAL_HEADER_LEN - 16,
    AT_SUM = JOURNAL_HEADER_LEN - 8,
    SLOT_LEN = JOURNAL_SLOT_LEN,
    BATCH = 512, /* slots in one write: as many as a frame has records */
};

/* Slots end before the largest offset of a file. */
#define CHUNKS_MAX ((uint64_t)1 << 56)

void journal_header_put(uint8_t out[static JOURNAL_HEADER_LEN], const struct journal_header *h) {
    size_t path_len = strnlen(h->path, JOURNAL_PATH_MAX - 1);

    memset(out, 0, JOURNAL_HEADER_LEN);
    memcpy(out, magic, sizeof magic);
    out[AT_SHIFT] = WIRE_CHUNK_SHIFT;
    out[AT_FLAGS] = h->flags;
    be_put(out + AT_PATH_LEN, path_len, 2);
    be_put(out + AT_CHUNKS, h->chunks, 8);
    be_put(out + AT_MNT_ID, h->here.mnt_id, 8);
    be_put(out + AT_DEV, h->here.dev, 8);
    memcpy(out + AT_BOOT_ID, h->here.boot_id, sizeof h->here.boot_id);
    memcpy(out + AT_ORIGIN, h->origin, sizeof h->origin);
    memcpy(out + AT_MANIFEST_ID, h->manifest_id, sizeof h->manifest_id);
    memcpy(out + AT_PATH, h->path, path_len);
    be_put(out + AT_LISTED, (uint64_t)h->listed_ns, 8);
    be_put(out + AT_INO, h->here.ino, 8);
    be_put(out + AT_BORN, h->here.born_ns, 8);
    be_put(out + AT_SUM, digest_64(out, AT_SUM), 8);
}

int journal_header_get(struct journal_header *h, const uint8_t in[static JOURNAL_HEADER_LEN]) {
    uint64_t path_len = be_get(in + AT_PATH_LEN, 2);

    if (memcmp(in, magic, sizeof magic) != 0 || in[AT_SHIFT] != WIRE_CHUNK_SHIFT ||
        be_get(in + AT_SUM, 8) != digest_64(in, AT_SUM) || path_len >= JOURNAL_PATH_MAX)
        return ERR_FORMAT;

    memset(h, 0, sizeof *h);
    h->flags = in[AT_FLAGS];
    h->chunks = be_get(in + AT_CHUNKS, 8);
    h->here.mnt_id = be_get(in + AT_MNT_ID, 8);
    h->here.dev = be_get(in + AT_DEV, 8);
    h->listed_ns = (int64_t)be_get(in + AT_LISTED, 8);
    h->here.ino = be_get(in + AT_INO, 8);
    h->here.born_ns = be_get(in + AT_BORN, 8);
    memcpy(h->here.boot_id, in + AT_BOOT_ID, sizeof h->here.boot_id);
    memcpy(h->origin, in + AT_ORIGIN, sizeof h->origin);
    memcpy(h->manifest_id, in + AT_MANIFEST_ID, sizeof h->manifest_id);
    memcpy(h->path, in + AT_PATH, path_len);

    /* Canonical: what we would write ourselves. Catches NUL in the path and reserved bytes. */
    uint8_t again[JOURNAL_HEADER_LEN];
    journal_header_put(again, h);
    return h->chunks <= CHUNKS_MAX && memcmp(in, again, sizeof again) == 0 ? 0 : ERR_FORMAT;
}

int journal_write_header(int fd, const struct journal_header *h) {
    uint8_t bytes[JOURNAL_HEADER_LEN];
    journal_header_put(bytes, h);
    return fs_pwrite_all(fd, bytes, sizeof bytes, 0);
}

static bool is_zero(const uint8_t *bytes, size_t len) {
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* What it is, if it is no header of this version. */
static int judge(const uint8_t *bytes, size_t len) {
    enum { LETTERS = 7 };
    bool whole = len == JOURNAL_HEADER_LEN && be_get(bytes + AT_SUM, 8) == digest_64(bytes, AT_SUM);
    if (is_zero(bytes, len))
        return JOURNAL_NONE;
    if (memcmp(bytes, magic, len < LETTERS ? len : LETTERS) != 0)
        return ERR_FOREIGN;
    return whole && bytes[LETTERS] != magic[LETTERS] ? ERR_OTHER_VERSION : ERR_FORMAT;
}

int journal_read_header(int fd, struct journal_header *h) {
    uint8_t bytes[JOURNAL_HEADER_LEN] = {0};
    ssize_t len = fs_pread_some(fd, bytes, sizeof bytes, 0);
    if (len < 0)
        return (int)len;
    return journal_header_get(h, bytes) ? judge(bytes, (size_t)len) : 0;
}

/* --- slots ---------------------------------------------------------------------------------- */

static uint64_t slot_sum(uint64_t slot, const uint8_t digest[static WIRE_DIGEST_LEN]) {
    uint8_t bytes[8 + WIRE_DIGEST_LEN];
    be_put(bytes, slot, 8);
    memcpy(bytes + 8, digest, WIRE_DIGEST_LEN);
    return digest_64(bytes, sizeof bytes);
}

static void slot_put(uint8_t *out, uint64_t slot, const uint8_t *digest) {
    memcpy(out, digest, WIRE_DIGEST_LEN);
    be_put(out + WIRE_DIGEST_LEN, is_zero(digest, WIRE_DIGEST_LEN) ? 0 : slot_sum(slot, digest), 8);
}

/* Of a slot that says something else than was written: absent. */
static void slot_get(uint8_t *digest, uint64_t slot, const uint8_t *in) {
    memcpy(digest, in, WIRE_DIGEST_LEN);
    if (!is_zero(in, WIRE_DIGEST_LEN) && be_get(in + WIRE_DIGEST_LEN, 8) != slot_sum(slot, in))
        memset(digest, 0, WIRE_DIGEST_LEN);
}

int journal_put(int fd, uint64_t first, uint32_t n, const uint8_t *digests) {
    uint8_t bytes[BATCH * SLOT_LEN];
    int rc = 0;
    while (!rc && n > 0) {
        uint32_t some = n < BATCH ? n : BATCH;
        for (uint32_t i = 0; i < some; i++, digests += WIRE_DIGEST_LEN)
            slot_put(bytes + i * SLOT_LEN, first + i, digests);
        rc = fs_pwrite_all(fd, bytes, (size_t)some * SLOT_LEN, journal_slot_at(first));
        first += some;
        n -= some;
    }
    return rc;
}

int journal_fill(int fd, uint64_t first, uint32_t n, const uint8_t digest[static WIRE_DIGEST_LEN]) {
    uint8_t digests[BATCH * WIRE_DIGEST_LEN];
    int rc = 0;
    for (size_t at = 0; at < sizeof digests; at += WIRE_DIGEST_LEN)
        memcpy(digests + at, digest, WIRE_DIGEST_LEN);
    while (!rc && n > 0) {
        uint32_t some = n < BATCH ? n : BATCH;
        rc = journal_put(fd, first, some, digests);
        first += some;
        n -= some;
    }
    return rc;
}

int journal_get(int fd, uint64_t first, uint32_t n, uint8_t *digests) {
    uint8_t bytes[BATCH * SLOT_LEN];
    while (n > 0) {
        uint32_t some = n < BATCH ? n : BATCH;
        ssize_t have = fs_pread_some(fd, bytes, (size_t)some * SLOT_LEN, journal_slot_at(first));
        if (have < 0)
            return (int)have;
        memset(bytes + have, 0, sizeof bytes - (size_t)have);
        for (uint32_t i = 0; i < some; i++, digests += WIRE_DIGEST_LEN)
            slot_get(digests, first + i, bytes + i * SLOT_LEN);
        first += some;
        n -= some;
    }
    return 0;
}
