/* SPDX-License-Identifier: MIT */
#include "discovery/answers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct answers_entry {
    struct answer answer;
    uint64_t changed; /* the clock then */
};

/* An address on its way into a snapshot. */
struct candidate {
    const struct answer_addr *addr;
    uint64_t changed;
};

void answers_init(struct answers *r) { memset(r, 0, sizeof(*r)); }

void answers_clear(struct answers *r) {
    free(r->entries);
    free(r->peers);
    answers_init(r);
}

static struct answers_entry *find(const struct answers *r, const struct answer *like) {
    for (unsigned i = 0; i < r->n_entries; i++) {
        struct answer *a = &r->entries[i].answer;
        if (a->interface == like->interface && a->protocol == like->protocol &&
            strcmp(a->name, like->name) == 0)
            return &r->entries[i];
    }
    return NULL;
}

static bool belongs(const struct answer *a, const struct answers_peer *p) {
    if (a->txt.id[0] || p->id[0])
        return strcmp(a->txt.id, p->id) == 0;
    return strcmp(a->name, p->name) == 0;
}

static struct answers_peer *find_peer(const struct answers *r, const struct answer *a) {
    for (unsigned i = 0; i < r->n_peers; i++)
        if (belongs(a, &r->peers[i]))
            return &r->peers[i];
    return NULL;
}

static socklen_t addr_len(const struct answer_addr *a) {
    return a->any.sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6);
}

static bool same_addr(const struct answer_addr *a, const struct answer_addr *b) {
    return a->any.sa_family == b->any.sa_family && memcmp(&a->any, &b->any, addr_len(a)) == 0;
}

/* Best rank first, IPv4 before IPv6 within it, then the younger one. */
static bool goes_before(const struct candidate *a, const struct candidate *b) {
    if (a->addr->rank != b->addr->rank)
        return a->addr->rank < b->addr->rank;
    if (a->addr->any.sa_family != b->addr->any.sa_family)
        return a->addr->any.sa_family == AF_INET;
    return a->changed > b->changed;
}

/* Inserts into a list that is sorted, free of doubles, and keeps the best PEER_ADDRS_MAX. */
static unsigned insert(struct candidate *list, unsigned n, const struct candidate *c) {
    unsigned at = 0, gap = n;

    for (unsigned i = 0; i < n; i++)
        if (same_addr(list[i].addr, c->addr))
            gap = i;
    while (at < n && !goes_before(c, &list[at]))
        at++;
    if (gap < at || at == PEER_ADDRS_MAX)
        return n;
    if (gap == n && n < PEER_ADDRS_MAX)
        n++;
    else if (gap == n)
        gap = n - 1;
    memmove(&list[at + 1], &list[at], (gap - at) * sizeof(*list));
    list[at] = *c;
    return n;
}

