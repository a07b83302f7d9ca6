/* SPDX-License-Identifier: MIT */
#include "core/outq.h"
#include "proto/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct pool pool;
static struct outq q;

static int set_up(void **state) {
    if (pool_init(&pool, 3))
        return -1;
    outq_init(&q, &pool);
    return 0;
}

static int tear_down(void **state) {
    outq_clear(&q);
    assert_int_equal(pool.n_free, 3);
    pool_clear(&pool);
    return 0;
}

static void put_small(const char *text) {
    assert_int_equal(outq_small(&q, (const uint8_t *)text, strlen(text)), 0);
}

static void put_frame(const char *text) {
    uint8_t *frame = pool_get(&pool);

    memcpy(frame, text, strlen(text));
    assert_int_equal(outq_frame(&q, frame, strlen(text)), 0);
}

/* Takes at most len bytes, and expects them. */
static void expect(size_t len, const char *want) {
    const uint8_t *at;
    size_t have;

    assert_true(outq_front(&q, &at, &have));
    if (have > len)
        have = len;
    assert_int_equal(have, strlen(want));
    assert_memory_equal(at, want, have);
    outq_advance(&q, have);
}

static void expect_empty(void) {
    const uint8_t *at;
    size_t len;

    assert_false(outq_front(&q, &at, &len));
    assert_int_equal(q.len, 0);
    assert_int_equal(q.small_len, 0);
}

static void small_messages_come_first(void **state) {
    expect_empty();
    put_frame("frame 1");
    put_frame("frame 2");
    put_small("a");
    put_small("b");
    assert_int_equal(q.len, 16);
    assert_int_equal(q.small_len, 2);
    expect(99, "a");
    expect(99, "b");
    expect(3, "fra"); /* has started: nothing overtakes it */
    put_small("c");
    expect(99, "me 1");
    assert_int_equal(pool.n_free, 2);
    expect(99, "c");
    put_frame("frame 3");
    expect(99, "frame 2");
    expect(99, "frame 3");
    expect_empty();
}

static void drops_what_has_not_started(void **state) {
    put_frame("frame 1");
    put_frame("frame 2");
    expect(1, "f");
    put_small("a");
    outq_drop(&q);
    assert_int_equal(q.len, 6);
    assert_int_equal(pool.n_free, 2);
    put_small("bye");
    expect(99, "rame 1");
    expect(99, "bye");
    expect_empty();
    put_small("a");
    put_frame("frame 3");
    expect(0, "");
    outq_clear(&q);
    expect_empty();
}

struct waker {
    struct pool_waiter w;
    bool put;
};

static void put_more(struct pool_waiter *w) {
    ((struct waker *)w)->put = true;
    put_frame("woken");
}

static void a_buffer_that_goes_back_may_bring_a_frame(void **state) {
    struct waker w = {.w.ready = put_more};

    put_frame("frame 1");
    put_frame("frame 2");
    pool_wait(&pool, &w.w);
    outq_drop(&q);
    assert_true(w.put);
    assert_int_equal(q.len, 5);
    expect(99, "woken");
    expect_empty();
}

#define WITH_POOL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_POOL(small_messages_come_first),
        WITH_POOL(drops_what_has_not_started),
        WITH_POOL(a_buffer_that_goes_back_may_bring_a_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
