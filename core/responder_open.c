/* SPDX-License-Identifier: MIT */
/*
 * responder_open -- OPEN: the walk of what was asked for, a few at a time
 *
 *     responder_on_open -> waits -> walks -> OPENED | ERROR        in the order in which they came
 *
 * Walks of huge trees take long: those of all peers together leave workers to whoever reads. A
 * worker whose walk was short takes the next one itself: a crowd that opens small things does not
 * wait for the loop between each two of them.
 */
#include "core/responder_internal.h"

#include "core/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAMES_AT_ONCE = 8192, /* then the loop hears of the walks, however many wait */
    NAMES_A_WALK = 128,   /* what one costs at least, in names: paths are resolved, too */
};

static void start_walks(struct responder_host *host);

void responder_init_opens(struct responder_host *host) {
    for (unsigned i = 0; i < WALKS_AT_ONCE; i++)
        host->walkers[i].host = host;
    /* only an error of the caller makes it fail */
    uv_mutex_init(&host->opens_lock);
}

void responder_clear_opens(struct responder_host *host) { uv_mutex_destroy(&host->opens_lock); }

/* The oldest one that waits becomes the walker's. */
static struct open_job *next_walk(struct walker *w) {
    struct open_job *job;

    uv_mutex_lock(&w->host->opens_lock);
    job = w->host->opens;
    while (job && job->walker)
        job = job->next;
    if (job) {
        job->walker = w;
        job->walked_before = w->walked;
        w->walked = job;
    }
    uv_mutex_unlock(&w->host->opens_lock);
    return job;
}

static void run_walks(uv_work_t *work) {
    struct walker *w = (struct walker *)work;
    struct open_job *job = w->walked;
    uint64_t names = 0;

    while (job) {
        job->err = selection_new(&job->selection, w->host->shares, job->path, &job->watch);
        names += job->watch.seen + NAMES_A_WALK;
        job = names < NAMES_AT_ONCE ? next_walk(w) : NULL;
    }
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

static void end_walk(struct open_job *job) {
    struct responder *r = job->r;
    int err;

    r->opening = NULL;
    if (responder_job_done(r)) {
        err = job->err < 0 ? responder_send_error(r, job->req, job->err) : adopt(r, job);
        if (err < 0)
            conn_close(r->conn, err);
    }
    selection_free(job->selection);
    free(job);
}

static void on_walked(uv_work_t *work, int status) {
    struct walker *w = (struct walker *)work;
    struct responder_host *host = w->host;
    struct open_job *job, *before;

    uv_mutex_lock(&host->opens_lock); /* the other one may look for its next walk */
    for (job = w->walked; job; job = job->walked_before) {
        leave_queue(host, job);
        host->walked += job->watch.seen;
    }
    uv_mutex_unlock(&host->opens_lock);
    job = w->walked;
    w->walked = NULL;
    w->walks = false;
    start_walks(host);
    for (; job; job = before) { /* the host may go with the last one */
        before = job->walked_before;
        end_walk(job);
    }
}

static void start_walks(struct responder_host *host) {
    for (unsigned i = 0; i < WALKS_AT_ONCE; i++) {
        struct walker *w = &host->walkers[i];

        if (w->walks || !next_walk(w))
            continue;
        w->walks = true;
        uv_queue_work(host->env->loop, &w->work, run_walks, on_walked); /* cannot fail */
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
    memcpy(job->path, m->open.path.at, m->open.path.len);
    uv_mutex_lock(&r->host->opens_lock);
    while (*end)
        end = &(*end)->next;
    *end = job;
    uv_mutex_unlock(&r->host->opens_lock);
    r->n_running++;
    r->opening = job;
    start_walks(r->host);
    return 0;
}

/* Who waits for a turn moves as those move who have it. */
uint64_t responder_open_steps(const struct responder *r) {
    uint64_t steps = r->host->walked;

    if (r->opening->walker)
        return r->opening->watch.seen;
    for (const struct open_job *job = r->host->opens; job; job = job->next)
        steps += job->watch.seen;
    return steps;
}

void responder_stop_open(struct responder *r) {
    struct open_job *job = r->opening;
    struct walker *w;

    if (!job)
        return;
    uv_mutex_lock(&r->host->opens_lock);
    w = job->walker;
    if (!w)
        leave_queue(r->host, job);
    uv_mutex_unlock(&r->host->opens_lock);
    if (w) { /* it ends as always, in a later turn of the loop */
        job->watch.stop = true;
        uv_cancel((uv_req_t *)&w->work); /* not begun: it has this one alone */
        return;
    }
    r->opening = NULL;
    r->n_running--;
    free(job);
}
