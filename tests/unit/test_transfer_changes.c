/* SPDX-License-Identifier: MIT */
/* Transfers while the source changes: one version of each file arrives, or it is told. */
#include "pair.h"

#include "core/selection.h"

#include <fcntl.h>
#include <unistd.h>

/* --- a source whose clock counts in coarse steps --------------------------------------------- */

static _Atomic time_t files_s;   /* not 0: the time of every file, whatever happens to it */
static _Atomic int64_t clock_ns; /* and what the source's clock says */

static int coarse(int err, struct stat *st) {
    if (!err && files_s && S_ISREG(st->st_mode))
        st->st_mtim = st->st_ctim = (struct timespec){.tv_sec = files_s};
    return err;
}

#define WRAP(type, name, params, value)                                                            \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params { return value; }

WRAP(int, fstat, (int fd, struct stat *st), coarse(__real_fstat(fd, st), st))
WRAP(int, fstat64, (int fd, struct stat *st), coarse(__real_fstat64(fd, st), st))
WRAP(int, fstatat, (int dir, const char *name, struct stat *st, int flags),
     coarse(__real_fstatat(dir, name, st, flags), st))
WRAP(int, fstatat64, (int dir, const char *name, struct stat *st, int flags),
     coarse(__real_fstatat64(dir, name, st, flags), st))
WRAP(int64_t, selection_now_ns, (const struct selection *sel),
     files_s ? clock_ns : __real_selection_now_ns(sel))

static int drop_coarse(void **state) {
    files_s = 0;
    return drop_pair(state);
}

/* --- tests ------------------------------------------------------------------------------------ */

/* Changed in place after a part of it was fetched: only what differs is fetched again. */
static void changed_source_is_compared(void **state) {
    struct pair *p = *state;

    make_big(p);
    run_shell(p, "touch -d @1000000000 share/big");
    p->on_progress = stop_early;
    start_fetch(p, "share/big", "big");
    while (!p->done)
        uv_run(&p->loop, UV_RUN_DEFAULT);
    assert_int_equal(p->why, ERR_STOPPED);
    uint64_t before = p->fetched;
    run_shell(p, "printf changed | dd of=share/big bs=1 seek=10 conv=notrunc status=none; "
                 "touch -d @1100000000 share/big");
    p->on_progress = NULL;
    assert_int_equal(fetch_all(p, "share/big", "big"), 0);
    run_shell(p, "cmp share/big out/big");
    assert_true(p->fetched <= BIG - before + MIB);
    assert_true(p->reused >= before - MIB);
}

static void grow_file(struct pair *p, const struct fetch_event *e) {
    if (e->kind == FETCH_STARTED)
        run_shell(p, "echo more >> share/log");
}

static void growing_file_is_reported(void **state) {
    struct pair *p = *state;

    run_shell(p, "head -c 3000000 /dev/urandom > share/log");
    p->on_progress = grow_file;
    assert_int_equal(fetch_all(p, "share/log", "log"), ERR_CHANGING);
    assert_true(p->incomplete);
    assert_false(scratch_has(&p->at, "out/log"));
}

static void remove_file(struct pair *p, const struct fetch_event *e) {
    if (e->kind == FETCH_STARTED && scratch_has(&p->at, "share/t/victim"))
        run_shell(p, "rm share/t/victim");
}

static void removed_file_is_left_out(void **state) {
    struct pair *p = *state;

    run_shell(p, "mkdir share/t; echo 1 > share/t/a; echo 2 > share/t/victim; echo 3 > share/t/z");
    p->on_progress = remove_file;
    assert_int_equal(fetch_all(p, "share/t", "t"), 0);
    run_shell(p, "diff -r share/t out/t");
}

/* The whole file may have been read before it changed. */
static void expect_one_version(struct pair *p) {
    run_shell(p, "cmp -s share/big out/big || cmp old out/big");
}

/* Between two runs a file changes, and nothing shows it: its time, and that of the change, are in
 * the step of the clock in which it was listed before. */
