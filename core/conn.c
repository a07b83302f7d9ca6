/* SPDX-License-Identifier: MIT */
#include "core/conn.h"

#define LOG_MODULE "conn"
#include "core/addr.h"
#include "core/blocks.h"
#include "core/err.h"
#include "core/log.h"
#include "core/outq.h"
#include "proto/name.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum state {
    CONNECTING,
    HANDSHAKE,
    WAIT_HELLO,
    WAIT_AUTH,
    OPEN,
    FAREWELL, /* our last words go out, what still comes is dropped */
    DEAD,     /* the handles are closing */
};

enum { TEXT_LEN = 512, SHOWN_LEN = 256, PAUSED = 1, SEAL_MAX = BLOCK_LEN };

struct conn {
    uv_tcp_t tcp; /* first: the handle is the conn */
    uv_timer_t timer;
    uv_idle_t wake; /* active: something to do in the next turn of the loop */
    unsigned n_handles;
    const struct conn_env *env;
    const struct conn_handler *handler;
    void *owner;
    enum state state;

    struct tls *tls;
    struct session session;
    struct outq out;
    uv_write_t writes[BLOCKS_MAX]; /* a ring, as the blocks of tls are */
    unsigned n_writes, next_write;
    uv_connect_t connect;
    uv_shutdown_t shutdown;
    bool dialled, peer_left, said_all, shut;

    bool paused;               /* not reading: there is no buffer for the frame that comes */
    struct pool_waiter waiter; /* for one */
    uint8_t *reserve;          /* it came */

    struct liveness life;
    int why;
    uint16_t port;
    char text[TEXT_LEN], name[SHOWN_LEN], software[SHOWN_LEN], addr[ADDR_TEXT_LEN];
};

static void on_wake(uv_idle_t *wake);
static void on_timer(uv_timer_t *timer);

static void log_frame(const struct conn *c, const char *verb, const struct wire_header *h) {
    log_debug("%s %s %s req %u len %u", c->addr, verb, wire_type_name(h->type), h->req, h->len);
}

/* Work for the next turn of the loop: owners may call us from anywhere. */
static void kick(struct conn *c) {
    if (c->state != DEAD)
        uv_idle_start(&c->wake, on_wake);
}

static void enter(struct conn *c, enum state state, unsigned limit_ms) {
    c->state = state;
    uv_timer_start(&c->timer, on_timer, limit_ms, 0);
}

/* -- the end --------------------------------------------------------------------------------- */

static void give_back_buffers(struct conn *c) {
    struct pool *pool = c->env->pool;
    uint8_t *reserve = c->reserve;

    outq_clear(&c->out);
    if (!pool)
        return;
    c->reserve = NULL;
    pool_unwait(pool, &c->waiter);
    pool_put(pool, reserve);
    pool_put(pool, session_clear(&c->session));
}

static void on_handle_closed(uv_handle_t *handle) {
    struct conn *c = handle->data;

    if (--c->n_handles > 0)
        return;
    give_back_buffers(c);
    log_info("%s: closed: %s%s%s", c->addr, c->why ? err_text(c->why) : "in order",
             c->text[0] ? ": " : "", c->text);
    if (c->handler)
        c->handler->on_closed(c, c->why, c->text);
    tls_free(c->tls);
    free(c);
}

