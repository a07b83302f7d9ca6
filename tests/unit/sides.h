/* SPDX-License-Identifier: MIT */
/*
 * sides -- the two ends of one connection, and all that their owners were told
 */
#ifndef TESTS_SIDES_H
#define TESTS_SIDES_H

#include "net.h"

#include <errno.h>
#include <stdio.h>

/* One of two ends, and all that it was told. */
struct side {
    struct net *net;
    struct conn *conn;
    unsigned opened, closed, messages, drains;
    int why;
    char text[512];
    /* what to do next time; 0: nothing */
    int return_from_open, return_from_message;
    bool close_on_open, close_on_message, close_on_drain;
    void (*on_message)(struct side *s, const struct msg *m);
    struct msg last;
    uint64_t next_page; /* checks that pages come in order */
    uint8_t *taken[16];
    unsigned n_taken;
};

static struct net net;
static struct side dialler, listener;

static inline int side_open(struct conn *c) {
    struct side *s = conn_owner(c);

    assert_int_equal(s->opened++, 0);
    s->conn = c;
    if (s->close_on_open)
        conn_close(c, 0);
    return s->return_from_open;
}

static inline int side_message(struct conn *c, const struct msg *m) {
    struct side *s = conn_owner(c);

    assert_int_equal(s->opened, 1);
    assert_int_equal(s->closed, 0);
    s->messages++;
    s->last = *m;
    if (s->on_message)
        s->on_message(s, m);
    if (s->close_on_message) {
        conn_close(c, 0);
        conn_close(c, -EIO);
    }
    return s->return_from_message;
}

static inline void side_drain(struct conn *c) {
    struct side *s = conn_owner(c);

    s->drains++;
    if (s->close_on_drain)
        conn_close(c, 0);
}

static inline void side_closed(struct conn *c, int why, const char *text) {
    struct side *s = conn_owner(c);

    assert_int_equal(s->closed++, 0);
    s->why = why;
    snprintf(s->text, sizeof s->text, "%s", text);
    s->conn = NULL;
}

static const struct conn_handler handler = {.on_open = side_open,
                                            .on_message = side_message,
                                            .on_drain = side_drain,
                                            .on_closed = side_closed};

static inline void accept_one(struct net *n) {
    assert_int_equal(
        conn_accept(&listener.conn, &n->listen, (uv_stream_t *)&n->listener, &handler, &listener),
        0);
}

static inline int set_up(void **state) {
    memset(&dialler, 0, sizeof dialler);
    memset(&listener, 0, sizeof listener);
    net_open(&net, 4);
    net.on_connection = accept_one;
    dialler.net = listener.net = &net;
    return 0;
}

static inline int tear_down(void **state) {
    net_close(&net);
    return 0;
}

static inline void dial(void) {
    assert_int_equal(
        conn_dial(&dialler.conn, &net.dial, (const struct sockaddr *)&net.addr, &handler, &dialler),
        0);
}

static inline void join(void) {
    dial();
    NET_UNTIL(&net, dialler.opened && listener.opened);
}

static inline void both_closed(int dialler_why, int listener_why) {
    NET_UNTIL(&net, dialler.closed && listener.closed);
    assert_int_equal(dialler.why, dialler_why);
    assert_int_equal(listener.why, listener_why);
}

static inline void part(void) {
    conn_close(dialler.conn, 0);
    both_closed(0, 0);
}

#define ON_NET(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
