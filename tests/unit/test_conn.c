/* SPDX-License-Identifier: MIT */
#include "core/err.h"
#include "sides.h"

#include <cmocka.h>

/* -- the ordinary way ------------------------------------------------------------------------- */

static void both_ends_know_each_other(void **state) {
    char addr[64];

    conn_env_set_name(&net.dial, "D\x1b[31m"); /* escaped when shown */
    join();
    assert_memory_equal(conn_key(dialler.conn), net_ids[1].key, KEY_LEN);
    assert_memory_equal(conn_key(listener.conn), net_ids[0].key, KEY_LEN);
    assert_string_equal(conn_name(dialler.conn), "Listener");
    assert_string_equal(conn_name(listener.conn), "D\\x1b[31m");
    assert_string_equal(conn_software(dialler.conn), "lanyard " LANYARD_VERSION);
    snprintf(addr, sizeof addr, "127.0.0.1:%u", ntohs(net.addr.sin_port));
    assert_string_equal(conn_addr(dialler.conn), addr);
    part();
    assert_string_equal(dialler.text, "");
    assert_string_equal(listener.text, "");
}

static void names_are_cut_at_characters(void **state) {
    char name[100] = "";

    for (unsigned i = 0; i < 40; i++)
        strcat(name, "\xc3\xa4"); /* two bytes each */
    conn_env_set_name(&net.dial, name);
    assert_int_equal(strlen(net.dial.name), 62);
    conn_env_set_name(&net.dial, "");
    assert_string_not_equal(net.dial.name, "");
    conn_env_set_name(&net.dial, "bad\xff");
    assert_string_equal(net.dial.name, "bad\\xff");
}

static void answer_list(struct side *s, const struct msg *m) {
    struct msg answer = {.type = WIRE_ERROR, .req = m->req};

    assert_int_equal(m->type, WIRE_LIST);
    assert_int_equal(m->list.path.len, 5);
    assert_memory_equal(m->list.path.at, "Music", 5);
    answer.error.code = WIRE_NOT_FOUND;
    assert_int_equal(conn_send(s->conn, &answer), 0);
}

static void requests_and_answers_pass(void **state) {
    struct msg list = {.type = WIRE_LIST, .req = 7};

    join();
    listener.on_message = answer_list;
    list.list.path = (struct bytes){(const uint8_t *)"Music", 5};
    assert_int_equal(conn_send(dialler.conn, &list), 0);
    NET_UNTIL(&net, dialler.messages);
    assert_int_equal(dialler.last.type, WIRE_ERROR); /* an answer, not the end */
    assert_int_equal(dialler.last.req, 7);
    assert_int_equal(dialler.last.error.code, WIRE_NOT_FOUND);
    assert_int_equal(dialler.closed, 0);
    part();
}

static void refuses_to_send_nonsense(void **state) {
    struct msg list = {.type = WIRE_LIST, .req = 7};
    uint8_t path[5000];

    join();
    memset(path, 'x', sizeof path);
    list.list.path = (struct bytes){path, sizeof path};
    assert_int_equal(conn_send(dialler.conn, &list), -EINVAL);
    part();
    assert_int_equal(listener.messages, 0);
}

/* -- frames ---------------------------------------------------------------------------------- */

static size_t page_at(uint8_t *frame, uint64_t number) {
    static uint8_t page[WIRE_PAGE_MAX];
    struct msg m = {.type = WIRE_MANIFEST, .req = 1};

    memset(page, (int)(number * 37 + 1), sizeof page);
    m.manifest.offset = number;
    m.manifest.page = (struct bytes){page, sizeof page - number % 3 * 100000};
    int len = wire_encode(&m, frame, WIRE_FRAME_MAX);
    assert_true(len > 0);
    return (size_t)len;
}

static void check_page(struct side *s, const struct msg *m) {
    assert_int_equal(m->type, WIRE_MANIFEST);
    assert_int_equal(m->manifest.offset, s->next_page);
    assert_int_equal(m->manifest.page.len, WIRE_PAGE_MAX - s->next_page % 3 * 100000);
    for (size_t i = 0; i < m->manifest.page.len; i += 4093)
        assert_int_equal(m->manifest.page.at[i], (uint8_t)(s->next_page * 37 + 1));
    s->next_page++;
}

