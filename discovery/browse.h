/* SPDX-License-Identifier: MIT */
/*
 * browse -- who is there: peers as they come, change and go
 *
 *     browse_start -> on_peer ... on_settled ... on_peer, on_gone ...
 *     browse_close -> on_closed: the last one, after it b is gone
 *
 * All callbacks come from the loop, never from inside a call that you made. Answers from all
 * interfaces and protocols are merged into one peer, by its name and id. Own services are
 * reported too: compare the id. A peer that is gone without a word stays for minutes: show it as
 * there only after it answered. Never blocks the loop, whatever the daemon does.
 */
#ifndef DISCOVERY_BROWSE_H
#define DISCOVERY_BROWSE_H

#include "discovery/peer.h"

#include <uv.h>

enum { BROWSE_SETTLE_MS = 1500 };

struct browse;
struct browse_handler {
    /* New, or its addresses, port, name or version changed. p: good until it returns. */
    void (*on_peer)(void *owner, const struct peer *p);
    /* Said goodbye, or does not resolve any more. p: only its name and id, as last reported. */
    void (*on_gone)(void *owner, const struct peer *p);
    /* Once: the first answers are in and no more come; mostly 0.4 - 0.7 s after the start, with
     * nobody there BROWSE_SETTLE_MS. */
    void (*on_settled)(void *owner);
    /* Something to tell with -v and in `doctor`: a sentence without a newline. Browsing goes on. */
    void (*on_problem)(void *owner, const char *text);
};

/* All of h is needed; it outlives b. 0, -ENOMEM or the error of uv or pthread_create. */
int browse_start(struct browse **b, uv_loop_t *loop, const struct browse_handler *h, void *owner);

/* Asks again for the port and addresses of everything known, e.g. when a source was lost: on_peer
 * tells what changed, on_gone what does not answer (after 5 s). Cheap, and safe to call often. */
void browse_refresh(struct browse *b);

/* "avahi-daemon", "embedded", or "" while there is none. */
const char *browse_backend(const struct browse *b);

/* No callback but on_closed (may be NULL) comes after this. Ends within 300 ms, even if the daemon
 * hangs. */
void browse_close(struct browse *b, void (*on_closed)(void *owner));

#endif
