/* SPDX-License-Identifier: MIT */
#include "core/fetch_internal.h"

#define LOG_MODULE "fetch"
#include "core/err.h"
#include "core/log.h"
#include "proto/name.h"

#include <stdio.h>
#include <string.h>

enum {
    BACKOFF_MIN_MS = 200,
    BACKOFF_MAX_MS = 5000,
    LOYAL_MS = 3000, /* so long a lost source is the only one that is dialled: another one has to
                        prove each chunk that is here, so it comes cheaper to wait a little */
};

const char *source_peer(const struct source *s) {
    if (s->spec.name[0])
        return s->spec.name;
    return s->spec.to.host[0] ? s->spec.to.host : "the peer";
}

/* Back-off with jitter: half of it is fixed, half depends on the clock's low bits. */
static void back_off(struct source *s) {
    uint64_t now = uv_now(s->f->env->loop);
    uint64_t half;

    s->backoff_ms = s->backoff_ms ? 2 * s->backoff_ms : BACKOFF_MIN_MS;
    if (s->backoff_ms > BACKOFF_MAX_MS)
        s->backoff_ms = BACKOFF_MAX_MS;
    half = s->backoff_ms / 2;
    s->retry_at_ms = now + half + uv_hrtime() / 1000 % (half + 1);
}

static void forget(struct source *s) {
    struct fetch *f = s->f;

    lane_forget(&s->lane);
    s->steps_req = 0;
    f->relist = false;
    if (s == f->current) {
        f->digests_left = 0;
        fetch_lanes_close(f);
    }
}

/* Dialling again would bring the same. */
static bool is_final(int why) {
    switch (why) {
    case WIRE_ERR(WIRE_PROTOCOL):
    case WIRE_ERR(WIRE_VERSION):
    case WIRE_ERR(WIRE_AUTH_REQUIRED):
    case WIRE_ERR(WIRE_AUTH_FAILED):
    case WIRE_ERR(WIRE_DENIED):
    case WIRE_ERR(WIRE_UNSUPPORTED):
    case ERR_KEY_CHANGED:
    case ERR_CODE_UNASKED:
    case ERR_CODE_UNPROVEN:
        return true;
    default:
        return false;
    }
}

static bool all_barred(const struct fetch *f) {
    for (unsigned i = 0; i < f->n_sources; i++)
        if (!f->sources[i].barred)
            return false;
    return true;
}

static void lost(struct source *s, int why, const char *text) {
    struct fetch *f = s->f;

    if (f->phase == FETCH_ENDING || f->phase == FETCH_COMMITTING)
        return;
    forget(s);
    back_off(s);
    s->barred = is_final(why);
    if (s->barred)
        s->retry_at_ms = UINT64_MAX;
    f->why = why;
    snprintf(f->text, sizeof f->text, "%s", text[0] ? text : err_text(why));
    log_info("%s: lost: %s", source_peer(s), f->text);
    fetch_say(f,
              (struct fetch_event){.kind = FETCH_SOURCE, .peer = source_peer(s), .text = f->text});
    if (f->phase == FETCH_ENDING) /* stopped by whoever was told */
        return;
    if (s == f->current && f->phase != FETCH_RUNNING)
        f->phase = FETCH_CONNECTING;
    if (all_barred(f))
        fetch_end(f, why, "%s: %s", source_peer(s), f->text);
}

/* The answer to OPEN is no. Without another source to ask, and unless it is only busy, that is the
 * end. */
static void on_refused(struct source *s, int why) {
    struct fetch *f = s->f;

    s->refused = why;
    conn_close(s->lane.conn, 0);
    if (f->n_sources > 1 || why == WIRE_ERR(WIRE_BUSY))
        return;
    if (why == WIRE_ERR(WIRE_NOT_FOUND))
        fetch_end(f, why, "%s no longer has %s%s", source_peer(s), f->shown,
                  f->store ? "; what arrived of it is kept" : "");
    else
        fetch_end(f, why, "%s: %s: %s", source_peer(s), f->shown, err_text(why));
}

static int on_message(struct conn *c, const struct msg *m) {
    struct source *s = conn_owner(c);

    if (s->f->phase == FETCH_ENDING || s->f->phase == FETCH_COMMITTING)
        return 0;
    switch (m->type) {
    case WIRE_OPENED:
        return fetch_on_opened(s, m);
    case WIRE_MANIFEST:
        return fetch_on_manifest(s, m);
    case WIRE_DATA:
        return fetch_on_data(&s->lane, m);
    case WIRE_DIGEST:
        return fetch_on_digest(s, m);
    case WIRE_INFO:
        return fetch_on_info(s, m);
    case WIRE_ERROR:
        on_refused(s, err_of_code(m->error.code));
        return 0;
    default:
        return WIRE_ERR(WIRE_PROTOCOL);
    }
}

