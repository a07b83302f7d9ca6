/* SPDX-License-Identifier: MIT */
/* Things in a staging folder that are not of the download: none is lost, none is in the result. */
#include "core/err.h"
#include "core/store_internal.h"
#include "tests/unit/store_run.h"

/* Chunks: big 0 1, small 2, under 3. */
static const struct item items[] = {
    {.kind = WIRE_DIR, .name = "d"},
    {.kind = WIRE_FILE, .name = "big", .size = MIB + 1, .seed = 1, .mtime_ns = 1},
    {.kind = WIRE_DIR, .name = "e"},
    {.kind = WIRE_FILE, .name = "empty"},
    {.kind = WIRE_SYMLINK, .name = "link", .target = "small"},
    {.kind = WIRE_FILE, .name = "small", .size = 10, .seed = 2, .mtime_ns = 2},
    {.kind = WIRE_FILE, .name = "under", .parent = 2, .size = 20, .seed = 3},
};
enum { N_ITEMS = 7, BIG = 1, SMALL = 5, UNDER = 6 };

#define DATA STAGING "data/"
#define KEPT STAGING "kept/"

static int setup(void **arg) {
    make_run();
    source_make(&src, items, N_ITEMS);
    return 0;
}

static int teardown(void **arg) {
    drop_run();
    return 0;
}

static void expect_names(const char *folder, const char *names) {
    char command[256];
    snprintf(command, sizeof command, "test \"$(cd %s/%s && echo $(ls -A))\" = '%s'", dest.path,
             folder, names);
    if (system(command) != 0)
        fail_msg("%s does not hold %s", folder, names);
}

static void expect_whole(void) {
    expect_names("d", "big e empty link small");
    expect_names("d/e", "under");
    expect_file(&dest, "d/big", &items[BIG]);
    expect_file(&dest, "d/small", &items[SMALL]);
    expect_file(&dest, "d/e/under", &items[UNDER]);
}

/* Ends the download; so many things were moved out of the way in this run. */
static void finish(uint32_t n_kept) {
    const char *first;
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(source_commit(store), 0);
    assert_int_equal(store_kept(store, &first), n_kept);
    stop();
    expect_whole();
    assert_int_equal(scratch_has(&dest, "d.lanyard-part"), n_kept > 0);
}

static void all_but_commit(void) {
    start();
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    stop();
}

/* --- more than there should be --------------------------------------------------------------- */

static void more_in_folders(void **arg) {
    const char *first;
    all_but_commit();
    scratch_file(&dest, DATA "e/notes.txt", "mine");
    start();
    scratch_file(&dest, DATA "notes.txt", "mine, too"); /* while it runs */
    scratch_dir(&dest, DATA "folder");
    scratch_file(&dest, DATA "folder/small", "and this");
    assert_int_equal(mkfifoat(dest.fd, DATA "e/pipe", 0600), 0);
    finish(4);
    scratch_expect(&dest, KEPT "notes.txt", "mine, too"); /* the outer folder comes first */
    scratch_expect(&dest, KEPT "1", "mine");
    scratch_expect(&dest, KEPT "folder/small", "and this");
    assert_int_equal(scratch_has(&dest, KEPT "pipe"), 1);
    expect_names("d.lanyard-part", "kept");

    assert_int_equal(fs_remove_tree(dest.fd, "d"), 0); /* `kept` is in nobody's way */
    all_but_commit();
    start();
    assert_int_equal(store_kept(store, &first), 0);
    assert_int_equal(source_commit(store), 0);
    stop();
    expect_whole();
    scratch_expect(&dest, KEPT "1", "mine");
}

/* In a folder that the source has removed meanwhile, with a file of ours. */
static void more_in_a_folder_that_goes(void **arg) {
    const struct item less[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "small", .size = 10, .seed = 2, .mtime_ns = 2},
    };
    all_but_commit();
    scratch_file(&dest, DATA "e/notes.txt", "mine");
    source_clear(&src);
    source_make(&src, less, 2);
    start();
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(source_commit(store), 0);
    stop();
    expect_names("d", "small");
    expect_names("d.lanyard-part/kept", "notes.txt");
    scratch_expect(&dest, KEPT "notes.txt", "mine");
}

/* --- less ------------------------------------------------------------------------------------ */

static void removed_while_it_runs(void **arg) {
    start();
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(unlinkat(dest.fd, DATA "small", 0), 0);
    assert_int_equal(source_commit(store), ERR_TAMPERED);
    stop();
    assert_int_equal(scratch_has(&dest, "d"), 0);
    start();
    finish(0);
}

static void renamed_while_it_runs(void **arg) {
    start();
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(renameat(dest.fd, DATA "small", dest.fd, DATA "smell"), 0);
    assert_int_equal(source_commit(store), ERR_TAMPERED);
    stop();
    assert_int_equal(scratch_has(&dest, KEPT "smell"), 1);
    start();
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(source_commit(store), 0);
    stop();
    expect_whole();
}

