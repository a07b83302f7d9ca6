/* SPDX-License-Identifier: MIT */
#include "core/selection.h"

#include "core/digest.h"
#include "core/fs.h"
#include "proto/name.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/scratch.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

enum { MIB = WIRE_CHUNK_SIZE };

static struct scratch s;
static struct shares shares;
static uint8_t *pattern; /* 4 MiB that do not repeat by chunks */
static uint8_t *frame;

static int setup(void **state) {
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

static int teardown(void **state) {
    shares_clear(&shares);
    scratch_remove(&s);
    free(pattern);
    free(frame);
    return 0;
}

static void add(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", s.path, name);
    assert_int_equal(shares_add(&shares, path), 0);
}

static struct selection *open_selection(const char *path) {
    struct selection *sel;
    assert_int_equal(selection_new(&sel, &shares, path), 0);
    return sel;
}

static struct selection_reader *new_reader(const struct selection *sel) {
    struct selection_reader *r;
    assert_int_equal(selection_reader_new(&r, sel), 0);
    return r;
}

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
        assert_int_equal(selection_new(&sel, &shares, paths[i]), WIRE_ERR(WIRE_NOT_FOUND));
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

/* Reads one frame as a peer would see it; checks what holds for every one. */
static unsigned read_frame(struct selection_reader *r, const uint64_t *chunks, unsigned n,
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

static void expect_code(struct selection_reader *r, uint64_t chunk, enum wire_code code) {
    struct wire_record rec = read_one(r, chunk);
    assert_int_equal(rec.kind, WIRE_RECORD_ERROR);
    assert_int_equal(rec.code, code);
}

static void expect_data(struct selection_reader *r, uint64_t chunk, const void *bytes,
                        uint32_t len) {
    struct msg m;
    assert_int_equal(read_frame(r, &chunk, 1, &m), 1);
    struct wire_record rec = wire_record_at(&m, 0);
    assert_int_equal(rec.kind, WIRE_RECORD_DATA);
    assert_int_equal(rec.len, len);
    assert_memory_equal(m.data.data.at, bytes, len);
}

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

/* --- what changed --------------------------------------------------------------------------- */

static void change_grow(void) {
    int fd = openat(s.fd, "share/dir/f", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

static void change_shrink(void) {
    int fd = openat(s.fd, "share/dir/f", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 2), 0);
    close(fd);
}

static void change_content(void) { /* same size, and the old mtime put back: ctime tells */
    struct stat st;
    assert_int_equal(fs_stat(s.fd, "share/dir/f", &st), 0);
    scratch_file(&s, "share/dir/f", "other");
    int64_t mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    assert_int_equal(fs_set_mtime(s.fd, "share/dir/f", mtime), 0);
}

static void change_replace(void) {
    scratch_file(&s, "share/new", "12345");
    assert_int_equal(renameat(s.fd, "share/new", s.fd, "share/dir/f"), 0);
}

static void change_to_link(void) {
    assert_int_equal(fs_unlink(s.fd, "share/dir/f"), 0);
    scratch_link(&s, "share/dir/f", "../../private");
}

static void change_to_fifo(void) {
    assert_int_equal(fs_unlink(s.fd, "share/dir/f"), 0);
    assert_int_equal(mkfifoat(s.fd, "share/dir/f", 0644), 0);
}

static void change_to_dir(void) {
    assert_int_equal(fs_unlink(s.fd, "share/dir/f"), 0);
    scratch_dir(&s, "share/dir/f");
}

static void change_remove(void) { assert_int_equal(fs_unlink(s.fd, "share/dir/f"), 0); }

static void change_remove_dir(void) { assert_int_equal(fs_remove_tree(s.fd, "share/dir"), 0); }

static void change_dir_to_file(void) {
    change_remove_dir();
    scratch_file(&s, "share/dir", "");
}

/* The folder is a link to one that has a file of this name outside of the share. */
static void change_dir_to_link(void) {
    change_remove_dir();
    scratch_link(&s, "share/dir", "../outside");
}

static const struct change {
    const char *what;
    void (*fn)(void);
    enum wire_code code, kept; /* kept: when the folder was held open before */
} changes[] = {
    {"grow", change_grow, WIRE_CHANGED, WIRE_CHANGED},
    {"shrink", change_shrink, WIRE_CHANGED, WIRE_CHANGED},
    {"content", change_content, WIRE_CHANGED, WIRE_CHANGED},
    {"replace", change_replace, WIRE_CHANGED, WIRE_CHANGED},
    {"to link", change_to_link, WIRE_CHANGED, WIRE_CHANGED},
    {"to fifo", change_to_fifo, WIRE_CHANGED, WIRE_CHANGED},
    {"to dir", change_to_dir, WIRE_CHANGED, WIRE_CHANGED},
    {"remove", change_remove, WIRE_GONE, WIRE_GONE},
    {"remove dir", change_remove_dir, WIRE_GONE, WIRE_GONE},
    {"dir to file", change_dir_to_file, WIRE_GONE, WIRE_GONE},
    {"dir to link", change_dir_to_link, WIRE_CHANGED, WIRE_GONE},
};

static void make_one(void) {
    scratch_file(&s, "private", "12345");
    scratch_dir(&s, "outside");
    scratch_file(&s, "outside/f", "12345");
    scratch_dir(&s, "share/dir");
    scratch_file(&s, "share/dir/f", "12345");
}

/* Each change, seen by a reader that has nothing open yet and by one that holds the file. */
static void changes_are_told(void **state) {
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        for (int kept = 0; kept < 2; kept++) {
            teardown(NULL);
            setup(NULL);
            make_one();
            add("share");
            struct selection *sel = open_selection("share");
            struct selection_reader *r = new_reader(sel);
            uint8_t digest[WIRE_DIGEST_LEN] = {1}, zeros[WIRE_DIGEST_LEN] = {0};
            if (kept)
                expect_data(r, 0, "12345", 5);
            changes[i].fn();
            struct wire_record rec = read_one(r, 0);
            enum wire_code code = kept ? changes[i].kept : changes[i].code;
            if (rec.kind != WIRE_RECORD_ERROR || rec.code != code)
                fail_msg("%s: kind %d code %d", changes[i].what, rec.kind, rec.code);
            expect_code(r, 0, code); /* and again */
            selection_digests(r, 0, 1, digest);
            assert_memory_equal(digest, zeros, sizeof zeros);
            selection_reader_free(r);
            selection_free(sel);
        }
}

/* What has not changed is still served: one file's fate is its own. */
static void the_others_are_served(void **state) {
    static const uint64_t chunks[] = {0, 1, 2, 9};
    struct msg m;
    scratch_file(&s, "share/a", "aaa");
    scratch_file(&s, "share/b", "bbb");
    scratch_file(&s, "share/c", "ccc");
    add("share");
    struct selection *sel = open_selection("share");
    struct selection_reader *r = new_reader(sel);
    assert_int_equal(fs_unlink(s.fd, "share/b"), 0);
    assert_int_equal(read_frame(r, chunks, 4, &m), 4);
    assert_int_equal(wire_record_at(&m, 0).kind, WIRE_RECORD_DATA);
    assert_int_equal(wire_record_at(&m, 1).code, WIRE_GONE);
    assert_int_equal(wire_record_at(&m, 2).kind, WIRE_RECORD_DATA);
    assert_int_equal(wire_record_at(&m, 3).code, WIRE_NOT_FOUND); /* beyond the end */
    assert_memory_equal(m.data.data.at, "aaaccc", 6);
    expect_code(r, WIRE_SIZE_MAX, WIRE_NOT_FOUND);
    selection_reader_free(r);
    selection_free(sel);
}

/* At the end of the file, where a reader comes last. */
static void *write_other_bytes(void *arg) {
    int fd = fs_open_write(s.fd, "share/dir/f");
    int err = fs_pwrite_all(fd, "other", 5, MIB - 5);
    close(fd);
    return err ? arg : NULL;
}

/* A file that is written while we read it: what we give out is what was walked, or CHANGED. */
static void changes_while_reading_are_told(void **state) {
    const uint64_t chunk = 0;
    uint8_t *bytes = malloc(MIB);
    memset(bytes, 'a', MIB);
    make_one();
    add("share");
    for (int round = 0; round < 100; round++) {
        pthread_t writer;
        void *failed;
        scratch_bytes(&s, "share/dir/f", bytes, MIB);
        assert_int_equal(fs_set_mtime(s.fd, "share/dir/f", 1), 0); /* no clock tick is shared */
        struct selection *sel = open_selection("share");
        struct selection_reader *r = new_reader(sel);
        assert_int_equal(pthread_create(&writer, NULL, write_other_bytes, bytes), 0);
        size_t len;
        do {
            selection_read(r, &chunk, 1, 1, frame, &len);
            if (len > wire_data_offset(1))
                assert_memory_equal(frame + wire_data_offset(1), bytes, MIB);
        } while (len > wire_data_offset(1));
        expect_code(r, 0, WIRE_CHANGED);
        assert_int_equal(pthread_join(writer, &failed), 0);
        assert_null(failed);
        selection_reader_free(r);
        selection_free(sel);
    }
    free(bytes);
}

static void a_hole_of_a_changed_file_is_not_told(void **state) {
    int fd = fs_create(s.fd, "share/holes", 0644);
    assert_int_equal(ftruncate(fd, 8 * MIB), 0);
    add("share");
    struct selection *sel = open_selection("share/holes");
    struct selection_reader *r = new_reader(sel);
    assert_int_equal(read_one(r, 0).kind, WIRE_RECORD_ZEROS);
    assert_int_equal(fs_pwrite_all(fd, "x", 1, 5 * MIB), 0);
    expect_code(r, 5, WIRE_CHANGED); /* though the hole was remembered */
    assert_int_equal(ftruncate(fd, 0), 0);
    expect_code(r, 7, WIRE_CHANGED);
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
    int err = selection_new(&sel, &shares, "share");
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
        test(changes_are_told),
        test(changes_while_reading_are_told),
        test(the_others_are_served),
        test(a_hole_of_a_changed_file_is_not_told),
        test(a_swapped_share_does_not_matter),
        test(digests_are_those_of_the_chunks),
        test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
