/* SPDX-License-Identifier: MIT */
#include "core/pacer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS 1000000ULL
#define SECOND (1000 * MS)

enum { TURNS_MAX = 64 };

/* A clock of our own, and connections that want all they can get. */
struct world {
    struct pacer p;
    struct pacer_turn turns[TURNS_MAX];
    uint64_t moved[TURNS_MAX], now;
    unsigned n;
};

static struct world *world(uint64_t rate, unsigned n) {
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->now = 1000 * SECOND;
    w->n = n;
    pacer_set_rate(&w->p, rate, w->now);
    return w;
}

/* Connection i moves what it may at this moment. */
static void move(struct world *w, unsigned i) {
    size_t n;

    while ((n = pacer_ask(&w->p, &w->turns[i], 256 * 1024, w->now)) > 0) {
        pacer_moved(&w->turns[i], n);
        w->moved[i] += n;
    }
}

/* All of them, every `step` of the clock. */
static uint64_t run(struct world *w, uint64_t duration, uint64_t step) {
    uint64_t before = 0, after = 0;

    for (unsigned i = 0; i < w->n; i++)
        before += w->moved[i];
    for (uint64_t end = w->now + duration; w->now < end; w->now += step)
        for (unsigned i = 0; i < w->n; i++)
            move(w, i);
    for (unsigned i = 0; i < w->n; i++)
        after += w->moved[i];
    return after - before;
}

static void assert_near(uint64_t is, uint64_t wanted, unsigned percent) {
    uint64_t slack = wanted * percent / 100;

    assert_in_range(is, wanted - slack, wanted + slack);
}

static const uint64_t rates[] = {4096, 100000, 1 << 20, 5000000, 200000000, 1250000000};

static void two_seconds_are_within_five_percent(void **state) {
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
        for (unsigned n = 1; n <= 8; n += 7) {
            struct world *w = world(rates[r], n);

            if (rates[r] >= 100000) {
                assert_near(run(w, 2 * SECOND, MS), 2 * rates[r], 5);
                assert_near(run(w, 2 * SECOND, MS), 2 * rates[r], 5);
            } else {
                assert_near(run(w, 60 * SECOND, MS), 60 * rates[r], 5);
            }
            free(w);
        }
}

static void all_get_the_same(void **state) {
    for (size_t r = 1; r < sizeof rates / sizeof *rates; r++) {
        struct world *w = world(rates[r], 8);

        run(w, 10 * SECOND, MS);
        for (unsigned i = 0; i < 8; i++)
            assert_near(w->moved[i], 10 * rates[r] / 8, 5);
        free(w);
    }
}

static void what_one_does_not_want_is_the_others(void **state) {
    struct world *w = world(1000000, 4);

    w->n = 1; /* the other three move nothing */
    assert_near(run(w, 2 * SECOND, MS), 2000000, 5);
    free(w);
}

static void a_pause_gives_no_right_to_a_burst(void **state) {
    struct world *w = world(1000000, 1);

    run(w, SECOND, MS);
    pacer_idle(&w->turns[0]); /* a minute without anything to move */
    w->now += 60 * SECOND;
    assert_near(run(w, 2 * SECOND, MS), 2000000, 5);
    free(w);
}

/* The loop sleeps now and then, although there is something to move. */
static void a_loop_that_comes_late_loses_nothing(void **state) {
    for (size_t r = 1; r < sizeof rates / sizeof *rates; r++) {
        struct world *w = world(rates[r], 1);

        run(w, SECOND, MS);
        assert_near(run(w, 4 * SECOND, 100 * MS), 4 * rates[r], 5);
        free(w);
    }
}

static void but_an_hour_of_sleep_is_no_hour_of_rate(void **state) {
    struct world *w = world(1000000, 1);

    run(w, SECOND, MS);
    w->now += 3600 * SECOND;
    assert_true(run(w, MS, MS) <= 600000);
    free(w);
}

static void a_new_rate_counts_at_once(void **state) {
    struct world *w = world(1000000, 8);

    run(w, SECOND, MS);
    pacer_set_rate(&w->p, 10000000, w->now);
    assert_near(run(w, 2 * SECOND, MS), 20000000, 5);
    pacer_set_rate(&w->p, 100000, w->now);
    run(w, SECOND, MS); /* slots of the old rate, at its pace */
    assert_near(run(w, 2 * SECOND, MS), 200000, 5);
    pacer_set_rate(&w->p, 0, w->now);
    w->now += SECOND;
    assert_int_equal(pacer_ask(&w->p, &w->turns[0], 12345, w->now), 12345);
    assert_false(pacer_is_ahead(&w->p, w->now));
    free(w);
}

static void without_a_limit_all_may_move(void **state) {
    struct pacer_turn turn = {0};
    struct pacer p = {0};

    assert_int_equal(pacer_ask(NULL, &turn, 1 << 20, 5), 1 << 20);
    assert_int_equal(pacer_ask(&p, &turn, 1 << 20, 5), 1 << 20);
    pacer_moved(&turn, 1 << 20);
    pacer_charge(NULL, 1, 5);
    pacer_charge(&p, 1, 5);
    assert_false(pacer_is_ahead(NULL, 5));
}

static void what_does_not_wait_counts(void **state) {
    struct world *w = world(1000000, 1);

    for (unsigned i = 0; i < 100; i++) /* a half of the rate */
        pacer_charge(&w->p, 10000, w->now);
    assert_true(pacer_is_ahead(&w->p, w->now));
    assert_near(run(w, 2 * SECOND, MS), 1000000, 5);
    free(w);
}

static void nor_can_it_keep_the_rest_away_for_long(void **state) {
    struct world *w = world(1000000, 1);

    for (unsigned i = 0; i < 100000; i++)
        pacer_charge(&w->p, 10000, w->now);
    assert_true(run(w, 2 * SECOND, MS) > 800000);
    free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_seconds_are_within_five_percent),
        cmocka_unit_test(all_get_the_same),
        cmocka_unit_test(what_one_does_not_want_is_the_others),
        cmocka_unit_test(a_pause_gives_no_right_to_a_burst),
        cmocka_unit_test(a_loop_that_comes_late_loses_nothing),
        cmocka_unit_test(but_an_hour_of_sleep_is_no_hour_of_rate),
        cmocka_unit_test(a_new_rate_counts_at_once),
        cmocka_unit_test(without_a_limit_all_may_move),
        cmocka_unit_test(what_does_not_wait_counts),
        cmocka_unit_test(nor_can_it_keep_the_rest_away_for_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
