/* SPDX-License-Identifier: MIT */
/* Peers that take buffers of one pool in turn; a clock of ours says when a line has sent one. */
#include "core/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { BUFFERS = 24, AHEAD = 4, LINES_MAX = 64 };

/* One connection that has always more to send, each buffer in `pace` ticks. */
struct line {
    struct pool_waiter w;
    uint8_t *held[AHEAD];
    unsigned due[AHEAD], n, sent, pace;
};

static struct pool pool;
static struct line lines[LINES_MAX];
static unsigned n_lines, now;

static void take_more(struct line *l) {
    while (l->n < AHEAD) {
        l->w.more = l->n > 0;
        l->held[l->n] = pool_take(&pool, l->w.share, l->w.more);
        if (!l->held[l->n]) {
            pool_wait(&pool, &l->w);
            return;
        }
        l->due[l->n++] = now + l->pace;
    }
}

static void on_turn(struct pool_waiter *w) { take_more((struct line *)w); }

static struct pool_share *join(uint8_t whose) {
    uint8_t name[POOL_WHOSE_LEN] = {whose};
    struct pool_share *s = pool_join(&pool, name);

    assert_non_null(s);
    return s;
}

/* n connections of one peer, of which each asks for all that it may have. */
static unsigned connect_peer(uint8_t whose, unsigned n, unsigned pace) {
    unsigned first = n_lines;

    for (; n > 0; n--) {
        struct line *l = &lines[n_lines++];

        *l = (struct line){.w.ready = on_turn, .w.share = join(whose), .pace = pace};
        take_more(l);
    }
    return first;
}

static void send_first(struct line *l) {
    uint8_t *buf = l->held[0];

    l->n--;
    memmove(l->held, l->held + 1, l->n * sizeof *l->held);
    memmove(l->due, l->due + 1, l->n * sizeof *l->due);
    l->sent++;
    pool_put(&pool, buf);
    take_more(l);
}

static void run(unsigned ticks) {
    for (unsigned end = now + ticks; now < end; now++)
        for (unsigned i = 0; i < n_lines; i++)
            while (lines[i].n > 0 && lines[i].due[0] <= now)
                send_first(&lines[i]);
}

static unsigned sent(unsigned first, unsigned n) {
    unsigned sum = 0;

    for (unsigned i = first; i < first + n; i++)
        sum += lines[i].sent;
    return sum;
}

static void assert_near(unsigned a, unsigned b, unsigned percent) {
    unsigned more = a > b ? a : b, less = a > b ? b : a;

    assert_true(less > 0);
    assert_true(100 * (more - less) <= percent * more);
}

static int open_pool(void **state) {
    n_lines = now = 0;
    return pool_init(&pool, BUFFERS);
}

static int close_pool(void **state) {
    for (unsigned i = 0; i < n_lines; i++) {
        pool_unwait(&pool, &lines[i].w);
        pool_leave(lines[i].w.share); /* before its buffers are back */
    }
    for (unsigned i = 0; i < n_lines; i++)
        for (unsigned k = 0; k < lines[i].n; k++)
            pool_put(&pool, lines[i].held[k]);
    assert_int_equal(pool.n_free, BUFFERS);
    assert_null(pool.shares);
    pool_clear(&pool);
    return 0;
}

static void equal_peers_get_as_much_as_each_other(void **state) {
    static const unsigned counts[] = {2, 7, 8, 16, 23, 40, 64};

    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (uint8_t peer = 0; peer < counts[i]; peer++)
            connect_peer(peer, 1, 10);
        run(4000);
        for (unsigned peer = 1; peer < counts[i]; peer++)
            assert_near(lines[peer].sent, lines[0].sent, 5);
        close_pool(state);
        open_pool(state);
    }
}

static void many_connections_are_one_peer(void **state) {
    unsigned many = connect_peer(1, 16, 10), few[10];

    for (unsigned i = 0; i < 10; i++)
        few[i] = connect_peer((uint8_t)(2 + i), 1, 10);
    run(4000);
    for (unsigned i = 0; i < 10; i++)
        assert_near(sent(few[i], 1), sent(many, 16), 10);
    for (unsigned i = 1; i < 16; i++) /* and in itself it is fair, too */
        assert_near(lines[many + i].sent, lines[many].sent, 10);
}

