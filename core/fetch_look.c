/* SPDX-License-Identifier: MIT */
/*
 * fetch_look -- the last look, before the commit: files that were modified so shortly before they
 * were listed that their times may not show the last change
 *
 * Metadata has the grain of a clock tick, on FAT of two seconds. Once the source's clock has gone
 * on, every later change shows: so the look begins then, and is the last one. The chunks of those
 * files become SUSPECT, that is all: fetch_check.c compares them.
 */
#include "core/fetch_internal.h"

#include "core/err.h"
#include "core/grow.h"

#include <errno.h>
#include <stdlib.h>

enum {
    YOUNG_NS = 2000000000,
    TICK_NS = 20000000, /* no kernel counts times of files in larger steps; but see grain() */
};

struct range {
    uint64_t first, n;
};

struct young_job {
    struct fetch_job job; /* first: the job is the young_job */
    struct range *ranges;
    size_t n, cap;
    int64_t until_ns; /* when a change of any of them would show, by the source's clock */
};

/* Whole seconds: perhaps its file system has no others. */
static int64_t grain(int64_t mtime_ns) { return mtime_ns % 1000000000 ? TICK_NS : YOUNG_NS; }

static int add_young(struct young_job *young, const struct catalog_cursor *cur) {
    struct range *ranges = grow(young->ranges, &young->cap, young->n + 1, sizeof *ranges);

    if (!ranges)
        return -ENOMEM;
    young->ranges = ranges;
    if (cur->entry.mtime_ns < INT64_MAX - YOUNG_NS &&
        cur->entry.mtime_ns + grain(cur->entry.mtime_ns) > young->until_ns)
        young->until_ns = cur->entry.mtime_ns + grain(cur->entry.mtime_ns);
    young->ranges[young->n++] = (struct range){cur->first_chunk, manifest_chunks(&cur->entry)};
    return 0;
}

static bool is_young(const struct manifest_entry *e, int64_t listed_ns) {
    int64_t age_ns;

    return !__builtin_sub_overflow(listed_ns, e->mtime_ns, &age_ns) ? age_ns < YOUNG_NS
                                                                    : e->mtime_ns > 0;
}

static void run_young(struct fetch_job *job) {
    struct young_job *young = (struct young_job *)job;
    struct catalog_cursor cur;
    int err;

    catalog_cursor_init(&cur, store_catalog(job->f->store));
    while ((err = catalog_next(&cur)) > 0)
        if (is_young(&cur.entry, store_listed_ns(job->f->store)) && manifest_chunks(&cur.entry) &&
            (err = add_young(young, &cur)) < 0)
            break;
    catalog_cursor_clear(&cur);
    job->err = err;
}

static void doubt(struct fetch *f, uint64_t chunk) {
    if (plan_get(&f->plan, chunk) == PLAN_HAVE)
        plan_set(&f->plan, chunk, PLAN_SUSPECT);
}

/* Waits once, for a source whose files are of the future. */
static bool too_early(struct fetch *f, int64_t until_ns) {
    uint64_t passed_ms = uv_now(f->env->loop) - f->now_at_ms;
    int64_t left_ms, look_ms = f->env->patience->look;

    if (f->look_waited || __builtin_sub_overflow(until_ns, f->now_ns, &left_ms))
        return false;
    left_ms = left_ms / 1000000 + 1 - (int64_t)passed_ms;
    if (left_ms <= 0)
        return false;
    f->look_waited = true;
    f->look_at_ms = uv_now(f->env->loop) + (uint64_t)(left_ms < look_ms ? left_ms : look_ms);
    return true;
}

static void young_done(struct fetch_job *job) {
    struct young_job *young = (struct young_job *)job;
    struct fetch *f = job->f;

    f->young_checked = job->err < 0 || !too_early(f, young->until_ns);
    for (size_t i = 0; f->young_checked && i < young->n && f->phase == FETCH_RUNNING; i++)
        for (uint64_t k = 0; k < young->ranges[i].n; k++)
            doubt(f, young->ranges[i].first + k);
    free(young->ranges);
    if (job->err < 0)
        fetch_end(f, job->err, "%s: %s", f->shown, err_text(job->err));
    free(young);
    fetch_pump(f);
}

void fetch_look_again(struct fetch *f) {
    struct young_job *young = calloc(1, sizeof *young);

    if (young)
        young->job = (struct fetch_job){.f = f, .run = run_young, .done = young_done};
    if (!young || fetch_job_start(f, &young->job) < 0) {
        free(young);
        fetch_end(f, -ENOMEM, "out of memory");
    }
}
