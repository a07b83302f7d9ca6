/* SPDX-License-Identifier: MIT */
#include "core/conn_internal.h"

#include "core/err.h"

#include <stddef.h>
#include <sys/ioctl.h>

enum { PAUSED = 1, CROWDED_READ = 32 * 1024 };

/* -- out ------------------------------------------------------------------------------------- */

static void flush(struct conn *c) { conn_flush(c, c->out.len); }

static void on_shutdown(uv_shutdown_t *req, int status) {}

/* All is said: the peer may go on reading it before it closes. Were we to close with bytes unread,
 * the kernel would send a reset, and our last words would be lost (RFC 2525 section 2.17). */
static void half_close(struct conn *c) {
    if (c->peer_left || uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) < 0)
        conn_drop(c);
    c->shut = true;
}

static void on_write(uv_write_t *req, int status) {
    struct conn *c = (struct conn *)req->handle;

    if (c->state == DEAD)
        return;
    c->n_writes--;
    if (c->bulk.away)
        c->bulk.n_written++;
    else
        tls_out_done(c->tls);
    if (status < 0)
        conn_fail(c, status, "");
    else
        flush(c);
}

static int write_block(struct conn *c, const uint8_t *block, size_t len) {
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)block, (unsigned)len);
    int r = uv_write(&c->writes[c->next_write], (uv_stream_t *)&c->tcp, &buf, 1, on_write);

    if (r < 0)
        return r;
    c->next_write = (c->next_write + 1) % BLOCKS_MAX;
    c->n_writes++;
    c->written += len;
    return 0;
}

/* Hands blocks to the socket; those that are not full only if `all`. */
static int write_blocks(struct conn *c, bool all) {
    const uint8_t *block = c->bulk.rest;
    size_t len = c->bulk.rest_len;
    int r = 0;

    c->bulk.rest_len = 0;
    if (len > 0)
        r = write_block(c, block, len);
    while (r == 0 && tls_out(c->tls, all, &block, &len))
        r = write_block(c, block, len);
    return r;
}

bool conn_is_taken(struct conn *c) {
    if (c->bulk.away)
        return true;
    size_t ours = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    int kernels = 0; /* not sent, or not acknowledged: tcp(7), SIOCOUTQ */
    uint64_t taken;
    uv_os_fd_t fd;
    bool more;

    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) < 0 || ioctl(fd, TIOCOUTQ, &kernels) < 0)
        return false;
    taken = c->written - ours - (uint64_t)kernels;
    more = taken > c->taken && taken < c->written;
    c->taken = taken;
    return more;
}

/* Encrypts from the queue until it is empty or the blocks are full. */
static int seal(struct conn *c) {
    const uint8_t *at;
    size_t len;

    while (outq_front(&c->out, &at, &len)) {
        if (conn_bulk_send(c, at, len))
            return 0;
        size_t most = conn_may_send(c, len < BLOCK_LEN ? len : BLOCK_LEN);
        int n = most ? tls_write(c->tls, at, most) : 0;

        if (n <= 0) {
            if (most)
                conn_sent(c, 0);
            return n;
        }
        conn_sent(c, (size_t)n);
        outq_advance(&c->out, (size_t)n);
        drain_took(&c->drain, (size_t)n);
        n = write_blocks(c, false);
        if (n < 0)
            return n;
    }
    conn_sent(c, 0);
    return 0;
}

void conn_flush(struct conn *c, size_t before) {
    int r = 0;

    if (c->bulk.away) /* when it is back */
        return;
    if (c->deaf)
        outq_clear(&c->out);
    if (tls_ready(c->tls))
        r = seal(c);
    if (c->state == FAREWELL && !c->said_all && (c->out.len == 0 || r < 0)) {
        c->said_all = true;
        outq_clear(&c->out);
        tls_close(c->tls); /* an error here ends what is ending */
        r = 0;
    }
    if (c->out.n_frames == 0 || conn_is_held(c)) /* it waits for us, not for the peer */
        drain_end(&c->drain);
    if (r == 0 && !c->bulk.away)
        r = write_blocks(c, true);
    if (r < 0) {
        conn_fail(c, r, r == ERR_TLS ? tls_error(c->tls) : "");
        return;
    }
    if (c->state == FAREWELL && c->said_all && c->n_writes == 0 && !c->shut)
        half_close(c);
    else if (c->state == OPENED && c->out.len < before && c->out.len < WIRE_FRAME_MAX &&
             c->handler->on_drain)
        c->handler->on_drain(c);
}

/* -- in -------------------------------------------------------------------------------------- */

static void on_buffer(struct pool_waiter *w) {
    struct conn *c = (struct conn *)((char *)w - offsetof(struct conn, waiter));

    c->reserve = pool_get(c->env->pool);
    conn_kick(c);
}

