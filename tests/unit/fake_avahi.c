/* SPDX-License-Identifier: MIT */
#include "tests/unit/fake_avahi.h"

#include <arpa/inet.h>
#include <avahi-common/error.h>
#include <avahi-common/timeval.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fake fake_daemon, fake_embedded;
sem_t fake_hung, fake_released, fake_freed;

struct fake_backend {
    struct backend head;
    struct fake *fake;
    const AvahiPoll *poll;
    AvahiTimeout *tick;
    struct browser *browser;
    int n_found;
    struct publication *publication;
};

/* What a resolver or a publication answers comes from the thread's poll, as with Avahi. */
struct reply {
    struct fake_backend *b;
    AvahiTimeout *timeout;
    struct resolver *resolver;
    struct publication *publication;
    int number;
};

static AvahiTimeout *timeout_after(const AvahiPoll *poll, unsigned ms, AvahiTimeoutCallback f,
                                   void *userdata) {
    struct timeval tv;
    return poll->timeout_new(poll, avahi_elapse_time(&tv, ms, 0), f, userdata);
}

static void fake_tick(AvahiTimeout *t, void *userdata) {
    struct fake_backend *b = userdata;
    struct timeval tv;

    b->poll->timeout_update(t, avahi_elapse_time(&tv, FAKE_TICK_MS, 0));
    b->head.state = (enum backend_state)atomic_load(&b->fake->state);
    for (; b->browser && b->n_found < atomic_load(&b->fake->n_services); b->n_found++) {
        char name[64];
        snprintf(name, sizeof name, "peer %d", b->n_found);
        b->browser->on_service(b->browser, &(struct sighting){1, 0, name, true, false});
    }
    if (b->browser && b->n_found > atomic_load(&b->fake->n_services)) {
        char name[64];
        snprintf(name, sizeof name, "peer %d", --b->n_found);
        b->browser->on_service(b->browser, &(struct sighting){1, 0, name, false, false});
    }
}

static int fake_open(struct backend **out, const AvahiPoll *poll, struct fake *f,
                     const struct backend_ops *ops) {
    struct fake_backend *b;

    if (atomic_load(&f->hang)) {
        sem_post(&fake_hung);
        sem_wait(&fake_released);
    }
    if (atomic_load(&f->state) == BACKEND_DEAD)
        return AVAHI_ERR_NO_DAEMON;
    b = calloc(1, sizeof *b);
    b->head.ops = ops;
    b->head.state = (enum backend_state)atomic_load(&f->state);
    b->fake = f;
    b->poll = poll;
    b->tick = timeout_after(poll, FAKE_TICK_MS, fake_tick, b);
    atomic_fetch_add(&f->n_open, 1);
    atomic_fetch_add(&f->n_opened, 1);
    *out = &b->head;
    return 0;
}

static int open_daemon(struct backend **b, const AvahiPoll *poll, bool publishes) {
    return fake_open(b, poll, &fake_daemon, &avahi_daemon);
}

static int open_embedded(struct backend **b, const AvahiPoll *poll, bool publishes) {
    return fake_open(b, poll, &fake_embedded, &avahi_embedded);
}

static void fake_close(struct backend *head) {
    struct fake_backend *b = (struct fake_backend *)head;
    assert_null(b->browser);
    assert_null(b->publication);
    b->poll->timeout_free(b->tick);
    atomic_fetch_sub(&b->fake->n_open, 1);
    free(b);
    sem_post(&fake_freed);
}

static int fake_browse(struct backend *b, struct browser *w) {
    ((struct fake_backend *)b)->browser = w;
    w->avahi = b;
    return 0;
}

static void fake_browse_stop(struct browser *w) {
    if (w->avahi)
        ((struct fake_backend *)w->avahi)->browser = NULL;
    w->avahi = NULL;
}

