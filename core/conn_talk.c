/* SPDX-License-Identifier: MIT */
#include "core/conn_internal.h"

#define LOG_MODULE "conn"
#include "core/err.h"
#include "core/log.h"
#include "proto/name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BUSY_MS = 2000 }; /* when to try again */

void conn_log_frame(const struct conn *c, const char *verb, const struct wire_header *h) {
    log_debug("%s %s %s req %u len %u", c->addr, verb, wire_type_name(h->type), h->req, h->len);
}

int conn_say(struct conn *c, const struct msg *m) {
    uint8_t frame[WIRE_HEADER_LEN + WIRE_CONTROL_MAX];
    struct wire_header h;
    int len = wire_encode(m, frame, sizeof frame), r;

    if (len < 0)
        return -EINVAL;
    r = outq_small(&c->out, frame, (size_t)len);
    if (r)
        return r;
    if (wire_header_get(&h, frame) == 0)
        conn_log_frame(c, "<-", &h);
    conn_kick(c);
    return 0;
}

/* What the peer hears as the reason. */
static int say_farewell(struct conn *c, int why, const char *text) {
    struct msg m = {.type = WIRE_ERROR};

    if (why == 0 || why == UV_ECANCELED || why <= ERR_TLS)
        m.type = WIRE_BYE; /* a matter of ours, which no code names */
    else if (why == UV_ETIMEDOUT)
        m.error.code = WIRE_TIMEOUT;
    else
        m.error.code = (uint16_t)(err_code(why) ? err_code(why) : WIRE_INTERNAL);
    m.error.detail = why == WIRE_ERR(WIRE_BUSY) ? BUSY_MS : 0;
    m.error.text = (struct bytes){(const uint8_t *)text, strnlen(text, 255)};
    return conn_say(c, &m);
}

static bool is_deaf(const struct conn *c, int why) {
    return c->state == HANDSHAKE || c->peer_left || why == ERR_TLS || why == UV_EOF;
}

void conn_part(struct conn *c, int why, const char *text) {
    if (c->state >= FAREWELL)
        return;
    c->deaf = is_deaf(c, why);
    prover_forget(&c->want);
    if (c->state == CONNECTING || (c->state == HANDSHAKE && why != ERR_TLS)) {
        conn_fail(c, why, text);
        return;
    }
    conn_set_why(c, why, text);
    conn_enter(c, FAREWELL,
               c->env->patience->farewell); /* first: buffers that go back wake others */
    if (c->env->pool)
        pool_unwait(c->env->pool, &c->waiter);
    outq_drop(&c->out);
    if (!c->deaf)
        say_farewell(c, why, text);
    conn_kick(c);
}

int conn_say_hello(struct conn *c) {
    static const char software[] = "lanyard " LANYARD_VERSION;
    struct msg m = {.type = WIRE_HELLO};

    m.hello.major = WIRE_MAJOR;
    m.hello.minor = WIRE_MINOR;
    m.hello.port = c->env->port;
    m.hello.name = (struct bytes){(const uint8_t *)c->env->name, strlen(c->env->name)};
    m.hello.software = (struct bytes){(const uint8_t *)software, sizeof software - 1};
    m.hello.features = c->env->features;
    conn_enter(c, WAIT_HELLO, c->env->patience->hello);
    if (!c->refusal)
        return conn_say(c, &m);
    conn_part(c, c->refusal, c->refusal_text);
    return 0;
}

int conn_open_up(struct conn *c) {
    log_info("%s: open, %s (%s)", c->addr, c->name, c->software);
    c->life = (struct liveness){.heard = uv_now(c->env->loop)};
    conn_enter(c, OPENED, c->env->patience->ping);
    return c->handler->on_open ? c->handler->on_open(c) : 0;
}

static int on_hello(struct conn *c, const struct msg *m) {
    const struct bytes *name = &m->hello.name, *software = &m->hello.software;

    name_show((const char *)name->at, name->len, c->name, sizeof c->name);
    name_show((const char *)software->at, software->len, c->software, sizeof c->software);
    conn_enter(c, WAIT_AUTH, c->env->patience->auth);
    return c->dialled ? conn_say_auth(c, m->hello.features) : 0;
}

/* The peer says that it is over, and why. */
static int on_farewell(struct conn *c, const struct msg *m) {
    char text[CONN_TEXT_LEN];
    bool in_order = m->type == WIRE_BYE && m->error.code == WIRE_OK;

    name_show((const char *)m->error.text.at, m->error.text.len, text, sizeof text);
    c->peer_left = true;
    conn_part(c, in_order ? 0 : err_of_code(m->error.code), text);
    return 0;
}

static int on_message(struct conn *c, const struct msg *m) {
    struct msg pong = *m;

    conn_log_frame(c, "->", &c->session.header);
    switch (m->type) {
    case WIRE_HELLO:
        return on_hello(c, m);
    case WIRE_AUTH:
        return conn_on_auth(c, m);
    case WIRE_AUTHED:
        return conn_on_authed(c, m);
    case WIRE_PING:
        pong.type = WIRE_PONG;
        return conn_send(c, &pong);
    case WIRE_PONG:
        return 0;
    case WIRE_BYE:
        return on_farewell(c, m);
    case WIRE_ERROR:
        if (c->state != OPENED || m->req == 0)
            return on_farewell(c, m);
    }
    return c->handler->on_message(c, m);
}

/* The peer broke a rule that the session knows. */
static void blame(struct conn *c, int why) {
    char text[CONN_TEXT_LEN] = "";

    if (why == WIRE_ERR(WIRE_VERSION))
        snprintf(text, sizeof text, "one side speaks version %d", WIRE_MAJOR);
    else
        snprintf(text, sizeof text, "%s malformed or out of place",
                 wire_type_name(c->session.header.type));
    conn_part(c, why, text);
}

int conn_take_message(struct conn *c) {
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
