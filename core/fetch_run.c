/* SPDX-License-Identifier: MIT */
#include "core/fetch_internal.h"

#define LOG_MODULE "fetch"
#include "core/err.h"
#include "core/log.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint32_t fetch_chunk_len(struct fetch *f, uint64_t chunk) {
    if (catalog_chunk(&f->cursor, chunk) < 0)
        return 0;
    return catalog_chunk_len(&f->cursor, chunk);
}

void fetch_now_here(struct fetch *f, uint64_t chunk) {
    plan_set(&f->plan, chunk, PLAN_HAVE);
    f->have_bytes += fetch_chunk_len(f, chunk);
}

/* ---- DATA: check and write ---- */

struct put_job {
    struct fetch_job job; /* first: the job is the put_job */
    struct source *source;
    struct msg m;
    struct kept kept; /* where its records and data lie */
    int results[WIRE_RECORDS_MAX];
};

static void run_put(struct fetch_job *job) {
    struct put_job *put = (struct put_job *)job;

    job->err = store_put(job->f->store, &put->m, put->results);
}

/* A chunk that arrived damaged: again, but not for ever. */
static void on_corrupt(struct source *s, uint64_t chunk) {
    struct fetch *f = s->f;
    char path[PATH_MAX_LEN + 1], shown[1024];
    unsigned i = 0;

    while (i < f->n_bad && f->bad[i].chunk != chunk)
        i++;
    if (i == f->n_bad && i < FETCH_BAD_MAX)
        f->bad[f->n_bad++] = (struct bad_chunk){.chunk = chunk};
    store_chunk_path(f->store, chunk, path);
    name_show(path, strlen(path), shown, sizeof shown);
    log_warn("%s: chunk %llu of %s%s%s arrived damaged", source_peer(s), (unsigned long long)chunk,
             f->shown, path[0] ? "/" : "", shown);
    if (i == FETCH_BAD_MAX || ++f->bad[i].times >= FETCH_BAD_TIMES)
        fetch_end(f, ERR_CORRUPT,
                  "%s sends damaged data: chunk %llu of %s%s%s was wrong %d times. Check the "
                  "memory and the network card of both machines, then run the same command again",
                  source_peer(s), (unsigned long long)chunk, f->shown, path[0] ? "/" : "", shown,
                  FETCH_BAD_TIMES);
}

/* A file that has changed has changed as a whole: nothing more of it can be had in this round. */
static void give_up_file(struct fetch *f, uint64_t chunk) {
    uint64_t end;

    if (catalog_chunk(&f->cursor, chunk) < 0 || f->changed_entry == f->cursor.index + 1ULL)
        return;
    f->changed_entry = f->cursor.index + 1ULL;
    end = f->cursor.first_chunk + manifest_chunks(&f->cursor.entry);
    for (chunk = f->cursor.first_chunk; chunk < end; chunk++)
        if (plan_get(&f->plan, chunk) == PLAN_ABSENT)
            plan_set(&f->plan, chunk, PLAN_FAILED);
}

/* The source cannot give this chunk. */
static void on_withheld(struct fetch *f, uint64_t chunk, int why) {
    fetch_moved(f);
    plan_set(&f->plan, chunk, PLAN_FAILED);
    if (why == WIRE_ERR(WIRE_CHANGED) || why == WIRE_ERR(WIRE_GONE)) {
        f->changed = true;
        give_up_file(f, chunk);
    } else {
        store_skip_chunk(f->store, chunk, why);
    }
}

static void on_here(struct source *s, const struct wire_record *r) {
    struct fetch *f = s->f;

    for (uint32_t i = 0; i <= r->more; i++)
        fetch_now_here(f, r->chunk + i);
    if (r->kind == WIRE_RECORD_DATA)
        f->fetched += r->len;
    else
        f->zeros += (uint64_t)r->len * (1U + r->more);
    s->gave = true;
    fetch_brought(f);
}

static void set_record(struct fetch *f, const struct wire_record *r, enum plan_state state) {
    for (uint32_t i = 0; i <= r->more; i++)
        plan_set(&f->plan, r->chunk + i, state);
}

