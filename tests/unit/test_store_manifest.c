/* SPDX-License-Identifier: MIT */
/* A new manifest in the middle of a download: what is kept, what is suspect, what goes. */
#include "core/err.h"
#include "core/store_internal.h"
#include "tests/unit/store_run.h"

#include <sys/wait.h>

static int setup(void **arg) {
    make_run();
    return 0;
}

static int teardown(void **arg) {
    drop_run();
    store_step_hook = NULL;
    return 0;
}

static void use(const struct item *items, unsigned n) {
    if (src.frame)
        source_clear(&src);
    source_make(&src, items, n);
}

/* Everything of it, but no commit. */
static void fill(const struct item *items, unsigned n) {
    use(items, n);
    start();
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    stop();
}

static void expect_plan(const char *want) {
    char got[64] = {0};
    assert_int_equal(plan.n, strlen(want));
    for (unsigned i = 0; i < plan.n; i++)
        got[i] = "-hcsf?"[plan_get(&plan, i)];
    assert_string_equal(got, want);
}

/* The source's answer for every suspect chunk, as store_compare takes it. */
static void compare_all(void) {
    uint64_t first;
    uint32_t n;
    while (plan_run(&plan, PLAN_SUSPECT, 1, &first, &n)) {
        struct wire_record r;
        enum store_verdict same;
        source_record(&src, first, src.frame, &r);
        assert_int_equal(store_compare(store, first, 1, r.digest, &same), 0);
        plan_set(&plan, first, same ? PLAN_HAVE : PLAN_ABSENT);
    }
}

static void check_all(void) {
    uint64_t first;
    uint32_t n;
    while (plan_run(&plan, PLAN_CHECK, 1, &first, &n)) {
        bool ok;
        assert_int_equal(store_check(store, first, 1, &ok), 0);
        plan_set(&plan, first, ok ? PLAN_HAVE : PLAN_ABSENT);
    }
}

/* Every entry of the source is in DEST/d, and nothing else. */
static void expect_all(void) {
    struct catalog_cursor cur;
    char path[PATH_MAX_LEN + 3], command[256];
    unsigned n = 0;
    catalog_cursor_init(&cur, src.catalog);
    for (uint32_t i = 0; i < src.n; i++) {
        strcpy(path, "d/");
        assert_int_equal(catalog_path(&cur, i, path + 2), 0);
        if (!path[2])
            path[1] = 0;
        if (src.items[i].kind == WIRE_FILE)
            expect_file(&dest, path, &src.items[i]);
        else
            assert_int_equal(scratch_has(&dest, path), 1);
        n++;
    }
    catalog_cursor_clear(&cur);
    snprintf(command, sizeof command, "test $(find %s/d | wc -l) = %u", dest.path, n);
    assert_int_equal(system(command), 0);
    expect_only(&dest, "d");
}

static void finish(void) {
    check_all();
    compare_all();
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(source_commit(store), 0);
    stop();
    expect_all();
}

/* --- single changes ------------------------------------------------------------------------- */

static const struct item before[] = {
    {.kind = WIRE_DIR, .name = "d"},
    {.kind = WIRE_FILE, .name = "a", .size = 2 * MIB + 9, .seed = 1, .version = 1},
    {.kind = WIRE_DIR, .name = "b"},
    {.kind = WIRE_FILE, .name = "c", .size = 7, .seed = 2, .version = 2},
    {.kind = WIRE_FILE, .name = "x", .parent = 2, .size = 8, .seed = 3, .version = 3},
};

static void same_again(void **arg) {
    fill(before, 5);
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_int_equal(source_list(store, &src), 0);
    stop();
    start();
    expect_plan("hhhhh");
    finish();
}

/* Entries in front move all numbers, of entries, folders and chunks. */
static void things_in_front(void **arg) {
    const struct item after[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_DIR, .name = "A"},
        {.kind = WIRE_FILE, .name = "B", .size = MIB + 1, .seed = 9},
        {.kind = WIRE_FILE, .name = "a", .size = 2 * MIB + 9, .seed = 1, .version = 1},
        {.kind = WIRE_DIR, .name = "b"},
        {.kind = WIRE_FILE, .name = "c", .size = 7, .seed = 2, .version = 2},
        {.kind = WIRE_FILE, .name = "x", .parent = 1, .size = 5, .seed = 8},
        {.kind = WIRE_FILE, .name = "x", .parent = 4, .size = 8, .seed = 3, .version = 3},
    };
    fill(before, 5);
    use(after, 8);
    start();
    expect_plan("--hhhh-h");
    finish();
}

