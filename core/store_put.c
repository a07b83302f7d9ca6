/* SPDX-License-Identifier: MIT */
/*
 * store_put -- one DATA frame to disk
 *
 *     every record is judged -> for each run of chunks that follow each other, or hole:
 *         clear their slots (if they have any), write the data, write the slots
 */
#include "core/store_internal.h"

#include "core/digest.h"
#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    PUT_SKIPPED = 1,
    SYNC_EVERY = 8 << 20, /* bytes of one file: begin to bring them to disk, commit waits less */
    BLOCK = 4096,         /* of most file systems: the least hole */
    /* The same for small files, all together: so many of them, each 16 KiB counting as one more. */
    SYNC_FILES = 3072,
    SYNC_FILE = 16 * 1024,
};

struct put {
    struct store *s;
    struct worker *w;
    const struct msg *m;
    int *results;
    const uint8_t *at; /* bytes of the record at hand */
    unsigned unsynced; /* small files that were written, see SYNC_FILES */
};

/* --- judge ---------------------------------------------------------------------------------- */

static int judge(struct put *p, const struct wire_record *r) {
    uint8_t digest[WIRE_DIGEST_LEN];
    if (r->kind == WIRE_RECORD_ERROR)
        return err_of_code(r->code);
    if (r->chunk >= p->s->chunks)
        return WIRE_ERR(WIRE_PROTOCOL);
    /* If the last one of a hole is a whole chunk of the same file, so are those before it. */
    if (r->len != catalog_chunk_len(&p->w->cur, r->chunk + r->more))
        return WIRE_ERR(WIRE_PROTOCOL);
    if (bits_has(&p->s->skipped, p->w->cur.index))
        return PUT_SKIPPED;
    if (r->kind == WIRE_RECORD_ZEROS)
        digest_zeros(r->len, digest);
    else
        digest_chunk(p->at, r->len, digest);
    return memcmp(digest, r->digest, sizeof digest) ? WIRE_ERR(WIRE_CORRUPT) : 0;
}

static void pass(struct put *p, const struct wire_record *r) {
    if (r->kind == WIRE_RECORD_DATA)
        p->at += r->len; /* wire_decode() has made sure that they are all there */
}

static int judge_all(struct put *p) {
    p->at = p->m->data.data.at;
    for (unsigned i = 0; i < p->m->data.n; i++) {
        struct wire_record r = wire_record_at(p->m, i);
        if (r.kind != WIRE_RECORD_ERROR && r.chunk < p->s->chunks) {
            int rc = catalog_chunk(&p->w->cur, r.chunk);
            if (rc)
                return rc;
        }
        p->results[i] = judge(p, &r);
        pass(p, &r);
    }
    return 0;
}

/* --- write ---------------------------------------------------------------------------------- */

/* An earlier run, or an older version, may have left the file: it begins anew. */
static int create_small(struct store *s, struct worker *w, mode_t mode) {
    int dir = worker_dir(s, w);
    int fd = dir < 0 ? dir : fs_create(dir, w->name, mode);
    if (fd != -EEXIST)
        return fd;
    int rc = worker_clear(s, w);
    if (rc > 0)
        rc = fs_unlink(dir, w->name);
    return rc ? rc : fs_create(dir, w->name, mode);
}

/* A file of one chunk. data NULL: zeros. */
static int put_small(struct store *s, struct worker *w, const uint8_t *data, uint32_t len) {
    const struct manifest_entry *e = &w->cur.entry;
    bool works = store_mode_works(s, e);
    int fd = create_small(s, w, works ? e->mode & 0777 : 0600);
    if (store_is_refused(fd)) {
        store_skip(s, w->cur.index, fd);
        return PUT_SKIPPED;
    }
    if (fd < 0)
        return fd;
    int rc = data ? fs_pwrite_all(fd, data, len, 0) : 0;
    if (!data && ftruncate(fd, len) < 0)
        rc = -errno;
    if (!rc && works) { /* while it is open: by its name that would be a third more work */
        rc = store_lenient(fs_touch(fd, e->mtime_ns));
        bits_add(&s->settled, w->cur.index);
    }
    if (close(fd) < 0 && !rc) /* NFS tells of a full disk here */
        rc = -errno;
    return rc;
}

