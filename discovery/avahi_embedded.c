/* SPDX-License-Identifier: MIT */
/* A responder of our own, libavahi-core, for machines without avahi-daemon. */
#include "discovery/backend.h"
#include "discovery/library.h"
#include "discovery/peer.h"

#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-core/core.h>
#include <avahi-core/log.h>
#include <avahi-core/lookup.h>
#include <avahi-core/publish.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* clang-format off */
#define FUNCTIONS(X) \
    X(avahi_s_entry_group_commit) \
    X(avahi_s_entry_group_free) \
    X(avahi_s_entry_group_new) \
    X(avahi_s_service_browser_free) \
    X(avahi_s_service_browser_new) \
    X(avahi_s_service_resolver_free) \
    X(avahi_s_service_resolver_new) \
    X(avahi_server_add_service_strlst) \
    X(avahi_server_config_free) \
    X(avahi_server_config_init) \
    X(avahi_server_errno) \
    X(avahi_server_free) \
    X(avahi_server_get_host_name) \
    X(avahi_server_new) \
    X(avahi_server_set_host_name) \
    X(avahi_set_log_function)
/* clang-format on */

static struct { FUNCTIONS(LIBRARY_POINTER) } lib;
static bool loaded;

/* Avahi prints on stderr otherwise. */
static void drop_log(AvahiLogLevel level, const char *text) {}

static void load_once(void) {
    static const struct library_symbol symbols[] = {FUNCTIONS(LIBRARY_SYMBOL)};

    loaded = library_load("libavahi-core.so.7", symbols, sizeof(symbols) / sizeof(symbols[0]));
    if (loaded)
        lib.avahi_set_log_function(drop_log);
}

static void load(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load_once);
}

struct embedded {
    struct backend head;
    AvahiServer *server;
};

static AvahiServer *server_of(struct backend *b) { return ((struct embedded *)b)->server; }

/* Somebody has our host name or says that our address is his: a reflector, two of our interfaces on
 * one network, another responder on this machine. Avahi takes a new name and goes on. */
static void rename_host(AvahiServer *server) {
    char *name = avahi_alternative_host_name(lib.avahi_server_get_host_name(server));

    if (name)
        lib.avahi_server_set_host_name(server, name);
    avahi_free(name);
}

/* The first states come from inside avahi_server_new(). */
static void on_server(AvahiServer *server, AvahiServerState state, void *userdata) {
    struct embedded *e = userdata;

    switch (state) {
    case AVAHI_SERVER_RUNNING:
        e->head.state = BACKEND_RUNNING;
        break;
    case AVAHI_SERVER_COLLISION:
        e->head.state = BACKEND_STARTING;
        e->head.n_collisions++;
        rename_host(server);
        break;
    case AVAHI_SERVER_REGISTERING:
    case AVAHI_SERVER_INVALID:
        e->head.state = BACKEND_STARTING;
        break;
    case AVAHI_SERVER_FAILURE:
        e->head.state = BACKEND_DEAD;
        break;
    }
}

static uint64_t hash(uint64_t seed, const void *bytes, size_t len) { /* FNV-1a */
    const unsigned char *b = bytes;

    for (size_t i = 0; i < len; i++)
        seed = (seed ^ b[i]) * 0x100000001b3;
    return seed;
}

/* One name for all responders in one network namespace, and for no other machine. They all announce
 * the same addresses, and backwards, from address to name, there can be only one name: responders
 * with different ones would contradict each other for ever. With one name they agree, and when
 * one says goodbye to the addresses the others say at once that they are still there. */
static void make_host_name(char *out, size_t cap) {
    char boot_id[64];
    struct stat net = {0};
    uint64_t tag = 0xcbf29ce484222325;
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (f) {
        size_t len = fread(boot_id, 1, sizeof(boot_id), f);
        tag = hash(tag, boot_id, len);
        fclose(f);
    }
    if (stat("/proc/self/ns/net", &net) == 0)
        tag = hash(tag, &net.st_ino, sizeof(net.st_ino));
    snprintf(out, cap, "lanyard-%012" PRIx64, tag & 0xffffffffffff);
}

