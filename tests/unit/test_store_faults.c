/* SPDX-License-Identifier: MIT */
/* No memory, no space, a broken disk: never a false success, and the next run goes on. */
#include "core/err.h"
#include "core/store_internal.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_fs.h"
#include "tests/unit/store_source.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

static struct scratch dest;
static struct source src;

static const struct item items[] = {
    {.kind = WIRE_DIR, .name = "d"},
    {.kind = WIRE_FILE, .name = "a", .size = MIB + 1, .seed = 1, .version = 1},
    {.kind = WIRE_DIR, .name = "b", .mode = 0500},
    {.kind = WIRE_FILE, .name = "c", .size = 2 * MIB, .version = 2},
    {.kind = WIRE_FILE, .name = "e"},
    {.kind = WIRE_SYMLINK, .name = "f", .target = "a"},
    {.kind = WIRE_SYMLINK, .name = "g", .target = "/etc"},
    {.kind = WIRE_FILE, .name = "x", .parent = 2, .size = 100, .seed = 2, .mode = 0400},
};
enum { N_ITEMS = 8 };

/* What an earlier run has left behind. */
static const struct item earlier[] = {
    {.kind = WIRE_DIR, .name = "d"},
    {.kind = WIRE_FILE, .name = "a", .size = MIB + 1, .seed = 1, .version = 11},
    {.kind = WIRE_DIR, .name = "c"},
    {.kind = WIRE_FILE, .name = "y", .parent = 2, .size = 50, .seed = 3},
};

/* Made before, so that only the store's own calls and allocations count. */
static struct {
    struct msg frames[8];
    uint8_t *bytes[8];
    unsigned n; /* chunks */
    uint8_t page[1024];
} offer;

static void make_offer(void) {
    offer.n = (unsigned)source_totals(&src)->chunks;
    assert_true(offer.n <= 8 && source_totals(&src)->length <= sizeof offer.page);
    assert_int_equal(catalog_read(src.catalog, 0, offer.page, source_totals(&src)->length), 0);
    for (unsigned i = 0; i < offer.n; i++) {
        source_frame(&src, i, 1, &offer.frames[i]);
        offer.bytes[i] = src.frame;
        src.frame = malloc(WIRE_FRAME_MAX);
        assert_non_null(src.frame);
    }
}

static int setup(void **arg) {
    scratch_make(&dest);
    source_make(&src, items, N_ITEMS);
    make_offer();
    return 0;
}

static int teardown(void **arg) {
    for (unsigned i = 0; i < offer.n; i++)
        free(offer.bytes[i]);
    source_clear(&src);
    scratch_remove(&dest);
    return 0;
}

/* --- one run -------------------------------------------------------------------------------- */

static int take_list(struct store *s) {
    int rc = store_manifest_begin(s, 0);
    if (!rc)
        rc = store_manifest_page(s, offer.page, source_totals(&src)->length);
    return rc ? rc : store_manifest_end(s, source_totals(&src), src.origin);
}

/* Suspect chunks are fetched anew here, without a comparison. */
static int take_chunks(struct store *s, const struct plan *plan) {
    int result = 0, rc = 0;
    for (unsigned i = 0; !rc && i < offer.n; i++) {
        bool ok = plan_get(plan, i) == PLAN_HAVE;
        if (plan_get(plan, i) == PLAN_CHECK)
            rc = store_check(s, i, 1, &ok);
        if (!rc && !ok)
            rc = store_put(s, &offer.frames[i], &result);
    }
    return rc ? rc : result;
}

static int run_store(struct store *s, struct plan *plan) {
    const struct catalog *c = store_catalog(s);
    uint64_t missing;
    int rc = 0;
    if (!c || memcmp(catalog_totals(c)->id, source_totals(&src)->id, WIRE_ID_LEN) != 0)
        rc = take_list(s);
    if (!rc)
        rc = plan_init(plan, offer.n);
    if (!rc)
        rc = store_load(s, plan);
    if (!rc)
        rc = store_prepare(s, &missing);
    if (!rc)
        rc = take_chunks(s, plan);
    return rc ? rc : source_commit(s);
}

static int run(void) {
    struct plan plan = {0};
    struct store *s;
    int rc = open_store(&s, &dest, "d");
    if (rc)
        return rc;
    rc = run_store(s, &plan);
    plan_clear(&plan);
    store_close(s);
    return rc;
}

/* Bytes of an earlier version, not committed. */
static void leave_something(void) {
    struct source old;
    struct store *s;
    struct plan plan;
    source_make(&old, earlier, 4);
    assert_int_equal(open_store(&s, &dest, "d"), 0);
    assert_int_equal(source_begin(s, &old, &plan), 0);
    assert_int_equal(source_give_all(s, &old, &plan), 0);
    plan_clear(&plan);
    store_close(s);
    source_clear(&old);
}

static void clean(void) {
    assert_int_equal(fs_remove_tree(dest.fd, "d"), 0);
    assert_int_equal(fs_remove_tree(dest.fd, "d.lanyard-part"), 0);
}

