/* SPDX-License-Identifier: MIT */
#include "core/responder_internal.h"

#include "core/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_LOW = 128 * 1024 }; /* read the next page of a listing when less than this waits */

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

int responder_next_page(struct responder *r) {
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
