/* SPDX-License-Identifier: MIT */
#include "discovery/seek.h"

#include <avahi-common/error.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deadlines of our own: those of Avahi follow the wall clock. */
enum {
    RESOLVE_MS = 6000, /* Avahi gives up after 5 s */
    MORE_MS = 800,     /* further addresses of one answer come within that */
    CHANGE_MS = 1500,  /* what was replaced leaves the caches after a second (RFC 6762, 10.2) */
    QUIET_MS = 400,    /* responders answer within 250 ms */
    SWEEP_MS = 8000,   /* after a change of the backend: who did not answer by then is gone */
    REFRESH_MS = 60000 /* those without an open resolver */
};

enum service_state { WANTED, RESOLVING, ANSWERED, WATCHED, KNOWN, FAILED, GONE };

struct found {
    struct resolver resolver; /* first: a resolver of ours is the head of its struct found */
    struct seek *seek;
    struct found *next;
    enum service_state state;
    int64_t since_ms;     /* in this state */
    int64_t again_ms;     /* resolve anew then; INT64_MAX: no need */
    struct answer answer; /* what to resolve; later the latest answer */
};

struct seek {
    struct browser browser; /* first */
    struct mdns_thread *thread;
    struct backend *backend; /* NULL: none */
    struct found *services;
    unsigned n_services, n_resolvers, generation;
    bool settled, told_full;
    int64_t heard_ms, sweep_ms, refresh_ms;
};

void *seek_new(void) { return calloc(1, sizeof(struct seek)); }

static void seek_free(void *state) { free(state); }

static void post(struct seek *s, enum mdns_what what, const struct answer *a) {
    struct mdns_event e = {.what = what};

    memcpy(&e.answer, a, sizeof(*a));
    mdns_post(s->thread, &e);
}

static void set_state(struct found *f, enum service_state state) {
    f->state = state;
    f->since_ms = mdns_now_ms();
    f->again_ms = INT64_MAX;
}

static struct found *find(struct seek *s, const struct sighting *what) {
    for (struct found *f = s->services; f; f = f->next)
        if (f->answer.interface == what->interface && f->answer.protocol == what->protocol &&
            strcmp(f->answer.name, what->name) == 0)
            return f;
    return NULL;
}

static struct found *add(struct seek *s, const struct sighting *what) {
    struct found *f;

    if (s->n_services == SEEK_SERVICES_MAX) {
        if (!s->told_full)
            mdns_post_text(s->thread, MDNS_PROBLEM, "too many peers: some are left out");
        s->told_full = true;
        return NULL;
    }
    f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->seek = s;
    f->answer.interface = what->interface;
    f->answer.protocol = what->protocol;
    f->answer.generation = s->generation;
    snprintf(f->answer.name, sizeof(f->answer.name), "%s", what->name);
    f->next = s->services;
    s->services = f;
    s->n_services++;
    return f;
}

/* ---- what Avahi says; nothing is freed in here ---- */

static void on_service(struct browser *w, const struct sighting *what) {
    struct seek *s = (struct seek *)w;
    struct found *f;

    s->heard_ms = mdns_now_ms();
    if (!peer_name_ok(what->name))
        return;
    f = find(s, what);
    if (!what->here) {
        if (f)
            set_state(f, GONE);
        return;
    }
    if (!f)
        f = add(s, what);
    if (!f)
        return;
    f->answer.local = what->local;
    set_state(f, WANTED);
}

static void on_failure(struct browser *w) {
    struct seek *s = (struct seek *)w;

    s->backend->state = BACKEND_DEAD;
}

static void read_txt(AvahiStringList *txt, struct peer_txt *out) {
    uint8_t rdata[PEER_TXT_MAX];
    size_t len = avahi_string_list_serialize(txt, NULL, 0);

    memset(out, 0, sizeof(*out));
    if (len > sizeof(rdata))
        return;
    len = avahi_string_list_serialize(txt, rdata, len);
    peer_txt_parse(rdata, len, out);
}

