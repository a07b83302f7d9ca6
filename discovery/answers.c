/* SPDX-License-Identifier: MIT */
#include "discovery/answers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct answers_entry {
    uint32_t key, who; /* hashes of which answer it is, and whose */
    uint64_t changed;  /* the clock then */
    struct answer answer;
};

/* An address on its way into a snapshot. */
struct candidate {
    const struct answer_addr *addr;
    uint64_t changed;
};

void answers_init(struct answers *all) { memset(all, 0, sizeof(*all)); }

void answers_clear(struct answers *all) {
    free(all->entries);
    free(all->peers);
    answers_init(all);
}

static uint64_t hash(uint64_t seed, const void *bytes, size_t len) { /* FNV-1a */
    const unsigned char *b = bytes;

    for (size_t i = 0; i < len; i++)
        seed = (seed ^ b[i]) * 0x100000001b3;
    return seed;
}

static const uint64_t HASH_SEED = 0xcbf29ce484222325;

/* The hashes only save comparisons: thousands of answers are a flood, but must not be a stop. */
static uint32_t key_of(const struct answer *a) {
    uint64_t seed = HASH_SEED ^ (uint64_t)a->interface << 8 ^ (uint64_t)a->protocol;

    return (uint32_t)hash(seed, a->name, strlen(a->name));
}

static uint32_t who_of(const char *id, const char *name) {
    return (uint32_t)hash(hash(HASH_SEED, id, strlen(id)), name, strlen(name));
}

static struct answers_entry *find(const struct answers *all, const struct answer *like) {
    uint32_t key = key_of(like);

    for (unsigned i = 0; i < all->n_entries; i++) {
        struct answer *a = &all->entries[i].answer;
        if (all->entries[i].key == key && a->interface == like->interface &&
            a->protocol == like->protocol && strcmp(a->name, like->name) == 0)
            return &all->entries[i];
    }
    return NULL;
}

static bool belongs(const struct answer *a, const struct answers_peer *p) {
    return strcmp(a->txt.id, p->id) == 0 && strcmp(a->name, p->name) == 0;
}

static struct answers_peer *find_peer(const struct answers *all, const struct answer *a) {
    uint32_t who = who_of(a->txt.id, a->name);

    for (unsigned i = 0; i < all->n_peers; i++)
        if (all->peers[i].who == who && belongs(a, &all->peers[i]))
            return &all->peers[i];
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

uint16_t answer_port(const struct answer_addr *a) {
    return ntohs(a->any.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

/* Merges all answers of a peer. Returns how many there are. */
static unsigned snapshot(const struct answers *all, const struct answers_peer *who,
                         struct peer *p) {
    struct candidate list[PEER_ADDRS_MAX];
    unsigned n_answers = 0;

    memset(p, 0, sizeof(*p));
    memcpy(p->name, who->name, sizeof(p->name));
    memcpy(p->id, who->id, sizeof(p->id));
    for (unsigned i = 0; i < all->n_entries; i++) {
        const struct answers_entry *e = &all->entries[i];
        if (e->who != who->who || !belongs(&e->answer, who))
            continue;
        n_answers++;
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
        p->port = answer_port(list[0].addr);
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

static int touch_peer(struct answers *all, const struct answer *a) {
    struct answers_peer *p = find_peer(all, a);
    int err;

    if (!p) {
        if (all->n_peers == ANSWERS_PEERS_MAX)
            return -ENOSPC;
        err = reserve((void **)&all->peers, all->n_peers, &all->cap_peers, sizeof(*p));
        if (err)
            return err;
        p = &all->peers[all->n_peers++];
        memset(p, 0, sizeof(*p));
        p->who = who_of(a->txt.id, a->name);
        memcpy(p->name, a->name, sizeof(p->name));
        memcpy(p->id, a->txt.id, sizeof(p->id));
    }
    p->touched = true;
    return 0;
}

static int append(struct answers *all) {
    int err;

    if (all->n_entries == ANSWERS_MAX)
        return -ENOSPC;
    err = reserve((void **)&all->entries, all->n_entries, &all->cap_entries, sizeof(*all->entries));
    if (err)
        return err;
    memset(&all->entries[all->n_entries++], 0, sizeof(*all->entries));
    return 0;
}

int answers_put(struct answers *all, const struct answer *a) {
    struct answers_entry *e = find(all, a);
    int err = touch_peer(all, a);

    if (err)
        return err;
    if (e) {
        touch_peer(all, &e->answer); /* may have been another one; it is known: no error */
        e->answer.generation = a->generation;
    } else {
        err = append(all);
        if (err)
            return err;
        e = &all->entries[all->n_entries - 1];
    }
    if (memcmp(&e->answer, a, sizeof(*a)) != 0)
        e->changed = ++all->clock;
    e->key = key_of(a);
    e->who = who_of(a->txt.id, a->name);
    memcpy(&e->answer, a, sizeof(*a)); /* not `=`: it need not copy padding */
    return 0;
}

void answers_drop(struct answers *all, const struct answer *like) {
    struct answers_entry *e = find(all, like);

    if (!e)
        return;
    touch_peer(all, &e->answer);
    memmove(e, e + 1, (size_t)(&all->entries[all->n_entries] - (e + 1)) * sizeof(*e));
    all->n_entries--;
}

void answers_sweep(struct answers *all, unsigned generation) {
    unsigned n = 0;

    for (unsigned i = 0; i < all->n_entries; i++) {
        if (all->entries[i].answer.generation < generation)
            touch_peer(all, &all->entries[i].answer);
        else
            memmove(&all->entries[n++], &all->entries[i], sizeof(*all->entries));
    }
    all->n_entries = n;
}

/* What became of a peer that was touched. */
static int look(const struct answers *all, struct answers_peer *who, struct peer *p) {
    uint64_t now;

    who->touched = false;
    if (snapshot(all, who, p) == 0)
        return ANSWERS_GONE;
    now = hash(HASH_SEED, p, sizeof(*p)) | 1;
    if (now == who->fingerprint)
        return 0;
    who->fingerprint = now;
    return ANSWERS_CHANGED;
}

int answers_next(struct answers *all, struct peer *p) {
    unsigned i = 0;

    while (i < all->n_peers) {
        struct answers_peer *who = &all->peers[i];
        int change = who->touched ? look(all, who, p) : 0;
        if (change == ANSWERS_CHANGED)
            return change;
        if (change != ANSWERS_GONE) {
            i++;
            continue;
        }
        bool told = who->fingerprint != 0;
        *who = all->peers[--all->n_peers];
        if (told)
            return ANSWERS_GONE;
    }
    return 0;
}
