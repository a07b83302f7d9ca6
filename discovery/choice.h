/* SPDX-License-Identifier: MIT */
/*
 * choice -- which backend is in use: the system's daemon, or a responder of our own
 *
 *     choice_init -> choice_step, poll, choice_step, poll ... -> choice_clear
 *
 * The daemon whenever it answers; our own when there is no D-Bus or no daemon, or a daemon that was
 * there stays away. Never our own beside a daemon. Belongs to one mdns thread.
 */
#ifndef DISCOVERY_CHOICE_H
#define DISCOVERY_CHOICE_H

#include "discovery/backend.h"

struct choice {
    const AvahiPoll *poll;
    enum backend_state needs; /* what `used` must have reached */
    bool publishes;
    void (*on_problem)(void *owner, const char *text);
    void *owner;

    struct backend *daemon, *embedded; /* open, or NULL */
    struct backend *used;              /* one of them, or NULL: none is ready */
    int64_t retry_ms, fallback_ms;     /* when to try the daemon, our own */
    bool told_absent, told_collisions;
};

/* Zeroes and starts; the caller sets the first group of fields afterwards. */
void choice_init(struct choice *c, int64_t now_ms);
void choice_clear(struct choice *c); /* `used` must not be in use any more */

/* The backend that should be in use now; call when nobody is inside a callback. If it differs from
 * c->used, let go of that one, set c->used and step again. */
struct backend *choice_step(struct choice *c, int64_t now_ms);

/* When to step again at the latest, in ms of the same clock. INT64_MAX: when something happens. */
int64_t choice_next_ms(const struct choice *c);

#endif
