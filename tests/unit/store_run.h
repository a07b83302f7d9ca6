/* SPDX-License-Identifier: MIT */
/*
 * store_run -- one download of "d" from a made-up peer, run after run
 *
 *     source_make(&src, items, n)   start -> source_give ... -> stop   start -> ...
 *
 * Each program has its own copy.
 */
#ifndef TESTS_STORE_RUN_H
#define TESTS_STORE_RUN_H

#include "tests/unit/store_source.h"

static struct scratch dest;
static struct source src;
static struct store *store; /* NULL between two runs */
static struct plan plan;

#define STAGING "d.lanyard-part/"

static inline void start(void) {
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_int_equal(source_begin(store, &src, &plan), 0);
}

/* The run ends here, wherever it is; staging stays. */
static inline void stop(void) {
    plan_clear(&plan);
    store_close(store);
    store = NULL;
}

static inline void make_run(void) {
    scratch_make(&dest);
    src = (struct source){0};
    store = NULL;
    plan = (struct plan){0};
}

static inline void drop_run(void) {
    stop();
    source_clear(&src);
    scratch_remove(&dest);
}

#endif
