/* SPDX-License-Identifier: MIT */
#include "core/conn_internal.h"

#define LOG_MODULE "conn"
#include "core/err.h"
#include "core/log.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LATE_MS = 2000, REFUSE_MS = 2000 };

static void on_timer(uv_timer_t *timer);

/* Work for the next turn of the loop: owners may call us from anywhere. */
void conn_kick(struct conn *c) {
    if (c->state != DEAD)
        uv_idle_start(&c->wake, conn_on_wake);
}

void conn_enter(struct conn *c, enum conn_state state, unsigned limit_ms) {
    uint64_t now = uv_now(c->env->loop);

    /* however fast each step is: whoever comes has so long for all of them */
    if (c->admit_by && state < OPENED && now + limit_ms > c->admit_by)
        limit_ms = now < c->admit_by ? (unsigned)(c->admit_by - now) : 0;
    c->state = state;
    c->due = now + limit_ms;
    uv_timer_start(&c->timer, on_timer, limit_ms, 0);
}

/* -- the end --------------------------------------------------------------------------------- */

static void give_back_buffers(struct conn *c) {
    struct pool *pool = c->env->pool;
    uint8_t *reserve = c->reserve;

    OPENSSL_cleanse(c->code_key, sizeof c->code_key);
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
    tls_give_back(c->tls); /* the env may go in on_closed, with its context */
    if (c->handler)
        c->handler->on_closed(c, c->why, c->text);
    tls_free(c->tls);
    free(c);
}

void conn_close_socket(struct conn *c) {
    uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&c->bulk.back, on_handle_closed);
}

void conn_drop(struct conn *c) {
    if (c->state == DEAD)
        return;
    c->state = DEAD;
    prover_forget(&c->want);
    uv_close((uv_handle_t *)&c->wake, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
    uv_close((uv_handle_t *)&c->turn_timer, on_handle_closed);
    atomic_store(&c->bulk.stop, true);
    if (!c->bulk.away)
        conn_close_socket(c);
}

void conn_set_why(struct conn *c, int why, const char *text) {
    if (c->state >= FAREWELL)
        return; /* the first reason counts */
    c->why = why;
    snprintf(c->text, sizeof c->text, "%s", text);
}

/* The socket is of no more use: no last words. */
void conn_fail(struct conn *c, int why, const char *text) {
    conn_set_why(c, why, text);
    conn_drop(c);
}

/* -- time ------------------------------------------------------------------------------------ */

/* Does somebody wait for the buffers of our frames? */
static bool is_wanted(const struct conn *c) {
    const uint8_t *held = outq_held(&c->out);

    return held && pool_wanted(c->env->pool, held);
}

void conn_watch_drain(struct conn *c) {
    uint64_t now = uv_now(c->env->loop), next;

    drain_begin(&c->drain, is_wanted(c), now);
    if (c->state != OPENED || c->env->patience->drain == 0)
        return;
    next = c->drain.since + c->env->patience->drain;
    if (c->due > next)
        conn_enter(c, OPENED, (unsigned)(next > now ? next - now : 0));
}

static void check_liveness(struct conn *c) {
    uint64_t now = uv_now(c->env->loop), next = 0, next_drain;
    bool wanted = is_wanted(c);
    struct msg ping = {.type = WIRE_PING};

    /* we did not listen, or the whole loop slept: the silence is ours */
    if (conn_is_taken(c) || c->paused || conn_is_held(c) || now > c->due + LATE_MS)
        c->life.heard = now;
    switch (liveness_check(&c->life, c->env->patience, now, &next)) {
    case LIVENESS_DEAD:
        conn_part(c, UV_ETIMEDOUT, "nothing heard from the peer");
        return;
    case LIVENESS_PING:
        c->life.pinged = now;
        conn_send(c, &ping); /* if memory is out, silence will tell */
        if (c->n_writes == 0 && !c->bulk.away)
            tls_trim(c->tls);
        break;
    case LIVENESS_WAIT:
        conn_say_alive(c);
        break;
    }
    if (drain_check(&c->drain, wanted, c->env->patience->drain, now, &next_drain) == DRAIN_DRAGS)
        conn_part(c, WIRE_ERR(WIRE_BUSY), "you take too little while others wait");
    if (next_drain < next)
        next = next_drain;
    if (c->state == OPENED)
        conn_enter(c, OPENED, (unsigned)(next - now));
}

static void on_timer(uv_timer_t *timer) {
    struct conn *c = (struct conn *)((char *)timer - offsetof(struct conn, timer));

    switch (c->state) {
    case CONNECTING:
        conn_fail(c, UV_ETIMEDOUT, "the connection was not accepted in time");
        break;
    case HANDSHAKE:
        conn_fail(c, UV_ETIMEDOUT, "the TLS handshake took too long");
        break;
    case WAIT_HELLO:
        conn_part(c, UV_ETIMEDOUT, "no HELLO in time");
        break;
    case WAIT_AUTH:
        conn_part(c, UV_ETIMEDOUT, "no authentication in time");
        break;
    case OPENED:
        check_liveness(c);
        break;
    case FAREWELL:
        conn_drop(c);
        break;
    case DEAD:
        break;
    }
}

/* -- the beginning --------------------------------------------------------------------------- */

static void free_unused(uv_handle_t *handle) { free(handle); }

/* Below 0 with *out set: there is a handle to close, see give_up(). */
static int new_conn(struct conn **out, const struct conn_env *env, const struct conn_handler *h,
                    void *owner) {
    struct conn *c = *out = calloc(1, sizeof *c);
    int r;

    if (!c)
        return -ENOMEM;
    r = uv_tcp_init(env->loop, &c->tcp);
    if (r) {
        free(c);
        *out = NULL;
        return r;
    }
    r = uv_async_init(env->loop, &c->bulk.back, conn_on_back);
    if (r) {
        uv_close((uv_handle_t *)&c->tcp, free_unused);
        *out = NULL;
        return r;
    }
    uv_timer_init(env->loop, &c->timer); /* these cannot fail */
    uv_timer_init(env->loop, &c->turn_timer);
    uv_idle_init(env->loop, &c->wake);
    c->tcp.data = c->timer.data = c->turn_timer.data = c->wake.data = c;
    c->bulk.back.data = c;
    c->n_handles = 5;
    c->env = env;
    c->handler = h;
    c->owner = owner;
    outq_init(&c->out, env->pool);
    return tls_new(&c->tls, env->tls);
}

/* For an owner that is told by a return value: no callback follows. */
static int give_up(struct conn *c, int why) {
    if (!c)
        return why;
    c->handler = NULL;
    conn_fail(c, why, "");
    return why;
}

static int begin(struct conn *c) {
    session_init(&c->session, c->dialled ? SESSION_DIALLER : SESSION_LISTENER);
    if (!c->dialled)
        c->admit_by = uv_now(c->env->loop) + c->env->patience->admit;
    conn_set_options(c);
    conn_enter(c, HANDSHAKE, c->env->patience->tls);
    conn_kick(c);
    return conn_start_reading(c);
}

static void on_connect(uv_connect_t *req, int status) {
    struct conn *c = (struct conn *)req->handle;
    int r = status;

    if (c->state != CONNECTING)
        return;
    if (r == 0)
        r = begin(c);
    if (r < 0)
        conn_fail(c, r, "");
    else
        conn_receive(c); /* nothing yet, but it makes the first flight of the handshake */
}

int conn_dial(struct conn **out, const struct conn_env *env, const struct sockaddr *addr,
              const struct conn_handler *h, void *owner) {
    struct conn *c;
    int r = new_conn(&c, env, h, owner);

    if (r == 0)
        r = uv_tcp_connect(&c->connect, &c->tcp, addr, on_connect);
    if (r < 0)
        return give_up(c, r);
    c->dialled = true;
    addr_show(addr, c->addr);
    conn_enter(c, CONNECTING, env->patience->connect);
    *out = c;
    return 0;
}

int conn_accept(struct conn **out, const struct conn_env *env, uv_stream_t *listener,
                const struct conn_handler *h, void *owner) {
    struct sockaddr_storage peer = {0};
    int len = sizeof peer;
    struct conn *c;
    int r = new_conn(&c, env, h, owner);

    /* even when TLS got no memory: a connection that is not taken stops the listener */
    if (c && uv_accept(listener, (uv_stream_t *)&c->tcp) < 0 && r == 0)
        r = UV_ECONNABORTED;
    if (r == 0)
        r = uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &len);
    if (r == 0) {
        addr_show((const struct sockaddr *)&peer, c->addr);
        r = begin(c);
    }
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
    r = conn_say(c, m);
    if (r == 0 && c->out.small_len > CONN_SMALL_MAX)
        conn_part(c, WIRE_ERR(WIRE_LIMIT), "the peer does not take our answers");
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
        conn_log_frame(c, "<-", &h);
    r = outq_frame(&c->out, frame, len);
    if (r == 0)
        conn_watch_drain(c);
    conn_kick(c);
    return r;
}

