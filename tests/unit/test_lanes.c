/* SPDX-License-Identifier: MIT */
/* Several connections bring one file: each chunk once, and whatever happens to one of them. */
#include "pair.h"

#include "core/fetch_internal.h"

#include <signal.h>

/* A megabyte a second is worth a connection here, at every tick (100 ms). */
static const struct fetch_lane_rules eager = {.most = 3, .rate = 1000000, .every_ms = 50};

static unsigned seen, wanted; /* lanes that were open at once, beside the first */
static bool hurry; /* when as many as wanted are there: as fast as it goes from then on */
static void (*then)(struct pair *p); /* what happens then */

static unsigned count_open(const struct fetch *f) {
    unsigned n = 0;

    for (unsigned i = 0; i < f->n_extra; i++)
        n += f->extra[i].open;
    return n;
}

static void watch(struct pair *p, const struct fetch_event *e) {
    unsigned n = p->fetch && e->kind == FETCH_PROGRESS ? count_open(p->fetch) : 0;

    if (n <= seen)
        return;
    seen = n;
    if (n < wanted)
        return;
    if (hurry)
        server_set_limit(p->server, 0);
    if (then)
        then(p);
    then = NULL;
}

/* The limit is the server's, so that all lanes are there, 100 ms after each other, long before the
 * end. */
enum { BYTES = 60000000, LIMIT = 15000000 };

static int make_slow_pair(void **state) {
    struct pair *p;
    int r = make_pair(state);

    p = *state;
    p->limit = LIMIT;
    server_set_limit(p->server, LIMIT);
    p->lane_rules = &eager;
    p->on_progress = watch;
    seen = 0;
    wanted = 2;
    hurry = true;
    then = NULL;
    run_shell(p, "head -c 60000000 /dev/urandom > share/film" /* BYTES */);
    return r;
}

static void fetch_film(struct pair *p, void (*what)(struct pair *p)) {
    then = what;
    assert_int_equal(fetch_all(p, "share/film", "film"), 0);
    assert_null(then); /* it happened */
    assert_int_equal(p->sources, 1);
    run_shell(p, "cmp share/film out/film; test \"$(ls -A out)\" = film");
}

static void each_chunk_comes_once(void **state) {
    struct pair *p = *state;

    fetch_film(p, NULL);
    assert_int_equal(seen, 2);
    assert_int_equal(p->fetched, BYTES);
}

static void break_one(struct pair *p) { conn_abort(p->fetch->extra[0].conn, UV_ECONNRESET); }

static void the_first_goes_on_without_others(void **state) {
    struct pair *p = *state;

    fetch_film(p, break_one);
    assert_int_equal(p->fetched, BYTES);
}

static void break_first(struct pair *p) { conn_abort(p->fetch->current->lane.conn, UV_ECONNRESET); }

static void others_go_with_the_first(void **state) {
    struct pair *p = *state;

    fetch_film(p, break_first);
    assert_int_equal(p->fetched, BYTES);
}

static int drop_message(struct conn *c, const struct msg *m) { return 0; }

static void forget_conn(struct conn *c, int why, const char *text) {}

/* Nothing but its silence is a reason to leave it. */
static void mute(struct pair *p) {
    static const struct conn_handler deaf = {.on_message = drop_message, .on_closed = forget_conn};

    p->fetch->lane_rules.rate = 0;
    conn_set_handler(p->fetch->extra[1].conn, &deaf, NULL);
}

/* What it was asked for is asked for anew. */
static void a_silent_one_is_left(void **state) {
    static struct patience hasty;
    struct pair *p = *state;

    hasty = patience_default;
    hasty.pace = 1000;
    p->env.patience = &hasty;
    fetch_film(p, mute);
    assert_int_equal(p->fetched, BYTES);
}

static unsigned n_left;

/* More than ever comes; not so much that three times as much is no number. */
static void expect_more(struct pair *p) { p->fetch->lane_rules.rate = UINT64_MAX / 8; }

static void count_left(struct pair *p, const struct fetch_event *e) {
    watch(p, e);
    if (p->fetch && e->kind == FETCH_PROGRESS)
        n_left = p->fetch->n_extra;
}

static void they_go_when_they_bring_little(void **state) {
    struct pair *p = *state;

    p->on_progress = count_left;
    hurry = false;
    fetch_film(p, expect_more);
    assert_int_equal(seen, 2);
    assert_int_equal(n_left, 0);
    assert_int_equal(p->fetched, BYTES);
}

static bool refused;

static void wait_for_refusal(struct pair *p, const struct fetch_event *e) {
    watch(p, e);
    if (!p->fetch || !p->fetch->enough || refused)
        return;
    refused = true;
    n_left = p->fetch->n_extra; /* at the very end there may be too little for it */
    server_set_limit(p->server, 0);
}

static void the_server_may_take_no_more(void **state) {
    struct pair *p = *state;

    server_close(p->server);
    p->per_key = 2;
    start_server(p, 0);
    p->on_progress = wait_for_refusal;
    fetch_film(p, NULL);
    assert_true(refused);
    assert_int_equal(seen, 1); /* it stays */
    assert_int_equal(n_left, 1);
    assert_int_equal(p->fetched, BYTES);
}

static void write_over(struct pair *p) {
    run_shell(p, "printf x | dd of=share/film conv=notrunc status=none");
}

static void a_file_that_changes_is_never_mixed(void **state) {
    struct pair *p = *state;

    fetch_film(p, write_over);
    assert_true(p->fetched <= 2 * BYTES);
}

static void come_and_go(struct pair *p) {
    p->limit = 0;
    server_close(p->server);
    start_server(p, p->port);
}

static void the_server_comes_back(void **state) {
    struct pair *p = *state;

    fetch_film(p, come_and_go);
    assert_int_equal(p->fetched, BYTES);
}

static void a_stop_stops_all(void **state) {
    struct pair *p = *state;

    start_fetch(p, "share/film", "film");
    while (seen < 2 && !p->done)
        uv_run(&p->loop, UV_RUN_ONCE);
    assert_false(p->done);
    fetch_stop(p->fetch);
    while (!p->done)
        uv_run(&p->loop, UV_RUN_ONCE);
    assert_int_equal(p->why, ERR_STOPPED);
    uint64_t before = p->fetched;
    assert_int_equal(fetch_all(p, "share/film", "film"), 0);
    assert_int_equal(p->fetched + p->reused, BYTES);
    assert_int_equal(p->reused, before);
    run_shell(p, "cmp share/film out/film");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_chunk_comes_once, make_slow_pair, drop_pair),
        cmocka_unit_test_setup_teardown(the_first_goes_on_without_others, make_slow_pair,
                                        drop_pair),
        cmocka_unit_test_setup_teardown(others_go_with_the_first, make_slow_pair, drop_pair),
        cmocka_unit_test_setup_teardown(a_silent_one_is_left, make_slow_pair, drop_pair),
        cmocka_unit_test_setup_teardown(they_go_when_they_bring_little, make_slow_pair, drop_pair),
        cmocka_unit_test_setup_teardown(the_server_may_take_no_more, make_slow_pair, drop_pair),
        cmocka_unit_test_setup_teardown(a_file_that_changes_is_never_mixed, make_slow_pair,
                                        drop_pair),
        cmocka_unit_test_setup_teardown(the_server_comes_back, make_slow_pair, drop_pair),
        cmocka_unit_test_setup_teardown(a_stop_stops_all, make_slow_pair, drop_pair),
    };

    signal(SIGPIPE, SIG_IGN); /* as main does: the crew writes to sockets itself */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
