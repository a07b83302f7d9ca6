/* SPDX-License-Identifier: MIT */
#include "core/walk.h"

#include "core/fs.h"
#include "core/names.h"
#include "proto/name.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/scratch.h"

#include <errno.h>

static struct scratch s;

static int setup(void **state) {
    scratch_make(&s);
    return 0;
}

static int teardown(void **state) {
    scratch_remove(&s);
    return 0;
}

/* Walks and writes what it saw: number, parent, kind, path; one entry a line. */
static void walk_to(char *out, size_t cap, const char *start, bool hidden, int depth_max,
                    struct walk_counts *counts) {
    struct walk *w;
    struct walk_entry e;
    size_t len = 0;
    int got;
    *out = 0;
    assert_int_equal(walk_new(&w, s.fd, start, hidden, depth_max), 0);
    for (unsigned i = 0; (got = walk_next(w, &e)) == 1; i++) {
        const char *slash = strrchr(e.path, '/');
        assert_string_equal(e.name, slash ? slash + 1 : e.path);
        len += (size_t)snprintf(out + len, cap - len, "%u<%u %c %s%s\n", i, e.parent,
                                S_ISDIR(e.st.st_mode)   ? 'd'
                                : S_ISREG(e.st.st_mode) ? 'f'
                                                        : 'l',
                                e.path, e.unreadable ? " unreadable" : "");
        assert_true(len < cap);
    }
    assert_int_equal(got, 0);
    assert_int_equal(walk_next(w, &e), 0); /* the end stays the end */
    *counts = walk_counts(w);
    walk_free(w);
}

static void expect_walk(const char *start, bool hidden, int depth_max, const char *expected) {
    char seen[4096];
    struct walk_counts counts;
    walk_to(seen, sizeof seen, start, hidden, depth_max, &counts);
    assert_string_equal(seen, expected);
}

static void breadth_first_and_sorted(void **state) {
    scratch_dir(&s, "b");
    scratch_dir(&s, "a");
    scratch_dir(&s, "a/y");
    scratch_dir(&s, "a/x");
    scratch_dir(&s, "c");
    scratch_file(&s, "a/x/deep", "");
    scratch_file(&s, "b/file", "12345");
    scratch_link(&s, "b/link", "../a");
    scratch_file(&s, "a.txt", "");
    expect_walk("", false, -1,
                "0<0 d \n"
                "1<0 d a\n"
                "2<0 f a.txt\n"
                "3<0 d b\n"
                "4<0 d c\n"
                "5<1 d a/x\n"
                "6<1 d a/y\n"
                "7<3 f b/file\n"
                "8<3 l b/link\n"
                "9<5 f a/x/deep\n");
    expect_walk("a", false, -1, "0<0 d a\n1<0 d a/x\n2<0 d a/y\n3<1 f a/x/deep\n");
    expect_walk("a/x", false, -1, "0<0 d a/x\n1<0 f a/x/deep\n");
    expect_walk("b/file", false, -1, "0<0 f b/file\n");
    expect_walk("b/link", false, -1, "0<0 l b/link\n");
    expect_walk("a", false, 1, "0<0 d a\n1<0 d a/x\n2<0 d a/y\n");
    expect_walk("a", false, 0, "0<0 d a\n");
    expect_walk("", false, 1, "0<0 d \n1<0 d a\n2<0 f a.txt\n3<0 d b\n4<0 d c\n");
    expect_walk("c", false, -1, "0<0 d c\n");
}

