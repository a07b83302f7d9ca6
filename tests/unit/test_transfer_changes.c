/* SPDX-License-Identifier: MIT */
/* Transfers while the source changes: one version of each file arrives, or it is told. */
#include "pair.h"

/* Changed in place after a part of it was fetched: only what differs is fetched again. */
static void changed_source_is_compared(void **state) {
    struct pair *p = *state;

    run_shell(p, "head -c 100000000 /dev/urandom > share/big; touch -d @1000000000 share/big");
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
    assert_true(p->fetched <= 100000000 - before + MIB);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changed_source_is_compared, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(growing_file_is_reported, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(removed_file_is_left_out, make_pair, drop_pair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
