/* SPDX-License-Identifier: MIT */
#include "tests/unit/fail_alloc.h"
#include "tests/unit/served.h"

#include <errno.h>
#include <time.h>

/* --- the manifest --------------------------------------------------------------------------- */

static void expect_manifest(const char *path, const char *expected) {
    char seen[4096] = "";
    size_t len = 0;
    struct catalog_cursor cur;
    struct selection *sel = open_selection(path);
    catalog_cursor_init(&cur, selection_catalog(sel));
    while (catalog_next(&cur) == 1) {
        const struct manifest_entry *e = &cur.entry;
        len += (size_t)snprintf(seen + len, sizeof seen - len, "%u<%u %c %o %llu %.*s%s%.*s%s%s\n",
                                cur.index, e->parent, "?dfl"[e->kind], e -> mode,
                                (unsigned long long)e -> size, (int)e -> name.len,
                                (const char *)e->name.at, e->target.len ? " -> " : "",
                                (int)e->target.len, (const char *)e->target.at,
                                e->kind == WIRE_FILE && e->flags & MANIFEST_SPARSE ? " sparse" : "",
                                e->kind == WIRE_DIR && e->flags ? " unreadable" : "");
        assert_true(len < sizeof seen);
    }
    catalog_cursor_clear(&cur);
    selection_free(sel);
    assert_string_equal(seen, expected);
}

static void manifests_say_what_is_there(void **state) {
    scratch_dir(&s, "share/b");
    scratch_dir(&s, "share/a");
    scratch_dir(&s, "share/empty");
    scratch_file(&s, "share/b/file", "12345");
    scratch_file(&s, "share/a/tool", "123");
    scratch_link(&s, "share/a/link", "../../../etc/passwd");
    scratch_file(&s, "share/.hidden", "");
    scratch_file(&s, "share/void", "");
    assert_int_equal(mkfifoat(s.fd, "share/fifo", 0644), 0);
    assert_int_equal(fs_chmod(s.fd, "share/a/tool", 06755), 0);
    int fd = fs_create(s.fd, "share/holes", 0600);
    assert_int_equal(ftruncate(fd, 3 * MIB), 0);
    close(fd);
    add("share");
    scratch_link(&s, "alias", "share/b/file");
    add("alias");
    expect_manifest("share", "0<0 d 755 0 share\n"
                             "1<0 d 755 0 a\n"
                             "2<0 d 755 0 b\n"
                             "3<0 d 755 0 empty\n"
                             "4<0 f 600 3145728 holes sparse\n"
                             "5<0 f 644 0 void\n"
                             "6<1 l 777 0 link -> ../../../etc/passwd\n"
                             "7<1 f 755 3 tool\n"
                             "8<2 f 644 5 file\n");
    expect_manifest("share/a", "0<0 d 755 0 a\n1<0 l 777 0 link -> ../../../etc/passwd\n"
                               "2<0 f 755 3 tool\n");
    expect_manifest("share/a/tool", "0<0 f 755 3 tool\n");
    expect_manifest("share/a/link", "0<0 l 777 0 link -> ../../../etc/passwd\n");
    expect_manifest("share/empty", "0<0 d 755 0 empty\n");
    expect_manifest("alias", "0<0 f 644 5 alias\n"); /* under the name it was shared */
}

static void what_is_not_there_is_not_found(void **state) {
    static const char *const paths[] = {
        "none",
        "share/none",
        "share/file/x",
        "share/.hidden",
        "share/../private",
        "share/link/file",
        "share/fifo",
        "",
        "/etc/passwd",
        "share/",
    };
    struct selection *sel;
    scratch_file(&s, "private", "secret");
    scratch_file(&s, "share/file", "");
    scratch_file(&s, "share/.hidden", "");
    scratch_dir(&s, "away");
    scratch_file(&s, "away/file", "");
    scratch_link(&s, "share/link", "../away");
    assert_int_equal(mkfifoat(s.fd, "share/fifo", 0644), 0);
    add("share");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_int_equal(selection_new(&sel, &shares, paths[i], NULL), WIRE_ERR(WIRE_NOT_FOUND));
    selection_free(NULL);
    selection_reader_free(NULL);
}