/* Bytes, not letters: no locale, 0xff after 'z', a prefix first, beyond the first 8 bytes too. */
static void sorted_bytewise(void **state) {
    static const char *const sorted[] = {"\x01",
                                         " ",
                                         "A",
                                         "B",
                                         "Z",
                                         "a",
                                         "a ",
                                         "a.b",
                                         "aaaaaaaa",
                                         "aaaaaaaaa",
                                         "aaaaaaaab",
                                         "aaaaaaaab\x01",
                                         "aaaaaaaab\xff",
                                         "b",
                                         "z",
                                         "\x7f",
                                         "\xc3\xa4",
                                         "\xff",
                                         "\xff\xff"};
    const size_t n = sizeof sorted / sizeof *sorted;
    struct walk *w;
    struct walk_entry e;
    for (size_t i = 0; i < n; i++)
        scratch_file(&s, sorted[i * 7 % n], "");
    assert_int_equal(walk_new(&w, s.fd, "", false, -1), 0);
    assert_int_equal(walk_next(w, &e), 1);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(walk_next(w, &e), 1);
        assert_string_equal(e.path, sorted[i]);
    }
    assert_int_equal(walk_next(w, &e), 0);
    walk_free(w);
}

/* More names than are kept in memory: all are there, in order, and the next folder's too. */
static void a_folder_beyond_memory(void **state) {
    enum { N = NAMES_ROOM / 256 + 1000 };
    char path[300], last[PATH_MAX_LEN + 1] = "";
    struct walk *w;
    struct walk_entry e;
    scratch_dir(&s, "full");
    scratch_dir(&s, "next");
    scratch_file(&s, "next/file", "");
    for (unsigned i = 0; i < N; i++) {
        snprintf(path, sizeof path, "full/%0255u", i * 7919 % N);
        scratch_file(&s, path, "");
    }
    assert_int_equal(walk_new(&w, s.fd, "", false, -1), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(walk_next(w, &e), 1);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(walk_next(w, &e), 1);
        assert_true(strcmp(last, e.path) < 0);
        strcpy(last, e.path);
    }
    assert_int_equal(walk_next(w, &e), 1);
    assert_string_equal(e.path, "next/file");
    assert_int_equal(walk_next(w, &e), 0);
    assert_int_equal(walk_counts(w).failed, 0);
    walk_free(w);
}

static void leaves_out_and_counts(void **state) {
    char seen[256];
    struct walk_counts counts;
    scratch_dir(&s, ".git");
    scratch_file(&s, ".git/config", "");
    scratch_file(&s, ".profile", "");
    scratch_file(&s, "shown", "");
    scratch_file(&s, "..two", "");
    assert_int_equal(mkfifoat(s.fd, "fifo", 0644), 0);
    assert_int_equal(mknodat(s.fd, "socket", S_IFSOCK | 0644, 0), 0);
    walk_to(seen, sizeof seen, "", false, -1, &counts);
    assert_string_equal(seen, "0<0 d \n1<0 f shown\n");
    assert_int_equal(counts.hidden, 3);
    assert_int_equal(counts.special, 2);
    assert_int_equal(counts.failed, 0);
    walk_to(seen, sizeof seen, "", true, -1, &counts);
    assert_string_equal(seen, "0<0 d \n1<0 f ..two\n2<0 d .git\n3<0 f .profile\n4<0 f shown\n"
                              "5<2 f .git/config\n");
    assert_int_equal(counts.hidden, 0);
    expect_walk(".git", false, -1, "0<0 d .git\n1<0 f .git/config\n"); /* asked for by name */
    expect_walk(".profile", false, -1, "0<0 f .profile\n");
}

static void bad_starts(void **state) {
    struct walk *w;
    scratch_link(&s, "link", "/etc");
    assert_int_equal(mkfifoat(s.fd, "fifo", 0644), 0);
    assert_int_equal(walk_new(&w, s.fd, "none", false, -1), -ENOENT);
    assert_int_equal(walk_new(&w, s.fd, "fifo", false, -1), -EINVAL);
    assert_int_equal(walk_new(&w, s.fd, "..", false, -1), -EINVAL);
    assert_int_equal(walk_new(&w, s.fd, "/etc", false, -1), -EINVAL);
    assert_true(walk_new(&w, s.fd, "link/passwd", false, -1) < 0);
    walk_free(NULL);
}

