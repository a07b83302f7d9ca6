/* SPDX-License-Identifier: MIT */
/* Downloads that end in the middle: what the next run finds, and what it believes. */
#include "core/err.h"
#include "core/journal.h"
#include "core/store_internal.h"
#include "tests/unit/store_run.h"

static struct scratch boot;

/* Chunks: big 0 1 2, small 3, tail 4 5. */
static const struct item items[] = {
    {.kind = WIRE_DIR, .name = "d"},
    {.kind = WIRE_FILE, .name = "big", .size = 3 * MIB, .seed = 1},
    {.kind = WIRE_DIR, .name = "e", .mode = 0500, .mtime_ns = 77},
    {.kind = WIRE_FILE, .name = "small", .size = 10, .seed = 2, .mode = 0400},
    {.kind = WIRE_SYMLINK, .name = "zlink", .target = "small"},
    {.kind = WIRE_FILE, .name = "tail", .parent = 2, .size = MIB + 1, .seed = 3},
};
enum { N_ITEMS = 6, N_CHUNKS = 6 };

static int setup(void **arg) {
    make_run();
    scratch_make(&boot);
    source_make(&src, items, N_ITEMS);
    return 0;
}

static int teardown(void **arg) {
    drop_run();
    here_set_boot_id(NULL);
    scratch_remove(&boot);
    return 0;
}

/* One letter per chunk: h(ave), c(heck), s(uspect), - absent. */
static void expect_plan(const char *want) {
    char got[N_CHUNKS + 1] = {0};
    for (unsigned i = 0; i < N_CHUNKS; i++)
        got[i] = "-hcsf?"[plan_get(&plan, i)];
    assert_string_equal(got, want);
}