/* False: not an address to dial. */
static bool read_addr(const struct resolution *from, struct answer_addr *out) {
    char interface[IF_NAMESIZE] = "";

    memset(out, 0, sizeof(*out));
    if (from->addr->proto == AVAHI_PROTO_INET) {
        out->in.sin_family = AF_INET;
        out->in.sin_port = htons(from->port);
        out->in.sin_addr.s_addr = from->addr->data.ipv4.address;
    } else if (from->addr->proto == AVAHI_PROTO_INET6) {
        out->in6.sin6_family = AF_INET6;
        out->in6.sin6_port = htons(from->port);
        memcpy(&out->in6.sin6_addr, from->addr->data.ipv6.address, 16);
        /* AvahiAddress has no scope; the interface of the answer is the one to dial through. */
        if (IN6_IS_ADDR_LINKLOCAL(&out->in6.sin6_addr))
            out->in6.sin6_scope_id = (uint32_t)from->interface;
    }
    if_indextoname((unsigned)from->interface, interface);
    out->rank = peer_rank(&out->any, interface);
    return out->rank != PEER_RANK_NEVER;
}

/* The first answer of a resolver, or a late one, replaces what we knew; those that follow at once
 * add addresses, unless the port changed too. */
static void take_addr(struct found *f, const struct resolution *from) {
    struct answer *a = &f->answer;
    struct answer_addr addr;

    if (f->state != ANSWERED || (a->n_addrs && answer_port(&a->addrs[0]) != from->port)) {
        a->n_addrs = 0;
        memset(a->addrs, 0, sizeof(a->addrs));
    }
    if (from->port == 0 || !read_addr(from, &addr) || a->n_addrs == ANSWER_ADDRS_MAX)
        return;
    for (unsigned i = 0; i < a->n_addrs; i++)
        if (memcmp(&a->addrs[i], &addr, sizeof(addr)) == 0)
            return;
    a->addrs[a->n_addrs++] = addr;
}

static void on_answer(struct resolver *r, const struct resolution *from) {
    struct found *f = (struct found *)r;

    if (f->state != RESOLVING && f->state != ANSWERED && f->state != WATCHED)
        return;
    if (!from) {
        set_state(f, FAILED);
        return;
    }
    take_addr(f, from);
    read_txt(from->txt, &f->answer.txt);
    f->answer.generation = f->seek->generation;
    /* A late answer is a change, but only a new resolver tells all addresses. */
    if (f->state == WATCHED)
        f->again_ms = mdns_now_ms() + CHANGE_MS;
    if (f->state == RESOLVING)
        set_state(f, ANSWERED);
    if (f->answer.n_addrs)
        post(f->seek, MDNS_ANSWER, &f->answer);
}

/* ---- the role ---- */

static void stop_resolver(struct found *f) {
    if (!f->resolver.avahi)
        return;
    f->seek->backend->ops->resolve_stop(&f->resolver);
    f->seek->n_resolvers--;
}

static void up(void *state, struct mdns_thread *t, struct backend *b) {
    struct seek *s = state;
    int64_t now = mdns_now_ms();
    int err;

    s->thread = t;
    s->backend = b;
    s->generation++;
    s->told_full = false;
    s->heard_ms = now;
    s->sweep_ms = s->generation > 1 ? now + SWEEP_MS : INT64_MAX;
    s->refresh_ms = now + REFRESH_MS;
    s->browser.on_service = on_service;
    s->browser.on_failure = on_failure;
    err = b->ops->browse(b, &s->browser);
    if (err) {
        mdns_post_text(t, MDNS_PROBLEM, avahi_strerror(err));
        b->state = BACKEND_DEAD;
    }
}

static void down(void *state) {
    struct seek *s = state;

    while (s->services) {
        struct found *f = s->services;
        stop_resolver(f);
        s->services = f->next;
        free(f);
    }
    s->n_services = 0;
    s->backend->ops->browse_stop(&s->browser);
    s->backend = NULL;
}

static bool is_open(const struct found *f) {
    return f->state == RESOLVING || f->state == ANSWERED || f->state == WATCHED;
}

/* Moves one service on. False: it is gone, free it. */
static bool tend(struct seek *s, struct found *f, int64_t now_ms, bool crowded) {
    int64_t age_ms = now_ms - f->since_ms;

    if (f->state == RESOLVING && age_ms >= RESOLVE_MS)
        set_state(f, FAILED);
    else if (crowded && (f->state == ANSWERED || f->state == WATCHED))
        set_state(f, KNOWN);
    else if (f->state == ANSWERED && age_ms >= MORE_MS)
        set_state(f, WATCHED);
    else if (now_ms >= f->again_ms)
        set_state(f, WANTED);

    if (!is_open(f))
        stop_resolver(f);
    if (f->state == GONE || (f->state == FAILED && f->answer.n_addrs)) {
        post(s, MDNS_GONE, &f->answer);
        f->answer.n_addrs = 0;
    }
    return f->state != GONE;
}