static void expect_whole(void) {
    expect_file(&dest, "d/a", &items[1]);
    expect_file(&dest, "d/c", &items[3]);
    expect_file(&dest, "d/e", &items[4]);
    expect_file(&dest, "d/b/x", &items[7]);
    assert_true(scratch_has(&dest, "d/f"));
    assert_false(scratch_has(&dest, "d/g"));
}

/* --- a disk that fails ---------------------------------------------------------------------- */

static int try_run(unsigned nth) {
    countdown = nth;
    failed = NULL;
    armed = true;
    int rc = run();
    armed = false;
    return rc;
}

static void each_call_fails(bool resumed) {
    for (unsigned nth = 1;; nth++) {
        if (resumed)
            leave_something();
        int rc = try_run(nth);
        if (!failed) {
            assert_int_equal(rc, 0);
            assert_true(nth > 50);
            break;
        }
        if (rc == 0) /* it could do without */
            expect_whole();
        else if (rc != ERR_LOCKED || fault != -EACCES) /* what that is in staging */
            assert_int_equal(rc, fault);
        rc = run();
        if (rc != 0 && rc != ERR_EXISTS)
            fail_msg("after %s (call %u) had failed: %d", failed, nth, rc);
        expect_whole();
        if (rc != ERR_EXISTS)
            expect_only(&dest, "d");
        clean();
    }
}

static void each_call_fails_once(void **arg) {
    fault = -EACCES;
    each_call_fails(false);
}

static void each_call_fails_when_resumed(void **arg) {
    fault = -EIO;
    each_call_fails(true);
}

/* --- another process between our open and our lock ------------------------------------------ */

static void (*before_lock)(void);

int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __wrap_flock(int fd, int how) {
    void (*act)(void) = before_lock;
    before_lock = NULL;
    if (act)
        act();
    return __real_flock(fd, how);
}

static void replace_journal(void) {
    assert_int_equal(unlinkat(dest.fd, "d.lanyard-part/journal", 0), 0);
    scratch_file(&dest, "d.lanyard-part/journal", "");
}

static void remove_journal(void) {
    assert_int_equal(unlinkat(dest.fd, "d.lanyard-part/journal", 0), 0);
}

static void remove_staging(void) { assert_int_equal(fs_remove_tree(dest.fd, "d.lanyard-part"), 0); }

static void replace_staging(void) {
    remove_staging();
    scratch_dir(&dest, "d.lanyard-part");
}

static void commit_elsewhere(void) {
    remove_staging();
    scratch_file(&dest, "d", "done");
}

/* What is locked is what has the name. */
static void lock_races(void **arg) {
    void (*const acts[])(void) = {replace_journal, remove_journal, remove_staging, replace_staging};
    struct store *s, *other;
    for (unsigned i = 0; i < 4; i++) {
        before_lock = acts[i];
        assert_int_equal(open_store(&s, &dest, "d"), 0);
        assert_null(before_lock);
        assert_int_equal(open_store(&other, &dest, "d"), ERR_HELD);
        store_close(s);
    }
    before_lock = commit_elsewhere;
    assert_int_equal(open_store(&s, &dest, "d"), ERR_EXISTS);
    expect_only(&dest, "d");
}

/* --- sync ----------------------------------------------------------------------------------- */

/* The next run believes no slot. */
static void expect_distrust(void) {
    struct journal_header h;
    int fd = openat(dest.fd, "d.lanyard-part/journal", O_RDONLY | O_CLOEXEC);
    assert_int_equal(journal_read_header(fd, &h), 0);
    assert_int_equal(h.flags, JOURNAL_VERIFY_ALL);
    close(fd);
}

static void sync_fails(void **arg) {
    struct store *s;
    struct plan plan;
    bool ok[8];
    fault = -EIO;
    for (unsigned nth = 1; !failed || strcmp(failed, "syncfs") != 0; nth++) {
        clean();
        (void)try_run(nth);
    }
    assert_false(scratch_has(&dest, "d"));
    expect_distrust();

    assert_int_equal(open_store(&s, &dest, "d"), 0);
    assert_int_equal(source_begin(s, &src, &plan), 0);
    assert_int_equal(plan.count[PLAN_CHECK], plan.n);
    assert_int_equal(source_commit(s), -EINVAL); /* nothing was looked at yet */
    assert_int_equal(store_check(s, 0, (uint32_t)plan.n, ok), 0);
    for (unsigned i = 0; i < plan.n; i++)
        assert_true(ok[i]);
    assert_int_equal(source_commit(s), 0);
    plan_clear(&plan);
    store_close(s);
    expect_whole();
    expect_only(&dest, "d");
}

