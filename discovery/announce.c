/* SPDX-License-Identifier: MIT */
#include "discovery/announce.h"

#include "discovery/mdns.h"

#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    PROBE_MS = 800, /* as long as a name is being probed (RFC 6762, 8.1) */
    SLOTS_MAX = 8,
    RETRY_MS = 5000
};

/* On the mdns thread. */
struct herald {
    struct publication publication; /* first */
    struct mdns_thread *thread;
    struct backend *backend; /* NULL: none */
    char name[PEER_NAME_LEN + 1];
    uint16_t port;
    AvahiStringList *txt;
    AvahiEntryGroupState state; /* as Avahi said last */
    bool changed;               /* and we have not acted on it */
    unsigned n_renames;
    int64_t publish_ms; /* INT64_MAX: it is done */
};

/* On the loop. */
struct announce {
    struct mdns *mdns;
    bool closing;
    const struct announce_handler *handler;
    void *owner;
    void (*on_closed)(void *owner);
};

static void herald_free(void *state) {
    struct herald *h = state;

    avahi_string_list_free(h->txt);
    free(h);
}

static struct herald *herald_new(const struct announce_options *o, const uint8_t *rdata, int len) {
    struct herald *h = calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    snprintf(h->name, sizeof(h->name), "%s", o->name);
    h->port = o->port;
    if (avahi_string_list_parse(rdata, (size_t)len, &h->txt) != 0) {
        free(h);
        return NULL;
    }
    return h;
}

static void on_state(struct publication *p, AvahiEntryGroupState state) {
    struct herald *h = (struct herald *)p;

    h->state = state;
    h->changed = true;
}

static void up(void *state, struct mdns_thread *t, struct backend *b) {
    struct herald *h = state;

    h->thread = t;
    h->backend = b;
    h->publication.on_state = on_state;
    h->publish_ms = 0;
    h->changed = false;
}

static void down(void *state) {
    struct herald *h = state;

    h->backend->ops->publish_stop(&h->publication);
    h->backend = NULL;
}

static void take_next_name(struct herald *h) {
    char *name = avahi_alternative_service_name(h->name);

    if (name)
        snprintf(h->name, sizeof(h->name), "%s", name);
    avahi_free(name);
}

/* Two that probe one name at the same time may both lose, one by its SRV, the other by its TXT; in
 * step they would lose the next names too. So each waits for some probing times, by chance; and
 * collisions that come without end, from a reflector or on purpose, get slower. */
static int64_t wait_by_chance(struct herald *h) {
    unsigned random = 0, n_slots = 2 + ++h->n_renames;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
        random = (unsigned)getpid();
    return (int64_t)(random % (n_slots < SLOTS_MAX ? n_slots : SLOTS_MAX)) * PROBE_MS;
}

static void publish(struct herald *h, int64_t now_ms) {
    struct service s = {h->name, h->port, h->txt};
    int err = h->backend->ops->publish(h->backend, &h->publication, &s);

    h->publish_ms = INT64_MAX;
    if (err == AVAHI_ERR_COLLISION) { /* with another one of this daemon */
        take_next_name(h);
        h->publish_ms = now_ms;
    } else if (err) {
        mdns_post_text(h->thread, MDNS_PROBLEM, avahi_strerror(err));
        h->publish_ms = now_ms + RETRY_MS;
    }
}

static void act_on_state(struct herald *h, int64_t now_ms) {
    h->changed = false;
    if (h->state == AVAHI_ENTRY_GROUP_ESTABLISHED) {
        mdns_post_text(h->thread, MDNS_ESTABLISHED, h->name);
    } else if (h->state == AVAHI_ENTRY_GROUP_COLLISION) {
        h->backend->ops->publish_stop(&h->publication);
        take_next_name(h);
        h->publish_ms = now_ms + wait_by_chance(h);
    } else if (h->state == AVAHI_ENTRY_GROUP_FAILURE) {
        h->backend->ops->publish_stop(&h->publication);
        mdns_post_text(h->thread, MDNS_PROBLEM, "announcing failed: trying again");
        h->publish_ms = now_ms + RETRY_MS;
    }
}

static int64_t step(void *state, int64_t now_ms, bool refresh) {
    struct herald *h = state;

    if (!h->backend)
        return INT64_MAX;
    if (h->changed)
        act_on_state(h, now_ms);
    if (now_ms >= h->publish_ms)
        publish(h, now_ms);
    return h->changed ? 0 : h->publish_ms;
}

static const struct mdns_role herald_role = {
    .needs = BACKEND_RUNNING,
    .publishes = true,
    .up = up,
    .down = down,
    .step = step,
    .free = herald_free,
};

static void on_event(void *owner, const struct mdns_event *e) {
    struct announce *a = owner;

    if (e->what == MDNS_ESTABLISHED)
        a->handler->on_established(a->owner, e->text);
    else if (e->what == MDNS_PROBLEM)
        a->handler->on_problem(a->owner, e->text);
}

static void on_mdns_closed(void *owner) {
    struct announce *a = owner;

    if (a->on_closed)
        a->on_closed(a->owner);
    free(a);
}

static int make_txt(const struct announce_options *o, uint8_t out[static PEER_TXT_MAX]) {
    struct peer_txt t = {0};

    if (strlen(o->id) >= sizeof(t.id) || strlen(o->version) >= sizeof(t.version))
        return -EINVAL;
    snprintf(t.id, sizeof(t.id), "%s", o->id);
    snprintf(t.version, sizeof(t.version), "%s", o->version);
    return peer_txt_make(&t, out);
}

int announce_start(struct announce **out, uv_loop_t *loop, const struct announce_options *o,
                   const struct announce_handler *h, void *owner) {
    static const struct mdns_user user = {on_event, on_mdns_closed};
    uint8_t rdata[PEER_TXT_MAX];
    int len = make_txt(o, rdata), err = -ENOMEM;

    if (len < 0 || !peer_name_ok(o->name) || o->port == 0)
        return -EINVAL;

    struct announce *a = calloc(1, sizeof(*a));
    struct herald *herald = herald_new(o, rdata, len);
    if (!a || !herald)
        goto out;
    a->handler = h;
    a->owner = owner;
    struct mdns_options options = {&herald_role, herald, &user, a};
    err = mdns_start(&a->mdns, loop, &options);
    if (err)
        goto out;
    *out = a;
    return 0;

out:
    if (herald)
        herald_free(herald);
    free(a);
    return err;
}

const char *announce_backend(const struct announce *a) { return mdns_backend(a->mdns); }

void announce_close(struct announce *a, void (*on_closed)(void *owner)) {
    if (a->closing)
        return;
    a->closing = true;
    a->on_closed = on_closed;
    mdns_close(a->mdns);
}
