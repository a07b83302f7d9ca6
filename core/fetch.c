/* SPDX-License-Identifier: MIT */
#include "core/fetch_internal.h"

#include "core/err.h"
#include "proto/name.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 100 };

/* ---- jobs ---- */

static void run_job(uv_work_t *work) {
    struct fetch_job *job = (struct fetch_job *)work;

    job->run(job);
}

static void job_done(uv_work_t *work, int status) {
    struct fetch_job *job = (struct fetch_job *)work;
    struct fetch *f = job->f;

    f->n_jobs--;
    job->done(job);
    if (f->relist && f->n_jobs == 0 && f->phase == FETCH_OPENING)
        fetch_relist(f);
    fetch_free_if_down(f);
}

int fetch_job_start(struct fetch *f, struct fetch_job *job) {
    int err = uv_queue_work(f->env->loop, &job->work, run_job, job_done);

    if (err == 0)
        f->n_jobs++;
    return err;
}

int kept_take(struct kept *k, struct conn *c, const uint8_t **at, size_t len) {
    k->frame = conn_take(c);
    if (k->frame)
        return 0;
    k->copy = malloc(len);
    if (!k->copy)
        return -ENOMEM;
    memcpy(k->copy, *at, len);
    *at = k->copy;
    return 0;
}

void kept_clear(struct kept *k, struct pool *pool) {
    pool_put(pool, k->frame);
    free(k->copy);
    *k = (struct kept){0};
}

/* ---- the end ---- */

static bool to_run_again(const struct fetch *f) {
    switch (f->why) {
    case ERR_KEY_CHANGED:
    case ERR_EXISTS:
    case ERR_LINK:
    case ERR_FOREIGN:
    case ERR_OTHER_VERSION:
    case ERR_OWNER:
    case ERR_MOUNT:
    case ERR_LOCKED:
    case ERR_KIND:
    case ERR_TOO_LARGE:
        return false;
    case ERR_STOPPED:
    case ERR_STALLED:
    case ERR_HELD:
    case ERR_NO_SPACE:
        return true;
    default:
        return f->store != NULL;
    }
}

/* Believed, or only looked at for the last time. */
static bool is_here(const struct fetch *f, uint64_t chunk) {
    enum plan_state state = plan_get(&f->plan, chunk);

    return state == PLAN_HAVE ||
           (f->young_checked &&
            (state == PLAN_SUSPECT || plan_asked_of(&f->plan, chunk, FETCH_CHECKING)));
}

/* Of what is here, that which no peer had to give in this run. What came and was of no use, because
 * its file changed meanwhile, is in `fetched` alone. */
static uint64_t reused_bytes(struct fetch *f) {
    uint64_t bytes = 0;

    if (!f->plan.state) /* it ended before, or between, two manifests */
        return f->have_bytes > f->fetched + f->zeros ? f->have_bytes - f->fetched - f->zeros : 0;
    for (uint64_t chunk = 0; chunk < f->plan.n; chunk++)
        if (is_here(f, chunk) && !store_arrived(f->store, chunk))
            bytes += fetch_chunk_len(f, chunk);
    return bytes;
}

static void report(struct fetch *f) {
    struct fetch_result r = {.why = f->why,
                             .text = f->text,
                             .path = f->committed ? f->path : NULL,
                             .fetched = f->fetched,
                             .zeros = f->zeros,
                             .unchanged = f->unchanged,
                             .incomplete = f->why < 0 && to_run_again(f)};

    if (f->store && store_catalog(f->store))
        r.bytes = catalog_totals(store_catalog(f->store))->bytes;
    r.reused = reused_bytes(f);
    for (unsigned i = 0; i < f->n_sources; i++)
        r.sources += f->sources[i].gave;
    catalog_cursor_clear(&f->cursor);
    fetch_warn_kept(f);
    store_close(f->store);
    f->handler->on_done(f->owner, &r);
}

void fetch_free_if_down(struct fetch *f) {
    if (!f->tick_closed || f->n_jobs)
        return;
    for (unsigned i = 0; i < f->n_sources; i++)
        if (f->sources[i].lane.conn)
            return;
    report(f);
    plan_clear(&f->plan);
    free(f);
}

static void on_tick_closed(uv_handle_t *handle) {
    struct fetch *f = (struct fetch *)handle;

    f->tick_closed = true;
    fetch_free_if_down(f);
}

static void close_all(struct fetch *f) {
    fetch_lanes_close(f);
    for (unsigned i = 0; i < f->n_sources; i++)
        source_close(&f->sources[i], 0);
}

void fetch_end(struct fetch *f, int why, const char *format, ...) {
    char text[sizeof f->text];
    va_list args;

    if (f->phase == FETCH_ENDING)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(f->text, text, sizeof text);
    f->why = why;
    f->phase = FETCH_ENDING;
    f->stop = true;
    close_all(f);
    uv_close((uv_handle_t *)&f->tick, on_tick_closed);
}

void fetch_stop(struct fetch *f) {
    fetch_end(f, ERR_STOPPED, "stopped; run the same command again to go on");
}

/* ---- the tick ---- */

static void on_tick(uv_timer_t *timer) {
    struct fetch *f = (struct fetch *)timer;
    uint64_t now = uv_now(f->env->loop);

    if (f->phase == FETCH_RUNNING || f->phase == FETCH_COMMITTING)
        fetch_say(f, (struct fetch_event){.kind = FETCH_PROGRESS});
    if (f->look_at_ms && now >= f->look_at_ms) {
        f->look_at_ms = 0;
        fetch_pump(f);
    }
    if (f->phase < FETCH_COMMITTING)
        source_tick(f, now);
    if (f->phase < FETCH_COMMITTING)
        fetch_check_pace(f, now);
    if (f->phase < FETCH_COMMITTING)
        fetch_lanes_tick(f, now);
}

