/* SPDX-License-Identifier: MIT */
#include "core/responder_internal.h"

#include "core/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void responder_say(struct responder *r, struct server_event e) {
    char key[KEY_TEXT_LEN + 1] = "";

    if (conn_key(r->conn))
        key_text(conn_key(r->conn), key);
    key[KEY_SHORT_LEN] = '\0';
    e.peer = conn_name(r->conn);
    e.key = key;
    e.path = r->path;
    r->host->on_event(r->host, &e);
}

/* ---- life ---- */

static void free_if_down(struct responder *r) {
    struct responder_host *host = r->host;

    if (r->conn || r->n_running)
        return;
    responder_free_listing(r);
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    free(r);
    host->on_gone(host);
}

bool responder_job_done(struct responder *r) {
    r->n_running--;
    if (r->conn)
        return true;
    free_if_down(r);
    return false;
}

void responder_close_upload(struct responder *r) {
    struct upload *u = r->upload;

    if (!u)
        return;
    responder_say(r, (struct server_event){.kind = SERVER_SENT, .bytes = upload_sent(u)});
    r->upload = NULL;
    upload_close(u);
}

int responder_send_error(struct responder *r, uint16_t req, int err) {
    struct msg m = {.type = WIRE_ERROR, .req = req};

    m.error.code = (uint16_t)(err_code(err) ? err_code(err) : WIRE_IO);
    return conn_send(r->conn, &m);
}

/* ---- the conversation ---- */

static bool is_working(const struct responder *r) {
    return r->opening || r->listing || (r->upload && upload_busy(r->upload));
}

/* How much was done so far of what the peer waits for. */
static uint64_t steps_of(const struct responder *r) {
    if (r->opening)
        return responder_open_steps(r);
    if (r->listing)
        return responder_rows_steps(r);
    return r->upload ? upload_read(r->upload) : 0;
}

static int on_info_get(struct responder *r, const struct msg *m) {
    struct msg answer = {.type = WIRE_INFO, .req = m->req};
    struct responder_host *host = r->host;

    if (!is_working(r)) /* a second walk would slow down the one that is waited for */
        host->on_ask_info(host);
    answer.info.files = host->totals->files;
    answer.info.bytes = host->totals->bytes;
    answer.info.shares = host->shares->n;
    answer.info.complete = host->counted;
    answer.info.steps = steps_of(r);
    return conn_send(r->conn, &answer);
}

static int on_upload_request(struct responder *r, const struct msg *m) {
    int err = r->upload ? upload_ask(r->upload, m) : WIRE_ERR(WIRE_PROTOCOL);

    return err < 0 ? err : upload_pump(r->upload);
}

static int on_message(struct conn *c, const struct msg *m) {
    struct responder *r = conn_owner(c);

    switch (m->type) {
    case WIRE_INFO_GET:
        return on_info_get(r, m);
    case WIRE_LIST:
    case WIRE_FIND:
        return responder_on_rows(r, m);
    case WIRE_OPEN:
        return responder_on_open(r, m);
    case WIRE_MANIFEST_GET:
    case WIRE_GET:
    case WIRE_DIGEST_GET:
    case WIRE_CANCEL:
        return on_upload_request(r, m);
    default:
        return WIRE_ERR(WIRE_PROTOCOL);
    }
}

static void on_drain(struct conn *c) {
    struct responder *r = conn_owner(c);
    int err = responder_next_page(r);

    if (err == 0 && r->upload)
        err = upload_pump(r->upload);
    if (err < 0)
        conn_close(c, err);
}

/* Walks are not worth it any more, and would be a heap of them if a peer asks and goes again and
 * again. */
static void cancel_jobs(struct responder *r) {
    responder_stop_open(r);
    responder_stop_rows(r);
}

/* ---- who comes in ---- */

static int on_auth(struct conn *c, const struct msg *m, struct conn_welcome *w) {
    struct responder *r = conn_owner(c);
    struct gate *gate = r->host->gate;
    unsigned wrong = gate->n_wrong;
    struct access_bond bond;
    const struct gate_claim claim = {
        .key = conn_key(c), .method = m->auth.method, .proof = m->auth.proof, .bond = &bond};
    int err = conn_bond(c, &bond);

    if (err == 0)
        err = gate_auth(gate, &r->guest, &claim, w->proof, &w->text);
    w->proves = gate->rules.code != NULL;
    if (gate->n_wrong != wrong)
        responder_say(r, (struct server_event){.kind = SERVER_WRONG_CODE,
                                               .addr = conn_addr(c),
                                               .left = GATE_WRONG - gate->n_wrong});
    return err;
}

static struct responder *responder_of(struct gate_guest *guest) {
    return (struct responder *)((char *)guest - offsetof(struct responder, guest));
}

/* Whoever is not wanted is told, or closed; and so is whoever must make room for it. */
static void arrive(struct responder *r) {
    struct responder_host *host = r->host;
    struct sockaddr_storage from;
    const char *text = "";
    struct gate_guest *out;
    int err = conn_peer(r->conn, &from);

    if (err == 0)
        err = gate_arrive(host->gate, &r->guest, (const struct sockaddr *)&from,
                          uv_now(host->env->loop), &text);
    if (err == WIRE_ERR(WIRE_DENIED))
        conn_refuse(r->conn, err, text);
    else if (err < 0)
        conn_abort(r->conn, err);
    while ((out = gate_evict(host->gate, &r->guest)) != NULL)
        conn_abort(responder_of(out)->conn, WIRE_ERR(WIRE_BUSY));
}

static void on_closed(struct conn *c, int why, const char *text) {
    struct responder *r = conn_owner(c);

    gate_leave(&r->guest);

    if (why < 0)
        responder_say(
            r, (struct server_event){.kind = SERVER_FAULT, .text = text[0] ? text : err_text(why)});
    responder_close_upload(r);
    cancel_jobs(r); /* they end as always, in a later turn of the loop */
    r->conn = NULL;
    free_if_down(r);
}

static const struct conn_handler conn_events = {
    .on_auth = on_auth, .on_message = on_message, .on_drain = on_drain, .on_closed = on_closed};

int responder_accept(struct responder_host *host, uv_stream_t *listener) {
    struct responder *r = calloc(1, sizeof *r);
    int err;

    if (!r)
        return -ENOMEM;
    r->host = host;
    err = conn_accept(&r->conn, host->env, listener, &conn_events, r);
    if (err < 0) {
        free(r);
        return err;
    }
    r->next = host->first;
    r->link = &host->first;
    if (r->next)
        r->next->link = &r->next;
    host->first = r;
    arrive(r);
    return 0;
}

void responder_close_all(struct responder_host *host) {
    for (struct responder *r = host->first; r; r = r->next)
        if (r->conn)
            conn_close(r->conn, 0);
}
