/* SPDX-License-Identifier: MIT */
/* An update without memory, on a broken disk: each file is old or new, and the next run goes on. */
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_fs.h"
#include "tests/unit/store_update.h"

static struct scratch dest;
static struct source src;

enum { T = 1000, S = 1000000000, CHUNKS = 5 };

static const struct item items[] = {
    {.kind = WIRE_DIR, .name = "d", .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE, .name = "a", .size = MIB + 1, .seed = 1, .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_DIR, .name = "b", .mode = 0500, .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE, .name = "c", .size = 9, .seed = 2, .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE, .name = "e", .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_SYMLINK, .name = "f", .target = "a", .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE, .name = "s", .size = 20, .seed = 4, .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE, .name = "x", .parent = 2, .size = 5, .seed = 3, .mtime_ns = T * (int64_t)S},
};
enum { N_ITEMS = 8 };

/* Made before, so that only the store's own calls and allocations count. */
static struct {
    struct msg frames[CHUNKS];
    uint8_t *bytes[CHUNKS], digests[CHUNKS * WIRE_DIGEST_LEN], page[1024];
} offer;

static void make_offer(void) {
    assert_int_equal(source_totals(&src)->chunks, CHUNKS);
    assert_int_equal(catalog_read(src.catalog, 0, offer.page, source_totals(&src)->length), 0);
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct wire_record r;
        source_record(&src, i, src.frame, &r);
        memcpy(offer.digests + (size_t)i * WIRE_DIGEST_LEN, r.digest, WIRE_DIGEST_LEN);
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
    for (unsigned i = 0; i < CHUNKS; i++)
        free(offer.bytes[i]);
    source_clear(&src);
    scratch_remove(&dest);
    return 0;
}

static void make_old(void) {
    static const char *const gone[] = {"d/e", "d/f", "d/b/x"}, *const old[] = {"d/c", "d/f", "d/s"};
    assert_int_equal(fs_remove_tree(dest.fd, "d"), 0);
    assert_int_equal(fs_remove_tree(dest.fd, "d.lanyard-part"), 0);
    assert_int_equal(download(&dest, "d", &src), 0);
    spoil(&dest, "d/a", 5, 5);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(unlinkat(dest.fd, gone[i], 0), 0);
    scratch_file(&dest, "d/c", "old");
    scratch_link(&dest, "d/f", "e");
    for (unsigned i = 0; i < 3; i++)
        set_time(&dest, old[i], 5);
    assert_int_equal(fchmodat(dest.fd, "d/b", 0755, 0), 0);
}

static void expect_old_or_new(void) {
    struct stat st;
    assert_int_equal(fstatat(dest.fd, "d/c", &st, 0), 0);
    if (st.st_size == 3)
        scratch_expect(&dest, "d/c", "old");
    assert_int_equal(fstatat(dest.fd, "d/a", &st, 0), 0);
    if (st.st_mtim.tv_sec != 5)
        expect_file(&dest, "d/a", &items[1]);
}

static void expect_files(void) {
    expect_file(&dest, "d/a", &items[1]);
    expect_file(&dest, "d/c", &items[3]);
    expect_file(&dest, "d/e", &items[4]);
    expect_file(&dest, "d/s", &items[6]);
    expect_file(&dest, "d/b/x", &items[7]);
}

static void expect_whole(void) {
    expect_files();
    expect_only(&dest, "d");
}

/* --- one run --------------------------------------------------------------------------------- */

static uint32_t skipped;

static int take_list(struct store *s) {
    int rc = store_manifest_begin(s, 0);
    if (!rc)
        rc = store_manifest_page(s, offer.page, source_totals(&src)->length);
    return rc ? rc : store_manifest_end(s, source_totals(&src), src.origin);
}

static int take_chunk(struct store *s, const struct plan *plan, uint64_t chunk) {
    enum store_verdict verdict = STORE_OTHER;
    int rc = 0, result = 0;
    if (plan_get(plan, chunk) == PLAN_HAVE || plan_get(plan, chunk) == PLAN_FAILED)
        return 0;
    if (plan_get(plan, chunk) == PLAN_SUSPECT)
        rc = store_compare(s, chunk, 1, offer.digests + chunk * WIRE_DIGEST_LEN, &verdict);
    if (rc || verdict != STORE_OTHER)
        return rc;
    rc = store_put(s, &offer.frames[chunk], &result);
    return rc ? rc : result < 0 ? result : 0;
}

static int take_all(struct store *s, struct plan *plan) {
    const struct catalog *c = store_catalog(s);
    uint64_t missing;
    int rc = c ? 0 : take_list(s);
    if (!rc)
        rc = plan_init(plan, CHUNKS);
    if (!rc)
        rc = store_load(s, plan);
    if (!rc)
        rc = store_prepare(s, &missing);
    for (unsigned i = 0; !rc && i < CHUNKS; i++)
        rc = take_chunk(s, plan, i);
    if (!rc)
        rc = source_commit(s);
    skipped = s->n_skipped;
    return rc;
}

static int run_store(struct store *s) {
    struct plan plan = {0};
    int rc = take_all(s, &plan);
    plan_clear(&plan);
    store_close(s);
    return rc;
}

static int run(void *arg) {
    struct store_target t = {.dir = dest.path, .name = "d", .path = "share/name", .update = true};
    struct store *s;
    skipped = 0;
    int rc = store_open(&s, &t);
    return rc ? rc : run_store(s);
}

static int compare(void *arg) {
    struct store_target t = {.dir = dest.path, .name = "d", .path = "share/name"};
    struct store *s;
    int rc = store_open_same(&s, &t);
    return rc ? rc : run_store(s);
}

/* --- a disk that fails ----------------------------------------------------------------------- */

/* What fails for one entry only may leave that one out. */
static void each_call_fails(int with) {
    fault = with;
    for (unsigned nth = 1;; nth++) {
        make_old();
        countdown = nth;
        failed = NULL;
        armed = true;
        int rc = run(NULL);
        armed = false;
        bool locked = rc == ERR_LOCKED && fault == -EACCES;
        if (rc && rc != fault && rc != ERR_NO_SPACE && !locked)
            fail_msg("%s (call %u) failed with %d, the run with %d", failed, nth, fault, rc);
        expect_old_or_new();
        if (!failed) {
            assert_int_equal(rc, 0);
            assert_true(nth > 100);
            return;
        }
        if (rc == 0 && !skipped) /* it could do without; staging may be left */
            expect_files();
        rc = run(NULL);
        if (rc || skipped)
            fail_msg("after %s (call %u) had failed: %d", failed, nth, rc);
        expect_whole();
    }
}

static void each_call_fails_once(void **arg) { each_call_fails(-EIO); }

static void each_call_is_forbidden_once(void **arg) { each_call_fails(-EACCES); }

/* --- no memory ------------------------------------------------------------------------------- */

static void each_allocation_fails(void **arg) {
    make_old();
    assert_true(fail_alloc_each(run, NULL) > 10);
    expect_whole();
    assert_true(fail_alloc_each(compare, NULL) > 10);
    expect_whole();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_call_fails_once),
        TEST(each_call_is_forbidden_once),
        TEST(each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
