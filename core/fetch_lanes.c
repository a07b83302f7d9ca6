/* SPDX-License-Identifier: MIT */
/*
 * fetch_lanes -- connections to a source, and when there are several
 *
 * The TLS of one connection is one thread's work at each end: 1.3 GB/s (README, Speed). When each
 * connection brings `rate`, one more is dialled, to the same address and key; when all together
 * bring little, the last one is closed. Each extra one opens the selection anew, for which the
 * source looks at all of it; it brings chunks, and nothing else is asked for on it. They all go
 * when the first one is lost, the selection is opened anew, or everything is here. What they were
 * asked for goes back to the plan: nothing depends on them.
 */
#include "core/fetch_internal.h"

#define LOG_MODULE "fetch"
#include "core/err.h"
#include "core/log.h"

#include <string.h>

enum { ENTRIES_MAX = 100000 }; /* to look at, for one more */

const struct fetch_lane_rules fetch_lane_rules_default = {.rate = 600000000, .every_ms = 1000};

/* ---- one of them ---- */

uint16_t lane_next_req(struct lane *l) {
    if (++l->last_req == 0)
        l->last_req = 1;
    return l->last_req;
}

int lane_send_open(struct lane *l) {
    const char *path = l->source->spec.path;
    struct msg m = {.type = WIRE_OPEN, .req = lane_next_req(l)};

    m.open.path = (struct bytes){(const uint8_t *)path, strlen(path)};
    l->open = false;
    l->open_req = m.req;
    lane_answered(l);
    conn_expect(l->conn, true);
    return conn_send(l->conn, &m);
}

bool lane_owes(const struct lane *l) {
    if (!l->open)
        return true;
    for (unsigned i = 0; i < FETCH_ASKS; i++)
        if (l->asks[i].req)
            return true;
    return false;
}

void lane_forget(struct lane *l) {
    l->open = false;
    memset(l->asks, 0, sizeof l->asks);
    if (l->f->plan.state)
        plan_drop_source(&l->f->plan, l->index);
}

/* ---- the extra ones ---- */

static void close_last(struct fetch *f) {
    struct lane *l = &f->extra[--f->n_extra];

    dial_stop(l->dial);
    if (l->conn)
        conn_leave(l->conn, 0);
    lane_forget(l);
    l->dial = NULL;
    l->conn = NULL;
}

void fetch_lanes_close(struct fetch *f) {
    while (f->n_extra > 0)
        close_last(f);
    f->enough = false;
}

/* Those dialled after it go, too. */
static void fail(struct lane *l, int why, const char *text) {
    struct fetch *f = l->f;
    unsigned left = (unsigned)(l - f->extra);

    log_info("%s: no more connections than %u: %s", source_peer(l->source), 1 + left,
             text[0] ? text : err_text(why));
    while (f->n_extra > left)
        close_last(f);
    f->enough = true;
    fetch_pump(f);
}

static int on_opened(struct lane *l, const struct msg *m) {
    const struct catalog_totals *ours = catalog_totals(store_catalog(l->f->store));

    if (l->open || m->req != l->open_req)
        return WIRE_ERR(WIRE_PROTOCOL);
    if (memcmp(m->opened.id, ours->id, WIRE_ID_LEN) != 0) {
        fail(l, WIRE_ERR(WIRE_CHANGED), ""); /* the first one's is served still */
        return 0;
    }
    l->open = true;
    lane_answered(l);
    fetch_pump(l->f);
    return 0;
}

static int on_message(struct conn *c, const struct msg *m) {
    struct lane *l = conn_owner(c);

    switch (m->type) {
    case WIRE_OPENED:
        return on_opened(l, m);
    case WIRE_DATA:
        return fetch_on_data(l, m);
    case WIRE_ERROR:
        fail(l, err_of_code(m->error.code), "");
        return 0;
    default:
        return WIRE_ERR(WIRE_PROTOCOL);
    }
}

static void on_closed(struct conn *c, int why, const char *text) {
    struct lane *l = conn_owner(c);

    l->conn = NULL;
    fail(l, why ? why : WIRE_ERR(WIRE_SHUTDOWN), text);
}

static const struct conn_handler conn_events = {.on_message = on_message, .on_closed = on_closed};

static void on_dialled(void *owner, int why, const char *text, struct conn *c) {
    struct lane *l = owner;
    int err;

    l->dial = NULL;
    l->conn = c;
    if (!c) {
        fail(l, why, text);
        return;
    }
    conn_set_handler(c, &conn_events, l);
    err = lane_send_open(l);
    if (err < 0)
        fail(l, err, "");
}

static const struct dial_handler dial_events = {.on_done = on_dialled};

/* Where the first one leads. */
static int dial_next(struct fetch *f) {
    struct source *s = f->current;
    struct endpoint to = {.n_addrs = 1, .key_known = true};
    struct lane *l = &f->extra[f->n_extra];
    int err = conn_peer(s->lane.conn, &to.addrs[0]);

    if (err < 0)
        return err;
    memcpy(to.key, conn_key(s->lane.conn), KEY_LEN);
    *l = (struct lane){.f = f, .source = s, .index = FETCH_FIRST_EXTRA + f->n_extra};
    err = dial_start(&l->dial, f->env, &to, &dial_events, l);
    if (err == 0)
        f->n_extra++;
    return err;
}

/* ---- how many ---- */

static unsigned most(const struct fetch *f) {
    unsigned n = f->lane_rules.most ? f->lane_rules.most : crew_processors() / 2;

    if ((f->env->pacer && f->env->pacer->rate) || f->said.entries > ENTRIES_MAX)
        return 1;
    return n < FETCH_LANES_MAX ? n : FETCH_LANES_MAX;
}

/* One more if each brought its share, and as much again is left; one less if all together brought
 * not even half of what the last one was dialled for. */
static void adjust(struct fetch *f, uint64_t came, uint64_t in_ms) {
    uint64_t left = f->plan.count[PLAN_ABSENT] * WIRE_CHUNK_SIZE, rate = came * 1000 / in_ms;
    unsigned n = 1 + f->n_extra;

    if (!f->enough && n < most(f) && rate >= n * f->lane_rules.rate && left > came) {
        log_info("%s: connection %u", source_peer(f->current), n + 1);
        f->enough = dial_next(f) < 0;
    } else if (f->n_extra > 0 && (n > most(f) || rate < f->n_extra * f->lane_rules.rate / 2)) {
        close_last(f);
        fetch_pump(f);
    }
}

/* Moves their clocks. */
static struct lane *find_silent(struct fetch *f, uint64_t now) {
    for (unsigned i = 0; i < f->n_extra; i++) {
        struct lane *l = &f->extra[i];

        if (l->conn && lane_silent_ms(l, lane_owes(l), now) >= f->env->patience->pace)
            return l;
    }
    return NULL;
}

void fetch_lanes_tick(struct fetch *f, uint64_t now) {
    uint64_t gone = now - f->lanes_seen_ms, came = f->fetched - f->lanes_fetched;
    struct lane *silent = find_silent(f, now);

    if (silent)
        fail(silent, UV_ETIMEDOUT, "");
    if (gone < f->lane_rules.every_ms)
        return;
    f->lanes_seen_ms = now;
    f->lanes_fetched = f->fetched;
    if (f->phase == FETCH_RUNNING && f->current->lane.open)
        adjust(f, came, gone);
}