static void expect_whole(void) {
    struct stat st;
    expect_only(&dest, "d");
    expect_file(&dest, "d/big", &items[1]);
    expect_file(&dest, "d/small", &items[3]);
    expect_file(&dest, "d/e/tail", &items[5]);
    assert_int_equal(fstatat(dest.fd, "d/e", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0500);
    assert_int_equal(st.st_mtim.tv_nsec, 77);
    assert_int_equal(scratch_has(&dest, "d/zlink"), 1);
}

static void finish(void) {
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(source_commit(store), 0);
    stop();
    expect_whole();
}

/* Some chunks, and the end of the run. */
static void first_run(void) {
    start();
    expect_plan("------");
    assert_int_equal(source_give(store, &src, 1, 1), 0);
    assert_int_equal(source_give(store, &src, 3, 2), 0);
    stop();
}

/* The next run finds another boot id. */
static void boot_again(void) {
    static unsigned boots;
    static char path[128];
    char text[64];
    snprintf(text, sizeof text, "%08x-1234-1234-1234-123456789abc\n", ++boots);
    scratch_file(&boot, "id", text);
    snprintf(path, sizeof path, "%s/id", boot.path);
    here_set_boot_id(path);
}

static void spoil(const char *path, off_t at) {
    int fd = openat(dest.fd, path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void read_header(struct journal_header *h) {
    int fd = openat(dest.fd, STAGING "journal", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(journal_read_header(fd, h), 0);
    close(fd);
}

/* --- believed ------------------------------------------------------------------------------- */

static void same_boot(void **arg) {
    first_run();
    start();
    expect_plan("-h-hh-");
    finish();
}

static void nothing_arrived_yet(void **arg) {
    start();
    stop();
    scratch_file(&dest, STAGING STORE_PROBE, ""); /* while names were tried out */
    start();
    expect_plan("------");
    finish();
}

static void all_but_commit(void **arg) {
    start();
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    stop();
    start();
    expect_plan("hhhhhh");
    assert_int_equal(source_commit(store), 0);
    stop();
    expect_whole();
}

static void removed_and_cut_files(void **arg) {
    start();
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    stop();
    assert_int_equal(unlinkat(dest.fd, STAGING "data/small", 0), 0);
    int fd = openat(dest.fd, STAGING "data/big", O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)(2 * MIB + 5)), 0);
    close(fd);
    start();
    expect_plan("hh--hh");
    stop();
    start(); /* and they stay absent, though the sizes are right again */
    expect_plan("hh--hh");
    finish();
}

/* --- not believed --------------------------------------------------------------------------- */

static void another_boot(void **arg) {
    bool ok[2];
    struct journal_header h;
    boot_again();
    first_run();
    boot_again();
    spoil(STAGING "data/small", 3);
    start();
    expect_plan("-c-cc-");
    assert_int_equal(store_check(store, 1, 1, ok), 0);
    assert_true(ok[0]);
    stop();
    start(); /* not every chunk was looked at: the next run looks again */
    expect_plan("-c-cc-");
    assert_int_equal(source_commit(store), -EINVAL);
    assert_int_equal(store_check(store, 3, 2, ok), 0);
    assert_false(ok[0]);
    assert_true(ok[1]);
    assert_int_equal(store_check(store, 1, 1, ok), 0);
    assert_true(ok[0]);
    stop();
    start();
    expect_plan("-h--h-");
    read_header(&h);
    assert_int_equal(h.flags, 0);
    finish();
}

/* The header reached the disk, the removal of what an older version had did not. */
static void power_took_a_sweep_back(void **arg) {
    bool ok;
    first_run();
    assert_int_equal(unlinkat(dest.fd, STAGING "data/small", 0), 0);
    scratch_dir(&dest, STAGING "data/small");
    scratch_file(&dest, STAGING "data/small/old", "old");
    scratch_file(&dest, STAGING "data/older", "older");
    boot_again();
    start();
    expect_plan("-c--c-");
    assert_int_equal(store_check(store, 1, 1, &ok), 0);
    assert_int_equal(store_check(store, 4, 1, &ok), 0);
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(source_commit(store), 0);
    stop();
    scratch_expect(&dest, STAGING "kept/older", "older"); /* nobody knows whose they are */
    scratch_expect(&dest, STAGING "kept/small/old", "old");
    assert_int_equal(fs_remove_tree(dest.fd, "d.lanyard-part"), 0);
    expect_whole();
}

/* What arrives in a run that has not looked at everything is not believed by the next one. */
static void arrives_before_checked(void **arg) {
    bool ok[1];
    boot_again();
    first_run();
    boot_again();
    start();
    assert_int_equal(source_give(store, &src, 0, 1), 0);
    stop();
    start();
    expect_plan("cc-cc-");
    for (uint64_t i = 0; i < N_CHUNKS; i++)
        if (plan_get(&plan, i) == PLAN_CHECK) {
            assert_int_equal(store_check(store, i, 1, ok), 0);
            assert_true(ok[0]);
        }
    stop();
    start();
    expect_plan("hh-hh-");
    finish();
}

/* A chunk that waits to be checked may arrive anew instead. */
static void written_instead_of_checked(void **arg) {
    boot_again();
    first_run();
    boot_again();
    start();
    assert_int_equal(source_give(store, &src, 0, 6), 0);
    stop();
    start();
    expect_plan("hhhhhh");
    finish();
}

/* Of the first run's chunks 1 is another one now: all are read, and the others still count. */
static void expect_found_out(void) {
    bool ok[2];
    start();
    expect_plan("-c-cc-");
    assert_int_equal(store_check(store, 1, 1, ok), 0);
    assert_false(ok[0]);
    assert_int_equal(store_check(store, 3, 2, ok), 0);
    assert_true(ok[0] && ok[1]);
    stop();
    start();
    expect_plan("---hh-");
    finish();
}

/* A copy may have been made while the download ran: slots of a later moment than the data. */
static void copied_folder(void **arg) {
    const char *const names[] = {"journal", "manifest", "data"};
    first_run();
    spoil(STAGING "data/big", (off_t)MIB);
    int from = openat(dest.fd, STAGING, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(dest.fd, "copy", 0700), 0);
    int to = openat(dest.fd, "copy", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(renameat(from, names[i], to, names[i]), 0);
    close(from);
    close(to);
    assert_int_equal(unlinkat(dest.fd, STAGING, AT_REMOVEDIR), 0);
    assert_int_equal(renameat(dest.fd, "copy", dest.fd, STAGING), 0);
    expect_found_out();
}

/* Time passes between the last slot of a run and whatever is done to staging now. */
static void later(void) {
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - 10}};
    assert_int_equal(utimensat(dest.fd, STAGING "journal", times, 0), 0);
}

/* Somebody writes into a staged file, or gives it another one's name: nothing is believed, by the
 * run after the next one neither, until all was read again. */
static void touched_file(void **arg) {
    first_run();
    later();
    spoil(STAGING "data/big", (off_t)MIB);
    start();
    expect_plan("-c-cc-");
    stop();
    expect_found_out();
}

static void unknown_boot(void **arg) {
    here_set_boot_id("/nonexistent");
    first_run();
    start();
    expect_plan("-c-cc-");
    here_set_boot_id(NULL);
    stop();
    start();
    expect_plan("-c-cc-");
}

static void disk_had_an_error(void **arg) {
    struct journal_header h;
    bool ok[3];
    start();
    assert_int_equal(source_give(store, &src, 0, 3), 0);
    assert_int_equal(store_error(store, -EIO), -EIO);
    stop();
    read_header(&h);
    assert_int_equal(h.flags, JOURNAL_VERIFY_ALL);
    start();
    expect_plan("ccc---");
    assert_int_equal(store_check(store, 0, 3, ok), 0);
    assert_true(ok[0] && ok[1] && ok[2]);
    stop();
    read_header(&h);
    assert_int_equal(h.flags, 0);
    start();
    expect_plan("hhh---");
    finish();
}

static void error_while_checking(void **arg) {
    struct journal_header h;
    bool ok[3];
    boot_again();
    first_run();
    boot_again();
    start();
    assert_int_equal(store_check(store, 1, 1, ok), 0);
    assert_int_equal(store_error(store, -EIO), -EIO);
    assert_int_equal(store_check(store, 3, 2, ok), 0);
    stop();
    read_header(&h);
    assert_int_equal(h.flags, JOURNAL_VERIFY_ALL);
    start();
    expect_plan("-c-cc-");
}

static void errors_get_their_names(void **arg) {
    start();
    assert_int_equal(store_error(store, -ENOSPC), ERR_NO_SPACE);
    assert_int_equal(store_error(store, -EDQUOT), ERR_NO_SPACE);
    assert_int_equal(store_error(store, -EROFS), -EROFS);
    assert_int_equal(store_error(store, 0), 0);
    stop();
    start();
    expect_plan("------");
}

/* --- never trusted -------------------------------------------------------------------------- */

static void expect_anew(void) {
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_null(store_catalog(store));
    assert_int_equal(scratch_has(&dest, STAGING "data"), 0);
    assert_int_equal(source_begin(store, &src, &plan), 0);
    expect_plan("------");
    finish();
}

static void torn_journal(void **arg) {
    first_run();
    int fd = openat(dest.fd, STAGING "journal", O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 100), 0);
    close(fd);
    expect_anew();
}