static uint16_t addr_port(const struct answer_addr *a) {
    return ntohs(a->any.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

/* Merges all answers of a peer. Returns how many there are. */
static unsigned snapshot(const struct answers *r, const struct answers_peer *who, struct peer *p) {
    struct candidate list[PEER_ADDRS_MAX];
    unsigned n_answers = 0;

    memset(p, 0, sizeof(*p));
    memcpy(p->name, who->name, sizeof(p->name));
    memcpy(p->id, who->id, sizeof(p->id));
    for (unsigned i = 0; i < r->n_entries; i++) {
        const struct answers_entry *e = &r->entries[i];
        if (!belongs(&e->answer, who))
            continue;
        if (n_answers++ == 0)
            memcpy(p->name, e->answer.name, sizeof(p->name));
        if (!p->version[0])
            memcpy(p->version, e->answer.txt.version, sizeof(p->version));
        p->local |= e->answer.local;
        for (unsigned k = 0; k < e->answer.n_addrs; k++) {
            struct candidate c = {&e->answer.addrs[k], e->changed};
            p->n_addrs = insert(list, p->n_addrs, &c);
        }
    }
    for (unsigned i = 0; i < p->n_addrs; i++)
        memcpy(&p->addrs[i], &list[i].addr->any, addr_len(list[i].addr));
    if (p->n_addrs)
        p->port = addr_port(list[0].addr);
    return n_answers;
}

/* Makes room for one more element of an array. */
static int reserve(void **array, unsigned n, unsigned *cap, size_t size) {
    unsigned more = *cap ? *cap * 2 : 16;
    void *p;

    if (n < *cap)
        return 0;
    p = realloc(*array, more * size);
    if (!p)
        return -ENOMEM;
    *array = p;
    *cap = more;
    return 0;
}

static int touch_peer(struct answers *r, const struct answer *a) {
    struct answers_peer *p = find_peer(r, a);
    int err;

    if (!p) {
        if (r->n_peers == ANSWERS_PEERS_MAX)
            return -ENOSPC;
        err = reserve((void **)&r->peers, r->n_peers, &r->cap_peers, sizeof(*p));
        if (err)
            return err;
        p = &r->peers[r->n_peers++];
        memset(p, 0, sizeof(*p));
        memcpy(p->name, a->name, sizeof(p->name));
        memcpy(p->id, a->txt.id, sizeof(p->id));
    }
    p->touched = true;
    return 0;
}

static int append(struct answers *r, const struct answer *a) {
    int err;

    if (r->n_entries == ANSWERS_MAX)
        return -ENOSPC;
    err = reserve((void **)&r->entries, r->n_entries, &r->cap_entries, sizeof(*r->entries));
    if (err)
        return err;
    memcpy(&r->entries[r->n_entries].answer, a, sizeof(*a));
    r->entries[r->n_entries++].changed = ++r->clock;
    return 0;
}

int answers_put(struct answers *r, const struct answer *a) {
    struct answers_entry *e = find(r, a);
    int err = touch_peer(r, a);

    if (err)
        return err;
    if (!e)
        return append(r, a);
    touch_peer(r, &e->answer); /* it may have been another one; it is known, so it cannot fail */
    e->answer.generation = a->generation;
    if (memcmp(&e->answer, a, sizeof(*a)) != 0)
        e->changed = ++r->clock;
    memcpy(&e->answer, a, sizeof(*a)); /* not `=`: it need not copy padding */
    return 0;
}

void answers_drop(struct answers *r, const struct answer *like) {
    struct answers_entry *e = find(r, like);

    if (!e)
        return;
    touch_peer(r, &e->answer);
    memmove(e, e + 1, (size_t)(&r->entries[r->n_entries] - (e + 1)) * sizeof(*e));
    r->n_entries--;
}

void answers_sweep(struct answers *r, unsigned generation) {
    unsigned n = 0;

    for (unsigned i = 0; i < r->n_entries; i++) {
        if (r->entries[i].answer.generation < generation)
            touch_peer(r, &r->entries[i].answer);
        else
            memmove(&r->entries[n++], &r->entries[i], sizeof(*r->entries));
    }
    r->n_entries = n;
}

/* FNV-1a, never 0. */
static uint64_t fingerprint(const struct peer *p) {
    const unsigned char *bytes = (const unsigned char *)p;
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < sizeof(*p); i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash ? hash : 1;
}

/* What became of a peer that was touched. */
static int look(const struct answers *r, struct answers_peer *who, struct peer *p) {
    uint64_t now;

    who->touched = false;
    if (snapshot(r, who, p) == 0)
        return ANSWERS_GONE;
    now = fingerprint(p);
    if (now == who->fingerprint)
        return 0;
    who->fingerprint = now;
    memcpy(who->name, p->name, sizeof(p->name));
    return ANSWERS_CHANGED;
}

int answers_next(struct answers *r, struct peer *p) {
    unsigned i = 0;

    while (i < r->n_peers) {
        struct answers_peer *who = &r->peers[i];
        int change = who->touched ? look(r, who, p) : 0;
        if (change == ANSWERS_CHANGED)
            return change;
        if (change != ANSWERS_GONE) {
            i++;
            continue;
        }
        bool told = who->fingerprint != 0;
        *who = r->peers[--r->n_peers];
        if (told)
            return ANSWERS_GONE;
    }
    return 0;
}
