/* SPDX-License-Identifier: MIT */
/* Peers that are not ours: a socket, TLS if wanted, and any bytes; and peers that are silent. */
#include "core/err.h"
#include "sides.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

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

static struct patience hasty; /* of the listener: only what a test makes short is short */

static void every_step_has_its_time(void **state) {
    net.listen.patience = &hasty;
    for (unsigned step = 0; step < 3; step++) {
        hasty = patience_default;
        *(step == 0 ? &hasty.tls : step == 1 ? &hasty.hello : &hasty.auth) = 60;
        memset(&listener, 0, sizeof listener);
        raw_dial(step > 0);
        if (step > 1)
            raw_say_hello();
        NET_UNTIL(&net, listener.closed && raw.eof);
        assert_int_equal(listener.why, UV_ETIMEDOUT);
        assert_string_not_equal(listener.text, "");
        if (step > 0)
            assert_int_equal(raw_farewell(), WIRE_TIMEOUT);
        raw_close();
    }
}

static void idle_peers_stay_connected(void **state) {
    hasty = patience_default;
    hasty.ping = 30;
    hasty.silence = 1000;
    net.listen.patience = net.dial.patience = &hasty;
    join();
    uint64_t until = uv_now(&net.loop) + 1500, turns = 0;
    NET_UNTIL(&net, ++turns && uv_now(&net.loop) > until);
    assert_true(turns < 1500); /* the loop sleeps in between */
    assert_int_equal(dialler.closed + listener.closed, 0);
    assert_int_equal(dialler.messages + listener.messages, 0); /* PING is not for owners */
    part();
}

static void a_silent_peer_is_given_up(void **state) {
    hasty = patience_default;
    hasty.ping = 30;
    hasty.silence = 200;
    net.listen.patience = &hasty;
    raw_join();
    uint64_t since = uv_now(&net.loop);
    NET_UNTIL(&net, listener.closed);
    assert_int_equal(listener.why, UV_ETIMEDOUT);
    assert_true(uv_now(&net.loop) - since >= hasty.silence - 10);
    raw_close();

    memset(&listener, 0, sizeof listener);
    hasty.silence = 20000; /* beyond the test's own deadline */
    hasty.answer = 90;
    raw_join();
    since = uv_now(&net.loop);
    conn_expect(listener.conn, true);
    NET_UNTIL(&net, listener.closed);
    assert_int_equal(listener.why, UV_ETIMEDOUT);
    assert_true(uv_now(&net.loop) - since >= hasty.answer - 10);
    raw_close();
}

/* Reads what is there, but no more than a slow line would have brought. Bytes. */
static size_t raw_sip(void) {
    static uint8_t cup[32 * 1024];
    uv_os_fd_t fd;
    ssize_t n;

    usleep(20 * 1000);
    uv_run(&net.loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_fileno((uv_handle_t *)&raw.tcp, &fd), 0);
    n = recv(fd, cup, sizeof cup, MSG_DONTWAIT);
    return n > 0 ? (size_t)n : 0;
}

/* The PING lies behind megabytes: while they are taken, there can be no PONG and no silence. */
static void a_slow_line_is_no_silence(void **state) {
    static uint8_t page[WIRE_PAGE_MAX];
    struct msg m = {.type = WIRE_MANIFEST, .req = 1, .manifest.page = {page, sizeof page}};
    size_t sipped = 0;
    int size = 64 * 1024;

    hasty = patience_default;
    hasty.ping = 100;
    hasty.silence = 700;
    net.listen.patience = &hasty;
    raw_join();
    uv_read_stop((uv_stream_t *)&raw.tcp);
    uv_recv_buffer_size((uv_handle_t *)&raw.tcp, &size);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t *frame = pool_get(&net.pool);
        int len = wire_encode(&m, frame, WIRE_FRAME_MAX);

        assert_int_equal(conn_send_frame(listener.conn, frame, (size_t)len), 0);
    }
    while (sipped < 3 * sizeof page) {
        assert_int_equal(listener.closed, 0);
        sipped += raw_sip();
    }
    NET_UNTIL(&net, listener.closed); /* now it is silent */
    assert_int_equal(listener.why, UV_ETIMEDOUT);
    raw_close();
}

static void who_slept_hears_the_others_first(void **state) {
    hasty = patience_default;
    hasty.ping = 30;
    hasty.silence = 200;
    net.listen.patience = &hasty;
    raw_join();
    raw_say_msg(&(struct msg){.type = WIRE_INFO_GET, .req = 1}); /* while nobody listens */
    usleep(2300 * 1000); /* stopped by SIGSTOP, or a disk that hangs; not waiting for anything */
    NET_UNTIL(&net, listener.messages || listener.closed);
    assert_int_equal(listener.messages, 1);
    raw_close();
}

int main(void) {
    const struct CMUnitTest tests[] = {
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
        ON_NET(a_slow_line_is_no_silence),
        ON_NET(who_slept_hears_the_others_first),
    };
    return cmocka_run_group_tests(tests, net_make_ids, net_free_ids);
}
