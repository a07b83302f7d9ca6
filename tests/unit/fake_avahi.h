/* SPDX-License-Identifier: MIT */
/*
 * fake_avahi -- avahi_daemon and avahi_embedded that do what a test says, and count
 *
 * Link it instead of the real ones. The test sets what is atomic, the mdns threads read it in their
 * next tick; answers come from the poll of the thread, as with Avahi.
 */
#ifndef TESTS_FAKE_AVAHI_H
#define TESTS_FAKE_AVAHI_H

#include "discovery/backend.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { FAKE_TICK_MS = 5 };

struct fake {
    atomic_int state;       /* that of the backend; BACKEND_DEAD: open fails */
    atomic_bool hang;       /* open blocks until it is released */
    atomic_int n_services;  /* that a browser finds at once */
    atomic_bool mute;       /* resolvers do not answer */
    atomic_int port;        /* what resolvers say */
    atomic_int collisions;  /* publications that collide */
    atomic_int n_open;      /* backends open now */
    atomic_int n_opened;    /* in all */
    atomic_int n_resolvers; /* open now */
    atomic_int n_resolvers_max;
    atomic_int n_published; /* now */
};

extern struct fake fake_daemon, fake_embedded;

/* A hanging open posts hung and waits for released; each close posts freed. */
extern sem_t fake_hung, fake_released, fake_freed;

void fake_reset(void);

#endif
