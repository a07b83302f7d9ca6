/* SPDX-License-Identifier: MIT */
/* The system's avahi-daemon, through libavahi-client and D-Bus. */
#include "discovery/backend.h"
#include "discovery/library.h"
#include "discovery/peer.h"

#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-client/publish.h>
#include <avahi-common/error.h>
#include <pthread.h>
#include <stdlib.h>

/* clang-format off */
#define FUNCTIONS(X) \
    X(avahi_client_errno) \
    X(avahi_client_free) \
    X(avahi_client_new) \
    X(avahi_entry_group_add_service_strlst) \
    X(avahi_entry_group_commit) \
    X(avahi_entry_group_free) \
    X(avahi_entry_group_new) \
    X(avahi_service_browser_free) \
    X(avahi_service_browser_new) \
    X(avahi_service_resolver_free) \
    X(avahi_service_resolver_new)
/* clang-format on */

static struct { FUNCTIONS(LIBRARY_POINTER) } lib;
static bool loaded;

static void load_once(void) {
    static const struct library_symbol symbols[] = {FUNCTIONS(LIBRARY_SYMBOL)};

    loaded = library_load("libavahi-client.so.3", symbols, sizeof(symbols) / sizeof(symbols[0]));
}

static void load(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load_once);
}

struct daemon {
    struct backend head;
    AvahiClient *client;
};

static AvahiClient *client_of(struct backend *b) { return ((struct daemon *)b)->client; }

/* The first state comes from inside avahi_client_new(). */
static void on_client(AvahiClient *client, AvahiClientState state, void *userdata) {
    struct daemon *d = userdata;

    switch (state) {
    case AVAHI_CLIENT_S_RUNNING:
        d->head.state = BACKEND_RUNNING;
        break;
    case AVAHI_CLIENT_S_REGISTERING:
    case AVAHI_CLIENT_S_COLLISION:
        d->head.state = BACKEND_STARTING;
        break;
    case AVAHI_CLIENT_CONNECTING:
        d->head.state = BACKEND_ABSENT;
        break;
    case AVAHI_CLIENT_FAILURE:
        d->head.state = BACKEND_DEAD;
        break;
    }
}

static int daemon_open(struct backend **b, const AvahiPoll *poll, bool publishes) {
    struct daemon *d;
    int err;

    load();
    if (!loaded)
        return AVAHI_ERR_NOT_SUPPORTED;
    d = calloc(1, sizeof(*d));
    if (!d)
        return AVAHI_ERR_NO_MEMORY;
    d->head.ops = &avahi_daemon;
    d->client = lib.avahi_client_new(poll, AVAHI_CLIENT_NO_FAIL, on_client, d, &err);
    if (!d->client) {
        free(d);
        return err;
    }
    *b = &d->head;
    return 0;
}

static void daemon_close(struct backend *b) {
    struct daemon *d = (struct daemon *)b;

    lib.avahi_client_free(d->client);
    free(d);
}

static void on_browse(AvahiServiceBrowser *browser, AvahiIfIndex interface, AvahiProtocol protocol,
                      AvahiBrowserEvent event, const char *name, const char *type,
                      const char *domain, AvahiLookupResultFlags flags, void *userdata) {
    browser_heard(userdata, event,
                  (struct sighting){
                      .interface = interface,
                      .protocol = protocol,
                      .name = name,
                      .local = flags & (AVAHI_LOOKUP_RESULT_LOCAL | AVAHI_LOOKUP_RESULT_OUR_OWN)});
}

static int daemon_browse(struct backend *b, struct browser *w) {
    w->avahi = lib.avahi_service_browser_new(client_of(b), AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
                                             PEER_SERVICE, "local", 0, on_browse, w);
    return w->avahi ? 0 : lib.avahi_client_errno(client_of(b));
}

static void daemon_browse_stop(struct browser *w) {
    if (w->avahi)
        lib.avahi_service_browser_free(w->avahi);
    w->avahi = NULL;
}

static void on_resolve(AvahiServiceResolver *resolver, AvahiIfIndex interface,
                       AvahiProtocol protocol, AvahiResolverEvent event, const char *name,
                       const char *type, const char *domain, const char *host,
                       const AvahiAddress *addr, uint16_t port, AvahiStringList *txt,
                       AvahiLookupResultFlags flags, void *userdata) {
    struct resolver *r = userdata;
    struct resolution answer = {interface, addr, port, txt};

    r->on_answer(r, event == AVAHI_RESOLVER_FOUND && addr ? &answer : NULL);
}

static int daemon_resolve(struct backend *b, struct resolver *r, const struct sighting *s) {
    r->avahi = lib.avahi_service_resolver_new(client_of(b), s->interface, s->protocol, s->name,
                                              PEER_SERVICE, "local", s->protocol, 0, on_resolve, r);
    return r->avahi ? 0 : lib.avahi_client_errno(client_of(b));
}

static void daemon_resolve_stop(struct resolver *r) {
    if (r->avahi)
        lib.avahi_service_resolver_free(r->avahi);
    r->avahi = NULL;
}

static void on_group(AvahiEntryGroup *group, AvahiEntryGroupState state, void *userdata) {
    struct publication *p = userdata;

    p->on_state(p, state);
}

static int daemon_publish(struct backend *b, struct publication *p, const struct service *s) {
    AvahiEntryGroup *group = lib.avahi_entry_group_new(client_of(b), on_group, p);
    int err;

    if (!group)
        return lib.avahi_client_errno(client_of(b));
    err = lib.avahi_entry_group_add_service_strlst(group, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, 0,
                                                   s->name, PEER_SERVICE, "local", NULL, s->port,
                                                   s->txt);
    if (err == 0)
        err = lib.avahi_entry_group_commit(group);
    if (err != 0) {
        lib.avahi_entry_group_free(group);
        return err;
    }
    p->avahi = group;
    return 0;
}

static void daemon_publish_stop(struct publication *p) {
    if (p->avahi)
        lib.avahi_entry_group_free(p->avahi);
    p->avahi = NULL;
}

const struct backend_ops avahi_daemon = {
    .name = "avahi-daemon",
    .load = load,
    .open = daemon_open,
    .close = daemon_close,
    .browse = daemon_browse,
    .browse_stop = daemon_browse_stop,
    .resolve = daemon_resolve,
    .resolve_stop = daemon_resolve_stop,
    .publish = daemon_publish,
    .publish_stop = daemon_publish_stop,
};