uint8_t *conn_take(struct conn *c) { return session_take(&c->session); }

bool conn_is_open(const struct conn *c) { return c->state == OPENED && !c->peer_left; }

void conn_close(struct conn *c, int why) { conn_part(c, why, ""); }

static int ignore_message(struct conn *c, const struct msg *m) { return 0; }

static void ignore_closed(struct conn *c, int why, const char *text) {}

void conn_leave(struct conn *c, int why) {
    static const struct conn_handler nobody = {.on_message = ignore_message,
                                               .on_closed = ignore_closed};

    conn_set_handler(c, &nobody, NULL);
    conn_close(c, why);
}

void conn_expect(struct conn *c, bool answer) {
    if (!answer)
        c->life.expected = 0;
    else if (!c->life.expected)
        c->life.expected = uv_now(c->env->loop);
}

uint64_t conn_answered(const struct conn *c) { return c->session.answered; }

void *conn_owner(const struct conn *c) { return c->owner; }

void conn_set_handler(struct conn *c, const struct conn_handler *h, void *owner) {
    c->handler = h;
    c->owner = owner;
}

size_t conn_queued(const struct conn *c) { return c->out.len; }

unsigned conn_frames(const struct conn *c) { return c->out.n_frames; }

void conn_refuse(struct conn *c, int why, const char *text) {
    c->refusal = why;
    c->refusal_text = text;
    c->admit_by = uv_now(c->env->loop) + REFUSE_MS;
    if (c->state < FAREWELL)
        conn_enter(c, c->state, REFUSE_MS);
}

void conn_abort(struct conn *c, int why) { conn_fail(c, why, ""); }

int conn_peer(const struct conn *c, struct sockaddr_storage *addr) {
    int len = sizeof *addr;

    memset(addr, 0, sizeof *addr);
    return uv_tcp_getpeername(&c->tcp, (struct sockaddr *)addr, &len);
}

const uint8_t *conn_key(const struct conn *c) { return tls_peer_key(c->tls); }

const char *conn_name(const struct conn *c) { return c->name; }

const char *conn_software(const struct conn *c) { return c->software; }

const char *conn_addr(const struct conn *c) { return c->addr; }
