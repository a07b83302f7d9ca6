/* SPDX-License-Identifier: MIT */
/*
 * served -- a share in a scratch folder, its selection and a reader, for tests of selections
 *
 * setup() and teardown() for each test; expect_ calls fail the test. Each program has its own copy.
 */
#ifndef TESTS_SERVED_H
#define TESTS_SERVED_H

#include "core/digest.h"
#include "core/fs.h"
#include "core/selection.h"
#include "proto/name.h"
#include "tests/unit/scratch.h"

enum { MIB = WIRE_CHUNK_SIZE };

static struct scratch s;
static struct shares shares;
static uint8_t *pattern; /* 4 MiB that do not repeat by chunks */
static uint8_t *frame;

static inline int setup(void **state) {
    scratch_make(&s);
    scratch_dir(&s, "share");
    shares_init(&shares, false);
    pattern = malloc(4 * MIB);
    frame = malloc(WIRE_FRAME_MAX);
    assert_true(pattern && frame);
    for (uint32_t i = 0; i < 4 * MIB; i++)
        pattern[i] = (uint8_t)(i * 2654435761u >> 24) | 1;
    return 0;
}

static inline int teardown(void **state) {
    shares_clear(&shares);
    scratch_remove(&s);
    free(pattern);
    free(frame);
    return 0;
}

static inline void add(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", s.path, name);
    assert_int_equal(shares_add(&shares, path), 0);
}

static inline struct selection *open_selection(const char *path) {
    struct selection *sel;
    assert_int_equal(selection_new(&sel, &shares, path, NULL), 0);
    return sel;
}

static inline struct selection_reader *new_reader(const struct selection *sel) {
    struct selection_reader *r;
    assert_int_equal(selection_reader_new(&r, sel), 0);
    return r;
}

/* Reads one frame as a peer would see it; checks what holds for every one. */
static inline unsigned read_frame(struct selection_reader *r, const uint64_t *chunks, unsigned n,
                                  struct msg *m) {
    struct wire_header h;
    size_t len;
    memset(frame, 0xee, WIRE_FRAME_MAX);
    unsigned took = selection_read(r, chunks, n, 77, frame, &len);
    assert_true(took >= 1 && took <= n && took <= WIRE_RECORDS_MAX);
    assert_true(len <= WIRE_FRAME_MAX);
    assert_int_equal(wire_header_get(&h, frame), 0);
    assert_int_equal(h.type, WIRE_DATA);
    assert_int_equal(h.req, 77);
    assert_int_equal(h.len + WIRE_HEADER_LEN, len);
    assert_int_equal(wire_decode(m, &h, frame + WIRE_HEADER_LEN), 0);
    assert_int_equal(m->data.n, took);
    size_t data = 0;
    for (unsigned i = 0; i < took; i++) {
        struct wire_record rec = wire_record_at(m, i);
        assert_int_equal(rec.chunk, chunks[i]);
        uint8_t digest[WIRE_DIGEST_LEN];
        if (rec.kind == WIRE_RECORD_DATA) {
            digest_chunk(m->data.data.at + data, rec.len, digest);
            data += rec.len;
        } else if (rec.kind == WIRE_RECORD_ZEROS) {
            digest_zeros(rec.len, digest);
        } else {
            assert_int_equal(rec.len, 0);
            memset(digest, 0, sizeof digest);
        }
        assert_memory_equal(digest, rec.digest, sizeof digest);
    }
    assert_int_equal(m->data.data.len, data);
    return took;
}

static struct wire_record read_one(struct selection_reader *r, uint64_t chunk) {
    struct msg m;
    assert_int_equal(read_frame(r, &chunk, 1, &m), 1);
    return wire_record_at(&m, 0);
}

static inline void expect_code(struct selection_reader *r, uint64_t chunk, enum wire_code code) {
    struct wire_record rec = read_one(r, chunk);
    assert_int_equal(rec.kind, WIRE_RECORD_ERROR);
    assert_int_equal(rec.code, code);
}

static inline void expect_data(struct selection_reader *r, uint64_t chunk, const void *bytes,
                               uint32_t len) {
    struct msg m;
    assert_int_equal(read_frame(r, &chunk, 1, &m), 1);
    struct wire_record rec = wire_record_at(&m, 0);
    assert_int_equal(rec.kind, WIRE_RECORD_DATA);
    assert_int_equal(rec.len, len);
    assert_memory_equal(m.data.data.at, bytes, len);
}

static inline void make_one(void) {
    scratch_file(&s, "private", "12345");
    scratch_dir(&s, "outside");
    scratch_file(&s, "outside/f", "12345");
    scratch_dir(&s, "share/dir");
    scratch_file(&s, "share/dir/f", "12345");
}

#endif
