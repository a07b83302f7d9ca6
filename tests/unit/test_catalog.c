/* SPDX-License-Identifier: MIT */
#include "core/catalog.h"
#include "core/fs.h"
#include "proto/name.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/golden.h"

#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

static const int broken = WIRE_ERR(WIRE_PROTOCOL);

/* A tree with every kind of edge: entries without chunks in long rows, files of 0, 1 byte, exactly
 * one chunk, one more; names of 255 bytes. All below one folder, so names are numbers. */
enum { EDGE_ENTRIES = 3000 };

static char name_of[EDGE_ENTRIES][256];

static struct manifest_entry edge_entry(uint32_t i) {
    static const uint64_t sizes[] = {0, 1, 1 << 20, (1 << 20) + 1, 5 << 20, (3 << 20) - 1};
    struct manifest_entry e = {.kind = WIRE_FILE, .mode = 0644, .mtime_ns = -1, .version = i};
    snprintf(name_of[i], sizeof name_of[i], "%06u", (unsigned)i);
    size_t len = i % 3 == 0 ? 255 : 6;
    memset(name_of[i] + 6, 'x', len - 6);
    e.name = (struct bytes){(uint8_t *)name_of[i], len};
    if (i == 0 || i % 7 == 0) {
        e.kind = WIRE_DIR;
    } else if (i % 5 == 0) {
        e.kind = WIRE_SYMLINK;
        e.target = e.name;
    } else if (i < 1000 || i > 2000) { /* a thousand without a chunk in the middle */
        e.size = sizes[i % 6];
    }
    return e;
}

