/* SPDX-License-Identifier: MIT */
#include "core/liveness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct patience *const p = &patience_default;

static void expect(const struct liveness *l, uint64_t now, enum liveness_step step, uint64_t when) {
    uint64_t next = 0;

    assert_int_equal(liveness_check(l, p, now, &next), step);
    if (step != LIVENESS_DEAD)
        assert_int_equal(next, when);
}

static void pings_after_silence(void **state) {
    struct liveness l = {.heard = 1000};

    expect(&l, 1000, LIVENESS_WAIT, 16000);
    expect(&l, 15999, LIVENESS_WAIT, 16000);
    expect(&l, 16000, LIVENESS_PING, 31000);
    l.pinged = 16000;
    expect(&l, 16001, LIVENESS_WAIT, 31000);
    expect(&l, 31000, LIVENESS_PING, 46000);
    l.pinged = 31000;
    expect(&l, 45999, LIVENESS_WAIT, 46000);
    expect(&l, 46000, LIVENESS_DEAD, 0);
}

static void a_word_brings_it_back(void **state) {
    struct liveness l = {.heard = 1000, .pinged = 31000};

    l.heard = 45000;
    expect(&l, 46000, LIVENESS_WAIT, 60000);
    expect(&l, 60000, LIVENESS_PING, 75000);
}

static void who_owes_an_answer_has_less_time(void **state) {
    struct liveness l = {.heard = 1000, .expected = 10000};

    expect(&l, 10000, LIVENESS_WAIT, 16000);
    expect(&l, 16000, LIVENESS_PING, 30000);
    l.pinged = 16000;
    expect(&l, 29999, LIVENESS_WAIT, 30000);
    expect(&l, 30000, LIVENESS_DEAD, 0);
    l.heard = 29000; /* some bytes are not the answer, but a sign of life */
    expect(&l, 30000, LIVENESS_WAIT, 44000);
    l.expected = 0;
    l.heard = 1000;
    expect(&l, 30000, LIVENESS_WAIT, 31000);
}

static void a_late_timer_does_not_ping_the_dead(void **state) {
    struct liveness l = {.heard = 1000}; /* the machine slept */

    expect(&l, 1000 + 3600000, LIVENESS_DEAD, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pings_after_silence),
        cmocka_unit_test(a_word_brings_it_back),
        cmocka_unit_test(who_owes_an_answer_has_less_time),
        cmocka_unit_test(a_late_timer_does_not_ping_the_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
