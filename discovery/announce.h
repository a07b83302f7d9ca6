/* SPDX-License-Identifier: MIT */
/*
 * announce -- be visible to the others until closed
 *
 *     announce_start -> on_established(name) ... on_established(other name) ...
 *     announce_close -> on_closed: the last one, after it a is gone
 *
 * All callbacks come from the loop, never from inside a call that you made. If somebody else bears
 * the name it becomes "name #2" and so on, also later. When the daemon dies we announce again as
 * soon as it is back, or ourselves if it stays away. Says nothing while idle.
 */
#ifndef DISCOVERY_ANNOUNCE_H
#define DISCOVERY_ANNOUNCE_H

#include "discovery/peer.h"

#include <uv.h>

struct announce_options {
    const char *name;    /* peer_name_ok() */
    const char *id;      /* PEER_ID_LEN characters, or "" */
    const char *version; /* at most PEER_VERSION_LEN, or "" */
    uint16_t port;
};

struct announce;
struct announce_handler {
    /* Visible under this name (raw UTF-8), again after each change of name or of the daemon. */
    void (*on_established)(void *owner, const char *name);
    /* Something to tell with -v and in `doctor`: a sentence without a newline. We try on. */
    void (*on_problem)(void *owner, const char *text);
};

/* Copies o. All of h is needed; it outlives a. 0, -EINVAL for options that break the rules above,
 * -ENOMEM, or the error of uv or pthread_create. */
int announce_start(struct announce **a, uv_loop_t *loop, const struct announce_options *o,
                   const struct announce_handler *h, void *owner);

/* "avahi-daemon", "embedded", or "" while there is none. */
const char *announce_backend(const struct announce *a);

/* Says goodbye to the others if the daemon lets it. No callback but on_closed (may be NULL) comes
 * after this. Ends within 300 ms, even if the daemon hangs. */
void announce_close(struct announce *a, void (*on_closed)(void *owner));

#endif
