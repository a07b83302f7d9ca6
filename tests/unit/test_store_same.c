/* SPDX-License-Identifier: MIT */
/* Is a copy that is there the very selection? Every difference is told, and nothing is touched. */
#include "tests/unit/store_update.h"

static struct scratch dest;
static struct source src;

enum { T = 1000, S = 1000000000 };

static const struct item items[] = {
    {.kind = WIRE_DIR, .name = "d", .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE, .name = "big", .size = 2 * MIB, .seed = 1, .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_DIR, .name = "e", .mode = 0500, .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE, .name = "none", .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_SYMLINK, .name = "out", .target = "/etc", .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_SYMLINK, .name = "zlink", .target = "big", .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE, .name = "f", .parent = 2, .size = 9, .seed = 3, .mode = 0400},
};
enum { N_ITEMS = 7 };

static int setup(void **arg) {
    scratch_make(&dest);
    source_make(&src, items, N_ITEMS);
    assert_int_equal(download(&dest, "d", &src), 0);
    return 0;
}

static int teardown(void **arg) {
    source_clear(&src);
    scratch_remove(&dest);
    return 0;
}

static void shell(const char *script) {
    char command[1024];
    snprintf(command, sizeof command, "set -e; cd %s; %s", dest.path, script);
    assert_int_equal(system(command), 0);
}

/* 0, and *skipped entries are rightly missing; else why, and the path. */
static int compare(bool unsafe_links, uint32_t *skipped, char *path, const char **why) {
    struct store_target t = {
        .dir = dest.path, .name = "d", .path = "share/name", .unsafe_links = unsafe_links};
    struct store_commit_options o = {0};
    struct store *s;
    struct plan plan;
    assert_int_equal(store_open_same(&s, &t), 0);
    int rc = source_begin(s, &src, &plan);
    if (!rc)
        rc = compare_with(s, &src, &plan);
    if (!rc) {
        assert_int_equal(plan.count[PLAN_HAVE], plan.n);
        rc = store_commit(s, &o);
    }
    *why = store_difference(s, path);
    *skipped = s->n_skipped;
    assert_true(store_is_unchanged(s));
    plan_clear(&plan);
    store_close(s);
    expect_only(&dest, "d");
    return rc;
}

static void expect_same(uint32_t want) {
    char path[PATH_MAX_LEN + 1];
    const char *why;
    uint32_t skipped;
    assert_int_equal(compare(false, &skipped, path, &why), 0);
    assert_null(why);
    assert_int_equal(skipped, want);
}

static void expect_difference(const char *script, const char *want_path, const char *want) {
    char path[PATH_MAX_LEN + 1];
    const char *why;
    uint32_t skipped;
    shell(script);
    assert_int_equal(compare(false, &skipped, path, &why), ERR_EXISTS);
    assert_string_equal(path, want_path);
    assert_string_equal(why, want);
}

/* The link that leads out was left out by the download, too. */
static void the_very_same(void **arg) { expect_same(1); }

static void untouched(void **arg) {
    struct stat before[3], after[3];
    static const char *const paths[] = {"d", "d/big", "d/e/f"};
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(fstatat(dest.fd, paths[i], &before[i], 0), 0);
    expect_same(1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fstatat(dest.fd, paths[i], &after[i], 0), 0);
        assert_memory_equal(&before[i].st_mtim, &after[i].st_mtim, sizeof before[i].st_mtim);
        assert_memory_equal(&before[i].st_ctim, &after[i].st_ctim, sizeof before[i].st_ctim);
        assert_int_equal(before[i].st_ino, after[i].st_ino);
    }
}

static void entries_that_differ(void **arg) {
    expect_difference("chmod 600 d/big", "big", "has another mode or mtime");
    shell("chmod 644 d/big");
    expect_difference("touch -d @1001 d/e", "e", "has another mode or mtime");
    expect_difference("ln -sfn none d/zlink", "zlink", "leads elsewhere");
    expect_difference("truncate -s 3M d/big", "big", "has another size");
    expect_difference("rm d/big; mkdir d/big", "big", "is of another kind");
    expect_difference("rmdir d/big", "big", "is not here");
    expect_difference("mv d real; ln -s real d; mv real d.real; rm d; mkfifo d; rm -r d.real", "",
                      "is of another kind");
}

static void more_than_there(void **arg) {
    expect_difference("mkdir d/e/g; echo > d/e/g/h", "e/g", "is here, but not there");
    shell("rm -r d/e/g; touch -d @1000 d/e");
    expect_difference("echo > d/.hidden", ".hidden", "is here, but not there");
    shell("rm d/.hidden; touch -d @1000 d");
    expect_difference("mkfifo d/e/g", "", "has a socket, a FIFO or a device in it");
}

static void other_bytes(void **arg) {
    spoil(&dest, "d/big", MIB, T);
    expect_difference(":", "big", "has other bytes");
}

/* Where the source could not tell its digest, its bytes do. */
static void bytes_instead_of_digests(void **arg) {
    struct store_target t = {.dir = dest.path, .name = "d", .path = "share/name"};
    struct store *s;
    struct plan plan;
    char path[PATH_MAX_LEN + 1];
    spoil(&dest, "d/big", MIB, T);
    assert_int_equal(store_open_same(&s, &t), 0);
    assert_int_equal(source_begin(s, &src, &plan), 0);
    assert_int_equal(source_give(s, &src, 0, 1), 0);
    assert_int_equal(source_give(s, &src, 1, 1), ERR_EXISTS);
    assert_string_equal(store_difference(s, path), "has other bytes");
    plan_clear(&plan);
    store_close(s);
    expect_only(&dest, "d");
}

static void links_that_lead_out(void **arg) {
    char path[PATH_MAX_LEN + 1];
    const char *why;
    uint32_t skipped;
    assert_int_equal(compare(true, &skipped, path, &why), ERR_EXISTS);
    assert_string_equal(path, "out");
    shell("ln -s /etc d/out; touch -h -d @1000 d/out; touch -d @1000 d");
    assert_int_equal(compare(true, &skipped, path, &why), 0);
    expect_same(0);
}

static void not_to_be_read(void **arg) {
    if (geteuid() != 0)
        skip();
    shell("chmod 0 d/e/f; chown -R 65534 d; chmod 755 .");
    assert_int_equal(seteuid(65534), 0);
    char path[PATH_MAX_LEN + 1];
    const char *why;
    uint32_t skipped;
    int rc = compare(false, &skipped, path, &why);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, ERR_EXISTS);
    assert_string_equal(path, "e/f");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_very_same),       TEST(untouched),      TEST(entries_that_differ),
        TEST(more_than_there),     TEST(other_bytes),    TEST(bytes_instead_of_digests),
        TEST(links_that_lead_out), TEST(not_to_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
