/* SPDX-License-Identifier: MIT */
/*
 * responder_rows -- LIST and FIND: pages of rows, one at a time
 *
 *     responder_on_rows -> waits -> runs -> a page, or none yet -> waits ... -> the last page
 *
 * A search of a huge tree takes long. Those of all peers together have one worker, and take turns
 * on it, each for so many names: who reads finds other workers, and who asks for little waits for
 * no whole search.
 */
#include "core/responder_internal.h"

#include "core/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_LOW = 128 * 1024, /* read the next page of a listing when less than this waits */
    NAMES_AT_ONCE = 8192,  /* in one turn */
};

void responder_free_listing(struct responder *r) {
    if (r->listing)
        share_rows_free(r->listing->rows);
    free(r->listing);
    r->listing = NULL;
}

static void run_listing(uv_work_t *work) {
    struct listing *l = (struct listing *)work;
    const struct shares *shares = l->r->host->shares;
    int err = 0;

    l->watch.pause = l->watch.seen + NAMES_AT_ONCE;
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

static int send_page(struct responder *r, const struct listing *l) {
    struct msg m = {.req = l->req};

    if (l->result < 0)
        return responder_send_error(r, l->req, l->result);
    if (l->result > 0 && l->n == 0)
        return 0;
    m.type = l->type == WIRE_LIST ? WIRE_ENTRIES : WIRE_FOUND;
    m.flags = l->result == 0 ? WIRE_LAST : 0;
    m.entries.n = l->n;
    m.entries.rows = (struct bytes){l->page, l->len};
    return conn_send(r->conn, &m);
}

static void start_next(struct responder_host *host);

static void on_page(uv_work_t *work, int status) {
    struct listing *l = (struct listing *)work;
    struct responder *r = l->r;
    int err;

    l->running = r->host->lists = false;
    r->host->turns++;
    start_next(r->host);
    if (!responder_job_done(r))
        return;
    err = send_page(r, l);
    if (l->result <= 0)
        responder_free_listing(r);
    if (err == 0)
        err = responder_next_page(r);
    if (err < 0)
        conn_close(r->conn, err);
}

static void start_next(struct responder_host *host) {
    struct listing *l = host->listings;

    if (!l || host->lists || uv_queue_work(host->env->loop, &l->work, run_listing, on_page) < 0)
        return;
    host->listings = l->next;
    host->lists = l->running = true;
    l->waits = false;
    l->r->n_running++;
}

int responder_next_page(struct responder *r) {
    struct listing *l = r->listing, **end = &r->host->listings;

    if (!l || l->waits || l->running || conn_queued(r->conn) > ROWS_LOW)
        return 0;
    while (*end)
        end = &(*end)->next;
    *end = l;
    l->next = NULL;
    l->waits = true;
    start_next(r->host);
    return 0;
}

/* Who waits for a turn moves as those move who have it. */
uint64_t responder_rows_steps(const struct responder *r) {
    return r->listing->watch.seen + r->host->turns;
}

void responder_stop_rows(struct responder *r) {
    struct listing *l = r->listing, **at = &r->host->listings;

    if (!l)
        return;
    l->watch.stop = true;
    if (l->running)
        uv_cancel((uv_req_t *)&l->work);
    if (!l->waits)
        return;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    l->waits = false;
}

int responder_on_rows(struct responder *r, const struct msg *m) {
    struct bytes arg = m->type == WIRE_LIST ? m->list.path : m->find.pattern;
    struct listing *l;

    if (r->listing)
        return responder_send_error(r, m->req, WIRE_ERR(WIRE_BUSY));
    l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->r = r;
    l->req = m->req;
    l->type = m->type;
    l->mode = m->type == WIRE_FIND ? m->find.mode : 0;
    memcpy(l->arg, arg.at, arg.len);
    r->listing = l;
    return responder_next_page(r);
}