static void changes_within_a_step_between_runs(void **state) {
    struct pair *p = *state;

    make_big(p);
    files_s = 2000000000;
    clock_ns = files_s * INT64_C(1000000000);
    p->on_progress = stop_early;
    assert_int_equal(fetch_all(p, "share/big", "big"), ERR_STOPPED);
    assert_true(p->fetched > 0);
    make_big(p);
    clock_ns += INT64_C(10000000000);
    p->on_progress = NULL;
    assert_int_equal(fetch_all(p, "share/big", "big"), 0);
    run_shell(p, "cmp share/big out/big");
    assert_int_equal(p->reused, 0);
    assert_true(p->fetched >= p->bytes);
}

static void rewrite_once(struct pair *p, const struct fetch_event *e) {
    if (e->kind != FETCH_PROGRESS || e->done == 0)
        return;
    p->on_progress = NULL;
    make_big(p);
}

/* The same in the middle of one. */
static void changes_within_a_step_in_a_run(void **state) {
    struct pair *p = *state;

    make_big(p);
    files_s = 2000000000;
    clock_ns = files_s * INT64_C(1000000000) + 1900000000;
    p->on_progress = rewrite_once;
    assert_int_equal(fetch_all(p, "share/big", "big"), 0);
    expect_one_version(p);
}

static uint64_t before; /* bytes of an earlier run */

/* Two chunks that came in this run become others. */
static void rewrite_two_chunks(struct pair *p, const struct fetch_event *e) {
    char script[128];

    if (e->kind != FETCH_PROGRESS || e->fetched < 8 * MIB)
        return;
    p->on_progress = NULL;
    snprintf(script, sizeof script,
             "cp share/big old; head -c 2M /dev/urandom | dd of=share/big bs=1M seek=%d "
             "conv=notrunc status=none",
             (int)(before / MIB) + 3);
    run_shell(p, script);
}

/* What was fetched in vain is not taken off what was here before. */
static void figures_are_honest(void **state) {
    struct pair *p = *state;

    make_big(p);
    p->on_progress = stop_early;
    assert_int_equal(fetch_all(p, "share/big", "big"), ERR_STOPPED);
    before = p->fetched;
    p->on_progress = rewrite_two_chunks;
    assert_int_equal(fetch_all(p, "share/big", "big"), 0);
    expect_one_version(p);
    assert_int_equal(p->reused, before);
    assert_true(p->fetched >= p->bytes - before);
}

/* --- holes ------------------------------------------------------------------------------------ */

static char filled[256];    /* the file that is written to when a hole of it is about to be sent */
static atomic_bool to_fill; /* once: several workers may be about to */

uint32_t __real_selection_read_hole(struct selection_reader *r, uint64_t first, uint32_t n,
                                    uint16_t req, uint8_t *frame, size_t *len);
uint32_t __wrap_selection_read_hole(struct selection_reader *r, uint64_t first, uint32_t n,
                                    uint16_t req, uint8_t *frame, size_t *len);
uint32_t __wrap_selection_read_hole(struct selection_reader *r, uint64_t first, uint32_t n,
                                    uint16_t req, uint8_t *frame, size_t *len) {
    if (atomic_exchange(&to_fill, false)) {
        int fd = open(filled, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "new", 3, 500000000), 3);
        close(fd);
    }
    return __real_selection_read_hole(r, first, n, req, frame, len);
}

/* What was a hole when its neighbours were read is none any more. */
static void a_hole_is_filled(void **state) {
    struct pair *p = *state;

    run_shell(p, "truncate -s 2G share/hole; printf old | dd of=share/hole bs=1 seek=900000000 "
                 "conv=notrunc status=none; touch -d @1000000000 share/hole");
    snprintf(filled, sizeof filled, "%s", in(p, "share/hole"));
    to_fill = true;
    assert_int_equal(fetch_all(p, "share/hole", "hole"), 0);
    assert_false(to_fill);
    run_shell(p, "cmp share/hole out/hole; test $(stat -c %b out/hole) -le 32");
    assert_true(p->fetched <= 4 * MIB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changed_source_is_compared, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(growing_file_is_reported, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(removed_file_is_left_out, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(changes_within_a_step_between_runs, make_pair, drop_coarse),
        cmocka_unit_test_setup_teardown(changes_within_a_step_in_a_run, make_pair, drop_coarse),
        cmocka_unit_test_setup_teardown(figures_are_honest, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(a_hole_is_filled, make_pair, drop_pair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