static void unreadable_folders_say_so(void **state) {
    char seen[256];
    struct walk_counts counts;
    scratch_dir(&s, "closed");
    scratch_file(&s, "closed/secret", "");
    scratch_dir(&s, "names"); /* can be listed, not passed */
    scratch_file(&s, "names/file", "");
    scratch_file(&s, "open", "");
    assert_int_equal(fs_chmod(s.fd, "closed", 0), 0);
    assert_int_equal(fs_chmod(s.fd, "names", 0444), 0);
    assert_int_equal(fs_chmod(s.fd, "open", 0), 0); /* a file: seen when it is read */
    int root = !geteuid();
    assert_int_equal(fchmod(s.fd, 0755), 0);
    if (root)
        assert_int_equal(seteuid(65534), 0);
    walk_to(seen, sizeof seen, "", false, -1, &counts);
    expect_walk("closed", false, -1, "0<0 d closed unreadable\n");
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_string_equal(seen, "0<0 d \n1<0 d closed unreadable\n2<0 d names unreadable\n"
                              "3<0 f open\n");
    assert_int_equal(counts.failed, 2);
    assert_int_equal(counts.untold, 0);
}

static void what_vanishes_is_counted(void **state) {
    struct walk *w;
    struct walk_entry e;
    scratch_dir(&s, "a");
    scratch_file(&s, "a/file", "");
    scratch_dir(&s, "b");
    scratch_file(&s, "b/file", "");
    scratch_file(&s, "x", "");
    scratch_file(&s, "y", "");
    assert_int_equal(walk_new(&w, s.fd, "", false, -1), 0);
    assert_int_equal(walk_next(w, &e), 1); /* the start */
    assert_int_equal(walk_next(w, &e), 1);
    assert_string_equal(e.path, "a");
    assert_int_equal(fs_remove_tree(s.fd, "a"), 0);
    assert_int_equal(fs_unlink(s.fd, "x"), 0);
    assert_int_equal(walk_next(w, &e), 1);
    assert_string_equal(e.path, "b");
    assert_int_equal(walk_next(w, &e), 1);
    assert_string_equal(e.path, "y");
    assert_int_equal(walk_next(w, &e), 1);
    assert_string_equal(e.path, "b/file");
    assert_int_equal(e.parent, 2);
    assert_int_equal(walk_next(w, &e), 0);
    assert_int_equal(walk_counts(w).failed, 2);
    assert_int_equal(walk_counts(w).moved, 2);
    assert_string_equal(walk_untold(w), "x");
    walk_free(w);
}

/* A waiting folder that becomes a link to elsewhere is not entered. */
static void swapped_for_a_link(void **state) {
    struct walk *w;
    struct walk_entry e;
    scratch_dir(&s, "a");
    assert_int_equal(walk_new(&w, s.fd, "", false, -1), 0);
    assert_int_equal(walk_next(w, &e), 1);
    assert_int_equal(walk_next(w, &e), 1);
    assert_int_equal(fs_remove_tree(s.fd, "a"), 0);
    scratch_link(&s, "a", "/etc");
    assert_int_equal(walk_next(w, &e), 0);
    assert_int_equal(walk_counts(w).failed, 1);
    walk_free(w);
}

/* Makes NAME/NAME/... and a file at each level; returns how many folders. */
static unsigned dig(const char *name, unsigned levels) {
    int dir = dup(s.fd);
    for (unsigned i = 0; i < levels; i++) {
        assert_int_equal(fs_mkdir(dir, name, 0755), 0);
        int next = fs_open_dir(dir, name);
        assert_true(next >= 0);
        close(dir);
        close(fs_create(next, "f", 0644));
        dir = next;
    }
    close(dir);
    return levels;
}