static bool send_page(uint64_t number) {
    uint8_t *frame = net.pool.n_free > 1 ? pool_get(&net.pool) : NULL;

    if (!frame)
        return false;
    assert_int_equal(conn_send_frame(listener.conn, frame, page_at(frame, number)), 0);
    return true;
}

static void frames_arrive_whole_and_in_order(void **state) {
    uint64_t sent = 0;

    join();
    dialler.on_message = check_page;
    while (dialler.next_page < 40) {
        while (sent < 40 && send_page(sent))
            sent++;
        uint64_t before = dialler.next_page;
        NET_UNTIL(&net, dialler.next_page > before);
    }
    assert_true(listener.drains > 0);
    NET_UNTIL(&net, conn_queued(listener.conn) == 0);
    NET_UNTIL(&net, net.pool.n_free == net.pool.n); /* none is kept by an idle conversation */
    part();
}

static void take_page(struct side *s, const struct msg *m) {
    check_page(s, m);
    s->taken[s->n_taken] = conn_take(s->conn);
    assert_non_null(s->taken[s->n_taken]);
    assert_in_range(m->manifest.page.at - s->taken[s->n_taken], WIRE_HEADER_LEN, 64);
    assert_null(conn_take(s->conn));
    s->n_taken++;
}

static void no_buffer_means_no_reading(void **state) {
    struct pool mine; /* so that the listener has buffers when the dialler has none */
    uint64_t sent = 0;

    assert_int_equal(pool_init(&mine, 12), 0);
    net.listen.pool = &mine;
    join();
    dialler.on_message = take_page;
    for (; sent < 12; sent++) {
        uint8_t *frame = pool_get(&mine);
        assert_int_equal(conn_send_frame(listener.conn, frame, page_at(frame, sent)), 0);
    }
    NET_UNTIL(&net, dialler.n_taken == 4);
    for (unsigned i = 0; i < 50; i++)
        uv_run(&net.loop, UV_RUN_NOWAIT);
    assert_int_equal(dialler.n_taken, 4); /* and nothing more */
    while (dialler.next_page < 12) {
        uint64_t before = dialler.next_page;
        pool_put(&net.pool, dialler.taken[--dialler.n_taken]);
        assert_int_equal(dialler.next_page, before); /* not from inside our call */
        NET_UNTIL(&net, dialler.next_page > before);
    }
    while (dialler.n_taken > 0)
        pool_put(&net.pool, dialler.taken[--dialler.n_taken]);
    part();
    assert_int_equal(mine.n_free, mine.n);
    pool_clear(&mine);
}

static void closes_while_waiting_for_a_buffer(void **state) {
    uint8_t *held[4], *frame;
    struct pool mine;

    assert_int_equal(pool_init(&mine, 1), 0);
    net.listen.pool = &mine;
    join();
    for (unsigned i = 0; i < 4; i++)
        held[i] = pool_get(&net.pool);
    frame = pool_get(&mine);
    assert_int_equal(conn_send_frame(listener.conn, frame, page_at(frame, 0)), 0);
    NET_UNTIL(&net, net.pool.waiters.next != &net.pool.waiters);
    part();
    for (unsigned i = 0; i < 4; i++)
        pool_put(&net.pool, held[i]);
    pool_clear(&mine);
}

static void gives_frames_back_when_closed(void **state) {
    join();
    assert_true(send_page(0) && send_page(1) && send_page(2));
    conn_close(listener.conn, 0);
    uint8_t *frame = pool_get(&net.pool);
    assert_int_equal(conn_send_frame(listener.conn, frame, page_at(frame, 3)), 0);
    both_closed(0, 0);
    assert_int_equal(net.pool.n_free, net.pool.n);
    assert_int_equal(dialler.messages, 0); /* what had not started was dropped */
}

static void small_messages_overtake_frames(void **state) {
    struct msg info = {.type = WIRE_INFO, .req = 9};

    join();
    assert_true(send_page(0) && send_page(1));
    assert_int_equal(conn_send(listener.conn, &info), 0);
    NET_UNTIL(&net, dialler.messages == 1);
    assert_int_equal(dialler.last.type, WIRE_INFO);
    dialler.on_message = check_page;
    NET_UNTIL(&net, dialler.next_page == 2);
    part();
}

/* -- ends ------------------------------------------------------------------------------------ */

