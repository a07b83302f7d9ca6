/* SPDX-License-Identifier: MIT */
#include "core/names.h"

#include "core/sanitized.h"
#include "proto/wire.h"
#include "tests/unit/fail_alloc.h"

#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { SMALL = 4096 }; /* a room for some hundred names */

static uint64_t hash_of(const char *name) {
    uint64_t h = 14695981039346656037u;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 1099511628211u;
    return h;
}

/* The i-th of n names in no order: short and of up to 255 bytes, alike and not, 0xff among them. */
static void name_of(char out[300], unsigned i, unsigned n) {
    unsigned k = (unsigned)(i * (uint64_t)7919 % n);
    int len = k % 50 == 0 ? 246 : 0;
    snprintf(out, 300, "%s%0*u", k % 3 == 0 ? "IMG_2024-" : k % 3 == 1 ? "" : "\xff", len, k);
}

/* Adds n names and takes them out again: all of them, each once, in order. */
static void expect_sorted(struct names *s, unsigned n) {
    char name[300], last[300] = "";
    const char *got;
    uint64_t sum = 0;
    for (unsigned i = 0; i < n; i++) {
        name_of(name, i, n);
        sum += hash_of(name);
        assert_int_equal(names_add(s, name), 0);
    }
    assert_int_equal(names_sort(s), 0);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(names_next(s, &got), 1);
        assert_true(strcmp(last, got) < 0);
        sum -= hash_of(got);
        strcpy(last, got);
    }
    assert_int_equal(sum, 0);
    assert_int_equal(names_next(s, &got), 0);
    assert_int_equal(names_next(s, &got), 0); /* the end stays the end */
    names_empty(s);
}

/* None, one, just within the room, one run more, many; again and again with the same memory. */
static void sorted_however_many(void **state) {
    static const unsigned counts[] = {0, 1, 2, 30, 150, 151, 300, 20000, 3, 601, 0, 1000};
    struct names s;
    names_init(&s, SMALL);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        expect_sorted(&s, counts[i]);
    for (unsigned n = 100; n < 400; n++)
        expect_sorted(&s, n);
    names_clear(&s);
    expect_sorted(&s, 1000);
    names_clear(&s);
}

/* A run may have names that are the same as those of another. */
static void equal_names_stay(void **state) {
    struct names s;
    const char *got;
    names_init(&s, SMALL);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(names_add(&s, i % 2 ? "a" : "b"), 0);
    assert_int_equal(names_sort(&s), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(names_next(&s, &got), 1);
        assert_string_equal(got, i < 500 ? "a" : "b");
    }
    assert_int_equal(names_next(&s, &got), 0);
    names_clear(&s);
}

/* 100 MB of names. */
static void a_million_in_little_memory(void **state) {
    struct names s;
    char name[101];
    const char *got;

    struct mallinfo2 before = mallinfo2();
    names_init(&s, NAMES_ROOM);
    for (unsigned i = 0; i < 1000000; i++) {
        snprintf(name, sizeof name, "%0100u", i * 7919 % 1000000);
        assert_int_equal(names_add(&s, name), 0);
    }
    assert_int_equal(names_sort(&s), 0);
    assert_int_equal(names_next(&s, &got), 1);
    struct mallinfo2 now = mallinfo2();
    size_t used = now.uordblks + now.hblkhd - before.uordblks - before.hblkhd;
    assert_string_equal(got + 100 - 7, "0000000");
    assert_true(SANITIZED || used < 6 << 20); /* mallinfo2 does not know their allocator */
    names_clear(&s);
}

static void more_than_there_may_be(void **state) {
    struct names s;
    char name[256];
    int err = 0;
    unsigned i;
    names_init(&s, 600); /* two names */
    for (i = 0; i < 4 * NAMES_RUNS_MAX && !err; i++) {
        snprintf(name, sizeof name, "%0255u", i);
        err = names_add(&s, name);
    }
    assert_int_equal(err, WIRE_ERR(WIRE_LIMIT));
    assert_in_range(i, 2 * NAMES_RUNS_MAX, 2 * NAMES_RUNS_MAX + 3);
    names_clear(&s);
}

static void a_disk_that_is_full(void **state) {
    struct rlimit before, full;
    struct names s;
    char name[256];
    int err = 0;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full = before;
    full.rlim_cur = 10000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    names_init(&s, SMALL);
    for (unsigned i = 0; i < 1000 && !err; i++) {
        snprintf(name, sizeof name, "%0255u", i);
        err = names_add(&s, name);
    }
    names_clear(&s);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, -EFBIG);
}

static int sort_some(void *arg) {
    struct names s;
    char name[300];
    const char *got;
    int err = 0;
    names_init(&s, SMALL);
    for (unsigned i = 0; i < 1000 && !err; i++) {
        name_of(name, i, 1000);
        err = names_add(&s, name);
    }
    if (!err)
        err = names_sort(&s);
    int more = !err;
    while (more > 0)
        more = names_next(&s, &got);
    names_clear(&s);
    return err ? err : more;
}

static void any_allocation_may_fail(void **state) {
    assert_true(fail_alloc_each(sort_some, NULL) > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorted_however_many),        cmocka_unit_test(equal_names_stay),
        cmocka_unit_test(a_million_in_little_memory), cmocka_unit_test(more_than_there_may_be),
        cmocka_unit_test(a_disk_that_is_full),        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
