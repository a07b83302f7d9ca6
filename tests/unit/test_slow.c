/* SPDX-License-Identifier: MIT */
/* Peers that ask for everything and take nothing: the others are served all the same. */
#include "pair.h"

enum { SLOW = 30, FILE_MIB = 16 };

static struct patience hasty = {
    .connect = 5000,
    .tls = 10000,
    .hello = 10000,
    .auth = 10000,
    .admit = 10000,
    .dial = 10000,
    .drain = 300,
    .ping = 15000,
    .silence = 45000,
    .answer = 20000,
    .farewell = 500,
    .elsewhere = 10000,
    .pace = 60000,
    .hope = 60000,
};

static struct slow {
    struct conn *conn;
    bool closed;
} slow[SLOW];
static unsigned n_asked;
static struct conn_env lazy; /* without a buffer: no frame can be taken */
static struct pool none;

static int slow_open(struct conn *c) {
    struct msg m = {.type = WIRE_OPEN, .req = 1};

    m.open.path = (struct bytes){(const uint8_t *)"share/film", 10};
    return conn_send(c, &m);
}

static int slow_message(struct conn *c, const struct msg *m) {
    struct msg get = {.type = WIRE_GET, .req = 2};
    uint8_t ranges[WIRE_RANGE_LEN];

    assert_int_equal(m->type, WIRE_OPENED);
    wire_range_put(ranges, (struct wire_range){0, FILE_MIB});
    get.get.n = 1;
    get.get.ranges = (struct bytes){ranges, sizeof ranges};
    for (; get.req < 10; get.req++) /* more than sockets hold */
        assert_int_equal(conn_send(c, &get), 0);
    n_asked++;
    return 0;
}

static void slow_closed(struct conn *c, int why, const char *text) {
    ((struct slow *)conn_owner(c))->closed = true;
}

static const struct conn_handler slow_handler = {
    .on_open = slow_open, .on_message = slow_message, .on_closed = slow_closed};

static int set_up(void **state) {
    struct pair *p;

    make_pair(state);
    p = *state;
    server_close(p->server);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    p->patience = &hasty;
    start_server(p, 0);
    memset(slow, 0, sizeof slow);
    assert_int_equal(pool_init(&none, 0), 0);
    assert_int_equal(conn_env_init(&lazy, &p->loop, TLS_DIALLER, &p->here, &none), 0);
    run_shell(p,
              "head -c 16777216 /dev/urandom >share/film; head -c 5000000 /dev/urandom >share/x");
    return 0;
}

static int tear_down(void **state) {
    struct pair *p = *state;

    for (unsigned i = 0; i < SLOW; i++)
        if (slow[i].conn && !slow[i].closed)
            conn_close(slow[i].conn, 0);
    if (p->fetch)
        fetch_stop(p->fetch);
    p->fetch = NULL;
    server_close(p->server);
    p->server = NULL;
    uv_run(&p->loop, UV_RUN_DEFAULT);
    conn_env_clear(&lazy);
    pool_clear(&none);
    return drop_pair(state);
}

static void start_slow(struct pair *p, unsigned n) {
    struct sockaddr_in addr;

    uv_ip4_addr("127.0.0.1", p->port, &addr);
    n_asked = 0;
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(
            conn_dial(&slow[i].conn, &lazy, (struct sockaddr *)&addr, &slow_handler, &slow[i]), 0);
}

/* All of them have asked for everything. */
static void wait_for_slow(struct pair *p, unsigned n) {
    uv_timer_start(&p->deadline, on_deadline, DEADLINE_MS, 0);
    while (n_asked < n)
        uv_run(&p->loop, UV_RUN_ONCE);
}

/* Another peer need not wait for them: they may be as slow as they are. */
static void a_slow_peer_leaves_room_for_others(void **state) {
    struct pair *p = *state;
    struct identity another;

    conn_env_clear(&lazy);
    run_shell(p, "mkdir another");
    assert_int_equal(identity_load(&another, in(p, "another")), 0);
    assert_int_equal(conn_env_init(&lazy, &p->loop, TLS_DIALLER, &another, &none), 0);
    identity_clear(&another);
    hasty.drain = 0; /* not even judged */
    start_slow(p, 14);
    wait_for_slow(p, 14);
    for (int i = 0; i < 20; i++) { /* until nothing more fits into their sockets */
        assert_int_equal(fetch_all(p, "share/x", "x"), 0);
        run_shell(p, "cmp share/x out/x && rm out/x");
    }
}

static void who_holds_what_others_need_must_go(void **state) {
    struct pair *p = *state;

    hasty.drain = 300;
    start_slow(p, SLOW);
    wait_for_slow(p, SLOW);
    assert_int_equal(fetch_all(p, "share/film", "film"), 0);
    run_shell(p, "cmp share/film out/film");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_slow_peer_leaves_room_for_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_holds_what_others_need_must_go, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
