/* SPDX-License-Identifier: MIT */
/*
 * backend -- Avahi behind one small table: the system's daemon, or a responder of our own
 *
 *     open -> browse, resolve, publish ..., each until its _stop -> close
 *
 * Everything here belongs to one mdns thread and may block it: a libavahi-client call is a D-Bus
 * round trip of up to 25 s. Callbacks only note what happened; nothing is freed inside of them.
 * Which one is in use: see discovery/choice.h.
 */
#ifndef DISCOVERY_BACKEND_H
#define DISCOVERY_BACKEND_H

#include <avahi-common/address.h>
#include <avahi-common/defs.h>
#include <avahi-common/strlst.h>
#include <avahi-common/watch.h>
#include <stdbool.h>
#include <stdint.h>

enum backend_state {
    BACKEND_DEAD,     /* close it, and perhaps open another one */
    BACKEND_ABSENT,   /* nobody is there yet; it may come */
    BACKEND_STARTING, /* can browse; the host name is not registered yet */
    BACKEND_RUNNING,
};

/* The head of each backend's own struct. */
struct backend {
    const struct backend_ops *ops;
    enum backend_state state;
    unsigned n_collisions; /* of our host name */
};

struct sighting {
    int interface, protocol;
    const char *name;
    bool here;  /* false: it said goodbye */
    bool local; /* announced by this machine */
};

struct resolution {
    int interface;
    const AvahiAddress *addr;
    uint16_t port;
    AvahiStringList *txt;
};

struct service {
    const char *name;
    uint16_t port;
    AvahiStringList *txt;
};

/* Lookups and publications are embedded in their owner's struct; avahi == NULL: not running. */
struct browser {
    void *avahi;
    void (*on_service)(struct browser *w, const struct sighting *s);
    void (*on_failure)(struct browser *w);
};

struct resolver {
    void *avahi;
    /* NULL: it failed. May come several times, once per address and change. */
    void (*on_answer)(struct resolver *r, const struct resolution *answer);
};

struct publication {
    void *avahi;
    void (*on_state)(struct publication *p, AvahiEntryGroupState state);
};

/* Ints are 0 or an error of Avahi (avahi_strerror). Freeing what is not running does nothing. */
struct backend_ops {
    const char *name;
    void (*load)(void); /* its library; open does it, too */
    int (*open)(struct backend **b, const AvahiPoll *poll, bool publishes);
    void (*close)(struct backend *b); /* all lookups and publications are freed already */
    int (*browse)(struct backend *b, struct browser *w);
    void (*browse_stop)(struct browser *w);
    int (*resolve)(struct backend *b, struct resolver *r, const struct sighting *s);
    void (*resolve_stop)(struct resolver *r);
    int (*publish)(struct backend *b, struct publication *p, const struct service *s);
    void (*publish_stop)(struct publication *p);
};

extern const struct backend_ops avahi_daemon, avahi_embedded;

/* For both: tells w what Avahi's browser said. s: but for `here`. */
void browser_heard(struct browser *w, AvahiBrowserEvent event, struct sighting s);

#endif