static void changed_files(void **arg) {
    const struct item after[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "a", .size = 2 * MIB + 9, .seed = 1, .version = 11},
        {.kind = WIRE_DIR, .name = "b"},
        {.kind = WIRE_FILE, .name = "c", .size = 7, .seed = 12, .version = 12},
        {.kind = WIRE_FILE, .name = "x", .parent = 2, .size = 8, .seed = 3, .mtime_ns = 1},
    };
    fill(before, 5);
    use(after, 5);
    start();
    expect_plan("sssss");
    stop();
    start(); /* still */
    expect_plan("sssss");
    assert_int_equal(source_commit(store), -EINVAL);
    compare_all();
    expect_plan("hhh-h");
    stop();
    start(); /* and what was decided stays so */
    expect_plan("hhh-h");
    finish();
}

/* The source cannot say: all-zero digests decide nothing. */
static void undecided(void **arg) {
    const uint8_t unknown[WIRE_DIGEST_LEN] = {0};
    const struct item after[] = {{.kind = WIRE_DIR, .name = "d"},
                                 {.kind = WIRE_FILE, .name = "c", .size = 7, .version = 3}};
    enum store_verdict same = STORE_SAME;
    fill(before, 5);
    use(after, 2);
    start();
    expect_plan("s");
    assert_int_equal(store_compare(store, 0, 1, unknown, &same), 0);
    assert_int_equal(same, STORE_OTHER);
    finish();
}

static void shorter_and_longer(void **arg) {
    const struct item after[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "a", .size = MIB + 9, .seed = 1, .version = 11},
        {.kind = WIRE_DIR, .name = "b"},
        {.kind = WIRE_FILE, .name = "c", .size = MIB + 7, .seed = 2, .version = 12},
        {.kind = WIRE_FILE, .name = "x", .parent = 2, .size = 2, .seed = 3, .version = 13},
    };
    fill(before, 5);
    use(after, 5);
    start();
    expect_plan("s----");
    finish();
}

static void large_becomes_small(void **arg) {
    const struct item after[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "a", .size = MIB, .seed = 1, .version = 11},
    };
    fill(before, 5);
    use(after, 2);
    start();
    expect_plan("s");
    finish();
}

static void large_becomes_empty(void **arg) {
    const struct item after[] = {{.kind = WIRE_DIR, .name = "d"},
                                 {.kind = WIRE_FILE, .name = "a", .mtime_ns = 5}};
    fill(before, 5);
    use(after, 2);
    start();
    finish();
}

static void gone_and_other_kinds(void **arg) {
    const struct item after[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_DIR, .name = "a"},
        {.kind = WIRE_FILE, .name = "b", .size = 3, .seed = 4},
        {.kind = WIRE_FILE, .name = "x", .parent = 1, .size = 8, .seed = 3, .version = 3},
    };
    fill(before, 5);
    use(after, 4);
    start();
    assert_int_equal(scratch_has(&dest, STAGING "data/c"), 0);
    expect_plan("--");
    finish();
}

static void folder_becomes_file(void **arg) {
    const struct item after[] = {{.kind = WIRE_FILE, .name = "d", .size = MIB + 5, .seed = 4}};
    fill(before, 5);
    use(after, 1);
    start();
    expect_plan("--");
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(source_commit(store), 0);
    expect_file(&dest, "d", &after[0]);
}

static void file_becomes_folder(void **arg) {
    const struct item file[] = {{.kind = WIRE_FILE, .name = "d", .size = MIB + 5, .seed = 4}};
    fill(file, 1);
    use(before, 5);
    start();
    expect_plan("-----");
    finish();
}

/* A version says something only beside those of the same peer. */
static void another_origin(void **arg) {
    fill(before, 5);
    src.origin[0] = 99;
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_int_equal(source_list(store, &src), 0);
    assert_memory_equal(store_origin(store), src.origin, WIRE_KEY_LEN);
    stop();
    start();
    expect_plan("sssss");
    finish();
}

