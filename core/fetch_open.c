/* SPDX-License-Identifier: MIT */
#include "core/fetch_internal.h"

#include "core/err.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- OPEN ---- */

void fetch_open(struct fetch *f) {
    struct source *s = f->current;
    int err;

    fetch_lanes_close(f);
    if (!s->lane.conn || f->phase >= FETCH_COMMITTING)
        return;
    if (f->phase != FETCH_RUNNING)
        f->phase = FETCH_OPENING;
    s->steps = 0;
    s->steps_asked_ms = uv_now(f->env->loop);
    err = lane_send_open(&s->lane); /* OPENED is the answer; INFO now and then, while it walks */
    if (err < 0)
        conn_close(s->lane.conn, err);
}

static void prepare(struct fetch *f, bool merge);

/* Is what we have already the manifest that this source speaks of? */
static bool is_current(const struct fetch *f) {
    const struct catalog *c = f->store ? store_catalog(f->store) : NULL;

    return c && memcmp(catalog_totals(c)->id, f->said.id, WIRE_ID_LEN) == 0 &&
           memcmp(store_origin(f->store), f->origin, WIRE_KEY_LEN) == 0;
}

static void note_totals(struct fetch *f, const struct msg *m) {
    memcpy(f->said.id, m->opened.id, WIRE_ID_LEN);
    f->said.length = m->opened.length;
    f->said.entries = m->opened.entries;
    f->said.chunks = m->opened.chunks;
    f->said.bytes = m->opened.bytes;
}

int fetch_on_opened(struct source *s, const struct msg *m) {
    struct fetch *f = s->f;

    if (m->req != s->lane.open_req || s->lane.open || s != f->current)
        return WIRE_ERR(WIRE_PROTOCOL);
    s->lane.open = true;
    lane_answered(&s->lane);
    conn_expect(s->lane.conn, false);
    if (m->opened.chunks > PLAN_CHUNKS_MAX) {
        fetch_end(f, ERR_TOO_LARGE,
                  "%s is larger than one download can be (%d TiB). Take what is in it one by one",
                  f->shown, PLAN_CHUNKS_MAX >> (40 - WIRE_CHUNK_SHIFT));
        return 0;
    }
    note_totals(f, m);
    memcpy(f->origin, conn_key(s->lane.conn), WIRE_KEY_LEN);
    f->now_ns = m->opened.now_ns;
    f->now_at_ms = uv_now(f->env->loop);
    f->left_out = m->opened.left_out;
    name_show((const char *)m->opened.first.at, m->opened.first.len, f->left_out_shown,
              sizeof f->left_out_shown);
    if (f->phase == FETCH_RUNNING && is_current(f)) {
        fetch_pump(f);
        return 0;
    }
    /* what is being written goes to its end first; the plan is made anew after that */
    f->phase = FETCH_OPENING;
    f->relist = true;
    if (f->n_jobs == 0)
        fetch_relist(f);
    return 0;
}

/* ---- the manifest, page by page ---- */

struct page_job {
    struct fetch_job job; /* first: the job is the page_job */
    enum { PAGE_STORE, PAGE_BEGIN, PAGE_NEXT } step;
    struct source *source; /* whose manifest it is */
    struct store *store;
    struct holder holder; /* of what we wanted to open */
    struct bytes page;
    struct kept kept; /* where the page lies */
};

static void run_page(struct fetch_job *job) {
    struct page_job *p = (struct page_job *)job;
    struct fetch *f = job->f;
    struct store_target target = {.dir = f->dir,
                                  .name = f->name,
                                  .path = p->source->spec.path,
                                  .update = f->update,
                                  .unsafe_links = f->unsafe_links};

    switch (p->step) {
    case PAGE_STORE:
        job->err = store_open(&p->store, &target);
        if (job->err == ERR_HELD)
            (void)store_holder(&target, &p->holder);
        if (job->err == ERR_EXISTS)
            job->err = store_open_same(&p->store, &target);
        break;
    case PAGE_BEGIN:
        job->err = store_manifest_begin(f->store, f->now_ns);
        break;
    case PAGE_NEXT:
        job->err = store_manifest_page(f->store, p->page.at, p->page.len);
        break;
    }
}