static void the_same_tree_has_the_same_id(void **state) {
    uint8_t id[WIRE_ID_LEN];
    struct timespec now;
    scratch_dir(&s, "share/a");
    scratch_file(&s, "share/a/1", "1");
    scratch_file(&s, "share/a/2", "2");
    add("share");
    clock_gettime(CLOCK_REALTIME, &now);
    struct selection *sel = open_selection("share");
    int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    assert_true(selection_now_ns(sel) >= now_ns);
    assert_true(selection_now_ns(sel) < now_ns + 60 * (int64_t)1000000000);
    memcpy(id, catalog_totals(selection_catalog(sel))->id, sizeof id);
    selection_free(sel);
    sel = open_selection("share");
    assert_memory_equal(id, catalog_totals(selection_catalog(sel))->id, sizeof id);
    selection_free(sel);
    assert_int_equal(fs_set_mtime(s.fd, "share/a/2", 1), 0);
    sel = open_selection("share");
    assert_memory_not_equal(id, catalog_totals(selection_catalog(sel))->id, sizeof id);
    selection_free(sel);
}

static void unreadable_folders_are_marked(void **state) {
    scratch_dir(&s, "share/closed");
    scratch_file(&s, "share/closed/file", "1");
    scratch_file(&s, "share/secret", "1");
    add("share");
    if (geteuid())
        skip();
    assert_int_equal(fs_chmod(s.fd, "share/closed", 0), 0);
    assert_int_equal(fs_chmod(s.fd, "share/secret", 0), 0);
    assert_int_equal(seteuid(65534), 0);
    expect_manifest("share", "0<0 d 755 0 share\n1<0 d 0 0 closed unreadable\n"
                             "2<0 f 0 1 secret\n");
    struct selection *sel = open_selection("share");
    struct selection_reader *r = new_reader(sel);
    uint64_t chunk = 0;
    size_t len;
    assert_int_equal(selection_read(r, &chunk, 1, 1, frame, &len), 1);
    assert_int_equal(seteuid(0), 0);
    selection_reader_free(r);
    selection_free(sel);
    struct wire_header h;
    struct msg m;
    assert_int_equal(wire_header_get(&h, frame), 0);
    assert_int_equal(wire_decode(&m, &h, frame + WIRE_HEADER_LEN), 0);
    struct wire_record rec = wire_record_at(&m, 0);
    assert_int_equal(rec.kind, WIRE_RECORD_ERROR);
    assert_int_equal(rec.code, WIRE_IO);
}

/* --- reading -------------------------------------------------------------------------------- */

static void big_files_go_chunk_by_chunk(void **state) {
    static const uint64_t chunks[] = {0, 1, 2, 3};
    struct msg m;
    scratch_bytes(&s, "share/big", pattern, 3 * MIB + 5);
    add("share");
    struct selection *sel = open_selection("share/big");
    struct selection_reader *r = new_reader(sel);
    assert_int_equal(read_frame(r, chunks, 4, &m), 1); /* one fills a frame */
    expect_data(r, 3, pattern + 3 * MIB, 5);
    expect_data(r, 0, pattern, MIB);
    expect_data(r, 2, pattern + 2 * MIB, MIB);
    expect_data(r, 1, pattern + MIB, MIB);
    static const uint64_t mixed[] = {3, 3, 0, 1};
    assert_int_equal(read_frame(r, mixed, 4, &m), 2); /* 5 + 5 bytes, the next does not fit */
    selection_reader_free(r);
    selection_free(sel);
}