/* Small files are brought to disk while others arrive. What the kernel says then it says once. */
static void early_sync_fails(void **arg) {
    enum { FILES = 64 };
    struct item many[1 + FILES] = {{.kind = WIRE_DIR, .name = "d"}};
    char names[FILES][8], path[PATH_MAX_LEN + 1];
    struct source files;
    struct store *s;
    struct plan plan;
    bool ok[FILES];
    clean();
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(names[i], sizeof names[i], "f%02u", i);
        many[1 + i] = (struct item){
            .kind = WIRE_FILE, .name = names[i], .size = MIB - 1, .seed = 1 + i, .version = 1};
    }
    source_make(&files, many, 1 + FILES);
    assert_int_equal(open_store(&s, &dest, "d"), 0);
    assert_int_equal(source_begin(s, &files, &plan), 0);
    fault = -EIO;
    only_call = "syncfs";
    countdown = 1;
    failed = NULL;
    armed = true;
    assert_int_equal(source_give(s, &files, 0, FILES), -EIO);
    armed = false;
    only_call = NULL;
    assert_string_equal(failed, "syncfs");
    store_failed_path(s, path);
    assert_string_equal(path, ""); /* no file can be blamed */
    plan_clear(&plan);
    store_close(s);

    expect_distrust();
    assert_int_equal(open_store(&s, &dest, "d"), 0);
    assert_int_equal(source_begin(s, &files, &plan), 0);
    assert_int_equal(plan.count[PLAN_HAVE], 0);
    unsigned there = (unsigned)plan.count[PLAN_CHECK];
    assert_true(there > 32 && there < FILES);
    assert_int_equal(store_check(s, 0, there, ok), 0);
    for (unsigned i = 0; i < there; i++)
        assert_true(ok[i]);
    assert_int_equal(source_give(s, &files, there, FILES - there), 0);
    assert_int_equal(source_commit(s), 0);
    plan_clear(&plan);
    store_close(s);
    source_clear(&files);
    clean();
}

/* --- space ---------------------------------------------------------------------------------- */

static void not_enough_space(void **arg) {
    const struct item huge[] = {{.kind = WIRE_FILE, .name = "d", .size = (uint64_t)1 << 44}};
    uint64_t missing = 0;
    struct store *s;
    struct plan plan;
    source_clear(&src);
    source_make(&src, huge, 1);
    assert_int_equal(open_store(&s, &dest, "d"), 0);
    assert_int_equal(source_list(s, &src), 0);
    assert_int_equal(plan_init(&plan, source_totals(&src)->chunks), 0);
    assert_int_equal(store_load(s, &plan), 0);
    assert_int_equal(store_prepare(s, &missing), ERR_NO_SPACE);
    assert_true(missing > (uint64_t)1 << 43);
    assert_false(scratch_has(&dest, "d.lanyard-part/data"));
    plan_clear(&plan);
    store_close(s);
}

/* On a small file system of its own; ends with what the child found. */
static void fill_small_disk(void) {
    const struct item file[] = {
        {.kind = WIRE_FILE, .name = "d", .size = 4 * MIB, .seed = 9, .flags = MANIFEST_SPARSE}};
    struct store *s;
    struct plan plan;
    source_clear(&src);
    source_make(&src, file, 1); /* sparse: nobody knows before that it will not fit */
    assert_int_equal(mount("lanyard-test", dest.path, "tmpfs", 0, "size=3m"), 0);
    assert_int_equal(open_store(&s, &dest, "d"), 0);
    assert_int_equal(source_begin(s, &src, &plan), 0);
    assert_int_equal(source_give_all(s, &src, &plan), ERR_NO_SPACE);
    plan_clear(&plan);
    store_close(s);

    assert_int_equal(mount("lanyard-test", dest.path, "tmpfs", MS_REMOUNT, "size=8m"), 0);
    assert_int_equal(open_store(&s, &dest, "d"), 0);
    assert_int_equal(source_begin(s, &src, &plan), 0);
    assert_int_equal(plan.count[PLAN_HAVE], 2);
    assert_int_equal(plan.count[PLAN_ABSENT], 2);
    assert_int_equal(source_give_all(s, &src, &plan), 0);
    assert_int_equal(source_commit(s), 0);
    plan_clear(&plan);
    store_close(s);
    close(dest.fd);
    dest.fd = open(dest.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    expect_file(&dest, "d", &file[0]);
}

static void disk_gets_full(void **arg) {
    int status;
    if (geteuid() != 0) {
        print_message("needs root to mount a small disk: skipped\n");
        skip();
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(77);
        fill_small_disk();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("cannot mount here: skipped\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- memory --------------------------------------------------------------------------------- */

static int run_and_clean(void *arg) {
    int rc = run();
    if (rc == 0 || rc == ERR_EXISTS) {
        assert_true(scratch_has(&dest, "d/b/x"));
        rc = fs_remove_tree(dest.fd, "d");
    }
    return rc;
}

static void no_memory(void **arg) {
    leave_something();
    assert_true(fail_alloc_each(run_and_clean, NULL) > 10);
}

static void no_memory_at_first(void **arg) {
    assert_true(fail_alloc_each(run_and_clean, NULL) > 10);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_call_fails_once), TEST(each_call_fails_when_resumed),
        TEST(lock_races),           TEST(sync_fails),
        TEST(early_sync_fails),     TEST(not_enough_space),
        TEST(disk_gets_full),       TEST(no_memory),
        TEST(no_memory_at_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