/* Undecided candidates go along through a second change. */
static void twice(void **arg) {
    const struct item second[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "a", .size = 2 * MIB + 9, .seed = 1, .version = 11},
        {.kind = WIRE_FILE, .name = "c", .size = 7, .seed = 2, .version = 2},
    };
    const struct item third[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "a", .size = 2 * MIB + 9, .seed = 1, .version = 11},
        {.kind = WIRE_FILE, .name = "c", .size = 7, .seed = 2, .version = 22},
        {.kind = WIRE_FILE, .name = "e"},
    };
    fill(before, 5);
    use(second, 3);
    start();
    expect_plan("sssh");
    assert_int_equal(source_give(store, &src, 1, 1), 0);
    stop();
    use(third, 4);
    start();
    expect_plan("shss");
    finish();
}

/* After another boot a candidate is only as good as the bytes that are really there. */
static void candidates_of_another_boot(void **arg) {
    const struct item after[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "a", .size = 2 * MIB + 9, .seed = 1, .version = 11},
        {.kind = WIRE_DIR, .name = "b"},
        {.kind = WIRE_FILE, .name = "c", .size = 7, .seed = 2, .version = 22},
        {.kind = WIRE_FILE, .name = "x", .parent = 2, .size = 8, .seed = 3, .version = 3},
    };
    fill(before, 5);
    scratch_file(&dest, STAGING "data/c", "1234567");
    here_set_boot_id("/nonexistent");
    use(after, 5);
    start();
    here_set_boot_id(NULL);
    expect_plan("ssssc");
    compare_all();
    check_all();
    expect_plan("hhh-h");
    stop();
    start();
    expect_plan("hhh-h");
    finish();
}

/* What waits to be checked goes on waiting under the new manifest. */
static void unchecked_goes_along(void **arg) {
    static char path[128];
    const struct item after[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "c", .size = 7, .seed = 2, .version = 2},
    };
    fill(before, 5);
    scratch_file(&dest, "boot-id", "01234567-1234-1234-1234-123456789abc\n");
    snprintf(path, sizeof path, "%s/boot-id", dest.path);
    here_set_boot_id(path);
    use(after, 2);
    for (int run = 0; run < 3; run++) {
        start();
        expect_plan("c");
        stop();
    }
    scratch_file(&dest, STAGING "data/c", "1234567");
    start();
    check_all();
    expect_plan("-");
    here_set_boot_id(NULL);
    assert_int_equal(unlinkat(dest.fd, "boot-id", 0), 0);
    finish();
}

/* --- any change, and a crash anywhere ------------------------------------------------------- */

enum { NAMES = 5, ITEMS_MAX = 80 };
static const char *const names[NAMES] = {"a", "b", "cc", "d", "\xff"};

static unsigned mix(unsigned a, unsigned b) {
    uint64_t x = (a + 1) * 0x9e3779b97f4a7c15u + b * 0xbf58476d1ce4e5b9u;
    x ^= x >> 31;
    x *= 0x94d049bb133111ebu;
    return (unsigned)(x >> 33);
}

/* A tree in which most of what stands at a path is the same for all `salt`s. */
static struct item make_item(uint32_t parent, unsigned name, unsigned path, unsigned salt) {
    static const uint64_t sizes[] = {0, 1, 100, 4096, MIB, MIB + 1, 2 * MIB + 3};
    unsigned own = mix(path, salt) % 4 == 0 ? mix(path, salt) : path;
    unsigned kind = mix(own, 1) % 8;
    struct item item = {.parent = parent, .name = names[name]};
    if (kind < 3) {
        item.kind = WIRE_DIR;
        return item;
    }
    item.kind = kind == 3 ? WIRE_SYMLINK : WIRE_FILE;
    item.target = kind == 3 ? "a" : NULL;
    if (kind == 3)
        return item;
    item.size = sizes[mix(own, 2) % 7];
    item.seed = mix(own, 3) % 5; /* a new version may have the old bytes; 0: a hole */
    item.version = own;
    item.mtime_ns = mix(own, 4);
    return item;
}

static unsigned make_tree(struct item *items, unsigned salt) {
    unsigned paths[ITEMS_MAX] = {0}, n = 1;
    items[0] = (struct item){.kind = WIRE_DIR, .name = "d"};
    for (unsigned parent = 0; parent < n; parent++)
        for (unsigned name = 0; items[parent].kind == WIRE_DIR && name < NAMES; name++) {
            unsigned path = mix(paths[parent], name + 10);
            if (n == ITEMS_MAX || mix(path, salt) % 3 == 0)
                continue;
            paths[n] = path;
            items[n++] = make_item(parent, name, path, salt);
        }
    return n;
}