static void drop(struct conn *c) {
    if (c->state == DEAD)
        return;
    c->state = DEAD;
    uv_close((uv_handle_t *)&c->wake, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
    uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
}

static void set_why(struct conn *c, int why, const char *text) {
    if (c->state >= FAREWELL)
        return; /* the first reason counts */
    c->why = why;
    snprintf(c->text, sizeof c->text, "%s", text);
}

/* The socket is of no more use: no last words. */
static void fail(struct conn *c, int why, const char *text) {
    set_why(c, why, text);
    drop(c);
}

/* -- out ------------------------------------------------------------------------------------- */

static int say(struct conn *c, const struct msg *m) {
    uint8_t frame[WIRE_HEADER_LEN + WIRE_CONTROL_MAX];
    struct wire_header h;
    int len = wire_encode(m, frame, sizeof frame), r;

    if (len < 0)
        return -EINVAL;
    r = outq_small(&c->out, frame, (size_t)len);
    if (r)
        return r;
    if (wire_header_get(&h, frame) == 0)
        log_frame(c, "<-", &h);
    kick(c);
    return 0;
}

/* What the peer hears as the reason. */
static int say_farewell(struct conn *c, int why, const char *text) {
    struct msg m = {.type = WIRE_ERROR};

    if (why == 0 || why == UV_ECANCELED || why == ERR_STOPPED || why == ERR_KEY_OTHER ||
        why == ERR_KEY_CHANGED)
        m.type = WIRE_BYE; /* nothing that the peer did wrong */
    else if (why == UV_ETIMEDOUT)
        m.error.code = WIRE_TIMEOUT;
    else if (why < WIRE_ERR(WIRE_OK) && why > WIRE_ERR(100))
        m.error.code = (uint16_t)(WIRE_ERR(WIRE_OK) - why);
    else
        m.error.code = WIRE_INTERNAL;
    m.error.text = (struct bytes){(const uint8_t *)text, strnlen(text, 255)};
    return say(c, &m);
}

/* Ends the conversation: drops what has not started, says why, closes when that is sent. */
static void part(struct conn *c, int why, const char *text) {
    bool can_talk = c->state > HANDSHAKE && c->state < FAREWELL && !c->peer_left;

    if (c->state >= FAREWELL)
        return;
    set_why(c, why, text);
    if (c->state == CONNECTING || (c->state == HANDSHAKE && why != ERR_TLS)) {
        drop(c);
        return;
    }
    if (c->peer_left)
        outq_clear(&c->out);
    else
        outq_drop(&c->out);
    if (can_talk && why != ERR_TLS && why != ERR_TLS_CUT && why != UV_EOF)
        say_farewell(c, why, text);
    if (c->env->pool)
        pool_unwait(c->env->pool, &c->waiter);
    enter(c, FAREWELL, c->env->patience->farewell);
    kick(c);
}

static void on_shutdown(uv_shutdown_t *req, int status) {}

/* All is said: the peer may go on reading it before it closes. Were we to close with bytes unread,
 * the kernel would send a reset, and our last words would be lost (RFC 2525 section 2.17). */
static void half_close(struct conn *c) {
    if (c->peer_left || uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) < 0)
        drop(c);
    c->shut = true;
}

static void flush(struct conn *c);

static void on_write(uv_write_t *req, int status) {
    struct conn *c = (struct conn *)req->handle;

    if (c->state == DEAD)
        return;
    c->n_writes--;
    tls_out_done(c->tls);
    if (status < 0)
        fail(c, status, "");
    else
        flush(c);
}

/* Hands blocks to the socket; those that are not full only if `all`. */
static int write_blocks(struct conn *c, bool all) {
    const uint8_t *block;
    size_t len;

    while (tls_out(c->tls, all, &block, &len)) {
        uv_buf_t buf = uv_buf_init((char *)(uintptr_t)block, (unsigned)len);
        int r = uv_write(&c->writes[c->next_write], (uv_stream_t *)&c->tcp, &buf, 1, on_write);
        if (r < 0)
            return r;
        c->next_write = (c->next_write + 1) % BLOCKS_MAX;
        c->n_writes++;
    }
    return 0;
}

/* Encrypts from the queue until it is empty or the blocks are full. */
static int seal(struct conn *c) {
    const uint8_t *at;
    size_t len;

    while (outq_front(&c->out, &at, &len)) {
        int n = tls_write(c->tls, at, len < SEAL_MAX ? len : SEAL_MAX);
        if (n <= 0)
            return n;
        outq_advance(&c->out, (size_t)n);
        n = write_blocks(c, false);
        if (n < 0)
            return n;
    }
    return 0;
}

static void flush(struct conn *c) {
    size_t before = c->out.len;
    int r = tls_ready(c->tls) ? seal(c) : 0;

    if (c->state == FAREWELL && !c->said_all && (c->out.len == 0 || r < 0)) {
        c->said_all = true;
        outq_clear(&c->out);
        tls_close(c->tls); /* an error here ends what is ending */
        r = 0;
    }
    if (r == 0)
        r = write_blocks(c, true);
    if (r < 0) {
        fail(c, r, r == ERR_TLS ? tls_error(c->tls) : "");
        return;
    }
    if (c->state == FAREWELL && c->said_all && c->n_writes == 0 && !c->shut)
        half_close(c);
    else if (c->state == OPEN && c->out.len < before && c->out.len < WIRE_FRAME_MAX &&
             c->handler->on_drain)
        c->handler->on_drain(c);
}