static int new_file(void) {
    int fd = memfd_create("catalog", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static struct catalog *edge_catalog(void) {
    struct catalog *c;
    assert_int_equal(catalog_new(&c, new_file()), 0);
    for (uint32_t i = 0; i < EDGE_ENTRIES; i++) {
        struct manifest_entry e = edge_entry(i);
        assert_int_equal(catalog_append_entry(c, &e), 0);
    }
    assert_int_equal(catalog_finish(c), 0);
    return c;
}

static void assert_entry(const struct catalog_cursor *cur, uint32_t i) {
    struct manifest_entry e = edge_entry(i);
    assert_int_equal(cur->index, i);
    assert_int_equal(cur->entry.kind, e.kind);
    assert_int_equal(cur->entry.size, e.size);
    assert_int_equal(cur->entry.version, i);
    assert_int_equal(cur->entry.name.len, e.name.len);
    assert_memory_equal(cur->entry.name.at, e.name.at, e.name.len);
    assert_int_equal(cur->entry.target.len, e.target.len);
}

static void every_chunk_has_its_entry(void **state) {
    struct catalog *c = edge_catalog();
    struct catalog_cursor seq, jump;
    uint64_t total = catalog_totals(c)->chunks, chunk = 0;
    catalog_cursor_init(&seq, c);
    catalog_cursor_init(&jump, c);
    for (uint32_t i = 0; i < EDGE_ENTRIES; i++) {
        struct manifest_entry e = edge_entry(i);
        uint64_t left = e.size;
        for (uint64_t k = 0; k < manifest_chunks(&e); k++, chunk++) {
            uint32_t len = left < WIRE_CHUNK_SIZE ? (uint32_t)left : WIRE_CHUNK_SIZE;
            assert_int_equal(catalog_chunk(&seq, chunk), 0);
            assert_entry(&seq, i);
            assert_int_equal(seq.first_chunk, chunk - k);
            assert_int_equal(catalog_chunk_len(&seq, chunk), len);
            /* the same from somewhere far away */
            assert_int_equal(catalog_chunk(&jump, (chunk * 7919 + 13) % total), 0);
            assert_int_equal(catalog_chunk(&jump, chunk), 0);
            assert_entry(&jump, i);
            assert_int_equal(jump.first_chunk, chunk - k);
            left -= len;
        }
        assert_int_equal(left, 0);
    }
    assert_int_equal(chunk, total);
    assert_int_equal(catalog_chunk(&seq, total), -EINVAL);
    assert_int_equal(catalog_chunk(&seq, UINT64_MAX), -EINVAL);
    assert_int_equal(catalog_chunk_len(&jump, jump.first_chunk + 99), 0);
    catalog_cursor_clear(&seq);
    catalog_cursor_clear(&jump);
    catalog_free(c);
}

static void every_index_is_found(void **state) {
    struct catalog *c = edge_catalog();
    struct catalog_cursor cur, next;
    catalog_cursor_init(&cur, c);
    catalog_cursor_init(&next, c);
    for (uint32_t i = 0; i < EDGE_ENTRIES; i++) {
        uint32_t far = (i * 1999) % EDGE_ENTRIES;
        assert_int_equal(catalog_next(&next), 1);
        assert_entry(&next, i);
        assert_int_equal(catalog_at(&cur, far), 0);
        assert_entry(&cur, far);
        assert_int_equal(catalog_at(&cur, i), 0);
        assert_entry(&cur, i);
        assert_int_equal(cur.first_chunk, next.first_chunk);
    }
    assert_int_equal(catalog_next(&next), 0);
    assert_int_equal(catalog_next(&next), 0);
    assert_int_equal(catalog_at(&cur, EDGE_ENTRIES), -EINVAL);
    assert_int_equal(catalog_at(&cur, UINT32_MAX), -EINVAL);
    assert_int_equal(catalog_at(&cur, 77), 0); /* still good */
    assert_entry(&cur, 77);
    catalog_cursor_clear(&cur);
    catalog_cursor_clear(&next);
    catalog_free(c);
}

/* The bytes of a catalog, to be freed. */
static uint8_t *bytes_of(const struct catalog *c, size_t *len) {
    *len = catalog_totals(c)->length;
    uint8_t *all = malloc(*len);
    assert_non_null(all);
    assert_int_equal(catalog_read(c, 0, all, *len), 0);
    return all;
}

static void pieces_make_the_same_catalog(void **state) {
    static const size_t pieces[] = {1, 2, 33, 4096, 65536, 1 << 20};
    struct catalog *c = edge_catalog();
    size_t len;
    uint8_t *all = bytes_of(c, &len);
    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        struct catalog *copy, *loaded;
        int fd = new_file();
        assert_int_equal(catalog_new(&copy, fd), 0);
        for (size_t at = 0; at < len; at += pieces[p])
            assert_int_equal(
                catalog_append(copy, all + at, at + pieces[p] < len ? pieces[p] : len - at), 0);
        assert_int_equal(catalog_finish(copy), 0);
        assert_memory_equal(catalog_totals(copy), catalog_totals(c), sizeof(struct catalog_totals));
        assert_int_equal(catalog_load(&loaded, dup(fd)), 0);
        assert_memory_equal(catalog_totals(loaded), catalog_totals(c),
                            sizeof(struct catalog_totals));
        catalog_free(copy);
        catalog_free(loaded);
    }
    assert_int_equal(catalog_read(c, len - 1, all, 2), -EINVAL);
    assert_int_equal(catalog_read(c, UINT64_MAX, all, 2), -EINVAL);
    assert_int_equal(catalog_read(c, len, all, 0), 0);
    free(all);
    catalog_free(c);
}

static int load(const uint8_t *bytes, size_t len, struct catalog **c) {
    int fd = new_file();
    assert_int_equal(write(fd, bytes, len), len);
    int r = catalog_load(c, fd);
    if (r < 0)
        close(fd); /* still ours */
    return r;
}

static void golden_manifest(void **state) {
    static const uint8_t id[WIRE_ID_LEN] = {0xd6, 0xd0, 0x83, 0x28, 0x1f, 0x38, 0xc6, 0xb0,
                                            0x58, 0xf0, 0x5f, 0x8f, 0xdb, 0xbe, 0xc6, 0xa2,
                                            0x31, 0x24, 0xab, 0x8e, 0x2b, 0xc1, 0x5b, 0x76,
                                            0x7c, 0xc8, 0xe9, 0xa3, 0x79, 0x2e, 0x3d, 0x31};
    static const char *const paths[] = {"", "a", "b", "b-", "c", "b/big"};
    struct catalog *c;
    struct catalog_cursor cur;
    char path[PATH_MAX_LEN + 1];
    size_t len;
    uint8_t *all = golden("manifest", &len);
    assert_int_equal(load(all, len, &c), 0);
    assert_memory_equal(catalog_totals(c)->id, id, sizeof id);
    assert_int_equal(catalog_totals(c)->length, len);
    assert_int_equal(catalog_totals(c)->entries, 6);
    assert_int_equal(catalog_totals(c)->chunks, 3);
    assert_int_equal(catalog_totals(c)->bytes, (1 << 20) + 6);
    catalog_cursor_init(&cur, c);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(catalog_path(&cur, i, path), 0);
        assert_string_equal(path, paths[i]);
        assert_int_equal(cur.index, i);
    }
    assert_int_equal(catalog_path(&cur, 6, path), -EINVAL);
    assert_int_equal(catalog_chunk(&cur, 2), 0);
    assert_int_equal(cur.index, 5);
    assert_int_equal(catalog_chunk_len(&cur, 1), WIRE_CHUNK_SIZE);
    assert_int_equal(catalog_chunk_len(&cur, 2), 1);
    assert_int_equal(catalog_chunk_len(&cur, 3), 0);
    assert_int_equal(catalog_chunk_len(&cur, 0), 0);
    catalog_cursor_clear(&cur);
    catalog_free(c);
    free(all);
}