/* Where the next plaintext goes: 0, PAUSED without a buffer, or an error. */
static int find_space(struct conn *c, uint8_t **at, size_t *len) {
    int r = session_space(&c->session, at, len);

    if (r != SESSION_LEND)
        return r;
    if (!c->reserve && c->env->pool)
        c->reserve = pool_get(c->env->pool);
    if (!c->reserve)
        return c->env->pool ? PAUSED : WIRE_ERR(WIRE_LIMIT);
    session_lend(&c->session, c->reserve);
    c->reserve = NULL;
    return session_space(&c->session, at, len);
}

static int pause_reading(struct conn *c) {
    c->paused = true;
    uv_read_stop((uv_stream_t *)&c->tcp);
    c->waiter.ready = on_buffer;
    pool_wait(c->env->pool, &c->waiter);
    return tls_keep(c->tls);
}

/* Decrypts and hands on what was fed. 0: all of it; PAUSED; or why it is over. */
static int hear(struct conn *c) {
    while (c->state < FAREWELL) {
        uint8_t *at;
        size_t len;
        int r = find_space(c, &at, &len);

        if (r)
            return r;
        r = tls_read(c->tls, at, len);
        if (c->state == HANDSHAKE && tls_ready(c->tls) && r >= 0) {
            int said = conn_say_hello(c);
            if (said || c->state >= FAREWELL)
                return said;
        }
        if (r <= 0)
            return r;
        session_filled(&c->session, (size_t)r);
        r = conn_take_message(c);
        if (r)
            return r;
    }
    return 0;
}

void conn_receive(struct conn *c) { conn_heard(c, hear(c)); }

void conn_heard(struct conn *c, int r) {
    if (r == PAUSED)
        r = pause_reading(c);
    if (r == ERR_TLS || r == UV_EOF || r == ERR_TLS_CUT)
        conn_part(c, r, r == ERR_TLS ? tls_error(c->tls) : "");
    else if (r < 0)
        conn_part(c, r, "");
    if (c->state >= FAREWELL)
        tls_feed(c->tls, NULL, 0);
    if (c->state != DEAD)
        flush(c);
    if (r == 0)
        conn_bulk_receive(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct conn *c = (struct conn *)handle;

    /* when more is there than this, the crew takes it: until the next header is here */
    size_t want = c->crowded ? CROWDED_READ : CONN_READ_BLOCK;

    want = c->bulk.away ? 0 : conn_may_read(c, want);
    *buf = uv_buf_init((char *)c->env->read_block, (unsigned)want);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct conn *c = (struct conn *)stream;

    if (n == 0)
        return;
    /* on_alloc: it is not our turn, or TLS is away; it may be so since on_alloc only, for libuv
     * tells of the end in the same turn as of the last bytes */
    if (n == UV_ENOBUFS || c->bulk.away) {
        uv_read_stop(stream);
        c->stopped = c->bulk.away;
        return;
    }
    if (c->state == FAREWELL) {
        if (n < 0)
            conn_drop(c);
        return;
    }
    if (n < 0 && n != UV_EOF) {
        conn_fail(c, (int)n, "");
        return;
    }
    if (n == UV_EOF) {
        c->peer_left = true;
        uv_read_stop(stream);
        tls_feed_end(c->tls);
    } else {
        c->life.heard = uv_now(c->env->loop);
        c->crowded = (size_t)n == buf->len;
        conn_read(c, (size_t)n, (size_t)n == buf->len);
        tls_feed(c->tls, (const uint8_t *)buf->base, (size_t)n);
    }
    conn_receive(c);
}

int conn_start_reading(struct conn *c) {
    int r = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);

    c->paused = false;
    return r == UV_EALREADY ? 0 : r;
}

static void resume(struct conn *c) {
    int r;

    c->paused = false;
    c->life.heard = uv_now(c->env->loop); /* we did not listen: the silence is ours */
    conn_receive(c);
    if (c->bulk.away)
        c->stopped = true;
    if (c->paused || c->bulk.away || c->state == DEAD)
        return;
    r = conn_start_reading(c);
    if (r < 0)
        conn_fail(c, r, "");
}

void conn_on_turn(struct conn *c) {
    int r = 0;

    if (c->dialled && !c->paused && !c->peer_left)
        r = conn_start_reading(c);
    if (c->out.n_frames > 0)
        conn_watch_drain(c);
    if (r < 0)
        conn_fail(c, r, "");
    else
        flush(c);
}

void conn_on_wake(uv_idle_t *wake) {
    struct conn *c = (struct conn *)((char *)wake - offsetof(struct conn, wake));

    uv_idle_stop(wake);
    if (c->bulk.away)
        return;
    if (c->paused && (c->reserve || c->state == FAREWELL))
        resume(c);
    else
        flush(c);
}
