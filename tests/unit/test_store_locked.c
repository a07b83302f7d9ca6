/* SPDX-License-Identifier: MIT */
/* Modes that lock their owner out: of what is downloaded, and of what a crash has left behind. Told
 * by a process without root's rights. */
#include "core/err.h"
#include "core/store_internal.h"
#include "tests/unit/store_run.h"

static int setup(void **arg) {
    make_run();
    return 0;
}

static int teardown(void **arg) {
    drop_run();
    return 0;
}

/* Runs it as an ordinary user. */
static void told_by_nobody(void (*tell)(void)) {
    if (geteuid() != 0)
        skip();
    assert_int_equal(fchmodat(dest.fd, ".", 0777, 0), 0);
    pid_t pid = fork();
    if (pid == 0) {
        assert_int_equal(setuid(65534), 0);
        tell();
        _exit(0);
    }
    expect_end(pid, 0);
}

static void expect_mode(const char *path, mode_t mode) {
    struct stat st;
    assert_int_equal(fstatat(dest.fd, path, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

/* --- modes are set, the rename is not done: the owner must get at the files again ------------ */

static const struct item dark[] = {
    {.kind = WIRE_DIR, .name = "d", .mode = 0100},
    {.kind = WIRE_DIR, .name = "e", .mode = 0001},
    {.kind = WIRE_DIR, .name = "f", .parent = 1, .mode = 0002},
    {.kind = WIRE_FILE, .name = "g", .parent = 2, .size = MIB + 1, .seed = 1, .mode = 0004},
    {.kind = WIRE_FILE, .name = "h", .parent = 2, .size = 1, .seed = 1, .mode = 0007},
};

static void tell_dark(void) {
    bool ok[3];
    source_make(&src, dark, 5);
    commit_and_die("rename");
    here_set_boot_id("/nonexistent");
    start();
    assert_int_equal(plan.count[PLAN_CHECK], 3);
    assert_int_equal(store_check(store, 0, 3, ok), 0);
    assert_true(ok[0] && ok[1] && ok[2]);
    assert_int_equal(source_commit(store), 0);
}

static void locked_folders(void **arg) {
    told_by_nobody(tell_dark);
    expect_file(&dest, "d/e/f/g", &dark[3]);
    expect_file(&dest, "d/e/f/h", &dark[4]);
    expect_mode("d/e/f", 0); /* 0002 without the umask's */
    expect_mode("d", 0100);
    expect_only(&dest, "d");
}

/* Folders that can be opened, but not be written to. */
static const struct item readable[] = {
    {.kind = WIRE_DIR, .name = "d", .mode = 0555},
    {.kind = WIRE_DIR, .name = "e", .mode = 0555},
    {.kind = WIRE_FILE, .name = "f", .parent = 1, .size = 9, .seed = 1, .mode = 0444},
    {.kind = WIRE_SYMLINK, .name = "g", .parent = 1, .target = "f"},
};

static void tell_readable(void) {
    source_make(&src, readable, 4);
    commit_and_die("rename");
    start();
    assert_int_equal(plan.count[PLAN_HAVE], 1);
    assert_int_equal(source_commit(store), 0);
}

static void readable_folders(void **arg) {
    told_by_nobody(tell_readable);
    expect_file(&dest, "d/e/f", &readable[2]);
    expect_mode("d/e", 0555);
    expect_mode("d", 0555);
    expect_only(&dest, "d");
}

/* What the source has no more is removed from them. */
static void tell_less(void) {
    static const struct item less[] = {{.kind = WIRE_DIR, .name = "d", .mode = 0555},
                                       {.kind = WIRE_DIR, .name = "e", .mode = 0555}};
    source_make(&src, readable, 4);
    commit_and_die("rename");
    source_clear(&src);
    source_make(&src, less, 2);
    start();
    assert_int_equal(source_commit(store), 0);
}

static void swept_folders(void **arg) {
    told_by_nobody(tell_less);
    expect_mode("d/e", 0555);
    assert_false(scratch_has(&dest, "d/e/f"));
    assert_false(scratch_has(&dest, "d/e/g"));
    expect_only(&dest, "d");
}

/* --- the folder of the result itself gets its mode after the rename ------------------------- */

static void tell_top(void) {
    source_make(&src, readable, 4);
    assert_int_equal(download(&dest, "d", &src), 0);
}

static void locked_top(void **arg) {
    told_by_nobody(tell_top);
    expect_mode("d", 0555);
    expect_only(&dest, "d");
}

static void tell_top_after_crash(void) {
    source_make(&src, readable, 4);
    commit_and_die("renamed");
    expect_mode("d", 0700);
    assert_int_equal(open_store(&store, &dest, "d"), ERR_EXISTS);
}

static void locked_top_after_crash(void **arg) {
    told_by_nobody(tell_top_after_crash);
    expect_mode("d", 0555);
    expect_only(&dest, "d");
}

/* The result was moved away, and another folder has its name now. */
static void tell_other_top(void) {
    source_make(&src, readable, 4);
    commit_and_die("renamed");
    assert_int_equal(renameat(dest.fd, "d", dest.fd, "mine"), 0);
    assert_int_equal(mkdirat(dest.fd, "d", 0700), 0);
    assert_int_equal(open_store(&store, &dest, "d"), ERR_EXISTS);
}

static void another_top(void **arg) {
    told_by_nobody(tell_other_top);
    expect_mode("d", 0700);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(locked_folders), TEST(readable_folders),       TEST(swept_folders),
        TEST(locked_top),     TEST(locked_top_after_crash), TEST(another_top),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