/* Tends all; returns how many wait for a resolver. */
static unsigned tend_all(struct seek *s, int64_t now_ms) {
    unsigned n_wanted = 0;

    for (struct found *f = s->services; f; f = f->next)
        n_wanted += f->state == WANTED;
    bool crowded = n_wanted + s->n_resolvers > SEEK_RESOLVERS;

    for (struct found **at = &s->services; *at;) {
        struct found *f = *at;
        if (tend(s, f, now_ms, crowded)) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        free(f);
        s->n_services--;
    }
    return n_wanted;
}

static void start_resolvers(struct seek *s) {
    for (struct found *f = s->services; f && s->n_resolvers < SEEK_RESOLVERS; f = f->next) {
        struct sighting what = {f->answer.interface, f->answer.protocol, f->answer.name, true,
                                f->answer.local};
        if (f->state != WANTED)
            continue;
        f->resolver.on_answer = on_answer;
        set_state(f, RESOLVING);
        if (s->backend->ops->resolve(s->backend, &f->resolver, &what) == 0) {
            s->n_resolvers++;
            continue;
        }
        set_state(f, FAILED);
        break; /* if the daemon hangs, each call takes 25 s: look at our orders in between */
    }
}

/* Somebody else is there, all that were found have answered, and no more come. Nobody so far: the
 * loop's deadline decides. (ALL_FOR_NOW, after a second, would be too early: a responder that has
 * just announced itself answers only the second question.) */
static bool heard_enough(const struct seek *s, int64_t now_ms) {
    bool others = false;

    for (const struct found *f = s->services; f; f = f->next) {
        if (f->state == WANTED || f->state == RESOLVING)
            return false;
        others |= !f->answer.local;
    }
    return others && now_ms - s->heard_ms >= QUIET_MS;
}

static void check_settled(struct seek *s, int64_t now_ms) {
    struct answer none = {0};

    if (s->settled || !heard_enough(s, now_ms))
        return;
    s->settled = true;
    post(s, MDNS_SETTLED, &none);
}

static void check_sweep(struct seek *s, int64_t now_ms) {
    struct answer a = {.generation = s->generation};

    if (now_ms < s->sweep_ms)
        return;
    s->sweep_ms = INT64_MAX;
    post(s, MDNS_SWEEP, &a);
}

/* Not all: only those that no open resolver watches. */
static void refresh_services(struct seek *s, int64_t now_ms, bool all) {
    s->refresh_ms = now_ms + REFRESH_MS;
    for (struct found *f = s->services; f; f = f->next)
        if (f->state == KNOWN || f->state == FAILED || (all && is_open(f) && f->state != RESOLVING))
            set_state(f, WANTED);
}

static int64_t min_ms(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t next_ms(const struct seek *s, int64_t now_ms) {
    int64_t next = min_ms(s->sweep_ms, s->refresh_ms);

    if (!s->settled && now_ms < s->heard_ms + QUIET_MS)
        next = min_ms(next, s->heard_ms + QUIET_MS);
    for (const struct found *f = s->services; f; f = f->next) {
        if (f->state == RESOLVING)
            next = min_ms(next, f->since_ms + RESOLVE_MS);
        else if (f->state == ANSWERED)
            next = min_ms(next, f->since_ms + MORE_MS);
        else if (f->state == WATCHED)
            next = min_ms(next, f->again_ms);
        else if (f->state == WANTED && s->n_resolvers < SEEK_RESOLVERS)
            next = 0;
    }
    return next;
}

static int64_t step(void *state, int64_t now_ms, bool refresh) {
    struct seek *s = state;

    if (!s->backend)
        return INT64_MAX;
    if (refresh || now_ms >= s->refresh_ms)
        refresh_services(s, now_ms, refresh);
    if (tend_all(s, now_ms) > 0)
        start_resolvers(s);
    check_settled(s, now_ms);
    check_sweep(s, now_ms);
    return next_ms(s, now_ms);
}

const struct mdns_role seek_role = {
    .needs = BACKEND_STARTING,
    .up = up,
    .down = down,
    .step = step,
    .free = seek_free,
};
