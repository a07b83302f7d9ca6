/* SPDX-License-Identifier: MIT */
/*
 * mdns -- the thread that talks to Avahi, and its queue to the loop
 *
 *     loop     mdns_start   mdns_refresh     on_event ...      mdns_close -> on_closed
 *                  |             |              ^                  |
 *     thread   role: up, step ..............  mdns_post  ......  down   free
 *
 * The thread alone touches Avahi. It hands events over through a bounded queue (if the loop is slow
 * it waits) and the loop never waits for it: a thread that hangs in a D-Bus call when it should end
 * is left behind and cleans up after itself when the call returns.
 */
#ifndef DISCOVERY_MDNS_H
#define DISCOVERY_MDNS_H

#include "discovery/answers.h"
#include "discovery/backend.h"

#include <uv.h>

enum mdns_what {
    MDNS_ANSWER,      /* answer: a service resolved */
    MDNS_GONE,        /* answer: interface, protocol and name of one that is gone */
    MDNS_SWEEP,       /* answer.generation: what is older was not heard again */
    MDNS_SETTLED,     /* the first answers are in */
    MDNS_ESTABLISHED, /* text: our name */
    MDNS_PROBLEM,     /* text: a sentence */
};

struct mdns_event {
    enum mdns_what what;
    struct answer answer;
    char text[128];
};

struct mdns_thread;

/* What the thread does with a backend. All of it is called on the thread, but free: once, on any
 * thread, when nothing else follows. */
struct mdns_role {
    enum backend_state needs;
    bool publishes;
    void (*up)(void *state, struct mdns_thread *t, struct backend *b);
    void (*down)(void *state); /* frees all lookups and publications */
    /* After each round of poll and every change. Returns when to be called again at the latest. */
    int64_t (*step)(void *state, int64_t now_ms, bool refresh);
    void (*free)(void *state);
};

/* The loop's side. */
struct mdns_user {
    void (*on_event)(void *owner, const struct mdns_event *e);
    void (*on_closed)(void *owner);
};

struct mdns_options {
    const struct mdns_role *role;
    void *role_state; /* handed over if mdns_start succeeds */
    const struct mdns_user *user;
    void *owner;
};

struct mdns;

/* Loads Avahi's libraries now: later, a confined process may not find them. */
void mdns_load(void);
int mdns_start(struct mdns **m, uv_loop_t *loop, const struct mdns_options *o);
void mdns_refresh(struct mdns *m);
const char *mdns_backend(const struct mdns *m); /* "avahi-daemon", "embedded" or "" */
void mdns_close(struct mdns *m);                /* at most 200 ms until on_closed */

/* For roles, on the thread. Waits while the queue is full; after mdns_close it does nothing. */
void mdns_post(struct mdns_thread *t, const struct mdns_event *e);
void mdns_post_text(struct mdns_thread *t, enum mdns_what what, const char *text);
int64_t mdns_now_ms(void);

#endif
