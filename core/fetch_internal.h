/* SPDX-License-Identifier: MIT */
/*
 * fetch_internal -- what the files of a download share
 *
 *     fetch.c         life, commit
 *     fetch_source.c  one peer that we take from: dial, trust, lose, dial again
 *     fetch_open.c    from OPEN over the manifest to a plan
 *     fetch_run.c     the phase RUN: ask, receive, write
 *     fetch_lanes.c   connections to it: several, where one thread would be the wall
 *     fetch_pace.c    does it come nearer its end; who is too slow
 *     fetch_tell.c    what the user is told: events, warnings, ends that are the disk's
 *     fetch_check.c   what is on disk already: re-read it, or compare it with the source's digests
 *     fetch_look.c    the last look: files that were modified just before they were listed
 *
 * Each job is one fetch_job on the worker pool; f->n_jobs counts them. Phases that change what the
 * store is about start only when no job runs.
 */
#ifndef CORE_FETCH_INTERNAL_H
#define CORE_FETCH_INTERNAL_H

#include "core/fetch.h"

#include <stdatomic.h>

enum {
    FETCH_ASKS = 4,                    /* GETs outstanding on one connection */
    FETCH_GET_BYTES = 4 * 1024 * 1024, /* chunks asked for in one GET, together */
    FETCH_GET_CHUNKS = 512,
    FETCH_CHECK_CHUNKS = 16, /* re-read in one job */
    FETCH_CHECK_JOBS = 2,
    FETCH_COMPARE_CHUNKS = 1024, /* digests asked for in one DIGEST_GET */
    FETCH_ROUNDS = 3,            /* openings of a selection that keeps changing */
    FETCH_BAD_TIMES = 3,         /* a chunk that arrives damaged so often is an error */
    FETCH_BAD_MAX = 64,          /* damaged chunks that are remembered */
    /* whoever has a chunk, beyond the numbers of sources: extra lanes, jobs of ours */
    FETCH_FIRST_EXTRA = FETCH_SOURCES_MAX,
    FETCH_WRITING = FETCH_FIRST_EXTRA + FETCH_LANES_MAX - 1,
    FETCH_CHECKING,
};

enum fetch_phase {
    FETCH_CONNECTING, /* no selection is open yet, or not any more */
    FETCH_OPENING,    /* OPEN was sent */
    FETCH_LISTING,    /* pages of the manifest arrive */
    FETCH_PREPARING,  /* a job merges, loads, prepares */
    FETCH_RUNNING,
    FETCH_COMMITTING,
    FETCH_ENDING,
};

struct lane_ask {  /* one GET */
    uint16_t req;  /* 0: free */
    uint32_t left; /* records that are still to come */
};

/* A connection to a source, and what was asked for on it. The first one, source.lane, opens, lists
 * and compares, and decides how the download goes on: the owner of its conn is the source. The
 * extra ones, fetch.extra, lead to the current source, only bring chunks, while the phase is
 * RUNNING, and own their conns. */
struct lane {
    struct fetch *f;
    struct source *source;
    unsigned index; /* in the plan */
    struct dial *dial;
    struct conn *conn;           /* NULL: not connected */
    bool open;                   /* OPENED came: it can be asked for chunks */
    uint64_t owing_ms, answered; /* since when it owes an answer; conn_answered() then */
    uint16_t last_req, open_req;
    struct lane_ask asks[FETCH_ASKS];
};

struct source {
    struct fetch *f;
    struct fetch_source spec;
    struct lane lane;
    bool gave;   /* at least one chunk */
    bool barred; /* it does not let us in: never ask again */
    uint64_t retry_at_ms, backoff_ms, lost_at_ms;
    bool too_slow; /* that is why it is closed */
    uint64_t steps, steps_asked_ms;
    uint16_t steps_req; /* INFO_GET that is out, 0: none */
    int refused;        /* its answer to OPEN */
};

struct fetch {
    uv_timer_t tick; /* first: the handle is the fetch */
    const struct conn_env *env;
    struct trust *trust;
    const struct fetch_handler *handler;
    void *owner;
    char dir[4096], name[256];
    char shown_dir[1024], shown[4 * 256]; /* the same, escaped and cut, for messages */
    uint64_t timeout_ms;
    bool unsafe_links, update;

    enum fetch_phase phase;
    struct source sources[FETCH_SOURCES_MAX];
    unsigned n_sources;
    struct source *current; /* the one we talk to, or try to */

    struct fetch_lane_rules lane_rules;
    struct lane extra[FETCH_LANES_MAX - 1];
    unsigned n_extra;                      /* connected, or dialled */
    bool enough;                           /* one of them failed: there are to be no more */
    uint64_t lanes_seen_ms, lanes_fetched; /* the last decision, and f->fetched then */

    struct store *store;
    struct catalog_cursor cursor; /* of the store's catalog, loop thread */
    struct plan plan;
    unsigned n_jobs, n_checks;
    atomic_bool stop;       /* tells long jobs to end */
    unsigned round;         /* openings whose files had changed */
    bool changed;           /* some chunk could not be had: its file is another one now */
    uint64_t changed_entry; /* that file's number + 1, of the last such chunk; 0: none yet */
    bool young_checked;     /* the last look at files that were modified just before the walk */
    bool look_waited;       /* for the clock that their times are of to go on */
    uint64_t look_at_ms;

    /* the selection as its origin described it last */
    struct catalog_totals said;
    uint8_t origin[WIRE_KEY_LEN];
    uint64_t manifest_got;
    uint32_t page_len; /* of the page that was asked for, 0: none */
    bool relist;       /* a selection was opened; take it over when no job runs */
    int64_t now_ns;    /* its clock then, at now_at_ms of ours */
    uint64_t now_at_ms;
    uint32_t left_out;         /* entries that it could not list */
    char left_out_shown[1024]; /* the first of them, escaped */
    uint64_t digests_left;     /* of the DIGEST_GET that is out */

