/* SPDX-License-Identifier: MIT */
#include "cli/survey.h"

#include "core/err.h"
#include "proto/name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MODULE "survey"
#include "core/log.h"

enum { TRIES_MAX = 3 };

static void pump(struct survey *r);

void survey_init(struct survey *r, struct client *c) {
    *r = (struct survey){.client = c, .browse_closed = true};
    uv_timer_init(c->loop, &r->deadline);
    uv_timer_init(c->loop, &r->patience);
    uv_timer_init(c->loop, &r->turn);
}

/* ---- who is asked ---- */

static bool wanted(const struct survey *r, const struct survey_peer *p) {
    const struct survey_question *q = r->question;
    char shown[4 * PEER_NAME_LEN + 1];

    if (r->spelt)
        return p == r->spelt;
    if (r->n_added > 0)
        return p->origin == SURVEY_ADDED;
    if (p->origin != SURVEY_BROWSED || p->gone)
        return false;
    if (!q->only)
        return true;
    name_show(p->seen_name, strlen(p->seen_name), shown, sizeof shown);
    return what_matches(q->only, shown, p->seen_id[0] ? p->seen_id : q->only->id);
}

static void give_up(struct survey_peer *p) {
    if (p->state == SURVEY_ASKED || p->state == SURVEY_WAITING) {
        p->state = SURVEY_FAILED;
        p->why = UV_ETIMEDOUT;
    }
    if (p->query)
        p->survey->n_asked--;
    query_stop(p->query);
    p->query = NULL;
}

static void check_done(struct survey *r) {
    unsigned open = 0, answered = 0;

    for (unsigned i = 0; i < r->n; i++) {
        open += r->all[i]->state == SURVEY_WAITING || r->all[i]->state == SURVEY_ASKED;
        answered += r->all[i]->state == SURVEY_ANSWERED || r->all[i]->state == SURVEY_REFUSED;
    }
    if (open > 0)
        return;
    if (r->late || r->spelt || r->n_added > 0)
        r->done = true;
    else if (r->question->only && answered > 0)
        r->done = true;
    else if (r->settled && (answered > 0 || !r->patient))
        r->done = true;
}

/* Whoever cannot be reached is given up; who is there may finish its answer. */
static void on_deadline(uv_timer_t *timer) {
    struct survey *r = timer->data;
    unsigned working = 0;

    for (unsigned i = 0; i < r->n; i++)
        working += r->all[i]->state == SURVEY_ASKED && r->all[i]->identified;
    if (working == 0 || r->question->answer_ms == 0) {
        r->done = true;
        return;
    }
    for (unsigned i = 0; i < r->n; i++)
        if (!r->all[i]->identified)
            give_up(r->all[i]);
    r->late = true;
    if (isatty(STDERR_FILENO))
        note("Still waiting for the answers of %u; Ctrl-C ends it.", working);
}

static void on_patience(uv_timer_t *timer) {
    struct survey *r = timer->data;

    r->patient = false;
    check_done(r);
}

/* ---- one peer's answer ---- */

static bool is_ours(const struct survey *r, const struct survey_peer *p) {
    return p->origin == SURVEY_BROWSED && memcmp(p->key, r->client->app->id.key, KEY_LEN) == 0;
}

/* Is it who it was before? `only` may have become the host of its name, which anybody can be: if
 * the name is a known peer's, it is that peer that is meant. */
static void check_key(struct survey_peer *p, const struct trust *known,
                      const struct peer_spec *only) {
    p->trust = trust_check(known, p->name, p->key, p->known_key);
    if (p->trust < 0 || !only || only->kind != PEER_ADDR || !only->name[0] ||
        trust_check(known, only->name, p->key, p->known_key) >= 0)
        return;
    p->trust = ERR_KEY_CHANGED;
    snprintf(p->name, sizeof p->name, "%s", only->name); /* a host's name: nothing to escape */
}

/* Once per question, as soon as it is known who is there. */
static void identify(struct survey_peer *p, const struct query_peer *who) {
    struct survey *r = p->survey;
    const struct peer_spec *only = r->question->only;

    if (p->identified)
        return;
    memcpy(p->key, who->key, KEY_LEN);
    key_text(p->key, p->key_text);
    snprintf(p->name, sizeof p->name, "%s", who->name);
    snprintf(p->software, sizeof p->software, "%s", who->software);
    snprintf(p->addr, sizeof p->addr, "%s", who->addr);
    p->identified = true;
    check_key(p, &r->client->trust, only);
    if (is_ours(r, p) || survey_is_double(r, p) ||
        (only && only->kind == PEER_NAME && !what_matches(only, p->name, p->key_text)))
        p->state = SURVEY_LEFT_OUT;
    else if (p->trust < 0 && !r->question->any_key)
        p->state = SURVEY_REFUSED;
}

