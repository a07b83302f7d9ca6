/* SPDX-License-Identifier: MIT */
/*
 * responder_internal -- what the files of responder share; nobody else includes it
 *
 *     responder.c        life, who comes in, the switch over requests
 *     responder_open.c   OPEN
 *     responder_rows.c   LIST and FIND
 */
#ifndef CORE_RESPONDER_INTERNAL_H
#define CORE_RESPONDER_INTERNAL_H

#include "core/responder.h"
#include "core/upload.h"
#include "proto/name.h"

struct open_job {
    uv_work_t work;        /* first: the request is the job */
    struct open_job *next; /* that came later */
    struct responder *r;
    uint16_t req;
    enum { OPEN_GLANCES, OPEN_WAITS, OPEN_WALKS } state;
    atomic_bool begun; /* a worker has it, not only its queue */
    char path[PATH_MAX_LEN + 1];
    struct walk_watch watch;
    struct selection *selection;
    int err;
};

struct listing {
    struct listing *next; /* that waits, or is in the same turn */
    struct responder *r;
    uint16_t req;
    uint8_t type, mode;       /* WIRE_LIST, or WIRE_FIND in this mode */
    bool waits, in_turn, ran; /* for a turn; in it; it was reached */
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
    struct conn *conn; /* NULL after on_closed */
    struct gate_guest guest;
    unsigned n_running;       /* jobs and uploads that still use us */
    struct open_job *opening; /* at most one */
    struct listing *listing;  /* at most one */
    struct upload *upload;    /* of the selection that is open */
    char path[4 * 1024];      /* of that selection, escaped */
};

/* ---- responder.c ---- */

/* Each job ends here first. True: the conversation still goes on. */
bool responder_job_done(struct responder *r);
int responder_send_error(struct responder *r, uint16_t req, int err);
void responder_say(struct responder *r, struct server_event e); /* adds who and what */
void responder_close_upload(struct responder *r);

/* ---- responder_open.c ---- */

int responder_on_open(struct responder *r, const struct msg *m);
uint64_t responder_open_steps(const struct responder *r); /* while r->opening */
void responder_stop_open(struct responder *r);            /* nobody wants it any more; or no-op */

/* ---- responder_rows.c ---- */

int responder_on_rows(struct responder *r, const struct msg *m); /* LIST, FIND */
/* Reads on when the peer has taken most of what was sent. */
int responder_next_page(struct responder *r);
uint64_t responder_rows_steps(const struct responder *r); /* while r->listing */
void responder_stop_rows(struct responder *r);            /* nobody wants them any more; or no-op */
void responder_free_listing(struct responder *r);

#endif