    struct bad_chunk {
        uint64_t chunk;
        unsigned times;
    } bad[FETCH_BAD_MAX];
    unsigned n_bad;

    uint64_t have_bytes, fetched;
    uint64_t zeros; /* bytes that peers said are zeros, and did not send */
    uint64_t ticked_ms, moved_ms, brought_ms; /* the last tick, and see fetch_pace.c */

    /* how it ended */
    int why;
    bool tick_closed, committed, unchanged, other_left;
    char text[4096];
    char path[4096 + 256];
};

/* ---- fetch.c ---- */

/* One piece of blocking work. run: on the pool; done: on the loop, f->n_jobs is lower already. */
struct fetch_job {
    uv_work_t work; /* first: the request is the job */
    struct fetch *f;
    int err;
    void (*run)(struct fetch_job *job);
    void (*done)(struct fetch_job *job);
};

/* Starts a job that the caller allocated; done() frees it. On failure it is the caller's still. */
int fetch_job_start(struct fetch *f, struct fetch_job *job);

/* Bytes of a message that a job needs after on_message: in the pool's buffer, or copied if the
 * message was small. */
struct kept {
    uint8_t *frame, *copy; /* one of them, or none */
};

/* Keeps `len` bytes from *at on, of the message of this on_message. *at may move. 0, -ENOMEM. */
int kept_take(struct kept *k, struct conn *c, const uint8_t **at, size_t len);
void kept_clear(struct kept *k, struct pool *pool);

/* Ends the fetch: 0 or 1 committed, below 0 not. The first call counts. Makes result.text. */
void fetch_end(struct fetch *f, int why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void fetch_free_if_down(struct fetch *f);

void fetch_run_done(struct fetch *f); /* nothing is left to ask, write, check or compare */

/* ---- fetch_open.c ---- */

/* The connection of the source is up and trusted: open the selection when no job is in the way. */
void fetch_open(struct fetch *f);
int fetch_on_opened(struct source *s, const struct msg *m);
int fetch_on_manifest(struct source *s, const struct msg *m);
void fetch_relist(struct fetch *f); /* no job runs: make what was opened ours */

/* ---- fetch_pace.c ---- */

/* Something is here now that stays: a chunk that is believed. */
void fetch_brought(struct fetch *f);
/* The source does something that may lead there. Both stop the clock of timeout_ms. */
void fetch_moved(struct fetch *f);
void lane_answered(struct lane *l); /* wholly, one of the things that were asked there */
/* For how many ms nothing came that is owed; 0 without a debt. Of a connected one; moves its
 * clock. */
uint64_t lane_silent_ms(struct lane *l, bool owes, uint64_t now_ms);
int fetch_on_info(struct source *s, const struct msg *m);
/* How much is asked for at a time on one lane: how many GETs, and the bytes of each. */
unsigned fetch_asks(const struct fetch *f);
uint64_t fetch_get_bytes(const struct fetch *f);
/* Each tick: closes a source that was asked and is too slow, ends a fetch that does not move. */
void fetch_check_pace(struct fetch *f, uint64_t now_ms);

/* ---- fetch_source.c ---- */

void source_tick(struct fetch *f, uint64_t now_ms);
void source_close(struct source *s, int why); /* its dial or connection; takes an unconnected one */
const char *source_peer(const struct source *s); /* its name for messages, escaped */

/* ---- fetch_run.c ---- */

/* Asks, checks and compares whatever can be now; ends the phase when nothing is left. */
void fetch_pump(struct fetch *f);
int fetch_on_data(struct lane *l, const struct msg *m);

uint32_t fetch_chunk_len(struct fetch *f, uint64_t chunk); /* loop thread */
void fetch_now_here(struct fetch *f, uint64_t chunk);      /* on disk and believed */

/* ---- fetch_lanes.c ---- */

uint16_t lane_next_req(struct lane *l);
int lane_send_open(struct lane *l);   /* asks for the selection. 0, or an error */
bool lane_owes(const struct lane *l); /* the selection, or chunks */
void lane_forget(struct lane *l); /* it is lost: what was asked for there goes back to the plan */

void fetch_lanes_tick(struct fetch *f, uint64_t now_ms);
/* What they were asked for goes back to the plan. There may be new ones after it. */
void fetch_lanes_close(struct fetch *f);

/* ---- fetch_tell.c ---- */

void fetch_say(struct fetch *f, struct fetch_event e); /* the totals are added */
bool fetch_warn_left_out(struct fetch *f); /* after the commit: each entry; false: there is none */
void fetch_warn_kept(struct fetch *f);     /* what was in staging and is not of the download */
void fetch_warn_other_left(struct fetch *f); /* staging of another one, beside the very target */

/* fetch_end with a sentence for what happened at the disk here. */
void fetch_end_target(struct fetch *f, int err); /* DEST/NAME exists, and is in the way */
void fetch_end_overtaken(struct fetch *f);       /* the same, since the commit began */
void fetch_end_no_space(struct fetch *f, uint64_t missing); /* bytes; 0: not known */
void fetch_end_with_disk_error(struct fetch *f, int err);
void fetch_end_without_store(struct fetch *f, int err); /* it could not be opened or prepared */
void fetch_end_held(struct fetch *f, const struct holder *h);

/* ---- fetch_check.c ---- */

int fetch_start_checks(struct fetch *f);
int fetch_ask_digests(struct source *s);
int fetch_on_digest(struct source *s, const struct msg *m);

/* ---- fetch_look.c ---- */

/* Compares files that were modified just before the walk once more; then fetch_run_done again. */
void fetch_look_again(struct fetch *f);

#endif
