/* SPDX-License-Identifier: MIT */
#include "core/dial.h"

#include "core/err.h"
#include "net.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static struct net net;
static struct conn *won;
static struct dial *dial;
static int done, why, conns, accepted;
static char text[640];

static int on_message(struct conn *c, const struct msg *m) { return 0; }

static void on_closed(struct conn *c, int reason, const char *detail) {
    conns--;
    if (c == won)
        won = NULL;
}

static const struct conn_handler handler = {.on_message = on_message, .on_closed = on_closed};

static void on_done(void *owner, int reason, const char *detail, struct conn *c) {
    assert_ptr_equal(owner, &net);
    assert_int_equal(done++, 0);
    dial = NULL;
    why = reason;
    snprintf(text, sizeof text, "%s", detail);
    won = c;
    if (c) {
        conns++;
        conn_set_handler(c, &handler, NULL);
    }
}

static const struct dial_handler dial_events = {.on_done = on_done};

static void accept_one(struct net *n) {
    struct conn *c;

    assert_int_equal(conn_accept(&c, &n->listen, (uv_stream_t *)&n->listener, &handler, NULL), 0);
    conns++;
    accepted++;
}

static int set_up(void **state) {
    net_open(&net, 2);
    net.on_connection = accept_one;
    won = NULL;
    dial = NULL;
    done = why = conns = accepted = 0;
    return 0;
}

static int tear_down(void **state) {
    net_close(&net);
    return 0;
}

static void add_port(struct endpoint *to, const char *ip, unsigned port) {
    struct sockaddr_storage *a = &to->addrs[to->n_addrs++];

    if (strchr(ip, ':'))
        assert_int_equal(uv_ip6_addr(ip, (int)port, (struct sockaddr_in6 *)a), 0);
    else
        assert_int_equal(uv_ip4_addr(ip, (int)port, (struct sockaddr_in *)a), 0);
}

static unsigned port(void) { return ntohs(net.addr.sin_port); }

/* A port where nobody listens: one that was just given up. */
static unsigned closed_port(void) {
    uv_tcp_t tcp;
    struct sockaddr_in a;
    int len = sizeof a;

    uv_tcp_init(&net.loop, &tcp);
    uv_ip4_addr("127.0.0.1", 0, &a);
    assert_int_equal(uv_tcp_bind(&tcp, (const struct sockaddr *)&a, 0), 0);
    assert_int_equal(uv_tcp_getsockname(&tcp, (struct sockaddr *)&a, &len), 0);
    uv_close((uv_handle_t *)&tcp, NULL);
    uv_run(&net.loop, UV_RUN_NOWAIT);
    return ntohs(a.sin_port);
}

static void start(const struct endpoint *to) {
    assert_int_equal(dial_start(&dial, &net.dial, to, &dial_events, &net), 0);
    assert_int_equal(done, 0); /* never from inside our call */
}

static void expect_win(void) {
    NET_UNTIL(&net, done);
    assert_int_equal(why, 0);
    assert_non_null(won);
    assert_memory_equal(conn_key(won), net_ids[1].key, KEY_LEN);
    conn_close(won, 0);
    NET_UNTIL(&net, conns == 0);
}

static void expect_failure(int reason) {
    NET_UNTIL(&net, done);
    assert_int_equal(why, reason);
    assert_null(won);
    assert_string_not_equal(text, "");
    NET_UNTIL(&net, conns == 0);
}

static void takes_the_address_that_works(void **state) {
    struct endpoint to = {.key_known = true};

    memcpy(to.key, net_ids[1].key, KEY_LEN);
    for (unsigned i = 0; i < 10; i++)
        add_port(&to, i % 2 ? "::1" : "127.0.0.1", closed_port());
    add_port(&to, "127.0.0.1", port());
    add_port(&to, "127.0.0.1", port()); /* a duplicate is dialled once */
    start(&to);
    uint64_t since = uv_now(&net.loop);
    expect_win();
    assert_int_equal(accepted, 1);
    assert_true(uv_now(&net.loop) - since < 8 * DIAL_STAGGER_MS); /* no wait after a refusal */
}