/* Files of many folders, in any order, many in a frame. */
static void small_files_share_a_frame(void **state) {
    char path[64];
    uint64_t chunks[600];
    struct msg m;
    for (int d = 0; d < 6; d++) {
        snprintf(path, sizeof path, "share/d%d", d);
        scratch_dir(&s, path);
        for (int f = 0; f < 100; f++) {
            snprintf(path, sizeof path, "share/d%d/f%02d", d, f);
            scratch_bytes(&s, path, pattern + d * 100 + f, (size_t)(f + 1));
        }
    }
    add("share");
    struct selection *sel = open_selection("share");
    struct selection_reader *r = new_reader(sel);
    assert_int_equal(catalog_totals(selection_catalog(sel))->chunks, 600);
    for (unsigned i = 0; i < 600; i++)
        chunks[i] = i * 7 % 600 * 7 % 600;
    unsigned first = read_frame(r, chunks, 600, &m);
    assert_int_equal(first, WIRE_RECORDS_MAX);
    const uint8_t *at = m.data.data.at;
    for (unsigned i = 0; i < first; i++) {
        struct wire_record rec = wire_record_at(&m, i);
        assert_int_equal(rec.kind, WIRE_RECORD_DATA);
        assert_int_equal(rec.len, chunks[i] % 100 + 1);
        assert_memory_equal(at, pattern + chunks[i], rec.len);
        at += rec.len;
    }
    assert_int_equal(read_frame(r, chunks + first, 600 - first, &m), 600 - first);
    selection_reader_free(r);
    selection_free(sel);
}

static void frames_are_filled_up_to_the_limit(void **state) {
    static const uint64_t chunks[] = {0, 1, 2, 3};
    struct msg m;
    scratch_bytes(&s, "share/a", pattern, MIB / 2);
    scratch_bytes(&s, "share/b", pattern, MIB / 2 - 1);
    scratch_bytes(&s, "share/c", pattern, 1);
    scratch_bytes(&s, "share/d", pattern, 1);
    add("share");
    struct selection *sel = open_selection("share");
    struct selection_reader *r = new_reader(sel);
    assert_int_equal(read_frame(r, chunks, 4, &m), 3); /* exactly 1 MiB */
    assert_int_equal(m.data.data.len, MIB);
    assert_int_equal(read_frame(r, chunks + 1, 3, &m), 3);
    selection_reader_free(r);
    selection_free(sel);
}

static void zeros_are_not_sent(void **state) {
    static const uint64_t chunks[] = {0, 1, 2, 3};
    struct msg m;
    uint8_t *zeros = calloc(1, MIB);
    scratch_bytes(&s, "share/a", zeros, MIB);
    scratch_bytes(&s, "share/b", zeros, 1);
    zeros[MIB - 1] = 1;
    scratch_bytes(&s, "share/c", zeros, MIB);
    scratch_bytes(&s, "share/d", zeros, 100);
    add("share");
    struct selection *sel = open_selection("share");
    struct selection_reader *r = new_reader(sel);
    assert_int_equal(read_one(r, 0).kind, WIRE_RECORD_ZEROS);
    assert_int_equal(read_one(r, 0).len, MIB);
    assert_int_equal(read_one(r, 1).kind, WIRE_RECORD_ZEROS);
    assert_int_equal(read_one(r, 1).len, 1);
    expect_data(r, 2, zeros, MIB);
    assert_int_equal(read_one(r, 3).kind, WIRE_RECORD_ZEROS);
    assert_int_equal(read_frame(r, chunks + 2, 2, &m), 1);
    free(zeros);
    selection_reader_free(r);
    selection_free(sel);
}