static void on_record(struct source *s, const struct wire_record *r, int result) {
    struct fetch *f = s->f;

    if (result == 0) {
        on_here(s, r);
    } else if (result > 0) {
        fetch_moved(f);
        set_record(f, r, PLAN_FAILED); /* its entry is left out, and reported */
    } else if (result == WIRE_ERR(WIRE_CORRUPT)) {
        set_record(f, r, PLAN_ABSENT);
        on_corrupt(s, r->chunk);
    } else if (result == WIRE_ERR(WIRE_PROTOCOL) || result == WIRE_ERR(WIRE_CANCELLED)) {
        set_record(f, r, PLAN_ABSENT); /* and we have cancelled nothing */
        if (s->lane.conn)
            conn_close(s->lane.conn, WIRE_ERR(WIRE_PROTOCOL));
    } else {
        on_withheld(f, r->chunk, result);
    }
}

static void free_put(struct put_job *put) {
    kept_clear(&put->kept, put->job.f->env->pool);
    free(put);
}

/* What was written counts also when the fetch is at its end, or opens another version. */
static void put_done(struct fetch_job *job) {
    struct put_job *put = (struct put_job *)job;
    struct fetch *f = job->f;

    for (unsigned i = 0; i < put->m.data.n; i++) {
        struct wire_record r = wire_record_at(&put->m, i);

        if (job->err < 0)
            set_record(f, &r, PLAN_ABSENT);
        else if (put->results[i] == 0 || f->phase == FETCH_RUNNING)
            on_record(put->source, &r, put->results[i]);
    }
    if (job->err < 0)
        fetch_end_with_disk_error(f, job->err);
    free_put(put);
    fetch_pump(f);
}

/* The records lie before their data, in a frame and in a copy of it. */
static int keep_records(struct put_job *put, struct conn *c, const struct msg *m) {
    struct bytes *records = &put->m.data.records, *data = &put->m.data.data;
    int err;

    put->m = *m;
    err = kept_take(&put->kept, c, &records->at, records->len + data->len);
    data->at = records->at + records->len;
    return err;
}

/* The first n records of a frame are not going to be written after all. */
static void take_back(struct fetch *f, const struct msg *m, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        struct wire_record r = wire_record_at(m, i);

        set_record(f, &r, PLAN_ABSENT);
    }
}

/* Were all chunks of the record asked for on this lane? From then on they are being written. */
static bool take_asked(struct lane *l, const struct wire_record *r) {
    struct plan *p = &l->f->plan;

    if (r->chunk >= p->n || r->more >= p->n - r->chunk)
        return false;
    for (uint32_t i = 0; i <= r->more; i++)
        if (!plan_asked_of(p, r->chunk + i, l->index))
            return false;
    set_record(l->f, r, PLAN_ABSENT);
    plan_ask(p, r->chunk, 1U + r->more, FETCH_WRITING);
    return true;
}

/* Every record must answer a chunk that was asked for on this lane, once. */
static int account(struct lane *l, const struct msg *m) {
    struct fetch *f = l->f;
    struct lane_ask *ask = NULL;

    for (unsigned i = 0; i < FETCH_ASKS; i++)
        if (l->asks[i].req == m->req && m->req)
            ask = &l->asks[i];
    if (!ask || wire_data_chunks(m) > ask->left)
        return WIRE_ERR(WIRE_PROTOCOL);
    for (unsigned i = 0; i < m->data.n; i++) {
        struct wire_record r = wire_record_at(m, i);

        if (!take_asked(l, &r)) {
            take_back(f, m, i);
            return WIRE_ERR(WIRE_PROTOCOL);
        }
    }
    ask->left -= wire_data_chunks(m);
    if (ask->left == 0)
        ask->req = 0;
    return 0;
}

