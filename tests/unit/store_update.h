/* SPDX-License-Identifier: MIT */
/*
 * store_update -- words for tests of a copy that is there already: compare with it, update it
 *
 *     begin_update -> compare_with -> give -> commit        or update() for all of it
 */
#ifndef TESTS_STORE_UPDATE_H
#define TESTS_STORE_UPDATE_H

#include "core/err.h"
#include "core/store_internal.h"
#include "tests/unit/store_source.h"

/* The source's answer for every suspect chunk; what each is then. */
static inline int compare_with(struct store *s, struct source *src, struct plan *plan) {
    static const enum plan_state state[] = {PLAN_ABSENT, PLAN_HAVE, PLAN_FAILED};
    enum store_verdict verdict;
    uint64_t first;
    uint32_t n;
    int rc = 0;
    while (!rc && plan_run(plan, PLAN_SUSPECT, 1, &first, &n)) {
        struct wire_record r;
        source_record(src, first, src->frame, &r);
        rc = store_compare(s, first, 1, r.digest, &verdict);
        if (!rc)
            plan_set(plan, first, state[verdict]);
    }
    return rc;
}

static inline int begin_update(struct store **s, const struct scratch *dest, const char *name,
                               struct source *src, struct plan *plan) {
    struct store_target t = {.dir = dest->path, .name = name, .path = "share/name", .update = true};
    *plan = (struct plan){0};
    int rc = store_open(s, &t);
    if (!rc)
        rc = source_begin(*s, src, plan);
    return rc ? rc : compare_with(*s, src, plan);
}

struct updated {
    uint64_t fetched; /* chunks */
    uint32_t skipped;
    bool unchanged;
};

/* All of it. What is left in staging stays there if something fails. */
static inline int update(const struct scratch *dest, const char *name, struct source *src,
                         struct updated *u) {
    struct store *s = NULL;
    struct plan plan;
    int rc = begin_update(&s, dest, name, src, &plan);
    *u = (struct updated){0};
    if (!rc) {
        u->fetched = plan.count[PLAN_ABSENT];
        rc = source_give_all(s, src, &plan);
    }
    if (!rc)
        rc = source_commit(s);
    if (!rc) {
        u->skipped = s->n_skipped;
        u->unchanged = store_is_unchanged(s);
    }
    plan_clear(&plan);
    store_close(s);
    return rc;
}

/* --- what happens to the copy ---------------------------------------------------------------- */

static inline void set_time(const struct scratch *dest, const char *path, time_t at) {
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = at}};
    assert_int_equal(utimensat(dest->fd, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* One byte is another one, and the time is the one given. */
static inline void spoil(const struct scratch *dest, const char *path, off_t at, time_t mtime) {
    uint8_t byte;
    int fd = openat(dest->fd, path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
    set_time(dest, path, mtime);
}

#endif
