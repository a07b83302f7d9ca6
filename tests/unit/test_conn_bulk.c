/* SPDX-License-Identifier: MIT */
/* What happens while TLS and the socket of a connection are lent to another thread. */
#include "core/conn_internal.h"
#include "core/err.h"
#include "sides.h"

#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGES = 12 };

static struct pool many; /* of the listener */
static bool no_threads;

int __real_uv_thread_create(uv_thread_t *tid, uv_thread_cb entry, void *arg);
int __wrap_uv_thread_create(uv_thread_t *tid, uv_thread_cb entry, void *arg);

int __wrap_uv_thread_create(uv_thread_t *tid, uv_thread_cb entry, void *arg) {
    return no_threads ? UV_EAGAIN : __real_uv_thread_create(tid, entry, arg);
}

static int begin(void **state) {
    int r = set_up(state);

    no_threads = false;
    assert_int_equal(pool_init(&many, PAGES), 0);
    net.listen.pool = &many;
    return r;
}

static int end(void **state) {
    int r = tear_down(state);

    assert_int_equal(many.n_free, many.n);
    pool_clear(&many);
    return r;
}

/* Each byte of it, so that one that is lost, doubled or out of place is found. */
static void fill(uint8_t *page, uint64_t number) {
    for (size_t i = 0; i < WIRE_PAGE_MAX; i++)
        page[i] = (uint8_t)(((i + 1) * 2654435761u + number * 97) >> 11);
}

static void send_pages(unsigned n) {
    static uint8_t page[WIRE_PAGE_MAX];

    for (unsigned i = 0; i < n; i++) {
        struct msg m = {.type = WIRE_MANIFEST, .req = 1};
        uint8_t *frame = pool_get(&many);
        int len;

        fill(page, i);
        m.manifest.offset = i;
        m.manifest.page = (struct bytes){page, sizeof page};
        len = wire_encode(&m, frame, WIRE_FRAME_MAX);
        assert_true(len > 0);
        assert_int_equal(conn_send_frame(listener.conn, frame, (size_t)len), 0);
    }
}

static void check_bytes(struct side *s, const struct msg *m) {
    static uint8_t page[WIRE_PAGE_MAX];

    if (m->type != WIRE_MANIFEST)
        return;
    assert_int_equal(m->manifest.offset, s->next_page);
    fill(page, s->next_page++);
    assert_int_equal(m->manifest.page.len, sizeof page);
    assert_memory_equal(m->manifest.page.at, page, sizeof page);
}

static bool is_away(const struct side *s) { return s->conn && s->conn->bulk.away; }

/* Whether more has come than one read takes depends on who is faster: it goes on until then. */
static void send_until_away(const struct side *s) {
    net_begin_wait(&net);
    while (!is_away(s)) {
        assert_true(uv_now(&net.loop) < net.deadline);
        if (conn_frames(listener.conn) < PAGES / 2)
            send_pages(many.n_free);
        uv_run(&net.loop, UV_RUN_ONCE);
    }
}

/* -- the ordinary way ------------------------------------------------------------------------- */

static void large_frames_take_it_both_ways(void **state) {
    bool sent = false, received = false;

    join();
    dialler.on_message = check_bytes;
    net_begin_wait(&net);
    while (!sent || !received) {
        dialler.next_page = 0;
        send_pages(PAGES);
        while (dialler.next_page < PAGES || many.n_free < PAGES) {
            assert_true(uv_now(&net.loop) < net.deadline);
            uv_run(&net.loop, UV_RUN_ONCE);
            sent = sent || is_away(&listener);
            received = received || is_away(&dialler);
        }
    }
    NET_UNTIL(&net, conn_queued(listener.conn) == 0);
    assert_true(listener.drains > 0);
    part();
}

static void without_threads_the_loop_does_it(void **state) {
    no_threads = true;
    join();
    dialler.on_message = check_bytes;
    send_pages(PAGES);
    net_begin_wait(&net);
    while (dialler.next_page < PAGES && uv_now(&net.loop) < net.deadline) {
        uv_run(&net.loop, UV_RUN_ONCE);
        assert_false(is_away(&listener) || is_away(&dialler));
    }
    assert_int_equal(dialler.next_page, PAGES);
    part();
}

static void with_a_limit_the_loop_does_it(void **state) {
    struct pacer pacer = {0};

    pacer_set_rate(&pacer, 100 * 1000 * 1000, conn_env_now_ns(&net.listen));
    net.listen.pacer = net.dial.pacer = &pacer;
    join();
    dialler.on_message = check_bytes;
    send_pages(4);
    net_begin_wait(&net);
    while (dialler.next_page < 4 && uv_now(&net.loop) < net.deadline) {
        uv_run(&net.loop, UV_RUN_ONCE);
        assert_false(is_away(&listener) || is_away(&dialler));
    }
    assert_int_equal(dialler.next_page, 4);
    part();
}

