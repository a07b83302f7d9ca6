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

#include "core/store_internal.h"
#include "tests/unit/store_source.h"

#include <sys/wait.h>

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

/* --- a crash at a step ------------------------------------------------------------------------ */

static const char *die_at;

static inline void die(const char *step) {
    if (strcmp(step, die_at) == 0)
        _exit(42);
}

static inline void expect_end(pid_t pid, int code) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

/* In a process of its own, which ends before the step. */
static inline void commit_and_die(const char *step) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        die_at = step;
        store_step_hook = die;
        start();
        assert_int_equal(source_give_all(store, &src, &plan), 0);
        (void)source_commit(store);
        _exit(1);
    }
    expect_end(pid, 42);
}

#endif
