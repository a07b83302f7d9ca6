/* SPDX-License-Identifier: MIT */
#include "core/query.h"

#include "core/addr.h"
#include "core/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHECKS = 10,            /* in the time that a peer may stand still */
    PACE_BYTES = 16 * 1024, /* of rows: who sends less in that time stands still */
    REQ = 1,                /* the question */
    INFO_REQ,               /* each INFO_GET: one at a time is out */
};

struct query {
    uv_timer_t timer; /* first: the handle is the query */
    uint64_t asked_ms, checked_ms, moved_ms;
    uint64_t answered, steps; /* conn_answered() and INFO at moved_ms */
    bool info_asked;          /* an INFO_GET is out */
    struct query_request request;
    const struct conn_env *env;
    const struct query_handler *handler; /* NULL once on_done was called or query_stop came */
    void *owner;
    struct dial *dial;
    struct conn *conn;
    bool timer_closed;
    bool refused; /* by a peer that said who it is: */
    char name[256], software[256], addr[ADDR_TEXT_LEN];
    uint8_t key[KEY_LEN];
};

static void free_if_down(struct query *q) {
    if (q->timer_closed && !q->conn)
        free(q);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct query *q = (struct query *)handle;

    q->timer_closed = true;
    free_if_down(q);
}

/* Takes everything down; q lives until the last callback. */
static void shut(struct query *q) {
    q->handler = NULL;
    dial_stop(q->dial);
    q->dial = NULL;
    if (q->conn)
        conn_close(q->conn, 0);
    if (!uv_is_closing((uv_handle_t *)&q->timer))
        uv_close((uv_handle_t *)&q->timer, on_timer_closed);
}

static struct query_peer peer_of(const struct conn *c) {
    return (struct query_peer){.name = conn_name(c),
                               .software = conn_software(c),
                               .addr = conn_addr(c),
                               .key = conn_key(c)};
}

static struct query_peer refuser_of(const struct query *q) {
    return (struct query_peer){
        .name = q->name, .software = q->software, .addr = q->addr, .key = q->key};
}

static void finish(struct query *q, int why, const char *text, const struct query_info *info) {
    const struct query_handler *h = q->handler;
    struct query_peer peer;

    if (!h)
        return;
    q->handler = NULL;
    peer = q->conn ? peer_of(q->conn) : refuser_of(q);
    h->on_done(q->owner, why, text, q->conn || q->refused ? &peer : NULL, info);
    shut(q);
}

static void on_timeout(uv_timer_t *timer) { finish((struct query *)timer, UV_ETIMEDOUT, "", NULL); }

/* ---- the answer comes nearer its end, or it does not ---- */

static void moved(struct query *q) {
    q->moved_ms = uv_now(q->timer.loop);
    q->answered = conn_answered(q->conn);
}

static uint64_t may_stand(const struct query *q) {
    return q->request.answer_ms ? q->request.answer_ms : q->request.timeout_ms;
}

static bool is_late(const struct query *q, uint64_t now) {
    uint64_t whole = q->request.whole_ms ? q->request.whole_ms : q->env->patience->hope;

    return now - q->moved_ms >= may_stand(q) || now - q->asked_ms >= whole;
}

/* Does it work on the answer? */
static void ask_steps(struct query *q) {
    struct msg m = {.type = WIRE_INFO_GET, .req = INFO_REQ};

    if (q->request.kind == QUERY_INFO || q->info_asked)
        return;
    q->info_asked = conn_send(q->conn, &m) == 0;
}

static int on_steps(struct query *q, const struct msg *m) {
    if (m->req != INFO_REQ || !q->info_asked)
        return WIRE_ERR(WIRE_PROTOCOL);
    q->info_asked = false;
    if (m->info.steps != q->steps)
        moved(q);
    q->steps = m->info.steps;
    return 0;
}

static void on_check(uv_timer_t *timer) {
    struct query *q = (struct query *)timer;
    uint64_t now = uv_now(timer->loop), gone = now - q->checked_ms;

    q->checked_ms = now;
    if (gone > may_stand(q) / 2) { /* we slept, not the peer */
        q->moved_ms += gone;
        q->asked_ms += gone;
    }
    if (conn_answered(q->conn) - q->answered >= PACE_BYTES)
        moved(q);
    if (is_late(q, now))
        finish(q, UV_ETIMEDOUT, "its answer takes too long", NULL);
    else
        ask_steps(q);
}

static void start_checks(struct query *q) {
    uint64_t every = may_stand(q) / CHECKS + 1;

    q->asked_ms = q->checked_ms = uv_now(q->timer.loop);
    moved(q);
    uv_timer_start(&q->timer, on_check, every, every);
}

