/* SPDX-License-Identifier: MIT */
#include "core/selection.h"

#include "core/digest.h"
#include "core/fs.h"
#include "proto/name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct part { /* one chunk of the frame that is being laid out */
    uint32_t len;
    bool hole;
    int err;
};

struct selection_reader {
    const struct selection *sel;
    struct catalog_cursor cur; /* at the entry of the chunk in question */
    struct catalog_cursor up;  /* for paths */
    int dir, file;             /* what was opened last, or -1 */
    uint32_t dir_entry, file_entry;
    uint64_t hole_from, hole_to; /* of the file: nothing but zeros in between */
    struct part parts[WIRE_RECORDS_MAX];
    atomic_ullong n_read;
};

int selection_reader_new(struct selection_reader **out, const struct selection *sel) {
    struct selection_reader *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->sel = sel;
    r->dir = r->file = -1;
    catalog_cursor_init(&r->cur, sel->catalog);
    catalog_cursor_init(&r->up, sel->catalog);
    *out = r;
    return 0;
}

static void shut(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void selection_reader_free(struct selection_reader *r) {
    if (!r)
        return;
    shut(&r->file);
    shut(&r->dir);
    catalog_cursor_clear(&r->cur);
    catalog_cursor_clear(&r->up);
    free(r);
}

uint64_t selection_reader_count(const struct selection_reader *r) { return r->n_read; }

/* --- open ----------------------------------------------------------------------------------- */

/* Files of one folder follow each other, so that its path is resolved once for all of them. */
static int open_dir(struct selection_reader *r, uint32_t entry) {
    char path[2 * PATH_MAX_LEN + 2];
    size_t at = strlen(r->sel->below);
    if (r->dir >= 0 && r->dir_entry == entry)
        return 0;
    shut(&r->dir);
    memcpy(path, r->sel->below, at);
    if (at > 0 && entry > 0)
        path[at++] = '/';
    int err = catalog_path(&r->up, entry, path + at);
    if (err)
        return err;
    r->dir = fs_open_dir(r->sel->root, path);
    r->dir_entry = entry;
    return r->dir < 0 ? r->dir : 0;
}

/* The file of r->cur, anew. */
static int open_file(struct selection_reader *r, struct stat *st) {
    const struct manifest_entry *e = &r->cur.entry;
    char name[NAME_MAX_LEN + 1];
    shut(&r->file);
    if (r->cur.index == 0) {
        r->file = fs_open_file_stat(r->sel->root, r->sel->below, st);
    } else {
        int err = open_dir(r, e->parent);
        if (err)
            return err;
        memcpy(name, e->name.at, e->name.len);
        name[e->name.len] = 0;
        r->file = fs_open_file_stat(r->dir, name, st);
    }
    if (r->file < 0)
        return r->file;
    r->file_entry = r->cur.index;
    r->hole_from = r->hole_to = 0;
    if (e->size > WIRE_CHUNK_SIZE)
        posix_fadvise(r->file, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

/* Is it still as it was when it was walked? */
static bool is_same(const struct selection_reader *r) {
    struct stat st;
    return !fstat(r->file, &st) && selection_version(&st) == r->cur.entry.version;
}

static int open_same(struct selection_reader *r) {
    struct stat st;
    if (r->file >= 0 && r->file_entry == r->cur.index && is_same(r))
        return 0;
    /* What was kept open may have been removed or replaced: then its name says which. */
    int err = open_file(r, &st);
    if (err)
        return err;
    if (selection_version(&st) == r->cur.entry.version)
        return 0;
    shut(&r->file);
    return WIRE_ERR(WIRE_CHANGED);
}

static enum wire_code code_of(int err) {
    switch (err) {
    case -ENOENT:
    case -ENOTDIR: /* the folder was replaced by a file */
        return WIRE_GONE;
    case -ELOOP:   /* replaced by a symlink */
    case -EINVAL:  /* replaced by something that is no file */
    case -ENODATA: /* shorter than it was */
    case WIRE_ERR(WIRE_CHANGED):
        return WIRE_CHANGED;
    case WIRE_ERR(WIRE_NOT_FOUND):
        return WIRE_NOT_FOUND;
    default:
        return WIRE_IO;
    }
}

/* --- read ----------------------------------------------------------------------------------- */

static uint64_t offset_of(const struct selection_reader *r, uint64_t chunk) {
    return (chunk - r->cur.first_chunk) << WIRE_CHUNK_SHIFT;
}

/* Does the open file have no data there? Remembers how far the hole goes, so that an empty terabyte
 * is looked at once. */
static bool in_hole(struct selection_reader *r, uint64_t offset, uint64_t len) {
    if (offset < r->hole_from || offset >= r->hole_to) {
        off_t data = lseek(r->file, (off_t)offset, SEEK_DATA);
        if (data < 0 && errno != ENXIO)
            return false;
        r->hole_from = offset;
        r->hole_to = data < 0 ? r->cur.entry.size : (uint64_t)data;
    }
    return r->hole_to >= offset && r->hole_to - offset >= len;
}

/* Moves r->cur to the chunk and finds what can be known without reading it. Files of one chunk are
 * not worth the look for holes. */
static struct part locate(struct selection_reader *r, uint64_t chunk) {
    struct part p = {.err = catalog_chunk(&r->cur, chunk)};
    if (p.err == -EINVAL)
        p.err = WIRE_ERR(WIRE_NOT_FOUND);
    if (p.err)
        return p;
    p.len = catalog_chunk_len(&r->cur, chunk);
    if (!(r->cur.entry.flags & MANIFEST_SPARSE) || r->cur.entry.size <= WIRE_CHUNK_SIZE)
        return p;
    p.err = open_same(r);
    if (p.err)
        return p;
    p.hole = in_hole(r, offset_of(r, chunk), p.len);
    if (p.hole && !is_same(r)) /* a hole of what it has become since */
        p.err = WIRE_ERR(WIRE_CHANGED);
    return p;
}

static int read_chunk(struct selection_reader *r, uint64_t chunk, uint32_t len, uint8_t *at) {
    int err = catalog_chunk(&r->cur, chunk);
    if (!err)
        err = open_same(r);
    if (!err)
        err = fs_pread_all(r->file, at, len, offset_of(r, chunk));
    if (!err && !is_same(r))
        err = WIRE_ERR(WIRE_CHANGED);
    return err;
}

static bool is_zeros(const uint8_t *at, size_t len) {
    return !at[0] && !memcmp(at, at + 1, len - 1);
}

/* Makes the record; if it is of kind DATA its bytes are in `at`. */
static struct wire_record load(struct selection_reader *r, uint64_t chunk, struct part p,
                               uint8_t *at) {
    struct wire_record rec = {.chunk = chunk, .len = p.len, .kind = WIRE_RECORD_ZEROS};
    if (!p.err && !p.hole)
        p.err = read_chunk(r, chunk, p.len, at);
    if (p.err) {
        rec.kind = WIRE_RECORD_ERROR;
        rec.code = (uint8_t)code_of(p.err);
        rec.len = 0;
    } else if (p.hole || is_zeros(at, p.len)) {
        digest_zeros(p.len, rec.digest);
    } else {
        rec.kind = WIRE_RECORD_DATA;
        digest_chunk(at, p.len, rec.digest);
    }
    return rec;
}

/* The records come first in a frame, so how many there are must be known before the first read. */
static unsigned lay_out(struct selection_reader *r, const uint64_t *chunks, unsigned n) {
    uint32_t room = WIRE_CHUNK_SIZE;
    for (unsigned i = 0; i < n; i++) {
        struct part *p = &r->parts[i];
        if (i == WIRE_RECORDS_MAX)
            return i;
        *p = locate(r, chunks[i]);
        uint32_t need = p->err || p->hole ? 0 : p->len;
        if (need > room)
            return i;
        room -= need;
    }
    return n;
}

unsigned selection_read(struct selection_reader *r, const uint64_t *chunks, unsigned n,
                        uint16_t req, uint8_t *frame, size_t *frame_len) {
    n = lay_out(r, chunks, n);
    const size_t begin = wire_data_offset(n);
    size_t end = begin;
    for (unsigned i = 0; i < n; i++) {
        struct wire_record rec = load(r, chunks[i], r->parts[i], frame + end);
        if (rec.kind == WIRE_RECORD_DATA)
            end += rec.len;
        atomic_fetch_add_explicit(&r->n_read, 1, memory_order_relaxed);
        wire_data_record(frame, i, &rec);
    }
    *frame_len = wire_data_end(frame, n, end - begin, req);
    return n;
}

/* --- holes ---------------------------------------------------------------------------------- */

uint32_t selection_hole(const struct selection_reader *r, uint64_t first, uint32_t n) {
    bool is_open = r->file >= 0 && r->file_entry == r->cur.index;
    uint64_t from, to;
    if (!is_open || first < r->cur.first_chunk || offset_of(r, first) < r->hole_from)
        return 0;
    from = first - r->cur.first_chunk;
    to = r->hole_to >> WIRE_CHUNK_SHIFT;
    if (from >= to)
        return 0;
    return to - from < n ? (uint32_t)(to - from) : n;
}

/* Are all n chunks whole ones of the file at hand, and nothing but a hole? */
static bool is_hole(struct selection_reader *r, uint64_t first, uint32_t n) {
    struct part p = locate(r, first);
    if (p.err || !p.hole || catalog_chunk_len(&r->cur, first + n - 1) != WIRE_CHUNK_SIZE)
        return false;
    return in_hole(r, offset_of(r, first), (uint64_t)n << WIRE_CHUNK_SHIFT) && is_same(r);
}

uint32_t selection_read_hole(struct selection_reader *r, uint64_t first, uint32_t n, uint16_t req,
                             uint8_t *frame, size_t *frame_len) {
    struct wire_record rec = {
        .chunk = first,
        .len = WIRE_CHUNK_SIZE,
        .kind = WIRE_RECORD_ZEROS,
        .more = (uint16_t)(n - 1),
    };
    if (n > WIRE_OUTSTANDING_CHUNKS || !is_hole(r, first, n))
        return selection_read(r, &first, 1, req, frame, frame_len);
    digest_zeros(rec.len, rec.digest);
    atomic_fetch_add_explicit(&r->n_read, n, memory_order_relaxed);
    wire_data_record(frame, 0, &rec);
    *frame_len = wire_data_end(frame, 1, 0, req);
    return n;
}

/* --- digests -------------------------------------------------------------------------------- */

void selection_digests(struct selection_reader *r, uint64_t first, uint32_t n, uint8_t *out) {
    const uint64_t n_chunks = catalog_totals(r->sel->catalog)->chunks;
    uint8_t *buf = malloc(WIRE_CHUNK_SIZE);
    memset(out, 0, (size_t)n * WIRE_DIGEST_LEN);
    r->hole_from = r->hole_to = 0; /* this is the last look: what no time tells shows here */
    for (uint32_t i = 0; buf && i < n && first < n_chunks && i < n_chunks - first; i++) {
        struct wire_record rec = load(r, first + i, locate(r, first + i), buf);
        memcpy(out + (size_t)i * WIRE_DIGEST_LEN, rec.digest, WIRE_DIGEST_LEN);
        atomic_fetch_add_explicit(&r->n_read, 1, memory_order_relaxed);
    }
    free(buf);
}
