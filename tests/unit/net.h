/* SPDX-License-Identifier: MIT */
/*
 * net -- one loop with a listener, two identities and two envs, for tests of connections
 *
 * NET_UNTIL(n, expr) runs the loop until expr holds, for 10 seconds at the most.
 */
#ifndef TESTS_NET_H
#define TESTS_NET_H

#include "core/conn.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct net {
    uv_loop_t loop;
    uv_timer_t tick;
    uv_tcp_t listener;
    struct sockaddr_in addr; /* where it listens */
    struct pool pool;
    struct conn_env dial, listen;
    void (*on_connection)(struct net *n);
    uint64_t deadline;
};

static struct identity net_ids[2]; /* of the dialler, of the listener */

static int net_make_ids(void **state) {
    for (unsigned i = 0; i < 2; i++) {
        char dir[] = "/tmp/lanyard-net-XXXXXX", command[64];

        if (!mkdtemp(dir) || identity_load(&net_ids[i], dir))
            return -1;
        snprintf(command, sizeof command, "rm -rf '%s'", dir);
        if (system(command))
            return -1;
    }
    return 0;
}

static int net_free_ids(void **state) {
    identity_clear(&net_ids[0]);
    identity_clear(&net_ids[1]);
    return 0;
}

static inline void net_on_connection(uv_stream_t *listener, int status) {
    struct net *n = listener->data;

    assert_int_equal(status, 0);
    n->on_connection(n);
}

static inline void net_on_tick(uv_timer_t *tick) {}

static inline void net_open(struct net *n, unsigned n_buffers) {
    int len = sizeof n->addr;

    memset(n, 0, sizeof *n);
    assert_int_equal(uv_loop_init(&n->loop), 0);
    assert_int_equal(pool_init(&n->pool, n_buffers), 0);
    assert_int_equal(conn_env_init(&n->dial, &n->loop, TLS_DIALLER, &net_ids[0], &n->pool), 0);
    assert_int_equal(conn_env_init(&n->listen, &n->loop, TLS_LISTENER, &net_ids[1], &n->pool), 0);
    conn_env_set_name(&n->dial, "Dialler");
    conn_env_set_name(&n->listen, "Listener");

    uv_ip4_addr("127.0.0.1", 0, &n->addr);
    uv_tcp_init(&n->loop, &n->listener);
    n->listener.data = n;
    assert_int_equal(uv_tcp_bind(&n->listener, (const struct sockaddr *)&n->addr, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&n->listener, 64, net_on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&n->listener, (struct sockaddr *)&n->addr, &len), 0);
    uv_timer_init(&n->loop, &n->tick);
    uv_timer_start(&n->tick, net_on_tick, 20, 20);
}

/* Every connection must be gone by now, and every buffer back. */
static inline void net_close(struct net *n) {
    uv_close((uv_handle_t *)&n->tick, NULL);
    if (!uv_is_closing((uv_handle_t *)&n->listener))
        uv_close((uv_handle_t *)&n->listener, NULL);
    uv_run(&n->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&n->loop), 0);
    assert_int_equal(n->pool.n_free, n->pool.n);
    conn_env_clear(&n->dial);
    conn_env_clear(&n->listen);
    pool_clear(&n->pool);
}

static inline void net_begin_wait(struct net *n) {
    uv_update_time(&n->loop);
    n->deadline = uv_now(&n->loop) + 10000;
}

#define NET_UNTIL(net, expr)                                                                       \
    do {                                                                                           \
        net_begin_wait(net);                                                                       \
        while (!(expr)) {                                                                          \
            if (uv_now(&(net)->loop) > (net)->deadline)                                            \
                fail_msg("never came: %s", #expr);                                                 \
            uv_run(&(net)->loop, UV_RUN_ONCE);                                                     \
        }                                                                                          \
    } while (0)

#endif