/* ---- commit ---- */

static void run_commit(struct fetch_job *job) {
    struct store_commit_options options = {.unsafe_links = job->f->unsafe_links};
    struct fetch *f = job->f;

    job->err = store_commit(f->store, &options);
    f->unchanged = store_is_unchanged(f->store);
    if (!job->err && f->unchanged)
        f->other_left = store_drop_left(f->store, f->dir);
}

static void commit_done(struct fetch_job *job) {
    struct fetch *f = job->f;
    int err = job->err;

    free(job);
    if (err == 0) {
        int why = fetch_warn_left_out(f);

        if (f->other_left)
            fetch_warn_other_left(f);
        f->committed = true;
        fetch_end(f, why, "%s", "");
        f->why = why; /* also if a stop came while the commit was on its way */
    } else if (err == ERR_NO_SPACE) {
        fetch_end_no_space(f, store_missing(f->store));
    } else if (err == ERR_EXISTS) {
        fetch_end_overtaken(f);
    } else if (err != ERR_STOPPED) {
        fetch_end_with_disk_error(f, err);
    }
}

static void commit(struct fetch *f) {
    struct fetch_job *job = calloc(1, sizeof *job);

    f->phase = FETCH_COMMITTING;
    close_all(f);
    if (job)
        *job = (struct fetch_job){.f = f, .run = run_commit, .done = commit_done};
    if (!job || fetch_job_start(f, job) < 0) {
        free(job);
        fetch_end(f, -ENOMEM, "out of memory");
    }
}

/* What kept changing is left out of the folder, and reported. */
static void leave_out_changing(struct fetch *f) {
    for (uint64_t chunk = 0; chunk < f->plan.n; chunk++)
        if (plan_get(&f->plan, chunk) == PLAN_FAILED)
            store_skip_chunk(f->store, chunk, ERR_CHANGING);
    f->changed = false;
}

/* Some files changed under us: open the selection anew, a few times. False: that is over. */
static bool open_again(struct fetch *f) {
    f->round++;
    if (f->round >= FETCH_ROUNDS)
        return false;
    f->phase = FETCH_CONNECTING;
    fetch_open(f);
    return true;
}

void fetch_run_done(struct fetch *f) {
    bool single = catalog_totals(store_catalog(f->store))->entries == 1;
    const char *peer = source_peer(f->current);

    if (f->changed && open_again(f))
        return;
    if (f->changed && single) {
        fetch_end(f, ERR_CHANGING,
                  "%s keeps changing at %s. Run the same command again when it is at rest",
                  f->shown, peer);
        return;
    }
    if (f->changed)
        leave_out_changing(f);
    if (single && f->plan.count[PLAN_FAILED] && store_why_nothing(f->store) != ERR_NEWER)
        fetch_end(f, WIRE_ERR(WIRE_IO), "%s could not read %s", peer, f->shown);
    else if (f->look_at_ms)
        return; /* the tick comes back */
    else if (!f->young_checked)
        fetch_look_again(f);
    else
        commit(f);
}

/* ---- the beginning ---- */

static int copy_request(struct fetch *f, const struct fetch_request *r) {
    if (r->n_sources == 0 || r->n_sources > FETCH_SOURCES_MAX ||
        !name_ok(r->name, strlen(r->name)) || strlen(r->dir) >= sizeof f->dir)
        return -EINVAL;
    strcpy(f->dir, r->dir);
    strcpy(f->name, r->name);
    name_show(f->dir, strlen(f->dir), f->shown_dir, sizeof f->shown_dir);
    name_show(f->name, strlen(f->name), f->shown, sizeof f->shown);
    snprintf(f->path, sizeof f->path, "%s%s%s", r->dir,
             r->dir[0] && r->dir[strlen(r->dir) - 1] == '/' ? "" : "/", r->name);
    f->timeout_ms = r->timeout_ms ? r->timeout_ms : FETCH_TIMEOUT_MS;
    f->unsafe_links = r->unsafe_links;
    f->update = r->update;
    f->lane_rules = r->lane_rules ? *r->lane_rules : fetch_lane_rules_default;
    f->n_sources = r->n_sources;
    for (unsigned i = 0; i < r->n_sources; i++)
        f->sources[i] = (struct source){
            .f = f,
            .spec = r->sources[i],
            .lane = {.f = f, .source = &f->sources[i], .index = i},
        };
    f->current = &f->sources[0];
    return 0;
}

int fetch_start(struct fetch **out, const struct conn_env *env, struct trust *trust,
                const struct fetch_request *r, const struct fetch_handler *h, void *owner) {
    struct fetch *f = calloc(1, sizeof *f);
    int err;

    if (!f)
        return -ENOMEM;
    f->env = env;
    f->trust = trust;
    f->handler = h;
    f->owner = owner;
    err = copy_request(f, r);
    if (err < 0) {
        free(f);
        return err;
    }
    uv_timer_init(env->loop, &f->tick);
    uv_timer_start(&f->tick, on_tick, 0, TICK_MS);
    f->ticked_ms = f->moved_ms = f->brought_ms = f->lanes_seen_ms = uv_now(env->loop);
    *out = f;
    return 0;
}