/* --- something else in its place ------------------------------------------------------------- */

static void remove_from_data(const char *path) {
    char below[256];
    snprintf(below, sizeof below, DATA "%s", path);
    assert_int_equal(fs_remove_tree(dest.fd, below), 0);
}

static void links_in_place_of_ours(void **arg) {
    scratch_dir(&dest, "mine");
    scratch_file(&dest, "mine/big", "mine");
    scratch_file(&dest, "mine/under", "mine");
    all_but_commit();
    remove_from_data("big");
    remove_from_data("small");
    remove_from_data("empty");
    remove_from_data("e");
    scratch_link(&dest, DATA "big", "../../mine/big");
    scratch_link(&dest, DATA "small", "/nowhere");
    scratch_link(&dest, DATA "empty", "../../mine/big");
    scratch_link(&dest, DATA "e", "../../mine");
    scratch_file(&dest, DATA "link", "no link");
    start();
    finish(5);
    scratch_expect(&dest, "mine/big", "mine");
    scratch_expect(&dest, "mine/under", "mine");
    expect_names("d.lanyard-part/kept", "big e empty link small");
    scratch_expect(&dest, KEPT "link", "no link");
}

static void folders_and_pipes_in_place_of_ours(void **arg) {
    all_but_commit();
    remove_from_data("big");
    remove_from_data("small");
    remove_from_data("e");
    scratch_dir(&dest, DATA "big");
    scratch_file(&dest, DATA "big/inside", "mine");
    assert_int_equal(mkfifoat(dest.fd, DATA "small", 0600), 0);
    scratch_file(&dest, DATA "e", "mine");
    start();
    finish(3);
    scratch_expect(&dest, KEPT "big/inside", "mine");
    scratch_expect(&dest, KEPT "e", "mine");
}

/* While it runs: the frame comes when something else stands there. */
static void in_place_of_a_file_to_come(void **arg) {
    start();
    scratch_dir(&dest, DATA "small");
    finish(1);
    expect_names("d.lanyard-part/kept", "small");
}

static void in_place_of_data(void **arg) {
    scratch_dir(&dest, "mine");
    scratch_file(&dest, "mine/big", "mine");
    all_but_commit();
    assert_int_equal(fs_remove_tree(dest.fd, STAGING "data"), 0);
    scratch_link(&dest, STAGING "data", "../mine");
    start();
    finish(1);
    scratch_expect(&dest, "mine/big", "mine");
    expect_names("mine", "big");
    expect_names("d.lanyard-part/kept", "data");
}

/* --- two names ------------------------------------------------------------------------------- */

static void linked_files_are_not_written_to(void **arg) {
    struct stat before[3], after;
    const char *const names[] = {"big", "small", "empty"};
    char path[64];
    start();
    assert_int_equal(source_give(store, &src, 0, 1), 0);
    assert_int_equal(source_give(store, &src, 2, 2), 0);
    stop();
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, DATA "%s", names[i]);
        assert_int_equal(linkat(dest.fd, path, dest.fd, names[i], 0), 0);
        assert_int_equal(fstatat(dest.fd, names[i], &before[i], 0), 0);
    }
    start();
    assert_int_equal(plan.count[PLAN_HAVE], 1); /* what is in e */
    finish(0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fstatat(dest.fd, names[i], &after, 0), 0);
        assert_int_equal(after.st_nlink, 1);
        assert_int_equal(after.st_size, before[i].st_size);
        assert_int_equal(after.st_mode, before[i].st_mode);
        assert_memory_equal(&after.st_mtim, &before[i].st_mtim, sizeof after.st_mtim);
    }
}

/* A folder of a million files must not wait for this: it is one readdir. */
static void many_files(void **arg) {
    enum { MANY = 3000 };
    static char names[MANY][8];
    struct item *many = calloc(MANY + 1, sizeof *many);
    many[0] = (struct item){.kind = WIRE_DIR, .name = "d"};
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "%06u", i);
        many[i + 1] = (struct item){.kind = WIRE_FILE, .name = names[i]};
    }
    source_clear(&src);
    source_make(&src, many, MANY + 1);
    start();
    scratch_file(&dest, DATA "000999a", "mine");
    scratch_file(&dest, DATA "zzz", "mine");
    assert_int_equal(source_commit(store), 0);
    stop();
    expect_names("d.lanyard-part/kept", "000999a zzz");
    assert_int_equal(scratch_has(&dest, "d/002999"), 1);
    assert_int_equal(scratch_has(&dest, "d/zzz"), 0);
    free(many);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(more_in_folders),
        TEST(more_in_a_folder_that_goes),
        TEST(removed_while_it_runs),
        TEST(renamed_while_it_runs),
        TEST(links_in_place_of_ours),
        TEST(folders_and_pipes_in_place_of_ours),
        TEST(in_place_of_a_file_to_come),
        TEST(in_place_of_data),
        TEST(linked_files_are_not_written_to),
        TEST(many_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
