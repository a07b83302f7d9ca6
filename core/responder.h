/* SPDX-License-Identifier: MIT */
/*
 * responder -- one connection that came to us: its requests and our answers
 *
 *     responder_accept -> on_auth: the gate -> on_message: one switch -> jobs -> answers -> on_gone
 *
 *     INFO_GET                          answered at once
 *     LIST | FIND                       one listing at a time, page by page, in turn
 *     OPEN                              a walk in turn, then an upload (core/upload) for the rest
 *     GET | MANIFEST_GET | DIGEST_GET   the upload
 *
 * It ends with its connection. Loop thread.
 */
#ifndef CORE_RESPONDER_H
#define CORE_RESPONDER_H

#include "core/gate.h"
#include "core/server.h"

struct responder;

/* What responders need of their server; outlives them. */
struct responder_host {
    const struct conn_env *env;
    struct gate *gate;
    const struct shares *shares;
    const struct share_totals *totals; /* of all shares, as far as counted */
    bool counted;
    void (*on_ask_info)(struct responder_host *host); /* the totals are wanted: are they fresh? */
    void (*on_event)(struct responder_host *host, const struct server_event *e);
    void (*on_gone)(struct responder_host *host); /* one of them is down and freed */
    struct responder *first;                      /* all of them */
    struct open_job *opens;                       /* of all of them, the oldest first */
    uint64_t walked;                              /* names, for opens that are done */
    struct listing *listings;                     /* that wait for their turn, the oldest first */
    struct listing *turn; /* those who have it, NULL: no job runs; its job reads it, too */
    uv_work_t turn_work;
    uint64_t turns; /* that are over */
};

int responder_accept(struct responder_host *host, uv_stream_t *listener);
void responder_close_all(struct responder_host *host);

#endif
