/* SPDX-License-Identifier: MIT */
#include "core/responder.h"

#include "core/err.h"
#include "core/upload.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_LOW = 128 * 1024 }; /* read the next page of a listing when less than this waits */

struct open_job {
    uv_work_t work; /* first: the request is the job */
    struct responder *r;
    uint16_t req;
    char path[PATH_MAX_LEN + 1];
    struct walk_watch watch;
    struct selection *selection;
    int err;
};

struct listing {
    uv_work_t work;
    struct responder *r;
    uint16_t req;
    uint8_t type, mode; /* WIRE_LIST, or WIRE_FIND in this mode */
    bool running;
    char arg[PATH_MAX_LEN + 1];
    struct share_rows *rows;
    struct walk_watch watch;
    int result; /* of share_rows_page */
    uint16_t n;
    size_t len;
    uint8_t page[WIRE_CONTROL_MAX - 64];
};

struct responder {
    struct responder *next, **link;
    struct responder_host *host;
    struct conn *conn;        /* NULL after on_closed */
    unsigned n_running;       /* jobs and uploads that still use us */
    struct open_job *opening; /* at most one */
    struct listing *listing;  /* at most one */
    struct upload *upload;    /* of the selection that is open */
    char path[4 * 1024];      /* of that selection, escaped */
};

