/* SPDX-License-Identifier: MIT */
#include "core/err.h"
#include "tests/unit/store_source.h"

static struct scratch dest;

static int setup(void **arg) {
    scratch_make(&dest);
    return 0;
}

static int teardown(void **arg) {
    scratch_remove(&dest);
    return 0;
}

#define SECOND ((int64_t)1000000000)

static void one_file(void **arg) {
    const struct item items[] = {
        {.kind = WIRE_FILE,
         .name = "film",
         .size = 3 * MIB + 17,
         .seed = 7,
         .mtime_ns = 5 * SECOND + 3,
         .mode = 0640},
    };
    struct source src;
    source_make(&src, items, 1);
    assert_int_equal(download(&dest, "film", &src), 0);
    expect_file(&dest, "film", &items[0]);
    expect_only(&dest, "film");
    source_clear(&src);
}

static void a_tree(void **arg) {
    const struct item items[] = {
        {.kind = WIRE_DIR, .name = "music", .mtime_ns = 10 * SECOND},
        {.kind = WIRE_FILE, .parent = 0, .name = "a", .size = 5, .seed = 1, .mtime_ns = -1},
        {.kind = WIRE_DIR, .parent = 0, .name = "b", .mtime_ns = 11 * SECOND, .mode = 0555},
        {.kind = WIRE_FILE, .parent = 0, .name = "c", .size = 2 * MIB, .seed = 2, .mode = 0444},
        {.kind = WIRE_DIR, .parent = 0, .name = "d"},
        {.kind = WIRE_SYMLINK, .parent = 0, .name = "e", .target = "b/x", .mtime_ns = SECOND},
        {.kind = WIRE_FILE, .parent = 2, .name = "x", .size = MIB, .seed = 3, .mode = 0400},
        {.kind = WIRE_FILE, .parent = 2, .name = "y", .mtime_ns = 9},
    };
    struct source src;
    struct stat st;
    source_make(&src, items, 8);
    assert_int_equal(download(&dest, "music", &src), 0);
    expect_only(&dest, "music");
    expect_file(&dest, "music/a", &items[1]);
    expect_file(&dest, "music/c", &items[3]);
    expect_file(&dest, "music/b/x", &items[6]);
    expect_file(&dest, "music/b/y", &items[7]);
    assert_int_equal(fstatat(dest.fd, "music/b", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0555);
    assert_int_equal(st.st_mtim.tv_sec, 11);
    assert_int_equal(fstatat(dest.fd, "music", &st, 0), 0);
    assert_int_equal(st.st_mtim.tv_sec, 10);
    source_clear(&src);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tree, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
