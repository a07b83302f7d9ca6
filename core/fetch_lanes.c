/* SPDX-License-Identifier: MIT */
/*
 * fetch_lanes -- more connections to the source that we take from
 *
 * What comes over one connection is encrypted by one thread and decrypted by one, which do 1 to
 * 1.5 GB/s. Where the network, the disks and other processors do more, those two would be the wall.
 * So each `rate` that arrives is worth one more lane, to the same address and the same key, which
 * gives chunks of the same selection and nothing else. What the lanes do not bring goes back to the
 * plan: the first one alone decides how the download goes on.
 */
#include "core/fetch_internal.h"

#define LOG_MODULE "fetch"
#include "core/err.h"
#include "core/log.h"

#include <string.h>

const struct fetch_lanes fetch_lanes_default = {.rate = 600000000, .every_ms = 1000};

static void close_last(struct fetch *f, int why) {
    struct lane *l = &f->more[--f->n_more];

    dial_stop(l->dial);
    if (l->conn)
        conn_leave(l->conn, why);
    lane_forget(l);
    l->dial = NULL;
    l->conn = NULL;
}

void fetch_lanes_close(struct fetch *f) {
    while (f->n_more > 0)
        close_last(f, 0);
    f->one_lane = false;
}

/* Whatever it is: the first lane can do without the others. */
static void fail(struct lane *l, int why, const char *text) {
    struct fetch *f = l->f;

    log_info("%s: no more connections beside the first: %s", source_peer(l->source),
             text[0] ? text : err_text(why));
    fetch_lanes_close(f);
    f->one_lane = true;
    fetch_pump(f);
}

/* ---- one of them ---- */

static int on_opened(struct lane *l, const struct msg *m) {
    const struct catalog_totals *ours = catalog_totals(store_catalog(l->f->store));

    if (l->open || m->req != l->open_req)
        return WIRE_ERR(WIRE_PROTOCOL);
    if (memcmp(m->opened.id, ours->id, WIRE_ID_LEN) != 0)
        return WIRE_ERR(WIRE_CHANGED); /* which the first lane will see, too */
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
        return err_of_code(m->error.code);
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
    err = lane_open(l);
    if (err < 0)
        fail(l, err, "");
}

static const struct dial_handler dial_events = {.on_done = on_dialled};

/* Where the first one leads. */
static int open_next(struct fetch *f) {
    struct source *s = f->current;
    struct endpoint to = {.n_addrs = 1, .key_known = true};
    struct lane *l = &f->more[f->n_more];
    int err = conn_peer(s->lane.conn, &to.addrs[0]);

    if (err < 0)
        return err;
    memcpy(to.key, conn_key(s->lane.conn), KEY_LEN);
    *l = (struct lane){.f = f, .source = s, .index = FETCH_LANE + f->n_more};
    err = dial_start(&l->dial, f->env, &to, &dial_events, l);
    if (err < 0)
        return err;
    lane_answered(l);
    f->n_more++;
    return 0;
}

/* ---- how many ---- */

static unsigned most(const struct fetch *f) {
    unsigned n = f->lanes.most ? f->lanes.most : crew_processors() / 2;

    if (f->one_lane || (f->env->pacer && f->env->pacer->rate))
        return 1;
    return n < FETCH_LANES_MAX ? n : FETCH_LANES_MAX;
}

/* One more if each brought its share, and as much again is left; one less if they brought not even
 * half of it. */
static void adjust(struct fetch *f, uint64_t came, uint64_t in_ms) {
    uint64_t left = f->plan.count[PLAN_ABSENT] * WIRE_CHUNK_SIZE, rate = came * 1000 / in_ms;
    unsigned n = 1 + f->n_more;

    if (n < most(f) && rate >= n * f->lanes.rate && left > came) {
        log_info("%s: connection %u", source_peer(f->current), n + 1);
        if (open_next(f) < 0)
            f->one_lane = true;
    } else if (f->n_more > 0 && (n > most(f) || rate < f->n_more * f->lanes.rate / 2)) {
        close_last(f, 0);
        fetch_pump(f);
    }
}

static struct lane *find_silent(struct fetch *f, uint64_t now) {
    for (unsigned i = 0; i < f->n_more; i++) {
        struct lane *l = &f->more[i];

        if (l->conn && lane_owing(l, lane_owes(l), now) >= f->env->patience->pace)
            return l;
    }
    return NULL;
}

void fetch_lanes_tick(struct fetch *f, uint64_t now) {
    uint64_t gone = now - f->lanes_seen_ms, came = f->fetched - f->lanes_fetched;
    struct lane *silent = find_silent(f, now);

    if (silent)
        fail(silent, UV_ETIMEDOUT, "");
    if (gone < f->lanes.every_ms)
        return;
    f->lanes_seen_ms = now;
    f->lanes_fetched = f->fetched;
    if (f->phase == FETCH_RUNNING && f->current->lane.open)
        adjust(f, came, gone);
}