/* Whatever was there before reads as zeros afterwards; a hole stays one. */
int store_put_zeros(const struct store *s, int fd, uint64_t offset, uint64_t len) {
    static const uint8_t zeros[64 * 1024];
    if (store_is_hole(fd, offset, len) ||
        !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len))
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
        return -errno;
    int rc = 0;
    while (!rc && len > 0) {
        size_t some = len < sizeof zeros ? (size_t)len : sizeof zeros;
        rc = store_stopped(s) ? ERR_STOPPED : fs_pwrite_all(fd, zeros, some, offset);
        offset += some;
        len -= some;
    }
    return rc;
}

static bool is_zeros(const uint8_t *at, size_t len) {
    return !at[0] && !memcmp(at, at + 1, len - 1);
}

/* How many bytes are zeros, or none is a block of zeros. */
static uint32_t alike(const uint8_t *data, uint32_t len, bool *zeros) {
    uint32_t n = len < BLOCK ? len : BLOCK;
    *zeros = is_zeros(data, n);
    while (n < len) {
        uint32_t some = len - n < BLOCK ? len - n : BLOCK;
        if (is_zeros(data + n, some) != *zeros)
            break;
        n += some;
    }
    return n;
}

/* A chunk that is a hole in part: what has bytes is often a few blocks of it. */
static int put_blocks(const struct store *s, int fd, const uint8_t *data, uint32_t len,
                      uint64_t offset) {
    int rc = 0;
    while (!rc && len > 0) {
        bool zeros;
        uint32_t n = alike(data, len, &zeros);
        rc = zeros ? store_put_zeros(s, fd, offset, n) : fs_pwrite_all(fd, data, n, offset);
        data += n;
        offset += n;
        len -= n;
    }
    return rc;
}

void store_begin_sync(int fd) { sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); }

static int put_large(struct store *s, struct worker *w, const struct wire_record *r,
                     const uint8_t *data) {
    uint64_t offset = (r->chunk - w->cur.first_chunk) << WIRE_CHUNK_SHIFT;
    int fd = worker_file(s, w);
    if (fd == -ENOENT && s->task == STORE_UPDATES) {
        int rc = worker_make_file(s, w);
        fd = rc ? rc : worker_file(s, w);
    }
    if (fd < 0)
        return fd;
    int rc;
    if (!data)
        rc = store_put_zeros(s, fd, offset, (uint64_t)r->len * (1U + r->more));
    else if (w->cur.entry.flags & MANIFEST_SPARSE)
        rc = put_blocks(s, fd, data, r->len, offset);
    else
        rc = fs_pwrite_all(fd, data, r->len, offset);
    w->unsynced += data ? r->len : 0;
    if (!rc && w->unsynced >= SYNC_EVERY) {
        store_begin_sync(fd);
        store_begin_sync(s->journal); /* what the power leaves of the data is worth its slots */
        w->unsynced = 0;
    }
    return rc;
}

static int put_record(struct put *p, const struct wire_record *r) {
    const uint8_t *data = r->kind == WIRE_RECORD_DATA ? p->at : NULL;
    int rc = catalog_chunk(&p->w->cur, r->chunk);
    if (!rc && p->s->task == STORE_UPDATES)
        rc = store_make_way(p->s, p->w);
    if (rc)
        return rc;
    if (manifest_chunks(&p->w->cur.entry) == 1) {
        p->unsynced += 1 + (data ? r->len / SYNC_FILE : 0);
        return put_small(p->s, p->w, data, r->len);
    }
    return put_large(p->s, p->w, r, data);
}

/* --- runs ----------------------------------------------------------------------------------- */

/* How many records from i on are to be written and have chunks that follow each other, without
 * holes of several. */
