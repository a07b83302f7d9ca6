/* SPDX-License-Identifier: MIT */
#include "core/err.h"
#include "net.h"

#include <errno.h>
#include <stdio.h>

#include <cmocka.h>

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

static int on_open(struct conn *c) {
    struct side *s = conn_owner(c);

    assert_int_equal(s->opened++, 0);
    s->conn = c;
    if (s->close_on_open)
        conn_close(c, 0);
    return s->return_from_open;
}

static int on_message(struct conn *c, const struct msg *m) {
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

static void on_drain(struct conn *c) {
    struct side *s = conn_owner(c);

    s->drains++;
    if (s->close_on_drain)
        conn_close(c, 0);
}

static void on_closed(struct conn *c, int why, const char *text) {
    struct side *s = conn_owner(c);

    assert_int_equal(s->closed++, 0);
    s->why = why;
    snprintf(s->text, sizeof s->text, "%s", text);
    s->conn = NULL;
}

static const struct conn_handler handler = {on_open, on_message, on_drain, on_closed};

static void accept_one(struct net *n) {
    assert_int_equal(
        conn_accept(&listener.conn, &n->listen, (uv_stream_t *)&n->listener, &handler, &listener),
        0);
}

static int set_up(void **state) {
    memset(&dialler, 0, sizeof dialler);
    memset(&listener, 0, sizeof listener);
    net_open(&net, 4);
    net.on_connection = accept_one;
    dialler.net = listener.net = &net;
    return 0;
}

static int tear_down(void **state) {
    net_close(&net);
    return 0;
}

static void dial(void) {
    assert_int_equal(
        conn_dial(&dialler.conn, &net.dial, (const struct sockaddr *)&net.addr, &handler, &dialler),
        0);
}

static void join(void) {
    dial();
    NET_UNTIL(&net, dialler.opened && listener.opened);
}

static void both_closed(int dialler_why, int listener_why) {
    NET_UNTIL(&net, dialler.closed && listener.closed);
    assert_int_equal(dialler.why, dialler_why);
    assert_int_equal(listener.why, listener_why);
}

static void part(void) {
    conn_close(dialler.conn, 0);
    both_closed(0, 0);
}

/* -- the ordinary way ------------------------------------------------------------------------- */

static void both_ends_know_each_other(void **state) {
    char addr[64];

    conn_env_set_name(&net.dial, "D\x1b[31m"); /* escaped when shown */
    net.listen.port = 4711;
    join();
    assert_memory_equal(conn_key(dialler.conn), net_ids[1].key, KEY_LEN);
    assert_memory_equal(conn_key(listener.conn), net_ids[0].key, KEY_LEN);
    assert_string_equal(conn_name(dialler.conn), "Listener");
    assert_string_equal(conn_name(listener.conn), "D\\x1b[31m");
    assert_string_equal(conn_software(dialler.conn), "lanyard " LANYARD_VERSION);
    assert_int_equal(conn_listen_port(dialler.conn), 4711);
    assert_int_equal(conn_listen_port(listener.conn), 0);
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
    assert_int_equal(conn_queued(listener.conn), 0);
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

/* -- peers that are not ours: a socket, TLS if wanted, and any bytes --------------------------- */

struct raw {
    uv_tcp_t tcp;
    uv_connect_t connect;
    struct tls *tls; /* NULL: plain bytes */
    uint8_t in[65536], heard[65536];
    size_t n_heard;
    bool connected, closed, eof, deaf;
};

static struct raw raw;

static void raw_flush(void) {
    const uint8_t *block;
    size_t len;

    while (raw.tls && tls_out(raw.tls, true, &block, &len)) {
        uv_buf_t buf = uv_buf_init((char *)(uintptr_t)block, (unsigned)len);
        uv_try_write((uv_stream_t *)&raw.tcp, &buf, 1);
        tls_out_done(raw.tls);
    }
}

static void raw_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    *buf = uv_buf_init((char *)raw.in, sizeof raw.in);
}

static void raw_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    int r = 0;

    if (n < 0) {
        raw.eof = true;
        uv_read_stop(stream);
        return;
    }
    if (!raw.tls)
        return;
    tls_feed(raw.tls, raw.in, (size_t)n);
    while ((r = tls_read(raw.tls, raw.heard + raw.n_heard, sizeof raw.heard - raw.n_heard)) > 0)
        raw.n_heard += (size_t)r;
    raw_flush();
}

