/* SPDX-License-Identifier: MIT */
#include "core/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void run_is(struct plan *p, enum plan_state state, uint32_t max, uint64_t first,
                   uint32_t n) {
    uint64_t got_first = UINT64_MAX;
    uint32_t got_n = 0;
    assert_int_equal(plan_run(p, state, max, &got_first, &got_n), 1);
    assert_int_equal(got_first, first);
    assert_int_equal(got_n, n);
}

static void run_none(struct plan *p, enum plan_state state) {
    uint64_t first;
    uint32_t n;
    assert_int_equal(plan_run(p, state, 1000, &first, &n), 0);
}

static void starts_absent(void **arg) {
    struct plan p;
    assert_int_equal(plan_init(&p, 10), 0);
    assert_int_equal(p.count[PLAN_ABSENT], 10);
    run_is(&p, PLAN_ABSENT, 4, 0, 4);
    run_is(&p, PLAN_ABSENT, 100, 0, 10);
    run_none(&p, PLAN_HAVE);
    run_none(&p, PLAN_CHECK);
    plan_clear(&p);
}

static void without_chunks(void **arg) {
    struct plan p;
    assert_int_equal(plan_init(&p, 0), 0);
    for (unsigned state = 0; state < PLAN_ASKED; state++)
        run_none(&p, state);
    plan_drop_source(&p, 0);
    plan_clear(&p);
}

static void asks_and_receives(void **arg) {
    struct plan p;
    assert_int_equal(plan_init(&p, 8), 0);
    plan_ask(&p, 0, 3, 0);
    plan_ask(&p, 3, 2, 199);
    run_is(&p, PLAN_ABSENT, 100, 5, 3);
    assert_int_equal(plan_get(&p, 0), PLAN_ASKED);
    assert_int_equal(plan_get(&p, 4), PLAN_ASKED);
    assert_true(plan_asked_of(&p, 2, 0));
    assert_false(plan_asked_of(&p, 2, 199));
    assert_true(plan_asked_of(&p, 3, 199));
    assert_false(plan_asked_of(&p, 5, 0));
    assert_int_equal(p.count[PLAN_ASKED], 5);

    plan_set(&p, 1, PLAN_HAVE);
    plan_drop_source(&p, 0);
    assert_int_equal(p.count[PLAN_ASKED], 2);
    run_is(&p, PLAN_ABSENT, 100, 0, 1);
    plan_set(&p, 0, PLAN_FAILED);
    run_is(&p, PLAN_ABSENT, 100, 2, 1);
    assert_true(plan_asked_of(&p, 4, 199));
    plan_clear(&p);
}

static void runs_end_at_other_states(void **arg) {
    struct plan p;
    assert_int_equal(plan_init(&p, 6), 0);
    plan_set(&p, 1, PLAN_CHECK);
    plan_set(&p, 2, PLAN_CHECK);
    plan_set(&p, 4, PLAN_SUSPECT);
    run_is(&p, PLAN_CHECK, 100, 1, 2);
    run_is(&p, PLAN_CHECK, 1, 1, 1);
    run_is(&p, PLAN_SUSPECT, 100, 4, 1);
    plan_set(&p, 4, PLAN_ABSENT);
    run_none(&p, PLAN_SUSPECT);
    run_is(&p, PLAN_ABSENT, 100, 0, 1);
    plan_set(&p, 0, PLAN_HAVE);
    run_is(&p, PLAN_ABSENT, 100, 3, 3);
    plan_clear(&p);
}

/* A chunk that falls back below the low mark is found again. */
static void low_mark_goes_back(void **arg) {
    struct plan p;
    assert_int_equal(plan_init(&p, 100), 0);
    plan_ask(&p, 0, 100, 7);
    run_none(&p, PLAN_ABSENT);
    plan_set(&p, 50, PLAN_ABSENT);
    run_is(&p, PLAN_ABSENT, 100, 50, 1);
    plan_set(&p, 20, PLAN_ABSENT);
    run_is(&p, PLAN_ABSENT, 100, 20, 1);
    plan_drop_source(&p, 7);
    run_is(&p, PLAN_ABSENT, 1000, 0, 100);
    plan_clear(&p);
}

static uint64_t count_of(const struct plan *p, enum plan_state state) {
    uint64_t n = 0;
    for (uint64_t i = 0; i < p->n; i++)
        n += plan_get(p, i) == state;
    return n;
}

static void check_all(struct plan *p) {
    for (unsigned state = 0; state <= PLAN_ASKED; state++)
        assert_int_equal(p->count[state], count_of(p, state));
    for (unsigned state = 0; state < PLAN_ASKED; state++) {
        uint64_t want = 0, first = 0;
        uint32_t n = 0;
        while (want < p->n && plan_get(p, want) != state)
            want++;
        assert_int_equal(plan_run(p, state, 3, &first, &n), want < p->n);
        if (want < p->n)
            assert_int_equal(first, want);
    }
}

/* Counts and first runs agree with a naive look, whatever happens. */
static void random_walk(void **arg) {
    struct plan p;
    unsigned seed = 1;
    assert_int_equal(plan_init(&p, 37), 0);
    for (unsigned step = 0; step < 3000; step++) {
        uint64_t first;
        uint32_t n;
        unsigned r = (unsigned)rand_r(&seed);
        if (r % 11 == 0)
            plan_drop_source(&p, r / 11 % 5);
        else if (r % 3 == 0 && plan_run(&p, PLAN_ABSENT, r % 7 + 1, &first, &n))
            plan_ask(&p, first, n, r / 3 % 5);
        else
            plan_set(&p, r / 2 % p.n, r / 128 % PLAN_ASKED);
        check_all(&p);
    }
    plan_clear(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_absent),      cmocka_unit_test(without_chunks),
        cmocka_unit_test(asks_and_receives),  cmocka_unit_test(runs_end_at_other_states),
        cmocka_unit_test(low_mark_goes_back), cmocka_unit_test(random_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
