/* SPDX-License-Identifier: MIT */
#include "core/fetch_internal.h"

#define LOG_MODULE "fetch"
#include "core/err.h"
#include "core/log.h"

#include <stdio.h>

enum {
    PACE_BYTES = 16 * 1024, /* of an answer: who brings less is as good as silent */
    STEPS_ASKS = 10,        /* questions whether it works on it, until a source is too slow */
    LATE_MS = 2000,         /* between two ticks: we slept, not the source */
};

void fetch_brought(struct fetch *f) {
    f->brought_ms = f->moved_ms = uv_now(f->env->loop);
    f->current->backoff_ms = 0;
}

/* The bytes of a chunk that arrives slowly, a page of the manifest, a walk that goes on: all these
 * can be had from a peer that never gives anything, so they count for a while only. */
void fetch_moved(struct fetch *f) {
    uint64_t now = uv_now(f->env->loop);

    if (now - f->brought_ms < f->env->patience->hope)
        f->moved_ms = now;
}

void lane_answered(struct lane *l) {
    l->owing_ms = uv_now(l->f->env->loop);
    l->answered = l->conn ? conn_answered(l->conn) : 0;
}

/* ---- work that takes long: a walk, a slow disk ---- */

static void ask_steps(struct source *s, uint64_t now) {
    uint64_t every = s->f->env->patience->pace / STEPS_ASKS;
    struct msg m = {.type = WIRE_INFO_GET};

    if (now - s->lane.owing_ms < every || now - s->steps_asked_ms < every || s->steps_req)
        return;
    s->steps_asked_ms = now;
    s->steps_req = m.req = lane_next_req(&s->lane);
    if (conn_send(s->lane.conn, &m) < 0)
        s->steps_req = 0; /* next time, perhaps */
}

int fetch_on_info(struct source *s, const struct msg *m) {
    if (m->req != s->steps_req || !s->steps_req)
        return WIRE_ERR(WIRE_PROTOCOL);
    s->steps_req = 0;
    if (m->info.steps == s->steps)
        return 0;
    s->steps = m->info.steps;
    lane_answered(&s->lane);
    fetch_moved(s->f);
    if (!s->lane.open)
        fetch_say(s->f, (struct fetch_event){
                            .kind = FETCH_WALK, .peer = source_peer(s), .walked = s->steps});
    return 0;
}

/* ---- a source that is too slow ---- */

uint64_t lane_silent_ms(struct lane *l, bool owes, uint64_t now) {
    bool moves = owes && conn_answered(l->conn) - l->answered >= PACE_BYTES;

    if (!owes || moves)
        lane_answered(l);
    if (moves)
        fetch_moved(l->f);
    return now - l->owing_ms;
}

static bool another_may_be_asked(const struct fetch *f, uint64_t now) {
    for (unsigned i = 0; i < f->n_sources; i++)
        if (&f->sources[i] != f->current && f->sources[i].retry_at_ms <= now)
            return true;
    return false;
}

static void check_pace(struct source *s, uint64_t now) {
    const struct patience *p = s->f->env->patience;
    unsigned limit = another_may_be_asked(s->f, now) ? p->elsewhere : p->pace;
    bool owes = lane_owes(&s->lane) || s->f->page_len || s->f->digests_left;

    if (lane_silent_ms(&s->lane, owes, now) >= limit) {
        log_info("%s: asked and nothing came for %u ms", source_peer(s), limit);
        s->too_slow = true;
        conn_close(s->lane.conn, UV_ETIMEDOUT);
    } else {
        ask_steps(s, now);
    }
}

/* ---- a limit ---- */

/* What was asked for and is not read waits in buffers of the source, which others need: no more of
 * it than comes in about a second, and a chunk. */
static uint64_t limit_of(const struct fetch *f) {
    const struct pacer *p = f->env->pacer;

    return p && p->rate ? p->rate : UINT64_MAX;
}

unsigned fetch_asks(const struct fetch *f) {
    uint64_t chunks = limit_of(f) / WIRE_CHUNK_SIZE;

    return chunks < 1 ? 1 : chunks < FETCH_ASKS ? (unsigned)chunks : FETCH_ASKS;
}

uint64_t fetch_get_bytes(const struct fetch *f) {
    uint64_t bytes = limit_of(f) / FETCH_ASKS;

    return bytes < FETCH_GET_BYTES ? bytes : FETCH_GET_BYTES;
}

/* ---- the clock ---- */

static void forgive_one(uint64_t *clock, uint64_t ms, uint64_t now) {
    *clock = *clock + ms < now ? *clock + ms : now;
}

/* Time in which our own disk worked, our limit held it up or we were stopped is not the
 * source's. */
static void forgive(struct fetch *f, uint64_t ms, uint64_t now) {
    forgive_one(&f->brought_ms, ms, now);
    forgive_one(&f->moved_ms, ms, now);
    forgive_one(&f->current->lane.owing_ms, ms, now);
    for (unsigned i = 0; i < f->n_extra; i++)
        forgive_one(&f->extra[i].owing_ms, ms, now);
}

/* Whoever took the address of a source never gets a request that was meant for it. */
static void give_up(struct fetch *f) {
    const char *peer = source_peer(f->current);

    if (f->why == ERR_KEY_OTHER)
        fetch_end(
            f, ERR_KEY_OTHER,
            "%s is gone, and another peer answers where it was (%s). When it is back, run the "
            "same command again to go on",
            peer, f->text);
    else
        fetch_end(f, ERR_STALLED,
                  "nothing arrived from %s for %llu s (%s). Run the same command again to go on",
                  peer, (unsigned long long)(f->timeout_ms / 1000),
                  f->why < 0 ? f->text : "it does not answer");
}

void fetch_check_pace(struct fetch *f, uint64_t now) {
    struct source *s = f->current;
    uint64_t gone = now - f->ticked_ms;

    f->ticked_ms = now;
    if (f->n_jobs || gone > LATE_MS || pacer_is_ahead(f->env->pacer, conn_env_now_ns(f->env)))
        forgive(f, gone, now);
    if (s->lane.conn)
        check_pace(s, now);
    if (now - f->moved_ms > f->timeout_ms)
        give_up(f);
}