/* The kernel takes the connection, and nobody says a word. */
static int listen_silently(struct endpoint *to) {
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    uv_ip4_addr("127.0.0.1", 0, &a);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    add_port(to, "127.0.0.1", ntohs(a.sin_port));
    return fd;
}

static void does_not_wait_for_a_silent_address(void **state) {
    struct endpoint to = {0};
    int silent = listen_silently(&to);

    add_port(&to, "127.0.0.1", port());
    start(&to);
    uint64_t since = uv_now(&net.loop);
    expect_win();
    assert_in_range(uv_now(&net.loop) - since, DIAL_STAGGER_MS - 10, 2000);
    close(silent);
}

static void gives_up_in_time(void **state) {
    struct patience hasty = patience_default;
    struct endpoint to = {0};
    int silent = listen_silently(&to);

    hasty.dial = 400;
    net.dial.patience = &hasty;
    start(&to);
    uint64_t since = uv_now(&net.loop);
    expect_failure(UV_ETIMEDOUT);
    assert_in_range(uv_now(&net.loop) - since, 390, 2000);
    close(silent);
}

static void resolves_names(void **state) {
    struct endpoint to = {.host = "localhost", .port = (uint16_t)port()};

    start(&to);
    expect_win();
}

static void says_that_a_name_is_unknown(void **state) {
    struct endpoint to = {.host = "no.such.host.invalid", .port = 5000};

    start(&to);
    NET_UNTIL(&net, done);
    assert_true(why < 0);
    assert_null(won);
    assert_string_not_equal(text, "");
}

static void another_key_is_most_telling(void **state) {
    struct endpoint to = {.key_known = true};

    memcpy(to.key, net_ids[0].key, KEY_LEN);
    add_port(&to, "127.0.0.1", closed_port());
    add_port(&to, "127.0.0.1", port());
    add_port(&to, "::1", closed_port());
    start(&to);
    expect_failure(ERR_KEY_OTHER);
    assert_non_null(strstr(text, "127.0.0.1"));
    assert_non_null(strstr(text, "Listener"));
}

static void refused_is_refused(void **state) {
    struct endpoint to = {0};

    add_port(&to, "127.0.0.1", closed_port());
    start(&to);
    expect_failure(UV_ECONNREFUSED);
}

static void an_address_of_nothing_fails_later(void **state) {
    struct endpoint to = {0};

    assert_int_equal(dial_start(&dial, &net.dial, &to, &dial_events, &net), -EINVAL);
    add_port(&to, "fe80::1", 5000); /* no scope: EINVAL at once */
    start(&to);
    NET_UNTIL(&net, done);
    assert_true(why < 0);
}

static void stops_at_every_step(void **state) {
    struct endpoint to = {.host = "localhost", .port = (uint16_t)port()};

    add_port(&to, "127.0.0.1", closed_port());
    add_port(&to, "127.0.0.1", port());
    dial_stop(NULL);
    for (unsigned steps = 0; !done; steps++) {
        start(&to);
        for (unsigned i = 0; i < steps && !done; i++)
            uv_run(&net.loop, UV_RUN_NOWAIT);
        dial_stop(dial);
        if (done)
            conn_close(won, 0);
        NET_UNTIL(&net, conns == 0);
        assert_true(steps < 1000);
    }
}

#define ON_NET(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_NET(takes_the_address_that_works),
        ON_NET(does_not_wait_for_a_silent_address),
        ON_NET(gives_up_in_time),
        ON_NET(resolves_names),
        ON_NET(says_that_a_name_is_unknown),
        ON_NET(another_key_is_most_telling),
        ON_NET(refused_is_refused),
        ON_NET(an_address_of_nothing_fails_later),
        ON_NET(stops_at_every_step),
    };
    return cmocka_run_group_tests(tests, net_make_ids, net_free_ids);
}