/* Only a cut between two entries leaves a manifest, another one. */
static void cut_at_every_position(void **state) {
    static const size_t ends[] = {53, 88, 123, 165, 200, 237};
    struct catalog *c;
    size_t len, good = 0;
    uint8_t *all = golden("manifest", &len);
    for (size_t cut = 0; cut <= len; cut++) {
        bool whole = cut == ends[good];
        assert_int_equal(load(all, cut, &c), whole ? 0 : broken);
        if (whole) {
            good++;
            assert_int_equal(catalog_totals(c)->entries, good);
            catalog_free(c);
        }
    }
    assert_int_equal(good, 6);
    free(all);
}

static void broken_bytes_are_refused(void **state) {
    struct catalog *c;
    size_t len;
    uint8_t *all = golden("manifest", &len);
    all[len - 1] = '/';
    assert_int_equal(load(all, len, &c), broken);
    for (size_t step = 1; step < 40; step += 19) {
        int r = 0;
        assert_int_equal(catalog_new(&c, new_file()), 0);
        for (size_t at = 0; at < len && r == 0; at += step)
            r = catalog_append(c, all + at, at + step < len ? step : len - at);
        assert_int_equal(r, broken);
        catalog_free(c);
    }
    free(all);
    assert_int_equal(catalog_new(&c, new_file()), 0);
    assert_int_equal(catalog_finish(c), broken);
    assert_int_equal(catalog_append(c, (const uint8_t *)"LANYMAN1........", 16), broken);
    catalog_free(c);
    catalog_free(NULL);
}

/* The deepest tree that may be, and each entry that is refused leaves no trace. */
static void deepest_tree(void **state) {
    struct catalog *c;
    struct catalog_cursor cur;
    char want[PATH_MAX_LEN + 1] = "", path[PATH_MAX_LEN + 1];
    struct manifest_entry e = {.kind = WIRE_DIR, .name = {(const uint8_t *)"fifteen bytes..", 15}};
    struct manifest_entry bad = {.kind = WIRE_FILE, .name = {(const uint8_t *)"..", 2}};
    struct manifest_entry orphan = {
        .kind = WIRE_FILE, .parent = 1000, .name = {(const uint8_t *)"o", 1}};
    assert_int_equal(catalog_new(&c, new_file()), 0);
    for (unsigned i = 0; i <= PATH_MAX_DEPTH; i++) {
        assert_int_equal(catalog_append_entry(c, &bad), broken);
        assert_int_equal(catalog_append_entry(c, &orphan), broken);
        assert_int_equal(catalog_append_entry(c, &e), 0);
        e.parent = i;
    }
    e.parent = PATH_MAX_DEPTH;
    assert_int_equal(catalog_append_entry(c, &e), broken);
    assert_int_equal(catalog_finish(c), 0);
    assert_int_equal(catalog_totals(c)->entries, PATH_MAX_DEPTH + 1);
    assert_int_equal(catalog_totals(c)->length, 16 + 257 * (34 + 15));
    catalog_cursor_init(&cur, c);
    for (unsigned i = 1; i <= PATH_MAX_DEPTH; i++) {
        snprintf(want + strlen(want), sizeof want - strlen(want), "%sfifteen bytes..",
                 i > 1 ? "/" : "");
        assert_int_equal(catalog_path(&cur, i, path), 0);
        assert_string_equal(path, want);
    }
    assert_int_equal(strlen(path), PATH_MAX_LEN);
    catalog_cursor_clear(&cur);
    catalog_free(c);
}

