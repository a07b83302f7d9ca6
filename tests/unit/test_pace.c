/* SPDX-License-Identifier: MIT */
/* Sources that are there and bring nothing: a fetch must not wait for ever, nor end too soon. */
#include "liar.h"

#include "core/query.h"

enum { CHECKS_AT_LEAST = 12 }; /* more than there are until who stands still is given up */

static struct patience hasty;

static int make_hasty(void **state) {
    struct liar *l;

    make_liar(state);
    l = *state;
    hasty = patience_default;
    hasty.pace = TIMEOUT_MS / 2;
    hasty.elsewhere = TIMEOUT_MS / 4;
    l->victim_env.patience = &hasty;
    return 0;
}

static void ends_as_stalled(struct liar *l, enum lie lie) {
    assert_int_equal(fetch_from(l, lie), ERR_STALLED);
    assert_non_null(strstr(l->text, "liar"));
    assert_false(scratch_has(&l->at, "out/f"));
}

static void who_never_opens(void **state) { ends_as_stalled(*state, MUTE); }

static void who_never_gives(void **state) { ends_as_stalled(*state, SILENCE); }

/* It takes longer than anything else may, and is worth waiting for. */
static void is_waited_for(struct liar *l, enum lie lie) {
    hasty.pace = 4 * TIMEOUT_MS; /* it is asked how far it is each tenth of that */
    assert_int_equal(fetch_from(l, lie), 0);
    assert_int_equal(l->lied, WALKED);
    assert_int_equal(l->n_conns, 1);
}

static void a_long_walk(void **state) { is_waited_for(*state, WALKS); }

static void a_slow_disk(void **state) { is_waited_for(*state, SLOW_DISK); }

static void a_walk_without_end(void **state) {
    hasty.hope = TIMEOUT_MS;
    ends_as_stalled(*state, WALKS_ALWAYS);
}

/* Each list of files is progress, but not for ever. */
static void lists_without_end(void **state) {
    struct liar *l = *state;

    hasty.hope = TIMEOUT_MS;
    ends_as_stalled(l, RELISTS);
    assert_true(l->lied > 2);
}

/* Given up before the time is over, and for the other one at once. */
static void another_source_is_asked(void **state) {
    struct liar *l = *state;

    l->twice = true;
    l->timeout_ms = 20 * TIMEOUT_MS;
    hasty.pace = 40 * TIMEOUT_MS;
    assert_int_equal(fetch_from(l, MUTE_ONCE), 0);
    assert_int_equal(l->n_conns, 2);
}

/* ---- a question ---- */

static void on_answer(void *owner, int why, const char *text, const struct query_peer *peer,
                      const struct query_info *info) {
    struct liar *l = owner;

    l->why = why;
    l->done = true;
    uv_stop(&l->loop);
}

static const struct query_handler query_events = {.on_done = on_answer};

static void ends_as_late(struct liar *l, enum lie lie, uint64_t whole_ms) {
    struct query_request r = {.kind = QUERY_FIND,
                              .arg = "f",
                              .timeout_ms = DEADLINE_MS,
                              .answer_ms = TIMEOUT_MS,
                              .whole_ms = whole_ms,
                              .to.n_addrs = 1};
    int len = sizeof r.to.addrs[0];
    struct query *q;

    l->lie = lie;
    uv_tcp_getsockname(&l->listener, (struct sockaddr *)&r.to.addrs[0], &len);
    assert_int_equal(query_start(&q, &l->victim_env, &r, &query_events, l), 0);
    uv_timer_start(&l->deadline, on_deadline, DEADLINE_MS, 0);
    while (!l->done)
        uv_run(&l->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&l->deadline);
    assert_int_equal(l->why, UV_ETIMEDOUT);
}

static void a_question_that_is_not_answered(void **state) { ends_as_late(*state, MUTE, 0); }

static void a_row_now_and_then(void **state) {
    struct liar *l = *state;

    ends_as_late(l, TRICKLES, 0);
    assert_true(l->lied > 1);
}

static void a_search_without_end(void **state) {
    struct liar *l = *state;

    ends_as_late(l, WALKS_ALWAYS, 3 * TIMEOUT_MS);
    assert_true(l->lied > CHECKS_AT_LEAST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_never_opens, make_hasty, drop_liar),
        cmocka_unit_test_setup_teardown(who_never_gives, make_hasty, drop_liar),
        cmocka_unit_test_setup_teardown(a_long_walk, make_hasty, drop_liar),
        cmocka_unit_test_setup_teardown(a_slow_disk, make_hasty, drop_liar),
        cmocka_unit_test_setup_teardown(a_walk_without_end, make_hasty, drop_liar),
        cmocka_unit_test_setup_teardown(lists_without_end, make_hasty, drop_liar),
        cmocka_unit_test_setup_teardown(another_source_is_asked, make_hasty, drop_liar),
        cmocka_unit_test_setup_teardown(a_question_that_is_not_answered, make_hasty, drop_liar),
        cmocka_unit_test_setup_teardown(a_row_now_and_then, make_hasty, drop_liar),
        cmocka_unit_test_setup_teardown(a_search_without_end, make_hasty, drop_liar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