int fetch_on_data(struct lane *l, const struct msg *m) {
    struct fetch *f = l->f;
    struct put_job *put;
    int err;

    if (f->phase != FETCH_RUNNING || !l->open)
        return WIRE_ERR(WIRE_PROTOCOL);
    put = calloc(1, sizeof *put);
    if (!put)
        return -ENOMEM;
    put->job = (struct fetch_job){.f = f, .run = run_put, .done = put_done};
    put->source = l->source;
    err = keep_records(put, l->conn, m);
    if (err == 0)
        err = account(l, &put->m);
    if (err == 0) {
        err = fetch_job_start(f, &put->job);
        if (err < 0)
            take_back(f, &put->m, put->m.data.n);
    }
    if (err < 0) {
        free_put(put);
        return err;
    }
    lane_answered(l);
    fetch_pump(f);
    return 0;
}

/* ---- GET ---- */

/* Bytes that may come for it, at a guess: of a file with holes a GET asks for as many chunks as it
 * can, since they may all be one hole. Not where there is a limit: they may be none. */
static uint32_t cost_of(struct fetch *f, uint64_t chunk, uint64_t most) {
    uint32_t len = fetch_chunk_len(f, chunk);

    return f->cursor.entry.flags & MANIFEST_SPARSE && most == FETCH_GET_BYTES ? 0 : len;
}

/* Appends runs of absent chunks to the payload of a GET. Returns how many chunks. */
static uint32_t choose(struct lane *l, uint8_t *ranges, uint16_t *n_ranges) {
    struct fetch *f = l->f;
    uint64_t bytes = 0, most = fetch_get_bytes(f), first;
    uint32_t chunks = 0, n, took;

    while (*n_ranges < WIRE_RANGES_MAX && chunks < FETCH_GET_CHUNKS && bytes < most &&
           plan_run(&f->plan, PLAN_ABSENT, FETCH_GET_CHUNKS - chunks, &first, &n)) {
        for (took = 0; took < n && bytes < most; took++)
            bytes += cost_of(f, first + took, most);
        plan_ask(&f->plan, first, took, l->index);
        wire_range_put(ranges + (size_t)WIRE_RANGE_LEN * *n_ranges,
                       (struct wire_range){first, took});
        ++*n_ranges;
        chunks += took;
    }
    return chunks;
}

static int ask_chunks(struct lane *l, struct lane_ask *ask) {
    uint8_t ranges[WIRE_RANGES_MAX * WIRE_RANGE_LEN];
    struct msg m = {.type = WIRE_GET};
    uint16_t n = 0;

    ask->left = choose(l, ranges, &n);
    if (ask->left == 0)
        return 0;
    ask->req = lane_next_req(l);
    m.req = ask->req;
    m.get.n = n;
    m.get.ranges = (struct bytes){ranges, (size_t)n * WIRE_RANGE_LEN};
    return conn_send(l->conn, &m);
}

/* ---- the pump ---- */

static bool nothing_left(const struct fetch *f) {
    const uint64_t *n = f->plan.count;

    return !n[PLAN_ABSENT] && !n[PLAN_ASKED] && !n[PLAN_CHECK] && !n[PLAN_SUSPECT];
}

static int ask_lane(struct lane *l) {
    bool first = l == &l->source->lane, waits = false;
    unsigned asks = fetch_asks(l->f);
    int err = first ? fetch_ask_digests(l->source) : 0;

    for (unsigned i = 0; err == 0 && i < FETCH_ASKS; i++) {
        if (l->asks[i].req == 0 && i < asks)
            err = ask_chunks(l, &l->asks[i]);
        waits = waits || l->asks[i].req;
    }
    conn_expect(l->conn, waits || (first && l->f->digests_left));
    return err;
}

static void pump_lane(struct lane *l) {
    int err = l->open && l->conn ? ask_lane(l) : 0;

    if (err < 0)
        conn_close(l->conn, err);
}

void fetch_pump(struct fetch *f) {
    int err;

    if (f->phase != FETCH_RUNNING)
        return;
    err = fetch_start_checks(f);
    if (err < 0) {
        fetch_end_with_disk_error(f, err);
        return;
    }
    pump_lane(&f->current->lane);
    for (unsigned i = 0; i < f->n_extra; i++)
        pump_lane(&f->extra[i]);
    if (nothing_left(f) && f->n_jobs == 0)
        fetch_run_done(f);
}