static void raw_on_connect(uv_connect_t *req, int status) {
    assert_int_equal(status, 0);
    raw.connected = true;
    uv_read_start((uv_stream_t *)&raw.tcp, raw_on_alloc, raw_on_read);
    if (raw.tls) {
        tls_read(raw.tls, raw.heard, 1);
        raw_flush();
    }
}

static void raw_dial(bool with_tls) {
    memset(&raw, 0, sizeof raw);
    if (with_tls)
        assert_int_equal(tls_new(&raw.tls, net.dial.tls), 0);
    uv_tcp_init(&net.loop, &raw.tcp);
    assert_int_equal(
        uv_tcp_connect(&raw.connect, &raw.tcp, (const struct sockaddr *)&net.addr, raw_on_connect),
        0);
    if (with_tls)
        NET_UNTIL(&net, tls_ready(raw.tls) && listener.conn);
    else
        NET_UNTIL(&net, raw.connected && listener.conn);
}

static void raw_say(const void *bytes, size_t len) {
    if (raw.tls) {
        assert_int_equal(tls_write(raw.tls, bytes, len), len);
        raw_flush();
    } else {
        uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);
        assert_int_equal(uv_try_write((uv_stream_t *)&raw.tcp, &buf, 1), len);
    }
}

static void raw_say_msg(const struct msg *m) {
    uint8_t frame[WIRE_CONTROL_MAX];
    int len = wire_encode(m, frame, sizeof frame);

    assert_true(len > 0);
    raw_say(frame, (size_t)len);
}

static void raw_say_hello(void) {
    struct msg m = {.type = WIRE_HELLO};

    m.hello.major = WIRE_MAJOR;
    m.hello.name = (struct bytes){(const uint8_t *)"raw", 3};
    m.hello.software = m.hello.name;
    raw_say_msg(&m);
}

static void raw_join(void) {
    raw_dial(true);
    raw_say_hello();
    raw_say_msg(&(struct msg){.type = WIRE_AUTH});
    NET_UNTIL(&net, listener.opened);
}

static void raw_on_closed(uv_handle_t *handle) { raw.closed = true; }

static void raw_close(void) {
    uv_close((uv_handle_t *)&raw.tcp, raw_on_closed);
    NET_UNTIL(&net, raw.closed && listener.closed);
    tls_free(raw.tls);
}

/* The code of the ERROR or BYE that was heard last; -1 if none was. */
static int raw_farewell(void) {
    struct wire_header h;
    struct msg m;
    int code = -1;

    for (size_t at = 0; at + WIRE_HEADER_LEN <= raw.n_heard; at += WIRE_HEADER_LEN + h.len) {
        assert_int_equal(wire_header_get(&h, raw.heard + at), 0);
        assert_int_equal(wire_decode(&m, &h, raw.heard + at + WIRE_HEADER_LEN), 0);
        if (m.type == WIRE_ERROR || m.type == WIRE_BYE)
            code = m.error.code;
    }
    return code;
}

static void plain_bytes_are_no_tls(void **state) {
    raw_dial(false);
    raw_say("GET / HTTP/1.1\r\n\r\n", 18);
    NET_UNTIL(&net, raw.eof);
    raw_close();
    assert_int_equal(listener.why, ERR_TLS);
    assert_string_not_equal(listener.text, "");
}