/* ---- the conversation ---- */

static int send_request(struct query *q) {
    struct bytes arg = {(const uint8_t *)q->request.arg, strlen(q->request.arg)};
    struct msg m = {.req = REQ};

    switch (q->request.kind) {
    case QUERY_INFO:
        m.type = WIRE_INFO_GET;
        break;
    case QUERY_LIST:
        m.type = WIRE_LIST;
        m.list.path = arg;
        break;
    case QUERY_FIND:
    case QUERY_NAME:
        m.type = WIRE_FIND;
        m.find.mode = q->request.kind == QUERY_NAME ? WIRE_FIND_NAME : WIRE_FIND_PATTERN;
        m.find.pattern = arg;
        break;
    }
    conn_expect(q->conn, true);
    return conn_send(q->conn, &m);
}

static int on_rows(struct query *q, const struct msg *m) {
    struct bytes rows = m->entries.rows;
    struct query_peer peer = peer_of(q->conn);
    struct wire_entry e;

    while (q->handler && wire_entry_next(&rows, &e))
        if (q->handler->on_row)
            q->handler->on_row(q->owner, &peer, &e);
    if (m->flags & WIRE_LAST)
        finish(q, 0, "", NULL);
    return 0;
}

static int on_message(struct conn *c, const struct msg *m) {
    struct query *q = conn_owner(c);
    uint8_t answer = q->request.kind == QUERY_LIST ? WIRE_ENTRIES : WIRE_FOUND;

    if (!q->handler)
        return 0;
    if (m->type == WIRE_ERROR) {
        finish(q, err_of_code(m->error.code), "", NULL);
        return 0;
    }
    if (m->type == WIRE_INFO && q->request.kind == QUERY_INFO) {
        struct query_info info = {.files = m->info.files,
                                  .bytes = m->info.bytes,
                                  .shares = m->info.shares,
                                  .complete = m->info.complete};
        finish(q, 0, "", &info);
        return 0;
    }
    if (m->type == WIRE_INFO)
        return on_steps(q, m);
    if (m->type == answer && q->request.kind != QUERY_INFO)
        return on_rows(q, m);
    return WIRE_ERR(WIRE_PROTOCOL);
}

static void on_closed(struct conn *c, int why, const char *text) {
    struct query *q = conn_owner(c);

    finish(q, why ? why : UV_ECONNRESET, text, NULL);
    q->conn = NULL;
    free_if_down(q);
}

static const struct conn_handler conn_events = {.on_message = on_message, .on_closed = on_closed};

static void on_refused(void *owner, const struct conn *c) {
    struct query *q = owner;

    q->refused = true;
    snprintf(q->name, sizeof q->name, "%s", conn_name(c));
    snprintf(q->software, sizeof q->software, "%s", conn_software(c));
    snprintf(q->addr, sizeof q->addr, "%s", conn_addr(c));
    memcpy(q->key, conn_key(c), KEY_LEN);
}

static void on_dialled(void *owner, int why, const char *text, struct conn *c) {
    struct query *q = owner;
    struct query_peer peer;
    int err;

    q->dial = NULL;
    if (!c) {
        finish(q, why, text, NULL);
        return;
    }
    q->conn = c;
    conn_set_handler(c, &conn_events, q);
    err = send_request(q);
    if (err < 0) {
        finish(q, err, "", NULL);
        return;
    }
    start_checks(q);
    peer = peer_of(c);
    if (q->handler->on_open)
        q->handler->on_open(q->owner, &peer);
}

static const struct dial_handler dial_events = {.on_refused = on_refused, .on_done = on_dialled};

int query_start(struct query **out, const struct conn_env *env, const struct query_request *r,
                const struct query_handler *h, void *owner) {
    struct query *q = calloc(1, sizeof *q);
    int err;

    if (!q)
        return -ENOMEM;
    q->request = *r;
    q->env = env;
    q->handler = h;
    q->owner = owner;
    err = dial_start(&q->dial, env, &q->request.to, &dial_events, q);
    if (err < 0) {
        free(q);
        return err;
    }
    uv_timer_init(env->loop, &q->timer);
    uv_timer_start(&q->timer, on_timeout, r->timeout_ms, 0);
    *out = q;
    return 0;
}

void query_stop(struct query *q) {
    if (q)
        shut(q);
}

struct conn *query_take(struct query *q) {
    struct conn *c = q->conn;

    if (q->info_asked)
        return NULL;
    conn_expect(c, false);
    q->conn = NULL;
    return c;
}