/* A terabyte with two islands of data: holes are found without reading, 512 in a frame. */
static void sparse_files_are_quick(void **state) {
    enum { N = 1 << 20, ISLAND = 700000 };
    uint64_t *chunks = malloc(N * sizeof *chunks);
    int fd = fs_create(s.fd, "share/huge", 0644);
    assert_non_null(chunks);
    if (ftruncate(fd, (off_t)N << WIRE_CHUNK_SHIFT) < 0)
        skip();
    assert_int_equal(fs_pwrite_all(fd, "x", 1, 5), 0);
    assert_int_equal(fs_pwrite_all(fd, "y", 1, ((uint64_t)ISLAND << WIRE_CHUNK_SHIFT) + 12345), 0);
    close(fd);
    add("share");
    struct selection *sel = open_selection("share/huge");
    struct selection_reader *r = new_reader(sel);
    assert_int_equal(catalog_totals(selection_catalog(sel))->chunks, N);
    for (uint64_t i = 0; i < N; i++)
        chunks[i] = i;
    struct timespec a, b;
    size_t len;
    unsigned frames = 0, data = 0;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    for (uint64_t i = 0; i < N; frames++) {
        unsigned took = selection_read(r, chunks + i, (unsigned)(N - i), 1, frame, &len);
        data += len > wire_data_offset(took);
        i += took;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    assert_int_equal(data, 2);
    assert_true(frames < N / WIRE_RECORDS_MAX + 4);
    assert_true(b.tv_sec - a.tv_sec < 10);
    struct wire_record rec = read_one(r, ISLAND);
    assert_int_equal(rec.kind, WIRE_RECORD_DATA);
    assert_int_equal(read_one(r, N - 1).kind, WIRE_RECORD_ZEROS);
    free(chunks);
    selection_reader_free(r);
    selection_free(sel);
}

static unsigned read_hole(struct selection_reader *r, uint64_t first, uint32_t n,
                          struct wire_record *rec) {
    struct wire_header h;
    struct msg m;
    size_t len;
    unsigned took = selection_read_hole(r, first, n, 77, frame, &len);
    assert_int_equal(wire_header_get(&h, frame), 0);
    assert_int_equal(h.len + WIRE_HEADER_LEN, len);
    assert_int_equal(wire_decode(&m, &h, frame + WIRE_HEADER_LEN), 0);
    assert_int_equal(m.data.n, 1);
    *rec = wire_record_at(&m, 0);
    assert_int_equal(rec->chunk, first);
    return took;
}

/* Once a reader has met a hole, one record answers what lies in it; not more, and not less sure. */
static void a_hole_is_one_record(void **state) {
    enum { N = 100, ISLAND = 60 }; /* whole chunks; one of them has a byte */
    struct wire_record rec;
    int fd = fs_create(s.fd, "share/holes", 0644);
    assert_int_equal(ftruncate(fd, N * MIB + 5), 0);
    assert_int_equal(fs_pwrite_all(fd, "x", 1, ISLAND * MIB), 0);
    add("share");
    struct selection *sel = open_selection("share/holes");
    struct selection_reader *r = new_reader(sel);
    assert_int_equal(selection_hole(r, 1, N), 0); /* it has seen nothing yet */
    assert_int_equal(read_one(r, 0).kind, WIRE_RECORD_ZEROS);
    assert_int_equal(selection_hole(r, 1, N), ISLAND - 1);
    assert_int_equal(selection_hole(r, 1, 10), 10);
    assert_int_equal(selection_hole(r, ISLAND, 10), 0);
    assert_int_equal(read_hole(r, 1, ISLAND - 1, &rec), ISLAND - 1);
    assert_int_equal(rec.kind, WIRE_RECORD_ZEROS);
    assert_int_equal(rec.more, ISLAND - 2);
    assert_int_equal(read_hole(r, 1, ISLAND, &rec), 1); /* the island, too: only the first */
    assert_int_equal(rec.more, 0);
    assert_int_equal(read_hole(r, ISLAND, 3, &rec), 1);
    assert_int_equal(rec.kind, WIRE_RECORD_DATA);
    assert_int_equal(read_one(r, ISLAND + 1).kind, WIRE_RECORD_ZEROS);
    assert_int_equal(selection_hole(r, ISLAND + 2, N),
                     N - ISLAND - 2); /* the last one is no whole */
    assert_int_equal(read_hole(r, ISLAND + 2, N - ISLAND - 1, &rec), 1);
    assert_int_equal(read_hole(r, ISLAND + 2, N - ISLAND - 2, &rec), N - ISLAND - 2);
    assert_int_equal(fs_pwrite_all(fd, "y", 1, 90 * MIB), 0);
    assert_int_equal(read_hole(r, ISLAND + 2, N - ISLAND - 2, &rec), 1);
    assert_int_equal(rec.code, WIRE_CHANGED);
    close(fd);
    selection_reader_free(r);
    selection_free(sel);
}

static void a_swapped_share_does_not_matter(void **state) {
    make_one();
    add("share");
    struct selection *sel = open_selection("share");
    struct selection_reader *r = new_reader(sel);
    assert_int_equal(renameat(s.fd, "share", s.fd, "moved"), 0);
    scratch_link(&s, "share", "/etc");
    expect_data(r, 0, "12345", 5);
    selection_reader_free(r);
    selection_free(sel);
    expect_manifest("share", "0<0 d 755 0 share\n1<0 d 755 0 dir\n2<1 f 644 5 f\n");
}

/* --- digests -------------------------------------------------------------------------------- */

static void digests_are_those_of_the_chunks(void **state) {
    uint8_t digests[8 * WIRE_DIGEST_LEN], expected[WIRE_DIGEST_LEN], none[WIRE_DIGEST_LEN] = {0};
    scratch_bytes(&s, "share/a", pattern, 2 * MIB + 7);
    int fd = fs_create(s.fd, "share/b", 0644);
    assert_int_equal(ftruncate(fd, 2 * MIB), 0);
    close(fd);
    add("share");
    struct selection *sel = open_selection("share");
    struct selection_reader *r = new_reader(sel);
    memset(digests, 0xee, sizeof digests);
    selection_digests(r, 0, 8, digests);
    digest_chunk(pattern, MIB, expected);
    assert_memory_equal(digests, expected, WIRE_DIGEST_LEN);
    digest_chunk(pattern + 2 * MIB, 7, expected);
    assert_memory_equal(digests + 2 * WIRE_DIGEST_LEN, expected, WIRE_DIGEST_LEN);
    digest_zeros(MIB, expected);
    assert_memory_equal(digests + 4 * WIRE_DIGEST_LEN, expected, WIRE_DIGEST_LEN);
    for (int i = 5; i < 8; i++) /* beyond the end */
        assert_memory_equal(digests + i * WIRE_DIGEST_LEN, none, WIRE_DIGEST_LEN);
    selection_digests(r, UINT64_MAX, 2, digests); /* does not wrap around */
    for (int i = 0; i < 2; i++)
        assert_memory_equal(digests + i * WIRE_DIGEST_LEN, none, WIRE_DIGEST_LEN);
    selection_digests(r, 1, 1, digests);
    digest_chunk(pattern + MIB, MIB, expected);
    assert_memory_equal(digests, expected, WIRE_DIGEST_LEN);
    selection_reader_free(r);
    selection_free(sel);
}

/* A record or digest that cannot be had for want of memory is an error of its own, never wrong. */
static int select_and_read(void *arg) {
    struct selection *sel;
    struct selection_reader *r;
    size_t len;
    const uint64_t chunk = 0;
    uint8_t digest[WIRE_DIGEST_LEN], none[WIRE_DIGEST_LEN] = {0};
    int err = selection_new(&sel, &shares, "share", NULL);
    if (err)
        return err;
    err = selection_reader_new(&r, sel);
    if (!err) {
        selection_read(r, &chunk, 1, 1, frame, &len);
        if (len != wire_data_offset(1) + 5)
            err = -ENOMEM;
        selection_digests(r, 0, 1, digest);
        if (!memcmp(digest, none, sizeof none))
            err = -ENOMEM;
        selection_reader_free(r);
    }
    selection_free(sel);
    return err;
}

static void any_allocation_may_fail(void **state) {
    make_one();
    scratch_link(&s, "share/link", "dir");
    add("share");
    assert_true(fail_alloc_each(select_and_read, NULL) > 10);
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(manifests_say_what_is_there),
        test(what_is_not_there_is_not_found),
        test(the_same_tree_has_the_same_id),
        test(unreadable_folders_are_marked),
        test(big_files_go_chunk_by_chunk),
        test(small_files_share_a_frame),
        test(frames_are_filled_up_to_the_limit),
        test(zeros_are_not_sent),
        test(sparse_files_are_quick),
        test(a_hole_is_one_record),
        test(a_swapped_share_does_not_matter),
        test(digests_are_those_of_the_chunks),
        test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
