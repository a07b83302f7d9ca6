/* SPDX-License-Identifier: MIT */
/* What a reader tells of files that change, vanish or are replaced while they are served. */
#include "tests/unit/served.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

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

static void change_mapped(void) { /* the first write to a page that is clean shows */
    int fd = openat(s.fd, "share/dir/f", O_RDWR | O_CLOEXEC);
    char *at = mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(at != MAP_FAILED);
    at[0] = 'X';
    munmap(at, 5);
    close(fd);
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
    {"mapped", change_mapped, WIRE_CHANGED, WIRE_CHANGED},
    {"replace", change_replace, WIRE_CHANGED, WIRE_CHANGED},
    {"to link", change_to_link, WIRE_CHANGED, WIRE_CHANGED},
    {"to fifo", change_to_fifo, WIRE_CHANGED, WIRE_CHANGED},
    {"to dir", change_to_dir, WIRE_CHANGED, WIRE_CHANGED},
    {"remove", change_remove, WIRE_GONE, WIRE_GONE},
    {"remove dir", change_remove_dir, WIRE_GONE, WIRE_GONE},
    {"dir to file", change_dir_to_file, WIRE_GONE, WIRE_GONE},
    {"dir to link", change_dir_to_link, WIRE_CHANGED, WIRE_GONE},
};

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

static void *rename_on_and_on(void *arg) {
    atomic_bool *stop = arg;
    while (!*stop) {
        renameat(s.fd, "share/a", s.fd, "share/b");
        renameat(s.fd, "share/b", s.fd, "share/a");
    }
    return NULL;
}

/* A folder that has another name when its turn comes is looked for again, and told at last. */
static void a_folder_that_moves_is_not_lost(void **state) {
    pthread_t mover;
    atomic_bool stop = false;
    scratch_dir(&s, "share/a");
    scratch_file(&s, "share/a/f", "x");
    add("share");
    assert_int_equal(pthread_create(&mover, NULL, rename_on_and_on, &stop), 0);
    for (int i = 0; i < 500; i++) {
        struct selection *sel = open_selection("share");
        struct catalog_cursor cur;
        const char *first;
        bool told = selection_left_out(sel, &first);
        if (told)
            assert_true(!strcmp(first, "a") || !strcmp(first, "b"));
        catalog_cursor_init(&cur, selection_catalog(sel));
        if (!catalog_at(&cur, 1))
            told |= cur.entry.flags & MANIFEST_UNREADABLE;
        if (!told) /* the folder and its file */
            assert_int_equal(catalog_totals(selection_catalog(sel))->entries, 3);
        catalog_cursor_clear(&cur);
        selection_free(sel);
    }
    stop = true;
    assert_int_equal(pthread_join(mover, NULL), 0);
}

/* Written within one tick of a coarse clock, a file has the times it had: what is told is nothing,
 * or what is there now, but no hole that was seen before. */
static void digests_look_at_holes_again(void **state) {
    uint8_t digest[WIRE_DIGEST_LEN], expected[WIRE_DIGEST_LEN], none[WIRE_DIGEST_LEN] = {0};
    uint8_t *chunk = calloc(1, MIB);
    assert_non_null(chunk);
    chunk[0] = 1;
    digest_chunk(chunk, MIB, expected);
    add("share");
    for (int i = 0; i < 50; i++) {
        int fd = fs_create(s.fd, "share/f", 0644);
        assert_int_equal(ftruncate(fd, 2 * MIB), 0);
        struct selection *sel = open_selection("share/f");
        struct selection_reader *r = new_reader(sel);
        selection_digests(r, 1, 1, digest);
        assert_int_equal(pwrite(fd, chunk, 1, MIB), 1);
        selection_digests(r, 1, 1, digest);
        if (memcmp(digest, none, sizeof none) != 0)
            assert_memory_equal(digest, expected, sizeof expected);
        selection_reader_free(r);
        selection_free(sel);
        close(fd);
        assert_int_equal(fs_unlink(s.fd, "share/f"), 0);
    }
    free(chunk);
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(changes_are_told),
        test(changes_while_reading_are_told),
        test(the_others_are_served),
        test(a_hole_of_a_changed_file_is_not_told),
        test(a_folder_that_moves_is_not_lost),
        test(digests_look_at_holes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
