/* SPDX-License-Identifier: MIT */
/*
 * store_source -- a made-up peer for the tests of the store: a manifest, and frames of its chunks
 *
 *     struct item items[] = {...};               in the order of a manifest
 *     source_make(&src, items, n)   list(store, &src)   give(store, &src, first, n)
 *
 * Bytes of a chunk follow from the file's seed and the chunk's number; seed 0: all zeros. Calls
 * that fail end the test.
 */
#ifndef TESTS_STORE_SOURCE_H
#define TESTS_STORE_SOURCE_H

#include "core/digest.h"
#include "core/fs.h"
#include "core/store.h"
#include "tests/unit/scratch.h"

#include <errno.h>

#define MIB ((uint64_t)WIRE_CHUNK_SIZE)

struct item {
    uint8_t kind;
    uint32_t parent;
    const char *name, *target;
    uint64_t size;
    unsigned seed; /* of its bytes */
    uint16_t mode; /* 0: 0644, folders 0755 */
    int64_t mtime_ns;
    uint64_t version;
    uint8_t flags;
};

struct source {
    const struct item *items;
    unsigned n;
    struct catalog *catalog; /* as the source has it */
    struct catalog_cursor cur;
    uint8_t origin[WIRE_KEY_LEN];
    uint8_t *frame;
};

static inline struct manifest_entry source_entry(const struct item *item) {
    struct manifest_entry e = {.kind = item->kind,
                               .flags = item->flags,
                               .mode = item->mode,
                               .parent = item->parent,
                               .size = item->size,
                               .mtime_ns = item->mtime_ns,
                               .version = item->version,
                               .name = {(const uint8_t *)item->name, strlen(item->name)}};
    if (!e.mode)
        e.mode = item->kind == WIRE_DIR ? 0755 : 0644;
    if (item->target)
        e.target = (struct bytes){(const uint8_t *)item->target, strlen(item->target)};
    return e;
}

static inline void source_make(struct source *src, const struct item *items, unsigned n) {
    *src = (struct source){.items = items, .n = n, .origin = {1}};
    assert_int_equal(catalog_new(&src->catalog, fs_open_temp()), 0);
    for (unsigned i = 0; i < n; i++) {
        struct manifest_entry e = source_entry(&items[i]);
        assert_int_equal(catalog_append_entry(src->catalog, &e), 0);
    }
    assert_int_equal(catalog_finish(src->catalog), 0);
    catalog_cursor_init(&src->cur, src->catalog);
    src->frame = malloc(WIRE_FRAME_MAX);
    assert_non_null(src->frame);
}

static inline void source_clear(struct source *src) {
    catalog_cursor_clear(&src->cur);
    catalog_free(src->catalog);
    free(src->frame);
}

static inline const struct catalog_totals *source_totals(const struct source *src) {
    return catalog_totals(src->catalog);
}

static inline void source_bytes(unsigned seed, uint64_t chunk, uint8_t *out, size_t len) {
    uint64_t x = seed * 0x9e3779b97f4a7c15u + chunk + 1;
    for (size_t i = 0; i < len; i += sizeof x) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(out + i, &x, len - i < sizeof x ? len - i : sizeof x);
    }
    if (!seed)
        memset(out, 0, len);
}

/* Lays out chunk `chunk` at `at` and fills its record. Returns its bytes in the frame. */
static inline size_t source_record(struct source *src, uint64_t chunk, uint8_t *at,
                                   struct wire_record *r) {
    assert_int_equal(catalog_chunk(&src->cur, chunk), 0);
    unsigned seed = src->items[src->cur.index].seed;
    *r = (struct wire_record){.chunk = chunk, .len = catalog_chunk_len(&src->cur, chunk)};
    source_bytes(seed, chunk - src->cur.first_chunk, at, r->len);
    digest_chunk(at, r->len, r->digest);
    r->kind = seed ? WIRE_RECORD_DATA : WIRE_RECORD_ZEROS;
    return seed ? r->len : 0;
}

/* One frame with chunks first .. first + n - 1, and the message in it. */
static inline void source_frame(struct source *src, uint64_t first, unsigned n, struct msg *m) {
    size_t at = wire_data_offset(n), start = at;
    struct wire_header h;
    for (unsigned i = 0; i < n; i++) {
        struct wire_record r;
        at += source_record(src, first + i, src->frame + at, &r);
        wire_data_record(src->frame, i, &r);
    }
    wire_data_end(src->frame, n, at - start, 1);
    assert_int_equal(wire_header_get(&h, src->frame), 0);
    assert_int_equal(wire_decode(m, &h, src->frame + WIRE_HEADER_LEN), 0);
}

/* --- verbs ---------------------------------------------------------------------------------- */