static void a_cut_is_told_from_an_end(void **state) {
    raw_dial(false);
    raw_close();
    assert_int_equal(listener.why, ERR_TLS_CUT);

    memset(&listener, 0, sizeof listener);
    raw_join();
    raw_close();
    assert_int_equal(listener.why, ERR_TLS_CUT);

    memset(&listener, 0, sizeof listener);
    raw_join();
    assert_int_equal(tls_close(raw.tls), 0);
    raw_flush();
    NET_UNTIL(&net, raw.eof);
    raw_close();
    assert_int_equal(listener.why, UV_EOF);
}

static void breaking_the_protocol_closes(void **state) {
    static const struct {
        bool joined;
        uint8_t bytes[12];
        size_t len;
        int code;
    } cases[] = {
        {false, {0, 0, 0, 0, WIRE_LIST, 0, 0, 1}, 8, WIRE_PROTOCOL},   /* before HELLO */
        {false, {0, 0, 0, 0, WIRE_AUTHED, 0, 0, 0}, 8, WIRE_PROTOCOL}, /* no listener's word */
        {true, {0, 0, 0, 0, WIRE_HELLO, 0, 0, 0}, 8, WIRE_PROTOCOL},   /* twice */
        {true, {0, 0, 0, 0, WIRE_DATA, 0, 0, 1}, 8, WIRE_PROTOCOL},    /* who asked? */
        {true, {0xff, 0xff, 0xff, 0xff, WIRE_LIST, 0, 0, 1}, 8, WIRE_PROTOCOL},
        {true, {0, 0, 0, 0, 0x7f, 0, 0, 1}, 8, WIRE_UNSUPPORTED},
        {true, {0, 0, 0, 0, WIRE_GET, 0, 0, 1}, 8, WIRE_PROTOCOL}, /* malformed */
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(&listener, 0, sizeof listener);
        if (cases[i].joined)
            raw_join();
        else
            raw_dial(true);
        raw_say(cases[i].bytes, cases[i].len);
        NET_UNTIL(&net, raw.eof);
        assert_int_equal(raw_farewell(), cases[i].code);
        raw_close();
        assert_int_equal(listener.why, WIRE_ERR(cases[i].code));
        assert_int_equal(listener.messages, 0);
        assert_string_not_equal(listener.text, "");
    }
}

static void another_version_is_told(void **state) {
    /* magic, major 9, and what nobody knows */
    uint8_t hello[256];
    struct msg m = {.type = WIRE_HELLO};

    m.hello.major = WIRE_MAJOR;
    m.hello.name = m.hello.software = (struct bytes){(const uint8_t *)"raw", 3};
    int len = wire_encode(&m, hello, sizeof hello);
    for (int i = WIRE_HEADER_LEN; i < len; i++)
        if (hello[i] == WIRE_MAJOR && hello[i + 1] == 0) {
            hello[i] = 9;
            break;
        }
    raw_dial(true);
    raw_say(hello, (size_t)len);
    NET_UNTIL(&net, raw.eof);
    assert_int_equal(raw_farewell(), WIRE_VERSION);
    raw_close();
    assert_int_equal(listener.why, WIRE_ERR(WIRE_VERSION));
}

static void unknown_words_of_tomorrow_are_ignored(void **state) {
    static uint8_t frame[WIRE_HEADER_LEN + 60000] = {0, 0, 0xea, 0x60, 0x9c, 0, 0, 1};

    raw_join();
    raw_say(frame, sizeof frame);
    raw_say_msg(&(struct msg){.type = WIRE_INFO_GET, .req = 3});
    NET_UNTIL(&net, listener.messages == 1);
    assert_int_equal(listener.last.type, WIRE_INFO_GET);
    raw_close();
}

