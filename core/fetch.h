/* SPDX-License-Identifier: MIT */
/*
 * fetch -- one download: dial its sources, open, plan, ask, store, commit
 *
 *     fetch_start -> on_event ... -> on_done          fetch_offer, fetch_stop at any time
 *              `-> fetch_adopt
 *
 * Survives lost connections: dials again with back-off, at fresh addresses if fetch_offer brings
 * some, until nothing arrived for timeout_ms. The first source that opens the selection is its
 * origin; when it stays away, another source becomes the origin and every chunk on disk is compared
 * with it first.
 */
#ifndef CORE_FETCH_H
#define CORE_FETCH_H

#include "core/dial.h"
#include "core/store.h"
#include "core/trust.h"

enum { FETCH_SOURCES_MAX = 16, FETCH_LANES_MAX = 4, FETCH_TIMEOUT_MS = 60000 };

struct fetch_source {
    struct endpoint to;
    char path[4096]; /* SHARE/dir/file there */
    char name[256];  /* display name it must be pinned under, escaped; "" if not known yet */
};

/* How many connections to a source there are: one more when each of them brings `rate`, half of
 * what one thread does. */
struct fetch_lane_rules {
    unsigned most;     /* 0: half as many as processors, for each also hashes and writes;
                          FETCH_LANES_MAX at the very most */
    uint64_t rate;     /* bytes a second */
    unsigned every_ms; /* between two decisions, at least 1 */
};

extern const struct fetch_lane_rules fetch_lane_rules_default;

struct fetch_request {
    const struct fetch_source *sources; /* copied */
    unsigned n_sources;
    const char *dir, *name; /* DEST and NAME */
    uint64_t timeout_ms;
    bool unsafe_links;
    bool update; /* DEST/NAME may exist: replace what is older there, and differs */
    const struct fetch_lane_rules *lane_rules; /* copied; NULL: fetch_lane_rules_default */
};

struct fetch_event {
    enum {
        FETCH_STARTED,  /* opened: totals are known */
        FETCH_PROGRESS, /* at most 10 times a second */
        FETCH_SOURCE,   /* connected to or lost: text says which and why */
        FETCH_WALK,     /* the source still looks at what was asked for: walked */
        FETCH_WARNING,  /* text */
    } kind;
    const char *peer; /* escaped; "" if none */
    const char *text;
    uint64_t bytes, done; /* of the selection; done counts what is on disk and believed */
    uint64_t fetched;     /* payload bytes taken from peers in this run; no zeros of holes */
    uint32_t entries;
    uint64_t walked;  /* names that the source has looked at so far */
    unsigned sources; /* connected now */
};

struct fetch_result {
    int why;          /* 0 committed; 1 committed, some entries skipped; below 0: not finished */
    const char *text; /* sentence with file, peer and what to do; "" for 0 */
    const char *path; /* DEST/NAME, not escaped; NULL unless committed */
    uint64_t bytes, fetched, reused; /* reused: kept from before this run */
    uint64_t zeros;                  /* that came as a word, not as bytes: not in fetched */
    unsigned sources;                /* that gave chunks */
    bool unchanged;                  /* DEST/NAME was there, and nothing about it had to change */
    bool incomplete; /* why < 0: staging is kept, run it again (exit 6), else failed (exit 1) */
};

struct fetch_handler {
    void (*on_event)(void *owner, const struct fetch_event *e);
    /* The last one: the fetch is gone after it. */
    void (*on_done)(void *owner, const struct fetch_result *r);
};

struct fetch;
int fetch_start(struct fetch **f, const struct conn_env *env, struct trust *trust,
                const struct fetch_request *r, const struct fetch_handler *h, void *owner);
/* The peer with this key was seen (again): dial it now if it is a source that is not connected. */
void fetch_offer(struct fetch *f, const struct endpoint *to);
/* Right after fetch_start: a connection to the first source, with nothing under way, to begin with;
 * the fetch's from now on, or NULL. */
void fetch_adopt(struct fetch *f, struct conn *c);
/* Finish the writes that run, then on_done with ERR_STOPPED. */
void fetch_stop(struct fetch *f);

#endif
