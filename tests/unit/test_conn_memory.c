/* SPDX-License-Identifier: MIT */
/* A whole conversation, through dial, with the n-th allocation failing, for every n. */
#include "core/dial.h"
#include "fail_alloc.h"
#include "sides.h"

#include <cmocka.h>

static bool done, answered;
static int dial_why;

static int heard(struct conn *c, const struct msg *m) {
    struct side *s = conn_owner(c);
    struct msg answer = {.type = WIRE_INFO, .req = m->req};

    if (s == &listener)
        return conn_send(c, &answer);
    answered = true;
    conn_close(c, 0);
    return 0;
}

static void over(struct conn *c, int why, const char *text) {
    struct side *s = conn_owner(c);

    assert_non_null(text);
    s->closed++;
    s->conn = NULL;
}

static const struct conn_handler talk = {.on_message = heard, .on_closed = over};

/* The second try takes what the first left in the listener. */
static void try_to_accept(struct net *n) {
    for (int i = 0; i < 2; i++)
        if (conn_accept(&listener.conn, &n->listen, (uv_stream_t *)&n->listener, &talk,
                        &listener) == 0)
            return;
    listener.conn = NULL;
}

static void on_dialled(void *owner, int why, const char *text, struct conn *c) {
    struct msg ask = {.type = WIRE_INFO_GET, .req = 1};

    done = true;
    dial_why = why;
    if (!c)
        return;
    dialler.conn = c;
    conn_set_handler(c, &talk, &dialler);
    if (conn_send(c, &ask) < 0)
        conn_close(c, 0);
}

static const struct dial_handler dial_events = {.on_done = on_dialled};

static int converse(void *arg) {
    struct endpoint to = {.n_addrs = 1};
    struct dial *d;
    int r;

    done = answered = false;
    memset(&dialler, 0, sizeof dialler);
    memset(&listener, 0, sizeof listener);
    memcpy(&to.addrs[0], &net.addr, sizeof net.addr);
    r = dial_start(&d, &net.dial, &to, &dial_events, NULL);
    if (r < 0)
        return r;
    NET_UNTIL(&net, done && !dialler.conn && !listener.conn);
    /* what could not be started closes on its own */
    uv_unref((uv_handle_t *)&net.listener);
    uv_unref((uv_handle_t *)&net.tick);
    uv_run(&net.loop, UV_RUN_DEFAULT);
    uv_ref((uv_handle_t *)&net.listener);
    uv_ref((uv_handle_t *)&net.tick);
    assert_int_equal(net.pool.n_free, net.pool.n);
    return answered ? 0 : -ENOMEM;
}

static void survives_without_memory(void **state) {
    net.on_connection = try_to_accept;
    assert_int_equal(converse(NULL), 0); /* what libraries allocate only once */
    assert_true(fail_alloc_each(converse, NULL) > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {ON_NET(survives_without_memory)};
    return cmocka_run_group_tests(tests, net_make_ids, net_free_ids);
}