static unsigned run_length(const struct put *p, unsigned i) {
    uint64_t first = wire_record_at(p->m, i).chunk;
    unsigned n = 0;
    while (i + n < p->m->data.n && p->results[i + n] == 0) {
        struct wire_record r = wire_record_at(p->m, i + n);
        if (r.chunk != first + n || r.more > 0)
            break;
        n++;
    }
    return n;
}

/* A slot stays all-zero, absent, where the entry turned out to be one to skip. */
static int put_run(struct put *p, unsigned first, unsigned n) {
    uint8_t slots[WIRE_RECORDS_MAX * WIRE_DIGEST_LEN] = {0};
    uint64_t chunk = wire_record_at(p->m, first).chunk;
    int rc = store_forget(p->s, chunk, n);
    for (unsigned i = 0; rc >= 0 && i < n; i++) {
        struct wire_record r = wire_record_at(p->m, first + i);
        rc = put_record(p, &r);
        pass(p, &r);
        if (rc == 0) {
            memcpy(slots + (size_t)i * WIRE_DIGEST_LEN, r.digest, WIRE_DIGEST_LEN);
            bits_add(&p->s->arrived, r.chunk);
        }
        p->results[first + i] = rc;
    }
    if (rc < 0)
        return rc;
    store_step("put slots");
    return journal_put(p->s->journal, chunk, n, slots);
}

static int put_hole(struct put *p, unsigned i) {
    struct wire_record r = wire_record_at(p->m, i);
    uint32_t n = 1U + r.more;
    int rc = store_forget(p->s, r.chunk, n);
    if (rc < 0)
        return rc;
    rc = put_record(p, &r);
    p->results[i] = rc;
    if (rc) /* above 0: its file is left out */
        return rc < 0 ? rc : 0;
    for (uint32_t k = 0; k < n; k++)
        bits_add(&p->s->arrived, r.chunk + k);
    store_step("put slots");
    return journal_fill(p->s->journal, r.chunk, n, r.digest);
}

/* Nothing is written: are these the bytes that are here? */
static int compare_all(struct put *p) {
    int rc = 0;
    for (unsigned i = 0; !rc && i < p->m->data.n; i++) {
        struct wire_record r = wire_record_at(p->m, i);
        if (p->results[i] == 0)
            rc = store_same_record(p->s, &r);
    }
    return rc;
}

static int put_all(struct put *p) {
    int rc = 0;
    p->at = p->m->data.data.at;
    for (unsigned i = 0; !rc && i < p->m->data.n;) {
        unsigned n = run_length(p, i);
        struct wire_record r = wire_record_at(p->m, i);
        if (n > 0) {
            rc = put_run(p, i, n);
            i += n;
        } else if (p->results[i] == 0) {
            rc = put_hole(p, i++);
        } else {
            pass(p, &r);
            i++;
        }
    }
    return rc;
}

/* Were they all left to the commit, it would wait for them while nothing else happens. One worker
 * waits here now, the others go on. Not sync_file_range for each: that is twice the work (4 KiB
 * files, ext4). An error is final, as it is in commit: asked again, the kernel says that all is
 * well. */
static int sync_small(struct store *s, unsigned n) {
    if (n == 0 || store_stopped(s) || atomic_fetch_add(&s->unsynced, n) + n < SYNC_FILES ||
        atomic_exchange(&s->syncing, true))
        return 0;
    atomic_store(&s->unsynced, 0);
    int rc = syncfs(s->staging) < 0 ? -errno : 0;
    if (rc)
        (void)store_set_flags(s, JOURNAL_VERIFY_ALL, 0);
    atomic_store(&s->syncing, false);
    return rc;
}

int store_put(struct store *s, const struct msg *m, int *results) {
    struct put p = {.s = s, .m = m, .results = results};
    int rc = worker_get(s, &p.w);
    if (rc)
        return rc;
    rc = judge_all(&p);
    if (!rc)
        rc = s->task == STORE_COMPARES ? compare_all(&p) : put_all(&p);
    rc = store_error_at(s, p.w, rc);
    worker_put(s, p.w);
    return rc ? rc : store_error(s, sync_small(s, p.unsynced)); /* it is of no entry */
}