static void on_open(void *owner, const struct query_peer *who) {
    struct survey_peer *p = owner;

    identify(p, who);
    if (p->state == SURVEY_ASKED)
        return;
    give_up(p); /* we do not want its answer */
    pump(p->survey);
}

static void on_row(void *owner, const struct query_peer *who, const struct wire_entry *e) {
    struct survey_peer *p = owner;
    const struct survey_question *q = p->survey->question;

    identify(p, who);
    if (p->state != SURVEY_ASKED)
        return;
    if (q->on_row)
        q->on_row(q->owner, p, e);
    if (++p->rows == q->max_rows) {
        p->state = SURVEY_ANSWERED;
        give_up(p);
        pump(p->survey);
    }
}

/* It is said to be elsewhere now, or was cut off: it may have been started anew. */
static bool may_ask_again(const struct survey_peer *p) {
    bool cut = p->rows == 0 && (p->why == UV_ECONNRESET || p->why == UV_EOF || p->why == UV_EPIPE ||
                                p->why == ERR_TLS_CUT);

    return p->state == SURVEY_FAILED && (p->fresh || cut) && p->tries < TRIES_MAX &&
           !survey_locked(p);
}

static void on_answer(void *owner, int why, const char *text, const struct query_peer *who,
                      const struct query_info *info) {
    struct survey_peer *p = owner;
    struct survey *r = p->survey;
    struct query *q = p->query;

    p->query = NULL;
    r->n_asked--;
    if (who)
        identify(p, who);
    if (info)
        p->info = *info;
    if (p->state == SURVEY_ASKED) {
        p->state = why == 0 ? SURVEY_ANSWERED : SURVEY_FAILED;
        p->why = why;
        snprintf(p->text, sizeof p->text, "%s", text);
        if (why == WIRE_ERR(WIRE_AUTH_FAILED))
            p->code_wrong = true;
        if (may_ask_again(p))
            p->state = SURVEY_WAITING;
    }
    if (p->state == SURVEY_ANSWERED && r->question->keep && p->rows > 0)
        survey_keep(p, q);
    pump(r);
}

static const struct query_handler query_events = {
    .on_open = on_open, .on_row = on_row, .on_done = on_answer};

static void ask(struct survey_peer *p) {
    struct survey *r = p->survey;
    struct query_request request = {.to = p->to,
                                    .kind = r->question->kind,
                                    .timeout_ms = r->question->peer_ms,
                                    .answer_ms = r->question->answer_ms,
                                    .whole_ms = r->question->only ? 0 : SURVEY_WHOLE_MS};
    int err;

    snprintf(request.arg, sizeof request.arg, "%s", r->question->arg);
    p->identified = p->fresh = false;
    p->rows = 0;
    p->tries++;
    p->asked_ms = uv_now(r->client->loop);
    err = query_start(&p->query, &r->client->env, &request, &query_events, p);
    if (err) {
        p->state = SURVEY_FAILED;
        p->why = err;
        return;
    }
    p->state = SURVEY_ASKED;
    r->n_asked++;
}

/* Asks whoever waits, as many at once as we like. */
static void pump(struct survey *r) {
    unsigned left = survey_places(r);

    for (int strangers = 0; strangers < 2; strangers++)
        for (unsigned i = 0; i < r->n && left > 0; i++)
            if (r->all[i]->state == SURVEY_WAITING &&
                (strangers || survey_claims_known(r->all[i]))) {
                ask(r->all[i]);
                left--;
            }
    check_done(r);
}

static void on_turn(uv_timer_t *timer) { pump(timer->data); }

/* ---- discovery ---- */

