/* SPDX-License-Identifier: MIT */
/*
 * store_check -- chunks on disk: re-read them, or compare them with the digests of the source
 */
#include "core/store_internal.h"

#include "core/digest.h"
#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool store_is_hole(int fd, uint64_t offset, uint64_t len) {
    off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
    if (data < 0)
        return errno == ENXIO; /* other errors: it cannot tell */
    return (uint64_t)data >= offset + len;
}

uint64_t store_extent(int fd, uint64_t offset, uint64_t end, bool *hole) {
    off_t data = lseek(fd, (off_t)offset, SEEK_DATA), next = data;
    *hole = data < 0 ? errno == ENXIO : (uint64_t)data > offset;
    if (!*hole)
        next = lseek(fd, (off_t)offset, SEEK_HOLE);
    return next > (off_t)offset && (uint64_t)next < end ? (uint64_t)next : end;
}

int worker_digest(struct store *s, struct worker *w, int fd, uint64_t chunk, uint8_t *digest) {
    uint64_t offset = (chunk - w->cur.first_chunk) << WIRE_CHUNK_SHIFT;
    uint32_t len = catalog_chunk_len(&w->cur, chunk);
    struct stat st;
    int rc = worker_buffer(w);
    if (rc)
        return rc;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size < offset + len)
        return -ENODATA;
    if (store_is_hole(fd, offset, len)) {
        digest_zeros(len, digest);
        return 0;
    }
    if (s->unclean) /* after a failed write the page cache may be better than the disk */
        posix_fadvise(fd, (off_t)offset, len, POSIX_FADV_DONTNEED);
    rc = fs_pread_all(fd, w->chunk, len, offset);
    if (!rc)
        digest_chunk(w->chunk, len, digest);
    return rc;
}

bool store_is_unreadable(int err) {
    return err == -EIO || err == -ENODATA || err == -ENOENT || err == -ENOTDIR || err == -EINVAL ||
           err == -ELOOP;
}

/* 1: the chunk on disk has this digest; 0: it has not, or cannot be read. */
static int chunk_is(struct store *s, struct worker *w, uint64_t chunk, const uint8_t *digest) {
    uint8_t found[WIRE_DIGEST_LEN];
    int rc = catalog_chunk(&w->cur, chunk);
    if (rc)
        return rc;
    int fd = worker_file(s, w);
    rc = fd < 0 ? fd : worker_digest(s, w, fd, chunk, found);
    worker_done(w, fd);
    if (rc == 0)
        return memcmp(found, digest, sizeof found) == 0;
    if (rc == -EIO)
        store_error(s, rc); /* fetched anew, it will be written elsewhere or fail then */
    return store_is_unreadable(rc) ? 0 : rc;
}

static int check_chunk(struct store *s, struct worker *w, uint64_t chunk, bool *ok) {
    uint8_t slot[WIRE_DIGEST_LEN];
    int rc = journal_get(s->journal, chunk, 1, slot);
    if (!rc)
        rc = slot_is_absent(slot) ? 0 : chunk_is(s, w, chunk, slot);
    if (rc < 0)
        return rc;
    *ok = rc;
    return *ok ? store_settle_chunk(s, chunk) : store_forget(s, chunk, 1);
}

int store_check(struct store *s, uint64_t first, uint32_t n, bool *ok) {
    struct worker *w;
    int rc = worker_get(s, &w);
    if (rc)
        return rc;
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = store_stopped(s) ? ERR_STOPPED : check_chunk(s, w, first + i, &ok[i]);
    worker_put(s, w);
    return store_error(s, rc);
}

/* What is here of the chunk: its slot, else its candidate, else all-zero. */
static int get_either(struct store *s, uint64_t chunk, uint8_t *digest, bool *candidate) {
    int rc = journal_get(s->journal, chunk, 1, digest);
    *candidate = !rc && s->candidates && slot_is_absent(digest);
    return *candidate ? journal_get(s->journal, s->chunks + chunk, 1, digest) : rc;
}

static int compare_staged(struct store *s, struct worker *w, uint64_t chunk, const uint8_t *digest,
                          bool *same) {
    uint8_t here[WIRE_DIGEST_LEN];
    bool candidate;
    int rc = get_either(s, chunk, here, &candidate);
    *same = false;
    if (rc || slot_is_absent(digest)) /* the source cannot say */
        return rc;
    if (memcmp(here, digest, sizeof here) != 0)
        return store_forget(s, chunk, 1);
    rc = candidate && bits_has(&s->unchecked, chunk) ? chunk_is(s, w, chunk, digest) : 1;
    if (rc == 0)
        return store_forget(s, chunk, 1);
    if (rc > 0 && candidate) {
        rc = journal_put(s->journal, chunk, 1, digest);
        if (!rc)
            rc = store_settle_chunk(s, chunk);
    }
    *same = rc >= 0;
    return rc < 0 ? rc : 0;
}

/* In staging, else in the old copy. */
static int compare_chunk(struct store *s, struct worker *w, uint64_t chunk, const uint8_t *digest,
                         enum store_verdict *verdict) {
    bool same;
    int rc = compare_staged(s, w, chunk, digest, &same);
    *verdict = same ? STORE_SAME : STORE_OTHER;
    if (rc || same || s->task == STORE_CREATES || slot_is_absent(digest))
        return rc;
    return store_old_compare(s, chunk, digest, verdict);
}

int store_compare(struct store *s, uint64_t first, uint32_t n, const uint8_t *digests,
                  enum store_verdict *verdicts) {
    struct worker *w;
    int rc = worker_get(s, &w);
    if (rc)
        return rc;
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = store_stopped(s) ? ERR_STOPPED
                              : compare_chunk(s, w, first + i,
                                              digests + (size_t)i * WIRE_DIGEST_LEN, &verdicts[i]);
    worker_put(s, w);
    return store_error(s, rc);
}