static void say(struct responder *r, struct server_event e) {
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

static void free_listing(struct responder *r) {
    if (r->listing)
        share_rows_free(r->listing->rows);
    free(r->listing);
    r->listing = NULL;
}

static void free_if_down(struct responder *r) {
    struct responder_host *host = r->host;

    if (r->conn || r->n_running)
        return;
    free_listing(r);
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    free(r);
    host->on_gone(host);
}

/* Each job ends here first. True: the conversation still goes on. */
static bool job_done(struct responder *r) {
    r->n_running--;
    if (r->conn)
        return true;
    free_if_down(r);
    return false;
}

static void on_upload_gone(void *owner) { job_done(owner); }

static void close_upload(struct responder *r) {
    struct upload *u = r->upload;

    if (!u)
        return;
    say(r, (struct server_event){.kind = SERVER_SENT, .bytes = upload_sent(u)});
    r->upload = NULL;
    upload_close(u);
}

static int send_error(struct responder *r, uint16_t req, int err) {
    struct msg m = {.type = WIRE_ERROR, .req = req};

    m.error.code = (uint16_t)(err_code(err) ? err_code(err) : WIRE_IO);
    return conn_send(r->conn, &m);
}

/* ---- OPEN ---- */

static void run_open(uv_work_t *work) {
    struct open_job *job = (struct open_job *)work;

    job->err = selection_new(&job->selection, job->r->host->shares, job->path, &job->watch);
}

/* The walked selection is what this connection is served from now on. */
static int adopt(struct responder *r, struct open_job *job) {
    const struct catalog_totals *t = catalog_totals(selection_catalog(job->selection));
    struct msg m = {.type = WIRE_OPENED, .req = job->req};
    struct selection *selection = job->selection;
    const char *first;
    int err;

    memcpy(m.opened.id, t->id, sizeof m.opened.id);
    m.opened.length = t->length;
    m.opened.entries = t->entries;
    m.opened.chunks = t->chunks;
    m.opened.bytes = t->bytes;
    m.opened.now_ns = selection_now_ns(selection);
    m.opened.chunk_shift = WIRE_CHUNK_SHIFT;
    m.opened.left_out = selection_left_out(selection, &first);
    m.opened.first = (struct bytes){(const uint8_t *)first, strlen(first)};
    job->selection = NULL;
    err = upload_new(&r->upload, selection, r->conn, r->host->env, on_upload_gone, r);
    if (err < 0)
        return err;
    r->n_running++;
    name_show(job->path, strlen(job->path), r->path, sizeof r->path);
    say(r, (struct server_event){.kind = SERVER_REQUEST});
    return conn_send(r->conn, &m);
}

static void on_opened(uv_work_t *work, int status) {
    struct open_job *job = (struct open_job *)work;
    struct responder *r = job->r;
    int err;

    r->opening = NULL;
    if (job_done(r)) {
        err = job->err < 0 ? send_error(r, job->req, job->err) : adopt(r, job);
        if (err < 0)
            conn_close(r->conn, err);
    }
    selection_free(job->selection);
    free(job);
}

static int on_open_request(struct responder *r, const struct msg *m) {
    struct open_job *job;
    int err;

    /* a peer opens again only when all that it asked for was answered */
    if (r->opening || (r->upload && upload_busy(r->upload)))
        return WIRE_ERR(WIRE_PROTOCOL);
    close_upload(r);
    job = calloc(1, sizeof *job);
    if (!job)
        return -ENOMEM;
    job->r = r;
    job->req = m->req;
    memcpy(job->path, m->open.path.at, m->open.path.len);
    err = uv_queue_work(r->host->env->loop, &job->work, run_open, on_opened);
    if (err < 0) {
        free(job);
        return err;
    }
    r->n_running++;
    r->opening = job;
    return 0;
}

/* ---- LIST, FIND ---- */

static void run_listing(uv_work_t *work) {
    struct listing *l = (struct listing *)work;
    const struct shares *shares = l->r->host->shares;
    int err = 0;

    if (!l->rows && l->type == WIRE_LIST)
        err = share_rows_list(&l->rows, shares, l->arg);
    else if (!l->rows)
        err = share_rows_find(&l->rows, shares, (enum wire_find_mode)l->mode, l->arg);
    if (err == 0)
        share_rows_watch(l->rows, &l->watch);
    if (err == 0)
        err = share_rows_page(l->rows, l->page, sizeof l->page, &l->len, &l->n);
    l->result = err;
}

static int next_page(struct responder *r);

static int send_page(struct responder *r, const struct listing *l) {
    struct msg m = {.req = l->req};

    if (l->result < 0)
        return send_error(r, l->req, l->result);
    m.type = l->type == WIRE_LIST ? WIRE_ENTRIES : WIRE_FOUND;
    m.flags = l->result == 0 ? WIRE_LAST : 0;
    m.entries.n = l->n;
    m.entries.rows = (struct bytes){l->page, l->len};
    return conn_send(r->conn, &m);
}

static void on_page(uv_work_t *work, int status) {
    struct listing *l = (struct listing *)work;
    struct responder *r = l->r;
    int err;

    l->running = false;
    if (!job_done(r))
        return;
    err = send_page(r, l);
    if (l->result <= 0)
        free_listing(r);
    if (err == 0)
        err = next_page(r);
    if (err < 0)
        conn_close(r->conn, err);
}

/* Reads on when the peer has taken most of what was sent. */
static int next_page(struct responder *r) {
    struct listing *l = r->listing;
    int err;

    if (!l || l->running || conn_queued(r->conn) > ROWS_LOW)
        return 0;
    err = uv_queue_work(r->host->env->loop, &l->work, run_listing, on_page);
    if (err < 0)
        return err;
    r->n_running++;
    l->running = true;
    return 0;
}

static int on_rows_request(struct responder *r, const struct msg *m) {
    struct bytes arg = m->type == WIRE_LIST ? m->list.path : m->find.pattern;
    struct listing *l;

    if (r->listing)
        return send_error(r, m->req, WIRE_ERR(WIRE_BUSY));
    l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->r = r;
    l->req = m->req;
    l->type = m->type;
    l->mode = m->type == WIRE_FIND ? m->find.mode : 0;
    memcpy(l->arg, arg.at, arg.len);
    r->listing = l;
    return next_page(r);
}

/* ---- the conversation ---- */

static bool is_working(const struct responder *r) {
    return r->opening || r->listing || (r->upload && upload_busy(r->upload));
}

/* How much was done so far of what the peer waits for. */
static uint64_t steps_of(const struct responder *r) {
    if (r->opening)
        return r->opening->watch.seen;
    if (r->listing)
        return r->listing->watch.seen;
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
        return on_rows_request(r, m);
    case WIRE_OPEN:
        return on_open_request(r, m);
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
    int err = next_page(r);

    if (err == 0 && r->upload)
        err = upload_pump(r->upload);
    if (err < 0)
        conn_close(c, err);
}

/* Walks are not worth it any more, and would be a heap of them if a peer asks and goes again and
 * again. */
static void cancel_jobs(struct responder *r) {
    if (r->opening) {
        r->opening->watch.stop = true;
        uv_cancel((uv_req_t *)&r->opening->work);
    }
    if (r->listing) {
        r->listing->watch.stop = true;
        if (r->listing->running)
            uv_cancel((uv_req_t *)&r->listing->work);
    }
}

static void on_closed(struct conn *c, int why, const char *text) {
    struct responder *r = conn_owner(c);

    if (why < 0)
        say(r, (struct server_event){.kind = SERVER_FAULT, .text = text[0] ? text : err_text(why)});
    close_upload(r);
    cancel_jobs(r); /* they end as always, in a later turn of the loop */
    r->conn = NULL;
    free_if_down(r);
}

static const struct conn_handler conn_events = {
    .on_message = on_message, .on_drain = on_drain, .on_closed = on_closed};

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
    return 0;
}

void responder_close_all(struct responder_host *host) {
    for (struct responder *r = host->first; r; r = r->next)
        if (r->conn)
            conn_close(r->conn, 0);
}