static inline int source_list(struct store *s, struct source *src) {
    uint8_t page[777]; /* entries are cut anywhere */
    uint64_t length = source_totals(src)->length;
    int rc = store_manifest_begin(s, 0);
    for (uint64_t at = 0; !rc && at < length; at += sizeof page) {
        size_t len = length - at < sizeof page ? length - at : sizeof page;
        assert_int_equal(catalog_read(src->catalog, at, page, len), 0);
        rc = store_manifest_page(s, page, len);
    }
    return rc ? rc : store_manifest_end(s, source_totals(src), src->origin);
}

/* Everything until chunks can be asked for; the plan is the caller's to clear. */
static inline int source_begin(struct store *s, struct source *src, struct plan *plan) {
    uint64_t missing;
    const struct catalog *c = store_catalog(s);
    int rc = 0;
    if (!c || memcmp(catalog_totals(c)->id, source_totals(src)->id, WIRE_ID_LEN) != 0)
        rc = source_list(s, src);
    *plan = (struct plan){0};
    if (!rc)
        rc = plan_init(plan, source_totals(src)->chunks);
    if (!rc)
        rc = store_load(s, plan);
    return rc ? rc : store_prepare(s, &missing);
}

/* How many chunks from `first` on, at most n, fit into one frame. */
static inline unsigned source_fit(struct source *src, uint64_t first, unsigned n) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(catalog_chunk(&src->cur, first + i), 0);
        sum += catalog_chunk_len(&src->cur, first + i);
        if (sum > MIB)
            return i;
    }
    return n;
}

static inline int source_give(struct store *s, struct source *src, uint64_t first, unsigned n) {
    int results[WIRE_RECORDS_MAX];
    struct msg m;
    int rc = 0;
    while (!rc && n > 0) {
        unsigned some = source_fit(src, first, n);
        source_frame(src, first, some, &m);
        memset(results, 0x55, sizeof results);
        rc = store_put(s, &m, results);
        for (unsigned i = 0; !rc && i < some; i++)
            if (results[i] != 0 && results[i] != 1)
                rc = results[i];
        first += some;
        n -= some;
    }
    return rc;
}

/* What the plan says is absent. */
static inline int source_give_all(struct store *s, struct source *src, struct plan *plan) {
    uint64_t first;
    uint32_t n;
    int rc = 0;
    while (!rc && plan_run(plan, PLAN_ABSENT, 40, &first, &n)) {
        rc = source_give(s, src, first, n);
        for (uint32_t i = 0; i < n; i++)
            plan_set(plan, first + i, PLAN_HAVE);
    }
    return rc;
}

static inline int source_commit(struct store *s) {
    struct store_commit_options o = {.unsafe_links = false};
    return store_commit(s, &o);
}

/* Opens DEST/name; tests look at the result. */
static inline int open_store(struct store **s, const struct scratch *dest, const char *name) {
    struct store_target t = {.dir = dest->path, .name = name, .path = "share/name"};
    return store_open(s, &t);
}

/* From nothing, or from what is there, to DEST/name. */
static inline int download(const struct scratch *dest, const char *name, struct source *src) {
    struct store *s;
    struct plan plan;
    int rc = open_store(&s, dest, name);
    if (rc)
        return rc;
    rc = source_begin(s, src, &plan);
    if (!rc)
        rc = source_give_all(s, src, &plan);
    if (!rc)
        rc = source_commit(s);
    plan_clear(&plan);
    store_close(s);
    return rc;
}

/* --- expectations --------------------------------------------------------------------------- */

/* The file holds the item's bytes, with its mode and mtime. */
static inline void expect_file(const struct scratch *dest, const char *path,
                               const struct item *item) {
    struct stat st;
    uint8_t *want = malloc(MIB), *got = malloc(MIB);
    assert_true(want && got);
    int fd = openat(dest->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        fail_msg("%s is not there", path);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, item->size);
    for (uint64_t at = 0; at < item->size; at += MIB) {
        size_t len = item->size - at < MIB ? item->size - at : MIB;
        source_bytes(item->seed, at / MIB, want, len);
        assert_int_equal(pread(fd, got, len, (off_t)at), len);
        if (memcmp(want, got, len) != 0)
            fail_msg("%s: other bytes in chunk %u", path, (unsigned)(at / MIB));
    }
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(st.st_mode & 07777, (item->mode ? item->mode : 0644) & ~mask);
    assert_int_equal(st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, item->mtime_ns);
    close(fd);
    free(want);
    free(got);
}

/* Is nothing but `only` left in the folder of the test ("" for nothing)? */
static inline void expect_only(const struct scratch *dest, const char *only) {
    char command[512];
    snprintf(command, sizeof command, "test \"$(ls -A %s)\" = '%s'", dest->path, only);
    assert_int_equal(system(command), 0);
}

#endif