static void the_words_of_a_peer_are_escaped(void **state) {
    struct msg m = {.type = WIRE_ERROR};

    raw_join();
    m.error.code = 4711; /* beyond what we know */
    m.error.text = (struct bytes){(const uint8_t *)"over\x1b[2J\n", 9};
    raw_say_msg(&m);
    NET_UNTIL(&net, listener.closed);
    assert_int_equal(listener.why, WIRE_ERR(WIRE_INTERNAL));
    assert_string_equal(listener.text, "over\\x1b[2J\\x0a");
    raw_close();
}

static void who_asks_and_never_reads_is_closed(void **state) {
    struct msg info = {.type = WIRE_INFO, .req = 1};
    unsigned sent = 0;

    raw_join();
    uv_read_stop((uv_stream_t *)&raw.tcp);
    for (; listener.conn && sent < 2000000; sent++) {
        assert_int_equal(conn_send(listener.conn, &info), 0);
        assert_true(conn_queued(listener.conn) <= CONN_SMALL_MAX + 1024);
        if (sent % 100 == 0)
            uv_run(&net.loop, UV_RUN_NOWAIT);
    }
    NET_UNTIL(&net, listener.closed);
    assert_int_equal(listener.why, WIRE_ERR(WIRE_LIMIT));
    raw_close();
}

/* -- time ------------------------------------------------------------------------------------ */

static const struct patience hasty = {.connect = 200,
                                      .tls = 60,
                                      .hello = 60,
                                      .auth = 60,
                                      .ping = 30,
                                      .silence = 200,
                                      .answer = 90,
                                      .farewell = 100};

static void every_step_has_its_time(void **state) {
    net.listen.patience = &hasty;
    for (unsigned step = 0; step < 3; step++) {
        memset(&listener, 0, sizeof listener);
        raw_dial(step > 0);
        if (step > 1)
            raw_say_hello();
        NET_UNTIL(&net, listener.closed);
        assert_int_equal(listener.why, UV_ETIMEDOUT);
        assert_string_not_equal(listener.text, "");
        NET_UNTIL(&net, raw.eof);
        if (step > 0)
            assert_int_equal(raw_farewell(), WIRE_TIMEOUT);
        raw_close();
    }
}

static void idle_peers_stay_connected(void **state) {
    net.listen.patience = net.dial.patience = &hasty;
    join();
    uint64_t until = uv_now(&net.loop) + 500;
    NET_UNTIL(&net, uv_now(&net.loop) > until);
    assert_int_equal(dialler.closed + listener.closed, 0);
    assert_int_equal(dialler.messages + listener.messages, 0); /* PING is not for owners */
    part();
}

static void a_silent_peer_is_given_up(void **state) {
    net.listen.patience = &hasty;
    raw_join();
    uint64_t since = uv_now(&net.loop);
    NET_UNTIL(&net, listener.closed);
    assert_int_equal(listener.why, UV_ETIMEDOUT);
    assert_in_range(uv_now(&net.loop) - since, hasty.silence - 10, hasty.silence + 2000);
    raw_close();

    memset(&listener, 0, sizeof listener);
    raw_join();
    since = uv_now(&net.loop);
    conn_expect(listener.conn, true);
    NET_UNTIL(&net, listener.closed);
    assert_int_equal(listener.why, UV_ETIMEDOUT);
    assert_in_range(uv_now(&net.loop) - since, hasty.answer - 10, hasty.answer + 2000);
    raw_close();
}

#define ON_NET(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

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
        ON_NET(plain_bytes_are_no_tls),
        ON_NET(a_cut_is_told_from_an_end),
        ON_NET(breaking_the_protocol_closes),
        ON_NET(another_version_is_told),
        ON_NET(unknown_words_of_tomorrow_are_ignored),
        ON_NET(the_words_of_a_peer_are_escaped),
        ON_NET(who_asks_and_never_reads_is_closed),
        ON_NET(every_step_has_its_time),
        ON_NET(idle_peers_stay_connected),
        ON_NET(a_silent_peer_is_given_up),
    };
    return cmocka_run_group_tests(tests, net_make_ids, net_free_ids);
}