static void slow_peers_do_not_hold_up_who_comes_new(void **state) {
    for (uint8_t peer = 1; peer <= 3; peer++)
        connect_peer(peer, 16, UINT16_MAX);
    run(100);
    unsigned among = connect_peer(9, 1, 10);
    assert_true(lines[among].n >= 1); /* at once */
    run(1000);
    assert_true(lines[among].sent >= 100);
}

static void slow_connections_leave_room_for_others_of_their_peer(void **state) {
    for (unsigned i = 0; i < 8; i++)
        connect_peer(1, 1, UINT16_MAX);
    unsigned quick = connect_peer(1, 1, 10);

    run(100);
    assert_true(lines[quick].sent >= 9);
}

/* Who waits for it has more right to it. */
static void a_buffer_is_wanted_by_who_has_fewer(void **state) {
    struct pool_share *rich = join(1), *poor = join(2);
    struct pool_waiter w = {.ready = on_turn};
    uint8_t *held[3] = {pool_take(&pool, rich, false), pool_take(&pool, rich, true),
                        pool_take(&pool, poor, false)};

    assert_false(pool_wanted(&pool, held[0]));
    w.share = poor;
    pool_wait(&pool, &w);
    assert_true(pool_wanted(&pool, held[0]));
    assert_true(pool_wanted(&pool, held[2])); /* its own */
    w.more = true;
    assert_false(pool_wanted(&pool, held[0])); /* it has one */
    w.more = false;
    w.share = rich;
    assert_true(pool_wanted(&pool, held[0]));
    assert_false(pool_wanted(&pool, held[2]));
    pool_unwait(&pool, &w);
    for (unsigned i = 0; i < 3; i++)
        pool_put(&pool, held[i]);
    pool_leave(rich);
    pool_leave(poor);
}

static void leave(struct line *l) {
    pool_unwait(&pool, &l->w);
    pool_leave(l->w.share);
    while (l->n > 0)
        pool_put(&pool, l->held[--l->n]);
}

/* A new key, or leaving and joining again, costs nothing: it must be worth nothing. */
static void who_comes_again_and_again_gets_no_more(void **state) {
    enum { HASTY = 40, TIMES = 400 };
    unsigned steady = connect_peer(1, 1, 10);

    for (uint8_t i = 0; i < HASTY; i++)
        connect_peer(2 + i, 1, 10);
    for (unsigned t = 0; t < TIMES; t++) {
        run(10);
        for (uint8_t i = 0; i < HASTY; i++) { /* each goes with what it got, and is back */
            struct line *l = &lines[steady + 1 + i];

            if (l->n == 0)
                continue;
            leave(l);
            l->w.share = join(2 + i);
            take_more(l);
        }
    }
    assert_true(lines[steady].sent > TIMES / 4); /* a fair share is more than a half */
}

/* Whoever came last must not wait until all others have had what they are ahead. */
static void who_comes_later_is_served_as_the_others(void **state) {
    unsigned before[LINES_MAX];

    for (uint8_t peer = 0; peer < LINES_MAX; peer++) {
        connect_peer(peer, 1, 10);
        run(2);
    }
    for (unsigned i = 0; i < LINES_MAX; i++)
        before[i] = lines[i].sent;
    run(400); /* 15 buffers for each */
    for (unsigned i = 1; i < LINES_MAX; i++)
        assert_near(lines[i].sent - before[i], lines[0].sent - before[0], 15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_peers_get_as_much_as_each_other, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(many_connections_are_one_peer, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(slow_peers_do_not_hold_up_who_comes_new, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(slow_connections_leave_room_for_others_of_their_peer,
                                        open_pool, close_pool),
        cmocka_unit_test_setup_teardown(a_buffer_is_wanted_by_who_has_fewer, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(who_comes_again_and_again_gets_no_more, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(who_comes_later_is_served_as_the_others, open_pool,
                                        close_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