/* What is believed must be so: the bytes in staging are the source's. */
static void expect_believed_is_true(void) {
    uint8_t *got = malloc(MIB), digest[WIRE_DIGEST_LEN];
    char path[PATH_MAX_LEN + 64], below[PATH_MAX_LEN + 1];
    for (uint64_t i = 0; i < plan.n; i++) {
        struct wire_record r;
        if (plan_get(&plan, i) != PLAN_HAVE)
            continue;
        source_record(&src, i, src.frame, &r);
        off_t at = (off_t)((i - src.cur.first_chunk) * MIB);
        assert_int_equal(catalog_path(&src.cur, src.cur.index, below), 0);
        snprintf(path, sizeof path, STAGING "data/%s", below);
        int fd = openat(dest.fd, path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pread(fd, got, r.len, at), r.len);
        close(fd);
        digest_chunk(got, r.len, digest);
        assert_memory_equal(digest, r.digest, sizeof digest);
    }
    free(got);
}

static unsigned dying_step; /* counts down; at 0 the process ends */

static void count_down(const char *step) {
    if (dying_step-- == 0)
        _exit(42);
}

/* Goes on with the download of src; ends before the given step, or when some chunks are there. */
static bool run_and_die(unsigned step, unsigned chunks) {
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        dying_step = step;
        store_step_hook = count_down;
        start();
        compare_all();
        for (uint64_t i = 0; i < plan.n && chunks > 0; i++)
            if (plan_get(&plan, i) == PLAN_ABSENT && mix((unsigned)i, chunks) % 2) {
                assert_int_equal(source_give(store, &src, i, 1), 0);
                chunks--;
            }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 42));
    return WEXITSTATUS(status) == 42;
}

/* Ends when the chunk is on disk and its slot is not. */
static void give_and_die(uint64_t chunk) {
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        start();
        dying_step = 0;
        store_step_hook = count_down;
        (void)source_give(store, &src, chunk, 1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

/* The bytes are overwritten, the slot is not there yet, and the file goes back to what it was: its
 * candidate must not be believed. */
static void crash_over_a_candidate(void **arg) {
    const struct item after[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "c", .size = 2 * MIB, .seed = 5, .version = 2},
    };
    const struct item old[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "c", .size = 2 * MIB, .seed = 6, .version = 1},
    };
    fill(old, 2);
    use(after, 2);
    give_and_die(0);
    use(old, 2);
    start();
    expect_plan("-s");
    finish();
}

static void any_change(void **arg) {
    static struct item items[ITEMS_MAX];
    unsigned died = 0;
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned change = 0; change < 4; change++) {
            use(items, make_tree(items, round * 7 + change));
            died += run_and_die(mix(round, change) % 8, 20);
            start();
            expect_believed_is_true();
            stop();
        }
        start();
        finish();
        assert_int_equal(fs_remove_tree(dest.fd, "d"), 0);
    }
    assert_true(died > 5);
}

/* Each step of one change: before it, or after it, never between. */
static void crash_at_each_step(void **arg) {
    static const struct item after[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_DIR, .name = "a"},
        {.kind = WIRE_FILE, .name = "c", .size = 7, .seed = 2, .version = 2},
    };
    unsigned step = 0;
    for (bool dies = true; dies; step++) {
        fill(before, 5);
        use(after, 3);
        dies = run_and_die(step, 0);
        assert_int_equal(open_store(&store, &dest, "d"), 0);
        unsigned entries = catalog_totals(store_catalog(store))->entries;
        assert_int_equal(entries, dies && step == 0 ? 5 : 3);
        assert_int_equal(scratch_has(&dest, STAGING "manifest.new"), 0);
        assert_int_equal(scratch_has(&dest, STAGING "journal.new"), 0);
        assert_int_equal(scratch_has(&dest, STAGING "data/b"), entries == 5);
        stop();
        start();
        expect_plan("h");
        finish();
        assert_int_equal(fs_remove_tree(dest.fd, "d"), 0);
    }
    assert_int_equal(step, 4);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(same_again),
        TEST(things_in_front),
        TEST(changed_files),
        TEST(undecided),
        TEST(shorter_and_longer),
        TEST(large_becomes_small),
        TEST(large_becomes_empty),
        TEST(gone_and_other_kinds),
        TEST(folder_becomes_file),
        TEST(file_becomes_folder),
        TEST(another_origin),
        TEST(twice),
        TEST(crash_over_a_candidate),
        TEST(candidates_of_another_boot),
        TEST(unchecked_goes_along),
        TEST(any_change),
        TEST(crash_at_each_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