static void expect_limits(uint64_t failed) {
    struct walk *w;
    struct walk_entry e;
    assert_int_equal(walk_new(&w, s.fd, "", false, -1), 0);
    while (walk_next(w, &e) == 1) {
        struct stat st;
        if (!*e.path)
            continue;
        assert_true(name_path_ok(e.path, strlen(e.path)));
        assert_int_equal(fs_stat(s.fd, e.path, &st), 0); /* the path leads to it */
        assert_int_equal(st.st_ino, e.st.st_ino);
    }
    assert_int_equal(walk_counts(w).failed, failed);
    assert_int_equal(walk_counts(w).untold, failed);
    assert_int_equal(walk_counts(w).moved, 0);
    assert_true(strlen(walk_untold(w)) > 2 * PATH_MAX_DEPTH);
    walk_free(w);
}

static void too_deep_is_counted(void **state) {
    dig("d", PATH_MAX_DEPTH + 10);
    expect_limits(2); /* of the last folder that has an entry: its file and its folder */
}

static void too_long_is_counted(void **state) {
    char name[256];
    memset(name, 'n', 255);
    name[255] = 0;
    dig(name, 20); /* the 16th is at 16 * 256 - 1 = 4095: the last one that fits */
    expect_limits(2);
}

/* Many folders wait at once, with long common and short different paths, pushed and popped in
 * turns: every path is still right. */
static void many_waiting_folders(void **state) {
    char path[64];
    unsigned made = 1, seen = 0; /* with the start */
    struct walk *w;
    struct walk_entry e;
    for (int a = 0; a < 30; a++) {
        snprintf(path, sizeof path, "folder-%d", a * a * 7919);
        scratch_dir(&s, path);
        made++;
        for (int b = 0; b < a; b++) {
            snprintf(path, sizeof path, "folder-%d/x%d", a * a * 7919, b * 31 % 17 + b * 100);
            scratch_dir(&s, path);
            made++;
            for (int c = 0; c < b % 5; c++) {
                snprintf(path, sizeof path, "folder-%d/x%d/%d", a * a * 7919, b * 31 % 17 + b * 100,
                         c);
                scratch_dir(&s, path);
                made++;
            }
        }
    }
    assert_int_equal(walk_new(&w, s.fd, "", false, -1), 0);
    uint32_t parent = 0;
    char last[PATH_MAX_LEN + 1] = "";
    while (walk_next(w, &e) == 1) {
        struct stat st;
        assert_int_equal(fs_stat(s.fd, e.path, &st), 0);
        assert_int_equal(st.st_ino, e.st.st_ino);
        assert_true(e.parent >= parent);
        if (e.parent == parent && seen > 1)
            assert_true(strcmp(last, e.path) < 0);
        parent = e.parent;
        strcpy(last, e.path);
        seen++;
    }
    assert_int_equal(seen, made);
    assert_int_equal(walk_counts(w).failed, 0);
    walk_free(w);
}

static bool ends_with_x(void *arg, const char *name) {
    ++*(unsigned *)arg;
    return name[strlen(name) - 1] == 'x';
}

/* Folders are entered whether their own name is wanted or not. */
static void only_wanted_names(void **state) {
    static const char *const expected[] = {"", "ax", "d/ex", "d/ex/fx", "d/g/x"};
    unsigned asked = 0;
    struct walk *w;
    struct walk_entry e;
    scratch_file(&s, "ax", "");
    scratch_file(&s, "b", "");
    scratch_dir(&s, "d");
    scratch_dir(&s, "d/ex");
    scratch_dir(&s, "d/g");
    scratch_file(&s, "d/ex/fx", "");
    scratch_link(&s, "d/g/x", "nowhere");
    scratch_link(&s, "d/g/y", "nowhere");
    assert_int_equal(walk_new(&w, s.fd, "", false, -1), 0);
    walk_only(w, ends_with_x, &asked);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(walk_next(w, &e), 1);
        assert_string_equal(e.path, expected[i]);
    }
    assert_int_equal(walk_next(w, &e), 0);
    assert_true(asked >= 8);
    assert_int_equal(walk_counts(w).failed, 0);
    walk_free(w);
}