static void answer_info(struct side *s, const struct msg *m) {
    struct msg info = {.type = WIRE_INFO, .req = m->req};

    assert_int_equal(m->type, WIRE_INFO_GET);
    assert_int_equal(conn_send(s->conn, &info), 0);
}

static void questions_are_answered_in_between(void **state) {
    struct msg ask = {.type = WIRE_INFO_GET};

    join();
    dialler.on_message = check_bytes;
    listener.on_message = answer_info;
    send_pages(PAGES);
    NET_UNTIL(&net, is_away(&listener));
    for (ask.req = 1; ask.req <= 20; ask.req++)
        assert_int_equal(conn_send(dialler.conn, &ask), 0);
    NET_UNTIL(&net, listener.messages == 20 && dialler.messages == PAGES + 20);
    assert_int_equal(dialler.next_page, PAGES);
    part();
}

static void new_keys_pass_on_the_way(void **state) {
    join();
    dialler.on_message = check_bytes;
    for (unsigned i = 0; i < 3; i++) {
        unsigned before = (unsigned)dialler.next_page;

        NET_UNTIL(&net, !is_away(&listener));
        assert_int_equal(tls_update(listener.conn->tls), 0);
        dialler.next_page = 0;
        send_pages(4);
        NET_UNTIL(&net, dialler.next_page == 4);
        assert_true(before == 0 || before == 4);
    }
    part();
}

/* -- ends ------------------------------------------------------------------------------------- */

static void what_has_begun_is_sent_to_its_end(void **state) {
    join();
    dialler.on_message = check_bytes;
    send_pages(PAGES);
    NET_UNTIL(&net, is_away(&listener));
    conn_close(listener.conn, WIRE_ERR(WIRE_SHUTDOWN));
    both_closed(WIRE_ERR(WIRE_SHUTDOWN), WIRE_ERR(WIRE_SHUTDOWN));
    assert_in_range(dialler.next_page, 1, PAGES - 1);
}

static void whoever_sends_may_drop_it(void **state) {
    join();
    send_pages(PAGES);
    NET_UNTIL(&net, is_away(&listener));
    conn_abort(listener.conn, -EIO);
    assert_int_equal(listener.closed, 0); /* never from inside our call */
    NET_UNTIL(&net, listener.closed && dialler.closed);
    assert_int_equal(listener.why, -EIO);
    assert_true(dialler.why < 0);
}

static void whoever_receives_may_drop_it(void **state) {
    join();
    send_until_away(&dialler);
    conn_abort(dialler.conn, -EIO);
    NET_UNTIL(&net, listener.closed && dialler.closed);
    assert_int_equal(dialler.why, -EIO);
    assert_true(listener.why < 0);
}

static void whoever_receives_may_close_it(void **state) {
    join();
    send_until_away(&dialler);
    conn_close(dialler.conn, 0);
    NET_UNTIL(&net, listener.closed && dialler.closed);
    assert_int_equal(dialler.why, 0);
}

static void drop_at(unsigned steps, struct side *s, bool at_once) {
    send_pages(4);
    for (unsigned i = 0; i < steps; i++)
        uv_run(&net.loop, UV_RUN_NOWAIT);
    if (at_once)
        conn_abort(s->conn, -EIO);
    else
        conn_close(s->conn, 0);
    NET_UNTIL(&net, listener.closed && dialler.closed);
    NET_UNTIL(&net, many.n_free == many.n && net.pool.n_free == net.pool.n);
}

static void ends_at_every_step(void **state) {
    for (unsigned i = 0; i < 160; i++) {
        memset(&dialler, 0, sizeof dialler);
        memset(&listener, 0, sizeof listener);
        join();
        drop_at(i / 4, i % 2 ? &dialler : &listener, i / 2 % 2);
    }
}

static void damage_on_the_way_ends_it(void **state) {
    static const uint8_t noise[4096] = {23, 3, 3, 15, 0, 1};
    uv_os_fd_t fd;

    join();
    assert_int_equal(uv_fileno((uv_handle_t *)&listener.conn->tcp, &fd), 0);
    send_pages(PAGES);
    NET_UNTIL(&net, is_away(&listener));
    /* in the midst of what TLS says */
    NET_UNTIL(&net, !is_away(&listener) && write(fd, noise, sizeof noise) > 0);
    NET_UNTIL(&net, listener.closed && dialler.closed);
    assert_int_equal(dialler.why, ERR_TLS);
}

#define BULK(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        BULK(large_frames_take_it_both_ways), BULK(without_threads_the_loop_does_it),
        BULK(with_a_limit_the_loop_does_it),  BULK(questions_are_answered_in_between),
        BULK(new_keys_pass_on_the_way),       BULK(what_has_begun_is_sent_to_its_end),
        BULK(whoever_sends_may_drop_it),      BULK(whoever_receives_may_drop_it),
        BULK(whoever_receives_may_close_it),  BULK(ends_at_every_step),
        BULK(damage_on_the_way_ends_it),
    };

    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, net_make_ids, net_free_ids);
}