static void on_closed(struct conn *c, int why, const char *text) {
    struct source *s = conn_owner(c);

    s->lane.conn = NULL;
    s->lost_at_ms = s->too_slow ? 0 : uv_now(s->f->env->loop); /* 0: whoever is there, rather */
    if (s->too_slow)
        text = "it was asked, and next to nothing came";
    if (why == 0)
        why = s->refused ? s->refused : WIRE_ERR(WIRE_SHUTDOWN);
    s->refused = 0;
    if (s->too_slow)
        s->backoff_ms = BACKOFF_MAX_MS;
    s->too_slow = false;
    lost(s, why, text);
    fetch_free_if_down(s->f);
}

static const struct conn_handler conn_events = {.on_message = on_message, .on_closed = on_closed};

static void end_untrusted(struct source *s, const uint8_t known[static KEY_LEN]) {
    char was[KEY_TEXT_LEN + 1], is[KEY_TEXT_LEN + 1], name[4 * sizeof s->spec.name];

    key_text(known, was);
    key_text(conn_key(s->lane.conn), is);
    fetch_end(s->f, ERR_KEY_CHANGED,
              "the key of %s has changed. It may be a new installation, or somebody else who took "
              "its name.\n  known: %s\n  now:   %s\nIf you are sure that it is %s: lanyard trust "
              "forget %s",
              source_peer(s), was, is, source_peer(s),
              name_quote(source_peer(s), name, sizeof name));
}

/* Is it who it was before, and who is known under its name? Pins it at first sight. */
static bool trusted(struct source *s) {
    struct fetch *f = s->f;
    uint8_t known[KEY_LEN];
    int err;

    if (!s->spec.name[0])
        snprintf(s->spec.name, sizeof s->spec.name, "%s", conn_name(s->lane.conn));
    err = trust_check(f->trust, s->spec.name, conn_key(s->lane.conn), known);
    if (err == ERR_KEY_CHANGED)
        end_untrusted(s, known);
    if (err < 0)
        return false;
    if (err == TRUST_NEW)
        err = trust_add(f->trust, s->spec.name, conn_key(s->lane.conn));
    if (err < 0)
        log_warn("%s: its key could not be remembered: %s", source_peer(s), err_text(err));
    memcpy(s->spec.to.key, conn_key(s->lane.conn), KEY_LEN);
    s->spec.to.key_known = true;
    return true;
}

static void begin(struct source *s) {
    if (!trusted(s)) {
        conn_close(s->lane.conn, 0);
        return;
    }
    fetch_say(s->f, (struct fetch_event){.kind = FETCH_SOURCE,
                                         .peer = source_peer(s),
                                         .text = conn_addr(s->lane.conn)});
    fetch_open(s->f);
}

static void on_dialled(void *owner, int why, const char *text, struct conn *c) {
    struct source *s = owner;

    s->lane.dial = NULL;
    if (!c) {
        lost(s, why, text);
        return;
    }
    s->lane.conn = c;
    conn_set_handler(c, &conn_events, s);
    begin(s);
}

static const struct dial_handler dial_events = {.on_done = on_dialled};

static void start_dial(struct source *s) {
    int err = dial_start(&s->lane.dial, s->f->env, &s->spec.to, &dial_events, s);

    if (err < 0)
        lost(s, err, "");
}

void source_close(struct source *s, int why) {
    dial_stop(s->lane.dial);
    s->lane.dial = NULL;
    if (s->lane.conn)
        conn_close(s->lane.conn, why);
}

/* Who is dialled next, now that nobody is connected: the lost one for a while, then whoever may be
 * tried first. */
static struct source *next_source(struct fetch *f, uint64_t now) {
    struct source *best = f->current;

    if (best->lost_at_ms && now - best->lost_at_ms < LOYAL_MS && f->store)
        return best;
    for (unsigned i = 0; i < f->n_sources; i++)
        if (f->sources[i].retry_at_ms < best->retry_at_ms)
            best = &f->sources[i];
    return best;
}

void source_tick(struct fetch *f, uint64_t now) {
    struct source *s = f->current;

    if (s->lane.conn && s->lane.last_req == 0) /* adopted, and nothing was ever asked of it */
        begin(s);
    if (s->lane.conn || s->lane.dial)
        return;
    s = next_source(f, now);
    if (s->retry_at_ms > now)
        return;
    f->current = s;
    start_dial(s);
}

/* The tick goes on with it: nobody is called back from in here. */
void fetch_adopt(struct fetch *f, struct conn *c) {
    struct source *s = f->current;

    if (!c)
        return;
    s->lane.conn = c;
    conn_set_handler(c, &conn_events, s);
}

void fetch_offer(struct fetch *f, const struct endpoint *to) {
    for (unsigned i = 0; i < f->n_sources; i++) {
        struct source *s = &f->sources[i];

        if (!s->spec.to.key_known || !to->key_known ||
            memcmp(s->spec.to.key, to->key, KEY_LEN) != 0 || s->barred)
            continue;
        s->spec.to.n_addrs = to->n_addrs;
        memcpy(s->spec.to.addrs, to->addrs, sizeof to->addrs);
        if (!s->lane.conn && !s->lane.dial)
            s->retry_at_ms = 0;
    }
}
