/* SPDX-License-Identifier: MIT */
#include "cli/download.h"

#include "cli/json.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "core/addr.h"
#include "core/err.h"
#include "proto/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct download {
    struct asking *a;
    const struct download_options *o;
    struct fetch *fetch;
    struct fetch_source *sources;
    unsigned n_sources, connected;
    struct progress progress;
    char shown[4 * NAME_MAX_LEN + 1]; /* its name, escaped */
    uint64_t started_ns;
    bool stopping, done, lost; /* lost: the user was told so, and nothing better since */
    int code;
};

/* ---- sources ---- */

/* The address that answered is tried first. */
static void put_first(struct endpoint *to, const char *addr) {
    char text[ADDR_TEXT_LEN];

    for (unsigned i = 1; i < to->n_addrs; i++) {
        struct sockaddr_storage found = to->addrs[i];

        addr_show((const struct sockaddr *)&found, text);
        if (strcmp(text, addr) != 0)
            continue;
        memmove(&to->addrs[1], &to->addrs[0], i * sizeof to->addrs[0]);
        to->addrs[0] = found;
        return;
    }
}

static void add_source(struct download *d, const struct hit *hit) {
    struct fetch_source *s = &d->sources[d->n_sources++];

    s->to = hit->peer->to;
    put_first(&s->to, hit->peer->addr);
    s->to.key_known = true;
    memcpy(s->to.key, hit->peer->key, KEY_LEN);
    snprintf(s->path, sizeof s->path, "%s", hit->path);
    snprintf(s->name, sizeof s->name, "%s", hit->peer->name);
}

static void on_seen(void *owner, const struct survey_peer *p) {
    struct download *d = owner;

    for (unsigned i = 0; i < d->n_sources && d->fetch && !p->gone; i++)
        if (p->to.key_known && memcmp(p->to.key, d->sources[i].to.key, KEY_LEN) == 0)
            fetch_offer(d->fetch, &p->to);
}

static void on_stop(void *owner) {
    struct download *d = owner;

    if (d->stopping || !d->fetch)
        return;
    d->stopping = true;
    fetch_stop(d->fetch);
}

/* ---- events ---- */

/* Nobody reads our events any more: no reason to go on. */
static void print_event(struct download *d, json_t *o) {
    if (!json_tell(o))
        on_stop(d);
}

static void tell_json(struct download *d, const struct fetch_event *e) {
    switch (e->kind) {
    case FETCH_STARTED:
        print_event(d, json_pack("{s:s, s:s, s:s, s:I, s:I}", "event", "start", "name", d->shown,
                                 "peer", e->peer, "bytes", (json_int_t)e->bytes, "entries",
                                 (json_int_t)e->entries));
        break;
    case FETCH_PROGRESS:
        print_event(d, json_pack("{s:s, s:I, s:I, s:I, s:I}", "event", "progress", "done",
                                 (json_int_t)e->done, "bytes", (json_int_t)e->bytes, "fetched",
                                 (json_int_t)e->fetched, "sources", (json_int_t)e->sources));
        break;
    case FETCH_SOURCE:
        print_event(d, json_pack("{s:s, s:s, s:s, s:I}", "event", "source", "peer", e->peer,
                                 "message", e->text, "sources", (json_int_t)e->sources));
        break;
    case FETCH_WALK:
        print_event(d, json_pack("{s:s, s:s, s:I}", "event", "walk", "peer", e->peer, "entries",
                                 (json_int_t)e->walked));
        break;
    case FETCH_WARNING:
        print_event(d, json_pack("{s:s, s:s, s:s}", "event", "warning", "peer", e->peer, "message",
                                 e->text));
        break;
    }
}

/* Of the many dials of an outage only its beginning and its end. */
static void tell_source(struct download *d, const struct fetch_event *e) {
    if (e->sources < d->connected) {
        warn("lost %s: %s; trying again", e->peer, e->text);
        d->lost = true;
    } else if (e->sources > d->connected && d->lost) {
        note("connected to %s", e->peer);
        d->lost = false;
    }
}

static void tell(struct download *d, const struct fetch_event *e) {
    switch (e->kind) {
    case FETCH_STARTED:
    case FETCH_PROGRESS:
        progress_show(&d->progress, uv_now(d->a->client.env.loop));
        break;
    case FETCH_SOURCE:
        tell_source(d, e);
        break;
    case FETCH_WALK:
        progress_walk(&d->progress, e->peer, e->walked);
        break;
    case FETCH_WARNING:
        warn("%s", e->text);
        break;
    }
}

static void on_event(void *owner, const struct fetch_event *e) {
    struct download *d = owner;

    d->progress.done = e->done;
    d->progress.bytes = e->bytes;
    d->progress.fetched = e->fetched;
    d->progress.sources = e->sources;
    if (d->o->json)
        tell_json(d, e);
    else
        tell(d, e);
    if (e->kind != FETCH_SOURCE)
        return;
    if (e->sources < d->connected && d->a->survey.browse)
        browse_refresh(d->a->survey.browse); /* where is it now? */
    d->connected = e->sources;
}

/* ---- the end ---- */

static double seconds(const struct download *d) {
    return (double)((uv_hrtime() - d->started_ns) / 1000000) / 1000;
}

