/* SPDX-License-Identifier: MIT */
#include "core/buf.h"
#include "proto/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void gives_each_buffer_once(void **state) {
    struct pool p;
    uint8_t *b[8];

    assert_int_equal(pool_init(&p, 8), 0);
    for (unsigned i = 0; i < 8; i++) {
        b[i] = pool_get(&p);
        assert_non_null(b[i]);
        assert_int_equal((uintptr_t)b[i] % 4096, 0);
        memset(b[i], (int)i, WIRE_FRAME_MAX);
    }
    assert_null(pool_get(&p));
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(b[i][0], i);
        assert_int_equal(b[i][WIRE_FRAME_MAX - 1], i);
    }
    pool_put(&p, b[3]);
    assert_ptr_equal(pool_get(&p), b[3]);
    assert_null(pool_get(&p));
    for (unsigned i = 0; i < 8; i++)
        pool_put(&p, b[i]);
    pool_put(&p, NULL);
    assert_int_equal(p.n_free, 8);
    pool_clear(&p);
}

struct waiter {
    struct pool_waiter w;
    struct pool *p;
    uint8_t *got;
    int called;
};

static void take(struct pool_waiter *w) {
    struct waiter *me = (struct waiter *)w;

    me->called++;
    me->got = pool_get(me->p);
}

static void wakes_who_waited_longest(void **state) {
    struct pool p;
    assert_int_equal(pool_init(&p, 1), 0);
    struct waiter a = {.w.ready = take, .p = &p}, b = a, c = a;

    uint8_t *buf = pool_get(&p);
    pool_unwait(&p, &a.w);
    pool_wait(&p, &a.w);
    pool_wait(&p, &b.w);
    pool_wait(&p, &a.w); /* keeps its place */
    pool_wait(&p, &c.w);
    pool_unwait(&p, &b.w);

    pool_put(&p, buf);
    assert_ptr_equal(a.got, buf);
    assert_int_equal(c.called, 0);
    pool_put(&p, a.got);
    assert_ptr_equal(c.got, buf);
    pool_put(&p, c.got);
    assert_int_equal(a.called, 1);
    assert_int_equal(b.called, 0);
    assert_int_equal(c.called, 1);
    pool_clear(&p);
}

static unsigned resident(const struct pool *p) {
    unsigned char pages[4 * WIRE_FRAME_MAX / 4096];
    unsigned n = 0;

    assert_int_equal(mincore(p->mem, sizeof pages * 4096, pages), 0);
    for (unsigned i = 0; i < sizeof pages; i++)
        n += pages[i] & 1;
    return n;
}

static void trims_free_buffers_only(void **state) {
    struct pool p;

    assert_int_equal(pool_init(&p, 4), 0);
    assert_int_equal(resident(&p), 0);
    uint8_t *a = pool_get(&p), *b = pool_get(&p);
    memset(a, 1, WIRE_FRAME_MAX);
    memset(b, 2, WIRE_FRAME_MAX);
    pool_put(&p, a);
    pool_trim(&p);
    assert_true(resident(&p) >= WIRE_FRAME_MAX / 4096);
    assert_true(resident(&p) < 2 * (WIRE_FRAME_MAX / 4096));
    assert_int_equal(b[WIRE_FRAME_MAX - 1], 2);
    pool_put(&p, b);
    pool_trim(&p);
    assert_int_equal(resident(&p), 0);
    pool_clear(&p);
}

static void takes_a_zeroed_pool(void **state) {
    struct pool p = {0};

    pool_clear(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_each_buffer_once),
        cmocka_unit_test(wakes_who_waited_longest),
        cmocka_unit_test(trims_free_buffers_only),
        cmocka_unit_test(takes_a_zeroed_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