static int embedded_open(struct backend **b, const AvahiPoll *poll, bool publishes) {
    AvahiServerConfig config;
    char host_name[64];
    struct embedded *e;
    int err;

    load();
    if (!loaded)
        return AVAHI_ERR_NOT_SUPPORTED;
    e = calloc(1, sizeof(*e));
    if (!e)
        return AVAHI_ERR_NO_MEMORY;
    make_host_name(host_name, sizeof(host_name));
    lib.avahi_server_config_init(&config);
    config.host_name = host_name; /* avahi_server_new() copies the configuration */
    config.publish_addresses = publishes;
    config.publish_workstation = config.publish_hinfo = config.publish_domain = 0;
    config.enable_wide_area = 0;
    e->head.ops = &avahi_embedded;
    e->server = lib.avahi_server_new(poll, &config, on_server, e, &err);
    config.host_name = NULL;
    lib.avahi_server_config_free(&config);
    if (!e->server) {
        free(e);
        return err;
    }
    *b = &e->head;
    return 0;
}

static void embedded_close(struct backend *b) {
    struct embedded *e = (struct embedded *)b;

    lib.avahi_server_free(e->server);
    free(e);
}

static void on_browse(AvahiSServiceBrowser *browser, AvahiIfIndex interface, AvahiProtocol protocol,
                      AvahiBrowserEvent event, const char *name, const char *type,
                      const char *domain, AvahiLookupResultFlags flags, void *userdata) {
    browser_heard(userdata, event,
                  (struct sighting){.interface = interface,
                                    .protocol = protocol,
                                    .name = name,
                                    .local = flags & AVAHI_LOOKUP_RESULT_LOCAL});
}

static int embedded_browse(struct backend *b, struct browser *w) {
    w->avahi = lib.avahi_s_service_browser_new(server_of(b), AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
                                               PEER_SERVICE, "local", 0, on_browse, w);
    return w->avahi ? 0 : lib.avahi_server_errno(server_of(b));
}

static void embedded_browse_stop(struct browser *w) {
    if (w->avahi)
        lib.avahi_s_service_browser_free(w->avahi);
    w->avahi = NULL;
}

static void on_resolve(AvahiSServiceResolver *resolver, AvahiIfIndex interface,
                       AvahiProtocol protocol, AvahiResolverEvent event, const char *name,
                       const char *type, const char *domain, const char *host,
                       const AvahiAddress *addr, uint16_t port, AvahiStringList *txt,
                       AvahiLookupResultFlags flags, void *userdata) {
    struct resolver *r = userdata;
    struct resolution answer = {interface, addr, port, txt};

    r->on_answer(r, event == AVAHI_RESOLVER_FOUND && addr ? &answer : NULL);
}

static int embedded_resolve(struct backend *b, struct resolver *r, const struct sighting *s) {
    r->avahi =
        lib.avahi_s_service_resolver_new(server_of(b), s->interface, s->protocol, s->name,
                                         PEER_SERVICE, "local", s->protocol, 0, on_resolve, r);
    return r->avahi ? 0 : lib.avahi_server_errno(server_of(b));
}

static void embedded_resolve_stop(struct resolver *r) {
    if (r->avahi)
        lib.avahi_s_service_resolver_free(r->avahi);
    r->avahi = NULL;
}

static void on_group(AvahiServer *server, AvahiSEntryGroup *group, AvahiEntryGroupState state,
                     void *userdata) {
    struct publication *p = userdata;

    p->on_state(p, state);
}

static int embedded_publish(struct backend *b, struct publication *p, const struct service *s) {
    AvahiSEntryGroup *group = lib.avahi_s_entry_group_new(server_of(b), on_group, p);
    int err;

    if (!group)
        return lib.avahi_server_errno(server_of(b));
    err = lib.avahi_server_add_service_strlst(server_of(b), group, AVAHI_IF_UNSPEC,
                                              AVAHI_PROTO_UNSPEC, 0, s->name, PEER_SERVICE, "local",
                                              NULL, s->port, s->txt);
    if (err == 0)
        err = lib.avahi_s_entry_group_commit(group);
    if (err != 0) {
        lib.avahi_s_entry_group_free(group);
        return err;
    }
    p->avahi = group;
    return 0;
}

static void embedded_publish_stop(struct publication *p) {
    if (p->avahi)
        lib.avahi_s_entry_group_free(p->avahi);
    p->avahi = NULL;
}

const struct backend_ops avahi_embedded = {
    .name = "embedded",
    .load = load,
    .open = embedded_open,
    .close = embedded_close,
    .browse = embedded_browse,
    .browse_stop = embedded_browse_stop,
    .resolve = embedded_resolve,
    .resolve_stop = embedded_resolve_stop,
    .publish = embedded_publish,
    .publish_stop = embedded_publish_stop,
};