static void dropped_entries_give_their_number_back(void **state) {
    struct walk *w;
    struct walk_entry e;
    scratch_file(&s, "a", "");
    scratch_dir(&s, "b");
    scratch_file(&s, "b/c", "");
    assert_int_equal(walk_new(&w, s.fd, "", false, -1), 0);
    assert_int_equal(walk_next(w, &e), 1);
    assert_int_equal(walk_next(w, &e), 1);
    assert_string_equal(e.path, "a");
    walk_drop(w);
    assert_int_equal(walk_next(w, &e), 1);
    assert_string_equal(e.path, "b");
    assert_int_equal(walk_next(w, &e), 1);
    assert_string_equal(e.path, "b/c");
    assert_int_equal(e.parent, 1); /* 2 if "a" still counted */
    assert_int_equal(walk_counts(w).failed, 1);
    walk_free(w);
}

static int walk_all(void *arg) {
    struct walk *w;
    struct walk_entry e;
    int got = walk_new(&w, s.fd, "", true, -1);
    if (got)
        return got;
    while ((got = walk_next(w, &e)) > 0)
        ;
    walk_free(w);
    return got;
}

static void any_allocation_may_fail(void **state) {
    char path[32];
    for (int i = 0; i < 100; i++) { /* more than fit into the first piece of memory */
        snprintf(path, sizeof path, "folder-%d", i);
        scratch_dir(&s, path);
    }
    assert_true(fail_alloc_each(walk_all, NULL) > 6);
}

/* Others see that it moves, also while it only reads the names of one large folder, and end it. */
static void a_watched_walk(void **state) {
    struct walk_watch watch = {.seen = 0};
    struct walk *w;
    struct walk_entry e;
    scratch_dir(&s, "d");
    scratch_file(&s, "d/a", "");
    scratch_file(&s, "d/b", "");
    assert_int_equal(walk_new(&w, s.fd, "d", false, -1), 0);
    walk_watch(w, &watch);
    assert_int_equal(walk_next(w, &e), 1);
    assert_int_equal(watch.seen, 0);
    assert_int_equal(walk_next(w, &e), 1);
    assert_int_equal(watch.seen, 3); /* two names read, one looked at */
    watch.stop = true;
    assert_int_equal(walk_next(w, &e), -ECANCELED);
    walk_free(w);
}

/* Between two names of a folder, and between two folders; nothing is lost by it. */
static void a_walk_that_pauses(void **state) {
    struct walk_watch watch = {.pause = 1};
    unsigned n = 0, pauses = 0;
    struct walk *w;
    struct walk_entry e;
    scratch_dir(&s, "d");
    scratch_dir(&s, "d/e");
    scratch_file(&s, "d/f", "");
    scratch_file(&s, "d/e/g", "");
    assert_int_equal(walk_new(&w, s.fd, "d", false, -1), 0);
    walk_watch(w, &watch);
    for (int got; (got = walk_next(w, &e)) != 0;) {
        assert_true(got == 1 || got == -EAGAIN);
        n += got == 1;
        pauses += got != 1;
        if (got == -EAGAIN) {
            assert_true(watch.seen >= watch.pause);
            watch.pause = watch.seen + 1;
        }
    }
    assert_int_equal(n, 4);
    assert_true(pauses >= 3);
    walk_free(w);
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(breadth_first_and_sorted),
        test(a_watched_walk),
        test(a_walk_that_pauses),
        test(sorted_bytewise),
        test(a_folder_beyond_memory),
        test(leaves_out_and_counts),
        test(bad_starts),
        test(unreadable_folders_say_so),
        test(what_vanishes_is_counted),
        test(swapped_for_a_link),
        test(too_deep_is_counted),
        test(too_long_is_counted),
        test(many_waiting_folders),
        test(any_allocation_may_fail),
        test(only_wanted_names),
        test(dropped_entries_give_their_number_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