static void says_why_it_closes(void **state) {
    join();
    conn_close(listener.conn, WIRE_ERR(WIRE_SHUTDOWN));
    conn_close(listener.conn, 0); /* the first reason counts */
    both_closed(WIRE_ERR(WIRE_SHUTDOWN), WIRE_ERR(WIRE_SHUTDOWN));
}

static void closes_from_inside_callbacks(void **state) {
    struct msg list = {.type = WIRE_LIST, .req = 1};

    listener.close_on_message = true;
    join();
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(conn_send(dialler.conn, &list), 0);
    both_closed(0, 0);
    assert_int_equal(listener.messages, 1); /* none after conn_close */
}

static void closes_from_on_open(void **state) {
    listener.close_on_open = true;
    dial();
    both_closed(0, 0);
}

static void closes_from_on_drain(void **state) {
    struct msg list = {.type = WIRE_LIST, .req = 1};

    dialler.close_on_drain = true;
    join();
    assert_int_equal(conn_send(dialler.conn, &list), 0);
    both_closed(0, 0);
}

static void an_error_of_the_owner_closes(void **state) {
    struct msg list = {.type = WIRE_LIST, .req = 1};

    join();
    listener.return_from_message = WIRE_ERR(WIRE_BUSY);
    assert_int_equal(conn_send(dialler.conn, &list), 0);
    both_closed(WIRE_ERR(WIRE_BUSY), WIRE_ERR(WIRE_BUSY));
}

static void errors_of_ours_stay_ours(void **state) {
    dialler.return_from_open = ERR_KEY_OTHER;
    dial();
    both_closed(ERR_KEY_OTHER, 0);
}

static void closes_at_once_before_it_is_open(void **state) {
    dial();
    conn_close(dialler.conn, 0);
    assert_int_equal(dialler.closed, 0); /* never from inside our call */
    NET_UNTIL(&net, dialler.closed);
    assert_int_equal(dialler.why, 0);
    if (listener.conn)
        NET_UNTIL(&net, listener.closed);
}

static void closes_at_every_step(void **state) {
    for (unsigned steps = 0; !dialler.opened; steps++) {
        memset(&dialler, 0, sizeof dialler);
        memset(&listener, 0, sizeof listener);
        dial();
        for (unsigned i = 0; i < steps; i++)
            uv_run(&net.loop, UV_RUN_NOWAIT);
        conn_close(dialler.conn, 0);
        NET_UNTIL(&net, dialler.closed && (!listener.conn || listener.closed));
        assert_true(steps < 1000);
    }
}

static void nobody_there_is_refused(void **state) {
    uv_close((uv_handle_t *)&net.listener, NULL);
    uv_run(&net.loop, UV_RUN_NOWAIT);
    dial();
    NET_UNTIL(&net, dialler.closed);
    assert_int_equal(dialler.why, UV_ECONNREFUSED);
    assert_int_equal(dialler.opened, 0);
}

static void a_bad_address_is_an_error_at_once(void **state) {
    struct sockaddr_storage nowhere = {.ss_family = AF_UNIX};

    assert_true(conn_dial(&dialler.conn, &net.dial, (const struct sockaddr *)&nowhere, &handler,
                          &dialler) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_NET(both_ends_know_each_other),
        ON_NET(names_are_cut_at_characters),
        ON_NET(requests_and_answers_pass),
        ON_NET(refuses_to_send_nonsense),
        ON_NET(frames_arrive_whole_and_in_order),
        ON_NET(no_buffer_means_no_reading),
        ON_NET(closes_while_waiting_for_a_buffer),
        ON_NET(gives_frames_back_when_closed),
        ON_NET(small_messages_overtake_frames),
        ON_NET(says_why_it_closes),
        ON_NET(closes_from_inside_callbacks),
        ON_NET(closes_from_on_open),
        ON_NET(closes_from_on_drain),
        ON_NET(an_error_of_the_owner_closes),
        ON_NET(errors_of_ours_stay_ours),
        ON_NET(closes_at_once_before_it_is_open),
        ON_NET(closes_at_every_step),
        ON_NET(nobody_there_is_refused),
        ON_NET(a_bad_address_is_an_error_at_once),
    };
    return cmocka_run_group_tests(tests, net_make_ids, net_free_ids);
}