static void on_peer(void *owner, const struct peer *seen) {
    struct survey *r = owner;
    struct survey_peer *p;
    char ours[KEY_TEXT_LEN + 1];

    key_text(r->client->app->id.key, ours);
    if (strcmp(seen->id, ours) == 0) {
        r->ours_seen = true;
        return;
    }
    p = survey_peer_seen(r, seen);
    if (!p) {
        log_info("more than %d peers: %s is left out", SURVEY_PEERS_MAX, seen->name);
        return;
    }
    if (!r->question) {
        if (r->on_seen)
            r->on_seen(r->owner, p);
        return;
    }
    if ((p->state == SURVEY_IDLE ||
         (p->state == SURVEY_FAILED && p->tries < TRIES_MAX && !survey_locked(p))) &&
        !r->late && wanted(r, p))
        p->state = SURVEY_WAITING;
    pump(r);
}

static void on_gone(void *owner, const struct peer *seen) {
    struct survey *r = owner;
    struct survey_peer *p = survey_peer_find(r, seen);

    if (!p)
        return;
    p->gone = true;
    if (p->state == SURVEY_WAITING)
        p->state = SURVEY_IDLE;
    if (r->question)
        check_done(r);
    else if (r->on_seen)
        r->on_seen(r->owner, p);
}

static void on_settled(void *owner) {
    struct survey *r = owner;

    r->settled = true;
    if (r->question)
        check_done(r);
}

static void on_problem(void *owner, const char *text) {
    struct survey *r = owner;

    snprintf(r->problem, sizeof r->problem, "%s", text);
    log_info("discovery: %s", text);
}

static const struct browse_handler browse_events = {
    .on_peer = on_peer, .on_gone = on_gone, .on_settled = on_settled, .on_problem = on_problem};

static int need_browse(struct survey *r) {
    int err;

    if (r->browse)
        return 0;
    err = browse_start(&r->browse, r->client->loop, &browse_events, r);
    r->browse_closed = err != 0;
    r->browsing_since = uv_now(r->client->loop);
    return err;
}

/* ---- a question ---- */

static int prepare(struct survey *r, const struct survey_question *q) {
    r->question = q;
    r->spelt = NULL;
    r->done = r->late = false;
    r->patient = true;
    if (q->only && q->only->kind == PEER_ADDR) {
        r->spelt = survey_peer_at(r, q->only);
        if (!r->spelt)
            return -ENOMEM;
    } else if (r->n_added == 0) {
        return need_browse(r);
    }
    return 0;
}

static uint64_t patience_left(const struct survey *r) {
    uint64_t gone = uv_now(r->client->loop) - r->browsing_since;

    return gone < r->question->patience_ms ? r->question->patience_ms - gone : 0;
}

static void finish(struct survey *r) {
    uv_timer_stop(&r->deadline);
    uv_timer_stop(&r->patience);
    uv_timer_stop(&r->turn);
    for (unsigned i = 0; i < r->n; i++)
        give_up(r->all[i]);
    r->question = NULL;
}

int survey_ask(struct survey *r, const struct survey_question *q) {
    int err = prepare(r, q);

    survey_hang_up(r);
    if (err) {
        r->question = NULL;
        return err;
    }
    for (unsigned i = 0; i < r->n; i++) {
        struct survey_peer *p = r->all[i];

        p->state = wanted(r, p) ? SURVEY_WAITING : SURVEY_IDLE;
        if (p->code_wrong && p->state == SURVEY_WAITING) {
            p->state = SURVEY_FAILED; /* why, and who it is, are as they were */
            continue;
        }
        p->identified = false;
        p->tries = 0;
        p->why = 0;
        p->text[0] = '\0';
    }
    r->deadline.data = r->patience.data = r->turn.data = r;
    uv_timer_start(&r->deadline, on_deadline, q->wait_ms, 0);
    uv_timer_start(&r->patience, on_patience, patience_left(r), 0);
    uv_timer_start(&r->turn, on_turn, SURVEY_SLOW_MS / 2, SURVEY_SLOW_MS / 2);
    pump(r);
    err = client_run(r->client, &r->done);
    finish(r);
    return err;
}

static void on_browse_closed(void *owner) {
    struct survey *r = owner;

    r->browse_closed = true;
}

void survey_close(struct survey *r) {
    survey_hang_up(r);
    if (r->browse)
        browse_close(r->browse, on_browse_closed);
    uv_close((uv_handle_t *)&r->deadline, NULL);
    uv_close((uv_handle_t *)&r->patience, NULL);
    uv_close((uv_handle_t *)&r->turn, NULL);
    while (!r->browse_closed)
        uv_run(r->client->loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < r->n; i++)
        free(r->all[i]);
    free(r->all);
    r->all = NULL;
    r->n = 0;
}
