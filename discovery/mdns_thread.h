/* SPDX-License-Identifier: MIT */
/*
 * mdns_thread -- the thread that talks to Avahi: its life, its queue, its turns
 *
 *     start -> take, refresh ... -> quit -> [ended] -> leave
 *
 * All of these are for the loop thread; none of them waits for the thread. For mdns.c alone.
 */
#ifndef DISCOVERY_MDNS_THREAD_H
#define DISCOVERY_MDNS_THREAD_H

#include "discovery/mdns.h"

enum { MDNS_QUEUE_LEN = 128 };

/* `loop` is signalled for each event and at the end, until leave. state: handed over on success. */
int mdns_thread_start(struct mdns_thread **t, const struct mdns_role *role, void *state,
                      uv_async_t *loop);
bool mdns_thread_take(struct mdns_thread *t, struct mdns_event *e); /* false: none */
void mdns_thread_refresh(struct mdns_thread *t);
const char *mdns_thread_backend(struct mdns_thread *t); /* "" while there is none */
bool mdns_thread_answers(struct mdns_thread *t);        /* has come through a first turn */

void mdns_thread_quit(struct mdns_thread *t); /* idempotent */
bool mdns_thread_ended(struct mdns_thread *t);

/* Frees it; if it has not ended it is left behind and frees itself when it does. */
void mdns_thread_leave(struct mdns_thread *t);

#endif