static void spoiled_header(void **arg) {
    first_run();
    spoil(STAGING "journal", 20);
    expect_anew();
}

static void spoiled_manifest(void **arg) {
    first_run();
    spoil(STAGING "manifest", 60);
    expect_anew();
}

static void torn_manifest(void **arg) {
    first_run();
    scratch_file(&dest, STAGING "manifest", "LANYMAN2");
    expect_anew();
}

static void missing_manifest(void **arg) {
    first_run();
    assert_int_equal(unlinkat(dest.fd, STAGING "manifest", 0), 0);
    expect_anew();
}

static void manifest_that_is_a_link(void **arg) {
    first_run();
    assert_int_equal(unlinkat(dest.fd, STAGING "manifest", 0), 0);
    scratch_link(&dest, STAGING "manifest", "journal");
    expect_anew();
}

static void cut_slots(void **arg) {
    first_run();
    int fd = openat(dest.fd, STAGING "journal", O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)journal_slot_at(2) + 3), 0);
    close(fd);
    start();
    expect_plan("-h----");
    finish();
}

/* --- a crash at each step of a commit ------------------------------------------------------- */

static void crash_before_rename(void **arg) {
    commit_and_die("rename");
    assert_int_equal(scratch_has(&dest, "d"), 0);
    start();
    expect_plan("hhhhhh");
    finish();
}

static void crash_after_rename(void **arg) {
    commit_and_die("renamed");
    assert_int_equal(scratch_has(&dest, STAGING "journal"), 1);
    assert_int_equal(open_store(&store, &dest, "d"), ERR_EXISTS);
    assert_null(store);
    expect_whole();
    assert_int_equal(open_store(&store, &dest, "d"), ERR_EXISTS);
}

static void crash_before_clean_up(void **arg) {
    commit_and_die("clean up");
    assert_int_equal(open_store(&store, &dest, "d"), ERR_EXISTS);
    expect_whole();
}

static void crash_during_clean_up(void **arg) {
    commit_and_die("clean up");
    assert_int_equal(unlinkat(dest.fd, STAGING "manifest", 0), 0);
    assert_int_equal(open_store(&store, &dest, "d"), ERR_EXISTS);
    expect_whole();
    scratch_dir(&dest, "d.lanyard-part"); /* the journal went, the folder did not */
    assert_int_equal(open_store(&store, &dest, "d"), ERR_EXISTS);
    expect_whole();
}

/* The user moved the result away before the clean-up: its slots must not be believed. */
static void result_moved_before_clean_up(void **arg) {
    commit_and_die("clean up");
    assert_int_equal(renameat(dest.fd, "d", dest.fd, "mine"), 0);
    start();
    expect_plan("------");
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(source_commit(store), 0);
    expect_file(&dest, "d/big", &items[1]);
    expect_file(&dest, "mine/big", &items[1]);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(same_boot),
        TEST(nothing_arrived_yet),
        TEST(all_but_commit),
        TEST(removed_and_cut_files),
        TEST(another_boot),
        TEST(power_took_a_sweep_back),
        TEST(arrives_before_checked),
        TEST(written_instead_of_checked),
        TEST(copied_folder),
        TEST(touched_file),
        TEST(unknown_boot),
        TEST(disk_had_an_error),
        TEST(error_while_checking),
        TEST(errors_get_their_names),
        TEST(torn_journal),
        TEST(spoiled_header),
        TEST(spoiled_manifest),
        TEST(torn_manifest),
        TEST(missing_manifest),
        TEST(manifest_that_is_a_link),
        TEST(cut_slots),
        TEST(crash_before_rename),
        TEST(crash_after_rename),
        TEST(crash_before_clean_up),
        TEST(crash_during_clean_up),
        TEST(result_moved_before_clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
