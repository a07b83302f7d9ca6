/* SPDX-License-Identifier: MIT */
/*
 * responder_open -- OPEN: the walk of what was asked for
 *
 *     responder_on_open -> glances -> OPENED | ERROR
 *                          `-> waits -> walks -> OPENED | ERROR   in the order in which they came
 *
 * Walks of huge trees take long: those of all peers together, two at a time, leave workers to
 * whoever reads. Whether a tree is huge only a walk can tell: each OPEN begins with one that ends
 * after a few names. So a crowd that opens small things does not queue behind one another, nor
 * behind the huge ones.
 */
#include "core/responder_internal.h"

#include "core/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    GLANCE = 2 * 256,  /* each name counts twice: when its folder is read, and when it is told */
    WALKS_AT_ONCE = 2, /* of libuv's four workers */
};

static void start_walks(struct responder_host *host);

static void run_walk(uv_work_t *work) {
    struct open_job *job = (struct open_job *)work;

    job->begun = true;
    job->err = selection_new(&job->selection, job->r->host->shares, job->path, &job->watch);
}

static void on_upload_gone(void *owner) { responder_job_done(owner); }

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
    responder_say(r, (struct server_event){.kind = SERVER_REQUEST});
    return conn_send(r->conn, &m);
}

static void leave_queue(struct responder_host *host, const struct open_job *job) {
    struct open_job **at = &host->opens;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
}

static void on_walked(uv_work_t *work, int status) {
    struct open_job *job = (struct open_job *)work;
    struct responder *r = job->r;
    int err;

    if (job->state == OPEN_GLANCES && job->err == -E2BIG && !job->watch.stop) {
        job->state = OPEN_WAITS;
        job->begun = false;
        job->err = 0;
        job->watch.most = 0;
        start_walks(r->host);
        return;
    }
    leave_queue(r->host, job);
    r->host->walked += job->watch.seen;
    start_walks(r->host);
    r->opening = NULL;
    if (responder_job_done(r)) {
        err = job->err < 0 ? responder_send_error(r, job->req, job->err) : adopt(r, job);
        if (err < 0)
            conn_close(r->conn, err);
    }
    selection_free(job->selection);
    free(job);
}

/* uv_queue_work() fails only without a function. */
static void start_walks(struct responder_host *host) {
    unsigned n = 0;

    for (const struct open_job *job = host->opens; job; job = job->next)
        n += job->state == OPEN_WALKS;
    for (struct open_job *job = host->opens; job && n < WALKS_AT_ONCE; job = job->next)
        if (job->state == OPEN_WAITS) {
            job->state = OPEN_WALKS;
            uv_queue_work(host->env->loop, &job->work, run_walk, on_walked);
            n++;
        }
}

int responder_on_open(struct responder *r, const struct msg *m) {
    struct open_job *job, **end = &r->host->opens;

    /* a peer opens again only when all that it asked for was answered */
    if (r->opening || (r->upload && upload_busy(r->upload)))
        return WIRE_ERR(WIRE_PROTOCOL);
    responder_close_upload(r);
    job = calloc(1, sizeof *job);
    if (!job)
        return -ENOMEM;
    job->r = r;
    job->req = m->req;
    job->watch.most = GLANCE;
    memcpy(job->path, m->open.path.at, m->open.path.len);
    while (*end)
        end = &(*end)->next;
    *end = job;
    r->n_running++;
    r->opening = job;
    uv_queue_work(r->host->env->loop, &job->work, run_walk, on_walked);
    return 0;
}

/* Who waits for a turn, or for a worker, moves as those move who have one. */
uint64_t responder_open_steps(const struct responder *r) {
    uint64_t steps = r->host->walked;

    if (r->opening->begun)
        return r->opening->watch.seen;
    for (const struct open_job *job = r->host->opens; job; job = job->next)
        steps += job->watch.seen;
    return steps;
}

void responder_stop_open(struct responder *r) {
    struct open_job *job = r->opening;

    if (!job)
        return;
    if (job->state != OPEN_WAITS) { /* it ends as always, in a later turn of the loop */
        job->watch.stop = true;
        uv_cancel((uv_req_t *)&job->work);
        return;
    }
    leave_queue(r->host, job);
    r->opening = NULL;
    r->n_running--;
    free(job);
}
