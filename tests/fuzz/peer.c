/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/peer.h"

/* ---- out ---- */

static void pump(struct peer *p);

static void on_written(uv_write_t *req, int status) {
    struct peer *p = req->data;

    p->writing = false;
    tls_out_done(p->tls);
    if (status == 0)
        pump(p);
}

static void pump(struct peer *p) {
    const uint8_t *data;
    size_t len;
    int n = 1;

    while (p->ready && n > 0 && p->said_at < p->said_len) {
        n = tls_write(p->tls, p->said + p->said_at, p->said_len - p->said_at);
        p->said_at += n > 0 ? (size_t)n : 0;
    }
    if (p->said_at == p->said_len) {
        p->said_at = p->said_len = 0;
        if (p->ending && !p->ended)
            tls_close(p->tls);
        p->ended = p->ending;
    }
    if (p->leaving || p->writing || tls_out(p->tls, true, &data, &len) != 1)
        return;
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
    p->write.data = p;
    p->writing = uv_write(&p->write, (uv_stream_t *)&p->tcp, &buf, 1, on_written) == 0;
}

void peer_say(struct peer *p, const void *bytes, size_t len) {
    if (p->over || p->leaving || p->ending || p->said_len + len > PEER_SAID_MAX)
        return;
    p->said = realloc(p->said, p->said_len + len + 1);
    must(p->said);
    memcpy(p->said + p->said_len, bytes, len);
    p->said_len += len;
    pump(p);
}

void peer_say_msg(struct peer *p, const struct msg *m) {
    uint8_t frame[WIRE_HEADER_LEN + WIRE_CONTROL_MAX];
    int len = wire_encode(m, frame, sizeof frame);

    must(len > 0);
    peer_say(p, frame, (size_t)len);
}

void peer_say_below(struct peer *p, const void *bytes, size_t len) {
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);

    if (!p->leaving && !p->over)
        (void)uv_try_write((uv_stream_t *)&p->tcp, &buf, 1);
}

void peer_end(struct peer *p) {
    p->ending = true;
    if (p->ready && !p->over)
        pump(p);
}

/* ---- in ---- */

static void cut_frames(struct peer *p) {
    while (p->in_len >= WIRE_HEADER_LEN && !p->leaving) {
        struct wire_header h;
        struct msg m;

        must(wire_header_get(&h, p->in) == 0);
        size_t len = WIRE_HEADER_LEN + h.len;
        if (p->in_len < len)
            return;
        must(wire_decode(&m, &h, p->in + WIRE_HEADER_LEN) == 0);
        p->heard++;
        p->on_frame(p, &m);
        p->in_len -= len;
        memmove(p->in, p->in + len, p->in_len);
    }
}

static void hear(struct peer *p) {
    int n;

    do {
        n = tls_read(p->tls, p->in + p->in_len, sizeof p->in - p->in_len);
        if (!p->ready && tls_ready(p->tls)) {
            p->ready = true;
            p->on_ready(p);
        }
        p->over = p->over || n < 0;
        p->in_len += n > 0 ? (size_t)n : 0;
        cut_frames(p);
    } while (n > 0 && !p->leaving);
    if (!p->leaving)
        pump(p);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    static char block[64 * 1024];

    *buf = uv_buf_init(block, sizeof block);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct peer *p = (struct peer *)stream;

    if (n < 0) {
        p->over = true;
        uv_read_stop(stream);
    } else if (n > 0 && !p->over) {
        tls_feed(p->tls, (const uint8_t *)buf->base, (size_t)n);
        hear(p);
    }
}

void peer_listen(struct peer *p, bool listens) {
    if (p->leaving)
        return;
    if (listens)
        (void)uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read);
    else
        uv_read_stop((uv_stream_t *)&p->tcp);
}

/* ---- life ---- */

void peer_init(struct peer *p) { memset(p, 0, offsetof(struct peer, in)); }

static void begin(struct peer *p, uv_loop_t *loop, struct tls_context *tls) {
    p->used = true;
    must(uv_tcp_init(loop, &p->tcp) == 0);
    must(tls_new(&p->tls, tls) == 0);
}

static void on_connect(uv_connect_t *req, int status) {
    struct peer *p = req->data;

    p->over = p->over || status < 0;
    if (status < 0)
        return;
    uv_tcp_nodelay(&p->tcp, 1);
    peer_listen(p, true);
    hear(p);
}

void peer_dial(struct peer *p, uv_loop_t *loop, struct tls_context *tls, uint16_t port) {
    struct sockaddr_in to;

    begin(p, loop, tls);
    p->connect.data = p;
    uv_ip4_addr("127.0.0.1", port, &to);
    must(uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&to, on_connect) == 0);
}

void peer_accept(struct peer *p, uv_stream_t *listener, struct tls_context *tls) {
    begin(p, listener->loop, tls);
    must(uv_accept(listener, (uv_stream_t *)&p->tcp) == 0);
    uv_tcp_nodelay(&p->tcp, 1);
    peer_listen(p, true);
}

static void on_closed(uv_handle_t *handle) {
    struct peer *p = (struct peer *)handle;

    tls_give_back(p->tls);
    tls_free(p->tls);
    free(p->said);
    p->said = NULL;
    p->down = true;
}

void peer_leave(struct peer *p) {
    if (!p->used || p->leaving)
        return;
    p->leaving = p->over = true;
    uv_close((uv_handle_t *)&p->tcp, on_closed);
}
