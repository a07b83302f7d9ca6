/* SPDX-License-Identifier: MIT */
#include "core/drain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SPAN = 5000, ENOUGH = SPAN * DRAIN_RATE };

static uint64_t next;

static enum drain_step check(struct drain *d, bool wanted, uint64_t now) {
    return drain_check(d, wanted, SPAN, now, &next);
}

static void who_takes_too_little_drags_when_others_wait(void **state) {
    for (int from = 0; from < 2; from++)
        for (int to = 0; to < 2; to++)
            for (int slow = 0; slow < 2; slow++) {
                struct drain d = {0};

                drain_begin(&d, from, 1000);
                drain_took(&d, ENOUGH - (size_t)slow);
                assert_int_equal(check(&d, to, 1000 + SPAN),
                                 from && to && slow ? DRAIN_DRAGS : DRAIN_FINE);
                assert_int_equal(next, 1000 + 2 * SPAN); /* and so on */
            }
}

static void nothing_is_judged_before_its_time(void **state) {
    struct drain d = {0};

    assert_int_equal(check(&d, true, 900), DRAIN_FINE);
    assert_int_equal(next, UINT64_MAX);
    drain_begin(&d, true, 1000);
    drain_begin(&d, true, 3000); /* more frames change nothing */
    assert_int_equal(check(&d, true, 1000 + SPAN - 1), DRAIN_FINE);
    assert_int_equal(next, 1000 + SPAN);
    drain_end(&d);
    assert_int_equal(check(&d, true, 1000 + SPAN), DRAIN_FINE);
    assert_int_equal(next, UINT64_MAX);
    drain_begin(&d, true, 9000); /* from the beginning */
    assert_int_equal(check(&d, true, 9001), DRAIN_FINE);
    assert_int_equal(next, 9000 + SPAN);
}

static void each_span_counts_for_itself(void **state) {
    struct drain d = {0};

    drain_begin(&d, true, 0);
    drain_took(&d, 100 * ENOUGH);
    assert_int_equal(check(&d, true, SPAN), DRAIN_FINE);
    assert_int_equal(check(&d, true, 2 * SPAN), DRAIN_DRAGS);
}

static void our_own_sleep_is_not_held_against_it(void **state) {
    struct drain d = {0};

    drain_begin(&d, true, 0);
    assert_int_equal(check(&d, true, 2 * SPAN), DRAIN_FINE);
    assert_int_equal(drain_check(&d, true, 0, 9 * SPAN, &next), DRAIN_FINE); /* never */
    assert_int_equal(next, UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_takes_too_little_drags_when_others_wait),
        cmocka_unit_test(nothing_is_judged_before_its_time),
        cmocka_unit_test(each_span_counts_for_itself),
        cmocka_unit_test(our_own_sleep_is_not_held_against_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
