/* SPDX-License-Identifier: MIT */
#include "discovery/choice.h"

#include <avahi-common/error.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
    CONNECT_MS = 300,     /* D-Bus is there, no daemon: it may be starting right now */
    AWAY_MS = 10000,      /* a daemon that was there is being restarted */
    RETRY_MS = 1000,      /* between two attempts to reach a daemon */
    COLLISIONS_MAX = 3,   /* so many may be by chance */
    RETRY_SLOW_MS = 10000 /* the same while our own responder does its work */
};

void choice_init(struct choice *c, int64_t now_ms) {
    memset(c, 0, sizeof(*c));
    c->retry_ms = now_ms;
    c->fallback_ms = now_ms + CONNECT_MS;
}

static void close_backend(struct backend **b) {
    if (*b)
        (*b)->ops->close(*b);
    *b = NULL;
}

void choice_clear(struct choice *c) {
    close_backend(&c->embedded);
    close_backend(&c->daemon);
}

static bool dead(const struct backend *b) { return b && b->state == BACKEND_DEAD; }

static bool ready(const struct choice *c, const struct backend *b) {
    return b && b->state >= c->needs;
}

static void tell(struct choice *c, const char *what, int err) {
    char text[128];

    snprintf(text, sizeof(text), "%s: %s", what, avahi_strerror(err));
    c->on_problem(c->owner, text);
}

static void tell_absent(struct choice *c) {
    if (!c->told_absent)
        c->on_problem(c->owner, "no avahi-daemon answers: using a responder of our own");
    c->told_absent = true;
}

static void tell_collisions(struct choice *c) {
    if (!c->embedded || c->embedded->n_collisions < COLLISIONS_MAX || c->told_collisions)
        return;
    c->told_collisions = true;
    c->on_problem(c->owner, "another mDNS responder contradicts our addresses");
}

static void open_daemon(struct choice *c, int64_t now_ms) {
    int err = avahi_daemon.open(&c->daemon, c->poll, c->publishes);

    if (err == 0)
        return;
    c->retry_ms = now_ms + (c->embedded ? RETRY_SLOW_MS : RETRY_MS);
    /* Without D-Bus there is nothing to wait for, unless a daemon was there before. */
    if (c->fallback_ms <= now_ms + CONNECT_MS)
        c->fallback_ms = now_ms;
}

static void open_embedded(struct choice *c, int64_t now_ms) {
    int err = avahi_embedded.open(&c->embedded, c->poll, c->publishes);

    tell_absent(c);
    if (err == 0)
        return;
    tell(c, "cannot start a responder of our own", err);
    c->fallback_ms = now_ms + AWAY_MS;
}

/* Frees what died; nobody uses it any more. */
static void bury(struct choice *c, int64_t now_ms) {
    if (dead(c->daemon)) {
        close_backend(&c->daemon);
        c->retry_ms = now_ms + RETRY_MS / 4;
        c->fallback_ms = now_ms + AWAY_MS;
        c->told_absent = false;
        if (!c->embedded)
            c->on_problem(c->owner, "avahi-daemon went away: waiting for it to come back");
    }
    if (dead(c->embedded)) {
        close_backend(&c->embedded);
        c->fallback_ms = now_ms + RETRY_MS;
    }
}

struct backend *choice_step(struct choice *c, int64_t now_ms) {
    if (dead(c->used))
        return NULL;
    bury(c, now_ms);
    tell_collisions(c);
    if (!c->daemon && now_ms >= c->retry_ms)
        open_daemon(c, now_ms);

    bool daemon_there = c->daemon && c->daemon->state >= BACKEND_STARTING;
    if (daemon_there && c->used != c->embedded)
        close_backend(&c->embedded);
    else if (!daemon_there && !c->embedded && now_ms >= c->fallback_ms)
        open_embedded(c, now_ms);

    if (daemon_there)
        return ready(c, c->daemon) ? c->daemon : NULL;
    return ready(c, c->embedded) ? c->embedded : NULL;
}

int64_t choice_next_ms(const struct choice *c) {
    int64_t next = INT64_MAX;
    bool daemon_there = c->daemon && c->daemon->state >= BACKEND_STARTING;

    if (!c->daemon)
        next = c->retry_ms;
    if (!daemon_there && !c->embedded && c->fallback_ms < next)
        next = c->fallback_ms;
    if (dead(c->daemon) || dead(c->embedded))
        next = 0;
    return next;
}