/* -- in -------------------------------------------------------------------------------------- */

static int say_hello(struct conn *c) {
    static const char software[] = "lanyard " LANYARD_VERSION;
    struct msg m = {.type = WIRE_HELLO};

    m.hello.major = WIRE_MAJOR;
    m.hello.minor = WIRE_MINOR;
    m.hello.port = c->env->port;
    m.hello.name = (struct bytes){(const uint8_t *)c->env->name, strlen(c->env->name)};
    m.hello.software = (struct bytes){(const uint8_t *)software, sizeof software - 1};
    enter(c, WAIT_HELLO, c->env->patience->hello);
    return say(c, &m);
}

static int open_up(struct conn *c) {
    log_info("%s: open, %s (%s)", c->addr, c->name, c->software);
    c->life = (struct liveness){.heard = uv_now(c->env->loop)};
    enter(c, OPEN, c->env->patience->ping);
    return c->handler->on_open ? c->handler->on_open(c) : 0;
}

static int on_hello(struct conn *c, const struct msg *m) {
    const struct bytes *name = &m->hello.name, *software = &m->hello.software;

    name_show((const char *)name->at, name->len, c->name, sizeof c->name);
    name_show((const char *)software->at, software->len, c->software, sizeof c->software);
    c->port = m->hello.port;
    enter(c, WAIT_AUTH, c->env->patience->auth);
    return c->dialled ? say(c, &(struct msg){.type = WIRE_AUTH}) : 0;
}

static int on_auth(struct conn *c, const struct msg *m) {
    struct msg answer = {.type = WIRE_AUTHED};
    int r;

    if (m->auth.method != 0)
        return WIRE_ERR(WIRE_UNSUPPORTED);
    r = say(c, &answer);
    return r ? r : open_up(c);
}

static int on_authed(struct conn *c, const struct msg *m) {
    return m->authed.result == WIRE_OK ? open_up(c) : WIRE_ERR(m->authed.result);
}

/* The peer says that it is over, and why. */
static int on_farewell(struct conn *c, const struct msg *m) {
    char text[TEXT_LEN];
    unsigned code = m->error.code;

    if (code >= 100 || (code == WIRE_OK && m->type == WIRE_ERROR))
        code = WIRE_INTERNAL; /* WIRE_ERR() has room for that many */
    name_show((const char *)m->error.text.at, m->error.text.len, text, sizeof text);
    c->peer_left = true;
    part(c, code == WIRE_OK ? 0 : WIRE_ERR(code), text);
    return 0;
}

static int on_message(struct conn *c, const struct msg *m) {
    struct msg pong = *m;

    log_frame(c, "->", &c->session.header);
    switch (m->type) {
    case WIRE_HELLO:
        return on_hello(c, m);
    case WIRE_AUTH:
        return on_auth(c, m);
    case WIRE_AUTHED:
        return on_authed(c, m);
    case WIRE_PING:
        pong.type = WIRE_PONG;
        return conn_send(c, &pong);
    case WIRE_PONG:
        return 0;
    case WIRE_BYE:
        return on_farewell(c, m);
    case WIRE_ERROR:
        if (c->state != OPEN || m->req == 0)
            return on_farewell(c, m);
    }
    return c->handler->on_message(c, m);
}

static void on_buffer(struct pool_waiter *w) {
    struct conn *c = (struct conn *)((char *)w - offsetof(struct conn, waiter));

    c->reserve = pool_get(c->env->pool);
    kick(c);
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

/* The peer broke a rule that the session knows. */
static void blame(struct conn *c, int why) {
    char text[TEXT_LEN] = "";

    if (why == WIRE_ERR(WIRE_VERSION))
        snprintf(text, sizeof text, "one side speaks version %d", WIRE_MAJOR);
    else
        snprintf(text, sizeof text, "%s malformed or out of place",
                 wire_type_name(c->session.header.type));
    part(c, why, text);
}

/* Plaintext has arrived in the session. 0, or an error. */
static int take_message(struct conn *c) {
    struct msg m;
    int r = session_next(&c->session, &m);

    if (r < 0) {
        blame(c, r);
        return 0;
    }
    if (r == 0)
        return 0;
    r = on_message(c, &m);
    if (c->env->pool) /* an idle conversation holds no buffer */
        pool_put(c->env->pool, session_take(&c->session));
    return r;
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
            int said = say_hello(c);
            if (said)
                return said;
        }
        if (r <= 0)
            return r;
        session_filled(&c->session, (size_t)r);
        r = take_message(c);
        if (r)
            return r;
    }
    return 0;
}