/* One page at a time: it is stored before the next one is asked for. 60 MB (10^6 files) take less
 * than half a second this way. */
static int ask_page(struct fetch *f) {
    struct source *s = f->current;
    uint64_t left = f->said.length - f->manifest_got;
    struct msg m = {.type = WIRE_MANIFEST_GET, .req = lane_next_req(&s->lane)};

    f->page_len = left < WIRE_PAGE_MAX ? (uint32_t)left : WIRE_PAGE_MAX;
    m.manifest_get.offset = f->manifest_got;
    m.manifest_get.length = f->page_len;
    conn_expect(s->lane.conn, true);
    return conn_send(s->lane.conn, &m);
}

/* One step on the way to a whole manifest is done: what is the next? */
static void next_step(struct fetch *f) {
    if (f->phase != FETCH_LISTING || !f->current->lane.open)
        return;
    if (f->manifest_got == f->said.length) {
        conn_expect(f->current->lane.conn, false);
        prepare(f, true);
    } else if (ask_page(f) < 0) {
        conn_close(f->current->lane.conn, WIRE_ERR(WIRE_INTERNAL));
    }
}

static void page_done(struct fetch_job *job) {
    struct page_job *p = (struct page_job *)job;
    struct fetch *f = job->f;

    if (p->store) {
        f->store = p->store;
        store_set_stop(f->store, &f->stop);
    }
    kept_clear(&p->kept, f->env->pool);
    if (job->err == ERR_HELD && p->step == PAGE_STORE) {
        fetch_end_held(f, &p->holder);
    } else if (job->err < 0 && p->step == PAGE_STORE) {
        fetch_end_without_store(f, job->err);
    } else if (err_code(job->err)) { /* a manifest that breaks the rules */
        if (f->phase == FETCH_LISTING && f->current == p->source && p->source->lane.conn)
            conn_close(p->source->lane.conn, job->err);
    } else if (job->err < 0) {
        fetch_end_without_store(f, job->err);
    } else if (p->step == PAGE_STORE && f->phase == FETCH_LISTING) {
        fetch_relist(f);
    } else {
        next_step(f);
    }
    free(p);
}

static int start_page(struct fetch *f, struct page_job *p) {
    int err;

    p->source = f->current;
    p->job.f = f;
    p->job.run = run_page;
    p->job.done = page_done;
    err = fetch_job_start(f, &p->job);
    if (err < 0) {
        kept_clear(&p->kept, f->env->pool);
        free(p);
    }
    return err;
}

/* The source has opened a selection and no job runs: make it ours. */
void fetch_relist(struct fetch *f) {
    struct page_job *p;

    f->relist = false;
    f->phase = FETCH_LISTING;
    if (f->store && is_current(f)) {
        prepare(f, false);
        return;
    }
    p = calloc(1, sizeof *p);
    if (p)
        p->step = f->store ? PAGE_BEGIN : PAGE_STORE;
    f->manifest_got = 0;
    if (!p || start_page(f, p) < 0)
        fetch_end(f, -ENOMEM, "out of memory");
}

int fetch_on_manifest(struct source *s, const struct msg *m) {
    struct fetch *f = s->f;
    struct page_job *p;

    if (f->phase != FETCH_LISTING || s != f->current || m->manifest.offset != f->manifest_got ||
        m->manifest.page.len != f->page_len || !f->page_len)
        return WIRE_ERR(WIRE_PROTOCOL);
    f->page_len = 0;
    lane_answered(&s->lane);
    fetch_moved(f);
    p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->step = PAGE_NEXT;
    p->page = m->manifest.page;
    if (kept_take(&p->kept, s->lane.conn, &p->page.at, p->page.len) < 0) {
        free(p);
        return -ENOMEM;
    }
    f->manifest_got += p->page.len;
    return start_page(f, p);
}