/* Somebody else writes to the file after it was checked. Errors, and nothing worse. */
static void damaged_later(void **state) {
    struct catalog *c;
    char path[PATH_MAX_LEN + 1];
    size_t len;
    uint8_t *all = golden("manifest", &len);
    for (size_t at = 0; at < 2 * len; at++) {
        int fd = new_file();
        struct catalog_cursor cur;
        assert_int_equal(write(fd, all, len), len);
        assert_int_equal(catalog_load(&c, fd), 0);
        catalog_cursor_init(&cur, c);
        if (at < len)
            assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, (off_t)at), 8);
        else
            assert_int_equal(ftruncate(fd, (off_t)(at - len)), 0);
        for (uint32_t i = 0; i < 6; i++) {
            catalog_at(&cur, 5 - i);
            catalog_path(&cur, i, path);
            catalog_chunk(&cur, i % 3);
        }
        if (at >= len)
            assert_true(catalog_at(&cur, 5) < 0 || cur.window_len == len);
        catalog_cursor_clear(&cur);
        catalog_free(c);
    }
    free(all);
}

static size_t allocated(void) {
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* 10^6 files in 1000 folders: what was built takes less than 400 KiB of memory. */
static void a_million_entries(void **state) {
    enum { DIRS = 1000, FILES = 1000 * 1000 };
    struct catalog *c;
    struct catalog_cursor cur;
    char name[32], path[PATH_MAX_LEN + 1];
    struct manifest_entry e = {.kind = WIRE_DIR, .name = {(uint8_t *)name, 4}};
    size_t before = allocated();
    assert_int_equal(catalog_new(&c, new_file()), 0);
    for (unsigned i = 0; i <= DIRS; i++) {
        snprintf(name, sizeof name, "%04u", i);
        assert_int_equal(catalog_append_entry(c, &e), 0);
    }
    e.kind = WIRE_FILE;
    e.name.len = 22;
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%09u some photo.jpg", i);
        e.parent = 1 + i / 1000;
        e.size = i % 3 * WIRE_CHUNK_SIZE;
        int r = catalog_append_entry(c, &e);
        if (r < 0)
            fail_msg("%d at %u", r, i);
    }
    assert_int_equal(catalog_finish(c), 0);
    assert_true(allocated() < before + 400 * 1024);
    assert_int_equal(catalog_totals(c)->entries, FILES + DIRS + 1);
    assert_int_equal(catalog_totals(c)->chunks, 999999);
    catalog_cursor_init(&cur, c);
    for (unsigned k = 0; k < 1000; k++) {
        unsigned i = k * 7919 * 131 % FILES;
        snprintf(name, sizeof name, "%04u/%09u", 1 + i / 1000, i);
        assert_int_equal(catalog_path(&cur, 1 + DIRS + i, path), 0);
        assert_memory_equal(path, name, 14);
        assert_int_equal(cur.first_chunk, i / 3 * 3 + (i % 3 == 2));
        assert_int_equal(catalog_chunk(&cur, i / 3 * 3), 0);
        assert_int_equal(cur.index, i / 3 * 3 + 1 + 1 + DIRS);
    }
    catalog_cursor_clear(&cur);
    catalog_free(c);
}

static int build_and_look(void *arg) {
    struct catalog *c;
    struct catalog_cursor cur;
    int fd = new_file(), r = catalog_new(&c, fd);
    if (r < 0) {
        close(fd); /* still ours */
        return r;
    }
    catalog_cursor_init(&cur, c);
    for (uint32_t i = 0; i < EDGE_ENTRIES && r == 0; i++) {
        struct manifest_entry e = edge_entry(i);
        r = catalog_append_entry(c, &e);
    }
    if (r == 0)
        r = catalog_finish(c);
    if (r == 0)
        r = catalog_at(&cur, EDGE_ENTRIES - 1);
    catalog_cursor_clear(&cur);
    catalog_free(c);
    return r;
}

static void any_allocation_may_fail(void **state) {
    /* catalog, build, marks, marks twice as many ..., folders, window, and the run without */
    assert_true(fail_alloc_each(build_and_look, NULL) > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chunk_has_its_entry),
        cmocka_unit_test(every_index_is_found),
        cmocka_unit_test(pieces_make_the_same_catalog),
        cmocka_unit_test(golden_manifest),
        cmocka_unit_test(cut_at_every_position),
        cmocka_unit_test(broken_bytes_are_refused),
        cmocka_unit_test(deepest_tree),
        cmocka_unit_test(damaged_later),
        cmocka_unit_test(a_million_entries),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
