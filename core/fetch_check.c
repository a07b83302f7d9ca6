/* SPDX-License-Identifier: MIT */
#include "core/fetch_internal.h"

#include "core/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- CHECK: what lies on disk and is not believed ---- */

struct check_job {
    struct fetch_job job; /* first: the job is the check_job */
    uint64_t first;
    uint32_t n;
    enum store_verdict verdicts[FETCH_COMPARE_CHUNKS];
    uint8_t digests[FETCH_COMPARE_CHUNKS * WIRE_DIGEST_LEN]; /* at the source, when comparing */
};

static void run_check(struct fetch_job *job) {
    struct check_job *check = (struct check_job *)job;
    bool ok[FETCH_CHECK_CHUNKS] = {false};

    job->err = store_check(job->f->store, check->first, check->n, ok);
    for (uint32_t i = 0; i < check->n; i++)
        check->verdicts[i] = ok[i] ? STORE_SAME : STORE_OTHER;
}

/* Chunks that the last look doubted were counted when they arrived. */
static void settle(struct fetch *f, const struct check_job *check) {
    static const enum plan_state state[] = {
        [STORE_OTHER] = PLAN_ABSENT, [STORE_SAME] = PLAN_HAVE, [STORE_LEFT_OUT] = PLAN_FAILED};

    for (uint32_t i = 0; i < check->n; i++) {
        uint64_t chunk = check->first + i;
        bool same = check->verdicts[i] == STORE_SAME;

        if (same && !f->young_checked)
            fetch_now_here(f, chunk);
        else
            plan_set(&f->plan, chunk, state[check->verdicts[i]]);
        if (same)
            fetch_brought(f);
        else if (f->young_checked)
            f->have_bytes -= fetch_chunk_len(f, chunk);
    }
}

static void check_done(struct fetch_job *job) {
    struct check_job *check = (struct check_job *)job;
    struct fetch *f = job->f;

    f->n_checks--;
    if (job->err < 0 && job->err != ERR_STOPPED)
        fetch_end_with_disk_error(f, job->err);
    else if (job->err == 0)
        settle(f, check);
    free(check);
    fetch_pump(f);
}

static struct check_job *new_check(struct fetch *f, uint64_t first, uint32_t n) {
    struct check_job *check = calloc(1, sizeof *check);

    if (check) {
        check->job = (struct fetch_job){.f = f, .run = run_check, .done = check_done};
        check->first = first;
        check->n = n;
    }
    return check;
}

int fetch_start_checks(struct fetch *f) {
    uint64_t first;
    uint32_t n;

    while (f->n_checks < FETCH_CHECK_JOBS &&
           plan_run(&f->plan, PLAN_CHECK, FETCH_CHECK_CHUNKS, &first, &n)) {
        struct check_job *check = new_check(f, first, n);
        int err = check ? fetch_job_start(f, &check->job) : -ENOMEM;

        if (err < 0) {
            free(check);
            return err;
        }
        f->n_checks++;
        for (uint32_t i = 0; i < n; i++)
            plan_set(&f->plan, first + i, PLAN_ABSENT);
        plan_ask(&f->plan, first, n, FETCH_CHECKING);
    }
    return 0;
}

/* ---- SUSPECT: what may be of an older version; the digest at the source decides ---- */

int fetch_ask_digests(struct source *s) {
    struct msg m = {.type = WIRE_DIGEST_GET};
    uint32_t n;

    if (s->f->digests_left ||
        !plan_run(&s->f->plan, PLAN_SUSPECT, FETCH_COMPARE_CHUNKS, &m.digest_get.first, &n))
        return 0;
    m.req = lane_next_req(&s->lane);
    m.digest_get.kind = WIRE_DIGEST_XXH3;
    m.digest_get.n = n;
    s->f->digests_left = n;
    return conn_send(s->lane.conn, &m);
}

static void run_compare(struct fetch_job *job) {
    struct check_job *check = (struct check_job *)job;

    job->err =
        store_compare(job->f->store, check->first, check->n, check->digests, check->verdicts);
}

int fetch_on_digest(struct source *s, const struct msg *m) {
    struct fetch *f = s->f;
    uint64_t first = m->digest.first;
    uint32_t n = m->digest.n;
    struct check_job *check;
    int err;

    if (f->phase != FETCH_RUNNING || n > f->digests_left || n > FETCH_COMPARE_CHUNKS ||
        first >= f->plan.n || n > f->plan.n - first)
        return WIRE_ERR(WIRE_PROTOCOL);
    for (uint32_t i = 0; i < n; i++)
        if (plan_get(&f->plan, first + i) != PLAN_SUSPECT)
            return WIRE_ERR(WIRE_PROTOCOL);
    check = new_check(f, first, n);
    if (!check)
        return -ENOMEM;
    check->job.run = run_compare;
    memcpy(check->digests, m->digest.digests.at, (size_t)n * WIRE_DIGEST_LEN);
    err = fetch_job_start(f, &check->job);
    if (err < 0) {
        free(check);
        return err;
    }
    f->n_checks++;
    f->digests_left -= n;
    lane_answered(&s->lane);
    fetch_moved(f);
    for (uint32_t i = 0; i < n; i++)
        plan_set(&f->plan, first + i, PLAN_ABSENT);
    plan_ask(&f->plan, first, n, FETCH_CHECKING);
    return 0;
}