static void receive(struct conn *c) {
    int r = hear(c);

    if (r == PAUSED)
        r = pause_reading(c);
    if (r == ERR_TLS || r == UV_EOF || r == ERR_TLS_CUT)
        part(c, r, r == ERR_TLS ? tls_error(c->tls) : "");
    else if (r < 0)
        part(c, r, "");
    if (c->state >= FAREWELL)
        tls_feed(c->tls, NULL, 0);
    if (c->state != DEAD)
        flush(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct conn *c = (struct conn *)handle;

    *buf = uv_buf_init((char *)c->env->read_block, CONN_READ_BLOCK);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct conn *c = (struct conn *)stream;

    if (n == 0)
        return;
    if (c->state == FAREWELL) {
        if (n < 0)
            drop(c);
        return;
    }
    if (n < 0 && n != UV_EOF) {
        fail(c, (int)n, "");
        return;
    }
    if (n == UV_EOF) {
        c->peer_left = true;
        uv_read_stop(stream);
        tls_feed_end(c->tls);
    } else {
        c->life.heard = uv_now(c->env->loop);
        tls_feed(c->tls, (const uint8_t *)buf->base, (size_t)n);
    }
    receive(c);
}

static int start_reading(struct conn *c) {
    c->paused = false;
    return uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void resume(struct conn *c) {
    int r;

    c->paused = false;
    c->life.heard = uv_now(c->env->loop); /* we did not listen: the silence is ours */
    receive(c);
    if (c->paused || c->state == DEAD)
        return;
    r = start_reading(c);
    if (r < 0)
        fail(c, r, "");
}

static void on_wake(uv_idle_t *wake) {
    struct conn *c = (struct conn *)((char *)wake - offsetof(struct conn, wake));

    uv_idle_stop(wake);
    if (c->paused && (c->reserve || c->state == FAREWELL))
        resume(c);
    else
        flush(c);
}

/* -- time ------------------------------------------------------------------------------------ */

static void check_liveness(struct conn *c) {
    uint64_t now = uv_now(c->env->loop), next = 0;
    struct msg ping = {.type = WIRE_PING};

    if (c->paused)
        c->life.heard = now;
    switch (liveness_check(&c->life, c->env->patience, now, &next)) {
    case LIVENESS_DEAD:
        part(c, UV_ETIMEDOUT, "nothing heard from the peer");
        return;
    case LIVENESS_PING:
        c->life.pinged = now;
        conn_send(c, &ping); /* if memory is out, silence will tell */
        if (c->n_writes == 0)
            tls_trim(c->tls);
        break;
    case LIVENESS_WAIT:
        break;
    }
    if (c->state == OPEN)
        uv_timer_start(&c->timer, on_timer, next - now, 0);
}

static void on_timer(uv_timer_t *timer) {
    struct conn *c = (struct conn *)((char *)timer - offsetof(struct conn, timer));

    switch (c->state) {
    case CONNECTING:
        fail(c, UV_ETIMEDOUT, "the connection was not accepted in time");
        break;
    case HANDSHAKE:
        fail(c, UV_ETIMEDOUT, "the TLS handshake took too long");
        break;
    case WAIT_HELLO:
        part(c, UV_ETIMEDOUT, "no HELLO in time");
        break;
    case WAIT_AUTH:
        part(c, UV_ETIMEDOUT, "no authentication in time");
        break;
    case OPEN:
        check_liveness(c);
        break;
    case FAREWELL:
        drop(c);
        break;
    case DEAD:
        break;
    }
}

/* -- the beginning --------------------------------------------------------------------------- */

/* None of them is worth failing for. */
static void set_options(struct conn *c) {
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        /* small messages must not wait behind megabytes */
        {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 512 * 1024},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 20000},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 15},
        {IPPROTO_TCP, TCP_KEEPINTVL, 5},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
    };
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) < 0)
        return;
    for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                   sizeof options[i].value);
}

