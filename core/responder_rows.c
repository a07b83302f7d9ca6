/* SPDX-License-Identifier: MIT */
/*
 * responder_rows -- LIST and FIND: pages of rows, one at a time
 *
 *     responder_on_rows -> waits -> runs -> a page, or none yet -> waits ... -> the last page
 *
 * A search of a huge tree takes long. Those of all peers together have one worker, and take turns
 * on it, each for so many names: who reads finds other workers, and who asks for little waits for
 * no whole search. A turn that is not used up goes on to those who wait: a crowd that asks for
 * little is answered by a few jobs, for each of them waits for a worker and for the loop.
 */
#include "core/responder_internal.h"

#include "core/err.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_LOW = 128 * 1024, /* read the next page of a listing when less than this waits */
    NAMES_AT_ONCE = 8192,  /* in one turn */
    NAMES_A_CALL = 128,    /* what a page costs at least, in names: paths are resolved, too */
};

void responder_free_listing(struct responder *r) {
    if (r->listing)
        share_rows_free(r->listing->rows);
    free(r->listing);
    r->listing = NULL;
}

static void run_listing(struct listing *l, uint64_t names) {
    const struct shares *shares = l->r->host->shares;
    int err = 0;

    l->watch.pause = l->watch.seen + names;
    if (!l->rows && l->type == WIRE_LIST)
        err = share_rows_list(&l->rows, shares, l->arg);
    else if (!l->rows)
        err = share_rows_find(&l->rows, shares, (enum wire_find_mode)l->mode, l->arg);
    if (err == 0)
        share_rows_watch(l->rows, &l->watch);
    if (err == 0)
        err = share_rows_page(l->rows, l->page, sizeof l->page, &l->len, &l->n);
    l->result = err;
    l->ran = true;
}

static void run_turn(uv_work_t *work) {
    struct responder_host *host =
        (struct responder_host *)((char *)work - offsetof(struct responder_host, turn_work));
    uint64_t names = 0;

    for (struct listing *l = host->turn; l && names < NAMES_AT_ONCE; l = l->next) {
        uint64_t before = l->watch.seen;

        run_listing(l, NAMES_AT_ONCE - names);
        names += l->watch.seen - before + NAMES_A_CALL;
    }
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

static void on_page(struct listing *l) {
    struct responder *r = l->r;
    int err;

    l->in_turn = false;
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

static void start_turn(struct responder_host *host);

/* Takes those out of the turn that it did not reach: they are the first of the next one. */
static void wait_again(struct responder_host *host) {
    struct listing **from = &host->turn, **to = &host->listings, *l;

    while ((l = *from) != NULL) {
        if (l->ran || l->watch.stop) { /* the turn ends for it, too, if nobody wants it any more */
            from = &l->next;
            continue;
        }
        *from = l->next;
        l->in_turn = false;
        l->waits = true;
        l->r->n_running--;
        l->next = *to;
        *to = l;
        to = &l->next;
    }
}

static void on_turn(uv_work_t *work, int status) {
    struct responder_host *host =
        (struct responder_host *)((char *)work - offsetof(struct responder_host, turn_work));
    struct listing *l, *next;

    wait_again(host);
    l = host->turn;
    host->turn = NULL;
    host->turns++;
    start_turn(host);
    for (; l; l = next) { /* the host may go with the last one */
        next = l->next;
        on_page(l);
    }
}

static void start_turn(struct responder_host *host) {
    if (!host->listings || host->turn)
        return;
    host->turn = host->listings;
    host->listings = NULL;
    for (struct listing *l = host->turn; l; l = l->next) {
        l->waits = l->ran = false;
        l->in_turn = true;
        l->r->n_running++;
    }
    uv_queue_work(host->env->loop, &host->turn_work, run_turn,
                  on_turn); /* fails without run_turn */
}

int responder_next_page(struct responder *r) {
    struct listing *l = r->listing, **end = &r->host->listings;

    if (!l || l->waits || l->in_turn || conn_queued(r->conn) > ROWS_LOW)
        return 0;
    while (*end)
        end = &(*end)->next;
    *end = l;
    l->next = NULL;
    l->waits = true;
    start_turn(r->host);
    return 0;
}

/* Who waits for a turn moves as those move who have it. */
uint64_t responder_rows_steps(const struct responder *r) {
    return r->listing->watch.seen + r->host->turns;
}

/* Before it has begun, and only if nobody of it is left: others would wait for a worker anew. */
static void cancel_turn(struct responder_host *host) {
    for (const struct listing *l = host->turn; l; l = l->next)
        if (!l->watch.stop)
            return;
    uv_cancel((uv_req_t *)&host->turn_work);
}

void responder_stop_rows(struct responder *r) {
    struct listing *l = r->listing, **at = &r->host->listings;

    if (!l)
        return;
    l->watch.stop = true;
    if (l->in_turn)
        cancel_turn(r->host);
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