static void fake_resolved(AvahiTimeout *t, void *userdata) {
    struct reply *r = userdata;
    AvahiAddress addr = {.proto = AVAHI_PROTO_INET};
    AvahiStringList *txt = avahi_string_list_new("txtvers=1", "v=1", NULL);
    struct resolution answer = {1, &addr, (uint16_t)atomic_load(&r->b->fake->port), txt};

    r->b->poll->timeout_free(t);
    r->timeout = NULL;
    addr.data.ipv4.address = htonl(0x0a000000u + (unsigned)r->number + 1);
    r->resolver->on_answer(r->resolver, &answer);
    avahi_string_list_free(txt);
}

static int fake_resolve(struct backend *b, struct resolver *w, const struct sighting *s) {
    struct reply *r = calloc(1, sizeof *r);
    struct fake *f = ((struct fake_backend *)b)->fake;
    int n = atomic_fetch_add(&f->n_resolvers, 1) + 1;

    if (n > atomic_load(&f->n_resolvers_max))
        atomic_store(&f->n_resolvers_max, n);
    r->b = (struct fake_backend *)b;
    r->resolver = w;
    r->number = atoi(s->name + strlen("peer "));
    if (!atomic_load(&f->mute))
        r->timeout = timeout_after(r->b->poll, 0, fake_resolved, r);
    w->avahi = r;
    return 0;
}

static void fake_resolve_stop(struct resolver *w) {
    struct reply *r = w->avahi;
    if (!r)
        return;
    if (r->timeout)
        r->b->poll->timeout_free(r->timeout);
    atomic_fetch_sub(&r->b->fake->n_resolvers, 1);
    free(r);
    w->avahi = NULL;
}

static void fake_published(AvahiTimeout *t, void *userdata) {
    struct reply *r = userdata;
    bool collides = atomic_load(&r->b->fake->collisions) > 0;

    r->b->poll->timeout_free(t);
    r->timeout = NULL;
    if (collides)
        atomic_fetch_sub(&r->b->fake->collisions, 1);
    r->publication->on_state(r->publication, collides ? AVAHI_ENTRY_GROUP_COLLISION
                                                      : AVAHI_ENTRY_GROUP_ESTABLISHED);
}

static int fake_publish(struct backend *b, struct publication *p, const struct service *s) {
    struct reply *r = calloc(1, sizeof *r);
    r->b = (struct fake_backend *)b;
    r->b->publication = r->publication = p;
    r->timeout = timeout_after(r->b->poll, 0, fake_published, r);
    atomic_fetch_add(&r->b->fake->n_published, 1);
    p->avahi = r;
    return 0;
}

static void fake_publish_stop(struct publication *p) {
    struct reply *r = p->avahi;
    if (!r)
        return;
    if (r->timeout)
        r->b->poll->timeout_free(r->timeout);
    r->b->publication = NULL;
    atomic_fetch_sub(&r->b->fake->n_published, 1);
    free(r);
    p->avahi = NULL;
}

#define FAKE_OPS(called, opens)                                                                    \
    {                                                                                              \
        .name = called, .open = opens, .close = fake_close, .browse = fake_browse,                 \
        .browse_stop = fake_browse_stop, .resolve = fake_resolve,                                  \
        .resolve_stop = fake_resolve_stop, .publish = fake_publish,                                \
        .publish_stop = fake_publish_stop                                                          \
    }
const struct backend_ops avahi_daemon = FAKE_OPS("avahi-daemon", open_daemon);
const struct backend_ops avahi_embedded = FAKE_OPS("embedded", open_embedded);

void fake_reset(void) {
    memset(&fake_daemon, 0, sizeof fake_daemon);
    memset(&fake_embedded, 0, sizeof fake_embedded);
    fake_daemon.port = fake_embedded.port = 5000;
    fake_embedded.state = BACKEND_RUNNING;
    sem_init(&fake_hung, 0, 0);
    sem_init(&fake_released, 0, 0);
    sem_init(&fake_freed, 0, 0);
}