static int new_conn(struct conn **out, const struct conn_env *env, const struct conn_handler *h,
                    void *owner) {
    struct conn *c = calloc(1, sizeof *c);
    int r = c ? tls_new(&c->tls, env->tls) : -ENOMEM;

    if (!r)
        r = uv_tcp_init(env->loop, &c->tcp);
    if (r) {
        if (c)
            tls_free(c->tls);
        free(c);
        return r;
    }
    uv_timer_init(env->loop, &c->timer); /* these two cannot fail */
    uv_idle_init(env->loop, &c->wake);
    c->tcp.data = c->timer.data = c->wake.data = c;
    c->n_handles = 3;
    c->env = env;
    c->handler = h;
    c->owner = owner;
    outq_init(&c->out, env->pool);
    *out = c;
    return 0;
}

/* For an owner that was told by a return value: no callback follows. */
static int give_up(struct conn *c, int why) {
    c->handler = NULL;
    fail(c, why, "");
    return why;
}

static int begin(struct conn *c) {
    session_init(&c->session, c->dialled ? SESSION_DIALLER : SESSION_LISTENER);
    set_options(c);
    enter(c, HANDSHAKE, c->env->patience->tls);
    kick(c);
    return start_reading(c);
}

static void on_connect(uv_connect_t *req, int status) {
    struct conn *c = (struct conn *)req->handle;
    int r = status;

    if (c->state != CONNECTING)
        return;
    if (r == 0)
        r = begin(c);
    if (r < 0)
        fail(c, r, "");
    else
        receive(c); /* nothing yet, but it makes the first flight of the handshake */
}

int conn_dial(struct conn **out, const struct conn_env *env, const struct sockaddr *addr,
              const struct conn_handler *h, void *owner) {
    struct conn *c;
    int r = new_conn(&c, env, h, owner);

    if (r)
        return r;
    c->dialled = true;
    addr_show(addr, c->addr);
    r = uv_tcp_connect(&c->connect, &c->tcp, addr, on_connect);
    if (r < 0)
        return give_up(c, r);
    enter(c, CONNECTING, env->patience->connect);
    *out = c;
    return 0;
}

int conn_accept(struct conn **out, const struct conn_env *env, uv_stream_t *listener,
                const struct conn_handler *h, void *owner) {
    struct sockaddr_storage peer = {0};
    int len = sizeof peer, r;
    struct conn *c;

    r = new_conn(&c, env, h, owner);
    if (r)
        return r;
    r = uv_accept(listener, (uv_stream_t *)&c->tcp);
    if (r == 0)
        r = uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &len);
    if (r < 0)
        return give_up(c, r);
    addr_show((const struct sockaddr *)&peer, c->addr);
    r = begin(c);
    if (r < 0)
        return give_up(c, r);
    *out = c;
    return 0;
}

/* -- for the owner --------------------------------------------------------------------------- */

int conn_send(struct conn *c, const struct msg *m) {
    int r;

    if (c->state >= FAREWELL)
        return 0;
    r = say(c, m);
    if (r == 0 && c->out.small_len > CONN_SMALL_MAX)
        part(c, WIRE_ERR(WIRE_LIMIT), "the peer does not take our answers");
    return r;
}

int conn_send_frame(struct conn *c, uint8_t *frame, size_t len) {
    struct wire_header h;
    int r;

    if (c->state >= FAREWELL) {
        pool_put(c->env->pool, frame);
        return 0;
    }
    if (wire_header_get(&h, frame) == 0)
        log_frame(c, "<-", &h);
    r = outq_frame(&c->out, frame, len);
    kick(c);
    return r;
}

uint8_t *conn_take(struct conn *c) { return session_take(&c->session); }

void conn_close(struct conn *c, int why) { part(c, why, ""); }

void conn_expect(struct conn *c, bool answer) {
    if (!answer)
        c->life.expected = 0;
    else if (!c->life.expected)
        c->life.expected = uv_now(c->env->loop);
}

void *conn_owner(const struct conn *c) { return c->owner; }

void conn_set_handler(struct conn *c, const struct conn_handler *h, void *owner) {
    c->handler = h;
    c->owner = owner;
}

size_t conn_queued(const struct conn *c) { return c->out.len; }

const uint8_t *conn_key(const struct conn *c) { return tls_peer_key(c->tls); }

const char *conn_name(const struct conn *c) { return c->name; }

const char *conn_software(const struct conn *c) { return c->software; }

const char *conn_addr(const struct conn *c) { return c->addr; }

uint16_t conn_listen_port(const struct conn *c) { return c->port; }
