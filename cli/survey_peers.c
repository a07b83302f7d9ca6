/* SPDX-License-Identifier: MIT */
/* survey, the list of peers: by discovery, by --peer, by an address in a WHAT. */
#include "cli/survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The list is full: takes the place of one that discovery told of and that did not answer. */
static struct survey_peer *replace_peer(struct survey *r) {
    for (unsigned i = 0; i < r->n; i++) {
        struct survey_peer *p = r->all[i];

        if (p->origin != SURVEY_BROWSED || p->query || p->conn || p->shown ||
            !(p->state == SURVEY_FAILED || (p->gone && p->state == SURVEY_IDLE)))
            continue;
        *p = (struct survey_peer){.survey = r};
        return p;
    }
    return NULL;
}

static struct survey_peer *new_peer(struct survey *r) {
    struct survey_peer **all, *p;

    if (r->n == SURVEY_PEERS_MAX)
        return replace_peer(r);
    all = reallocarray(r->all, r->n + 1, sizeof *all);
    if (!all)
        return NULL;
    r->all = all;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->survey = r;
    all[r->n++] = p;
    return p;
}

static struct survey_peer *new_address(struct survey *r, const struct peer_spec *spec) {
    struct survey_peer *p = new_peer(r);

    if (!p)
        return NULL;
    snprintf(p->to.host, sizeof p->to.host, "%s", spec->host);
    p->to.port = spec->port;
    return p;
}

int survey_add(struct survey *r, const char *word) {
    struct peer_spec spec;
    struct survey_peer *p;

    if (what_parse_peer(&spec, word) != 0 || spec.host[0] == '\0')
        return -EINVAL;
    p = new_address(r, &spec);
    if (!p)
        return -ENOMEM;
    p->origin = SURVEY_ADDED;
    r->n_added++;
    return 0;
}

struct survey_peer *survey_peer_at(struct survey *r, const struct peer_spec *spec) {
    struct survey_peer *p;

    for (unsigned i = 0; i < r->n; i++) {
        p = r->all[i];
        if (p->origin == SURVEY_SPELT && p->to.port == spec->port &&
            strcmp(p->to.host, spec->host) == 0)
            return p;
    }
    p = new_address(r, spec);
    if (p)
        p->origin = SURVEY_SPELT;
    return p;
}

struct survey_peer *survey_peer_find(struct survey *r, const struct peer *seen) {
    for (unsigned i = 0; i < r->n; i++) {
        struct survey_peer *p = r->all[i];

        if (p->origin != SURVEY_BROWSED)
            continue;
        if (strcmp(p->seen_id, seen->id) == 0 && strcmp(p->seen_name, seen->name) == 0)
            return p;
    }
    return NULL;
}

static void set_endpoint(struct endpoint *to, const struct peer *seen) {
    *to = (struct endpoint){.port = seen->port};
    for (unsigned i = 0; i < seen->n_addrs && i < DIAL_ADDRS_MAX; i++)
        to->addrs[to->n_addrs++] = seen->addrs[i];
    to->key_known = key_parse(seen->id, to->key) == 0;
}

struct survey_peer *survey_peer_seen(struct survey *r, const struct peer *seen) {
    struct survey_peer *p = survey_peer_find(r, seen);

    if (!p)
        p = new_peer(r);
    if (!p)
        return NULL;
    snprintf(p->seen_name, sizeof p->seen_name, "%s", seen->name);
    snprintf(p->seen_id, sizeof p->seen_id, "%s", seen->id);
    set_endpoint(&p->to, seen);
    p->gone = false;
    p->fresh = true;
    return p;
}

bool survey_is_double(const struct survey *r, const struct survey_peer *p) {
    for (unsigned i = 0; i < r->n; i++) {
        const struct survey_peer *o = r->all[i];

        if (o != p && o->identified && o->state != SURVEY_LEFT_OUT && o->state != SURVEY_FAILED &&
            memcmp(o->key, p->key, KEY_LEN) == 0)
            return true;
    }
    return false;
}

unsigned survey_places(const struct survey *r) {
    uint64_t now = uv_now(r->client->loop);
    unsigned held = 0, open = SURVEY_OPEN_MAX - r->n_asked;

    for (unsigned i = 0; i < r->n; i++) {
        const struct survey_peer *p = r->all[i];

        held += p->state == SURVEY_ASKED && (p->identified || now - p->asked_ms < SURVEY_SLOW_MS);
    }
    if (held >= SURVEY_AT_ONCE)
        return 0;
    return open < SURVEY_AT_ONCE - held ? open : SURVEY_AT_ONCE - held;
}

bool survey_claims_known(const struct survey_peer *p) {
    const struct trust *known = &p->survey->client->trust;

    for (size_t i = 0; i < known->n && p->to.key_known; i++)
        if (memcmp(known->peers[i].key, p->to.key, KEY_LEN) == 0)
            return true;
    return false;
}