static void print_done_json(const struct fetch_result *r, const char *path, double s) {
    json_t *o = json_pack("{s:s}", "event", "done");
    json_t *rest =
        json_pack("{s:I, s:I, s:I, s:I, s:f, s:I}", "bytes", (json_int_t)r->bytes, "fetched",
                  (json_int_t)r->fetched, "zeros", (json_int_t)r->zeros, "reused",
                  (json_int_t)r->reused, "seconds", s, "sources", (json_int_t)r->sources);

    if (json_put_bytes(o, "path", path, strlen(path)) < 0 || json_object_update(o, rest) < 0) {
        json_decref(o);
        o = NULL;
    }
    json_decref(rest);
    json_tell(o);
}

/* Exactly as it is when somebody else reads it, escaped on a terminal. */
static void print_path(const char *path) {
    char *shown = isatty(STDOUT_FILENO) ? text_shown(path, strlen(path)) : NULL;

    puts(shown ? shown : path);
    fflush(stdout);
    free(shown);
}

static void print_done(const struct download *d, const struct fetch_result *r, const char *path) {
    char bytes[TEXT_LEN], rate[TEXT_LEN], zeros[TEXT_LEN], reused[TEXT_LEN], took[TEXT_LEN];
    double s = seconds(d);

    if (r->unchanged) {
        note("%s: %s, %s compared", d->shown,
             d->o->update ? "up to date" : "is here already, and the same",
             text_size(r->reused, bytes));
        print_path(path);
        return;
    }
    text_size(s > 0 ? (uint64_t)((double)r->fetched / s) : 0, rate);
    if (s < 10)
        snprintf(took, sizeof took, "%.1fs", s);
    else
        text_duration((uint64_t)s, took);
    note("%s: %s in %s, %s/s%s%s%s%s%s%s", d->shown, text_size(r->bytes, bytes), took, rate,
         r->zeros ? "; " : "", r->zeros ? text_size(r->zeros, zeros) : "",
         r->zeros ? " of zeros were not sent" : "", r->reused ? "; " : "",
         r->reused ? text_size(r->reused, reused) : "", r->reused ? " were here already" : "");
    print_path(path);
}

static void on_done(void *owner, const struct fetch_result *r) {
    struct download *d = owner;
    const char *path = r->path;

    d->done = true;
    d->fetch = NULL;
    progress_end(&d->progress);
    if (r->why < 0) {
        d->code = r->incomplete && code_of(r->why) != CODE_REFUSED ? CODE_INCOMPLETE
                                                                   : (int)code_of(r->why);
        if (!r->incomplete && d->code == CODE_INCOMPLETE)
            d->code = CODE_FAILED;
        if (r->text[0]) /* a sentence, with the name where it matters */
            fail(d->code, "%s", r->text);
        else
            fail(d->code, "%s: %s", d->shown, err_text(r->why));
        return;
    }
    if (strncmp(path, "./", 2) == 0)
        path += 2;
    if (d->o->json)
        print_done_json(r, path, seconds(d));
    else
        print_done(d, r, path);
    d->code = r->why == 0 ? CODE_DONE : CODE_SKIPPED;
}

static const struct fetch_handler fetch_events = {.on_event = on_event, .on_done = on_done};

/* ---- one download ---- */

static int start(struct download *d, const struct hits *hits) {
    const struct fetch_request r = {.sources = d->sources,
                                    .n_sources = d->n_sources,
                                    .dir = d->o->dir,
                                    .name = hit_base(&hits->all[0]),
                                    .timeout_ms = d->o->timeout_ms,
                                    .unsafe_links = d->o->unsafe_links,
                                    .update = d->o->update};
    struct client *c = &d->a->client;
    int err = fetch_start(&d->fetch, &c->env, &c->trust, &r, &fetch_events, d);

    if (!err)
        fetch_adopt(d->fetch, survey_take(&d->a->survey, hits->all[0].peer));
    survey_hang_up(&d->a->survey);
    return err;
}

/* Runs until on_done: a signal makes it come soon. */
static void run(struct download *d) {
    struct client *c = &d->a->client;
    struct survey *r = &d->a->survey;

    c->owner = r->owner = d;
    c->on_stop = on_stop;
    r->on_seen = on_seen;
    if (c->stops > 0) /* it came when the survey was done, and nobody looked */
        on_stop(d);
    client_run(c, &d->done);
    c->on_stop = NULL;
    r->on_seen = NULL;
}

int download_run(struct asking *a, const struct download_options *o, const struct hits *hits) {
    struct download d = {.a = a, .o = o, .started_ns = uv_hrtime()};
    const char *base = hit_base(&hits->all[0]);
    int err;

    d.sources = calloc(FETCH_SOURCES_MAX, sizeof *d.sources);
    if (!d.sources)
        return fail(CODE_FAILED, "out of memory");
    for (size_t i = 0; i < hits->n && i < FETCH_SOURCES_MAX; i++)
        add_source(&d, &hits->all[i]);
    name_show(base, strlen(base), d.shown, sizeof d.shown);
    progress_init(&d.progress, d.shown, !o->json && isatty(STDERR_FILENO));
    err = start(&d, hits);
    if (err)
        d.code = fail(CODE_FAILED, "%s: %s", d.shown, err_text(err));
    else
        run(&d);
    free(d.sources);
    return d.code;
}