/* ---- merge, load, prepare: from a manifest to a plan ---- */

struct prepare_job {
    struct fetch_job job; /* first: the job is the prepare_job */
    bool merge;           /* a new manifest has arrived: */
    struct catalog_totals said;
    uint8_t origin[WIRE_KEY_LEN];
    struct plan plan;
    uint64_t have_bytes, missing;
};

/* Bytes of the chunks that are here, entry by entry. */
static int sum_have(struct store *store, const struct plan *plan, uint64_t *bytes) {
    struct catalog_cursor cur;
    int more;

    *bytes = 0;
    catalog_cursor_init(&cur, store_catalog(store));
    while ((more = catalog_next(&cur)) > 0) {
        uint64_t end = cur.first_chunk + manifest_chunks(&cur.entry);

        for (uint64_t chunk = cur.first_chunk; chunk < end; chunk++)
            if (plan_get(plan, chunk) == PLAN_HAVE)
                *bytes += catalog_chunk_len(&cur, chunk);
    }
    catalog_cursor_clear(&cur);
    return more;
}

static void run_prepare(struct fetch_job *job) {
    struct prepare_job *p = (struct prepare_job *)job;
    struct fetch *f = job->f;
    int err = p->merge ? store_manifest_end(f->store, &p->said, p->origin) : 0;

    if (err == 0)
        err = plan_init(&p->plan, catalog_totals(store_catalog(f->store))->chunks);
    if (err == 0)
        err = store_load(f->store, &p->plan);
    if (err == 0)
        err = sum_have(f->store, &p->plan, &p->have_bytes);
    if (err == 0)
        err = store_prepare(f->store, &p->missing);
    job->err = err;
}

static void start_running(struct fetch *f, struct prepare_job *p) {
    plan_clear(&f->plan);
    f->plan = p->plan;
    p->plan = (struct plan){0};
    f->changed = f->young_checked = f->look_waited = false;
    f->look_at_ms = f->changed_entry = 0;
    catalog_cursor_clear(&f->cursor);
    catalog_cursor_init(&f->cursor, store_catalog(f->store));
    f->phase = FETCH_RUNNING;
    fetch_say(f, (struct fetch_event){.kind = FETCH_STARTED, .peer = source_peer(f->current)});
    fetch_pump(f);
}

static void prepare_done(struct fetch_job *job) {
    struct prepare_job *p = (struct prepare_job *)job;
    struct fetch *f = job->f;

    f->have_bytes = p->have_bytes;
    if (f->phase == FETCH_ENDING)
        ;
    else if (job->err == ERR_NO_SPACE)
        fetch_end_no_space(f, p->missing);
    else if (job->err == -EINVAL || job->err == WIRE_ERR(WIRE_PROTOCOL))
        fetch_end(f, WIRE_ERR(WIRE_PROTOCOL), "%s sent a list of files that breaks the rules",
                  source_peer(f->current));
    else if (job->err < 0)
        fetch_end_without_store(f, job->err);
    else if (!f->relist) /* else a reconnect has found another selection meanwhile */
        start_running(f, p);
    plan_clear(&p->plan);
    free(p);
}

static void prepare(struct fetch *f, bool merge) {
    struct prepare_job *p = calloc(1, sizeof *p);

    f->phase = FETCH_PREPARING;
    if (merge) { /* the cursor and the plan speak of the manifest that goes */
        catalog_cursor_clear(&f->cursor);
        plan_clear(&f->plan);
    }
    if (p) {
        p->job = (struct fetch_job){.f = f, .run = run_prepare, .done = prepare_done};
        p->merge = merge;
        p->said = f->said; /* another one may be opened meanwhile */
        memcpy(p->origin, f->origin, sizeof p->origin);
    }
    if (!p || fetch_job_start(f, &p->job) < 0) {
        free(p);
        fetch_end(f, -ENOMEM, "out of memory");
    }
}
