/* SPDX-License-Identifier: MIT */
#include "core/blocks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t data[2 * BLOCKS_MAX * BLOCK_LEN];

static int make_data(void **state) {
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    return 0;
}

static void gives_back_what_went_in(void **state) {
    struct block_budget budget = {.max = 8};
    struct blocks b;
    size_t in = 0, out = 0, len;
    const uint8_t *block;

    blocks_init(&b, &budget);
    srand(1);
    while (out < sizeof data) {
        size_t n = (size_t)rand() % 50000, room = blocks_room(&b);
        if (n > sizeof data - in)
            n = sizeof data - in;
        if (n > room)
            n = room;
        assert_int_equal(blocks_append(&b, data + in, n), 0);
        in += n;
        if (blocks_out(&b, rand() % 2, &block, &len)) {
            assert_true(len <= in - out);
            assert_memory_equal(block, data + out, len);
            out += len;
            blocks_done(&b);
        } else {
            assert_true(in < sizeof data || b.n > 0);
        }
    }
    assert_int_equal(in, sizeof data);
    assert_false(blocks_out(&b, true, &block, &len));
    blocks_clear(&b);
    assert_int_equal(budget.used, 0);
}

static void is_bounded(void **state) {
    struct block_budget budget = {.max = 8};
    struct blocks b;
    const uint8_t *block;
    size_t len;

    blocks_init(&b, &budget);
    assert_int_equal(blocks_room(&b), BLOCKS_MAX * BLOCK_LEN);
    assert_int_equal(blocks_append(&b, data, BLOCKS_MAX * BLOCK_LEN), 0);
    assert_int_equal(blocks_room(&b), 0);
    assert_int_equal(blocks_append(&b, data, 1), -ENOBUFS);
    for (unsigned i = 0; i < BLOCKS_MAX; i++)
        assert_true(blocks_out(&b, false, &block, &len));
    assert_false(blocks_out(&b, true, &block, &len));
    assert_int_equal(blocks_room(&b), 0);
    blocks_done(&b);
    assert_int_equal(blocks_room(&b), BLOCK_LEN);
    assert_int_equal(budget.used, BLOCKS_MAX);
    blocks_clear(&b);
    assert_int_equal(budget.used, 0);
}

static void a_part_goes_out_alone(void **state) {
    struct block_budget budget = {.max = 8};
    struct blocks b;
    const uint8_t *first, *second;
    size_t len;

    blocks_init(&b, &budget);
    assert_false(blocks_out(&b, true, &first, &len));
    assert_int_equal(blocks_append(&b, "one", 3), 0);
    assert_false(blocks_out(&b, false, &first, &len));
    assert_true(blocks_out(&b, true, &first, &len));
    assert_int_equal(len, 3);
    assert_int_equal(blocks_append(&b, "two", 3), 0); /* not into the one that is out */
    assert_int_equal(blocks_append(&b, "three", 5), 0);
    assert_false(blocks_out(&b, true, &second, &len));
    assert_memory_equal(first, "one", 3);
    blocks_done(&b);
    assert_true(blocks_out(&b, true, &second, &len));
    assert_int_equal(len, 8);
    assert_memory_equal(second, "twothree", 8);
    blocks_clear(&b); /* with one out */
    assert_int_equal(budget.used, 0);
}

static void many_share_a_budget(void **state) {
    enum { OWNERS = 12 };
    struct block_budget budget = {.max = 10};
    struct blocks b[OWNERS];
    const uint8_t *block;
    size_t len, total = 0;

    for (unsigned i = 0; i < OWNERS; i++) {
        blocks_init(&b[i], &budget);
        size_t room = blocks_room(&b[i]);
        assert_true(room >= BLOCK_SMALL); /* nobody starves */
        assert_int_equal(blocks_append(&b[i], data, room), 0);
        assert_int_equal(blocks_room(&b[i]), 0);
        total += room;
    }
    assert_int_equal(budget.used, budget.max);
    assert_int_equal(total, 10 * BLOCK_LEN + 9 * BLOCK_SMALL);
    for (unsigned i = 0; i < OWNERS; i++)
        while (blocks_out(&b[i], true, &block, &len))
            blocks_done(&b[i]);
    assert_true(budget.used <= budget.max / 2); /* not all is kept */
    for (unsigned i = 0; i < OWNERS; i++)
        blocks_trim(&b[i]);
    assert_int_equal(budget.used, 0);
    for (unsigned i = 0; i < OWNERS; i++)
        blocks_clear(&b[i]);
}

static void what_is_reserved_leaves_the_budget_alone(void **state) {
    struct block_budget budget = {.max = 8};
    struct blocks b;
    const uint8_t *block;
    size_t len;

    blocks_init(&b, &budget);
    blocks_reserve(&b, 2);
    assert_int_equal(budget.used, 2);
    assert_int_equal(blocks_room(&b), 2 * BLOCK_LEN);
    assert_int_equal(blocks_append(&b, data, 2 * BLOCK_LEN), 0);
    assert_int_equal(blocks_append(&b, data, 1), -ENOBUFS);
    while (blocks_out(&b, true, &block, &len))
        blocks_done(&b);
    assert_int_equal(blocks_room(&b), 2 * BLOCK_LEN);
    assert_int_equal(budget.used, 2);
    blocks_release(&b);
    assert_int_equal(blocks_room(&b), BLOCKS_MAX * BLOCK_LEN);
    blocks_clear(&b);
    assert_int_equal(budget.used, 0);
}

static void what_is_out_is_not_reserved(void **state) {
    struct block_budget budget = {.max = 8};
    struct blocks b;
    const uint8_t *block;
    size_t len;

    blocks_init(&b, &budget);
    assert_int_equal(blocks_append(&b, "out", 3), 0);
    assert_true(blocks_out(&b, true, &block, &len));
    blocks_reserve(&b, 1);
    assert_int_equal(blocks_room(&b), BLOCK_LEN);
    assert_int_equal(budget.used, 2);
    blocks_release(&b);
    blocks_clear(&b);
    assert_int_equal(budget.used, 0);
}

static void few_are_reserved_when_many_share(void **state) {
    struct block_budget budget = {.max = 4, .used = 3};
    struct blocks a, b;

    blocks_init(&a, &budget);
    blocks_init(&b, &budget);
    blocks_reserve(&a, BLOCKS_MAX);
    assert_int_equal(blocks_room(&a), BLOCK_LEN);
    blocks_reserve(&b, BLOCKS_MAX); /* none is left: as without */
    assert_int_equal(blocks_room(&b), BLOCK_SMALL);
    assert_int_equal(blocks_append(&b, data, BLOCK_SMALL), 0);
    assert_int_equal(budget.used, 4);
    blocks_release(&a);
    assert_int_equal(budget.used, 3); /* others may want it */
    blocks_release(&b);
    blocks_clear(&a);
    blocks_clear(&b);
    assert_int_equal(budget.used, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_what_went_in),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(a_part_goes_out_alone),
        cmocka_unit_test(many_share_a_budget),
        cmocka_unit_test(what_is_reserved_leaves_the_budget_alone),
        cmocka_unit_test(what_is_out_is_not_reserved),
        cmocka_unit_test(few_are_reserved_when_many_share),
    };
    return cmocka_run_group_tests(tests, make_data, NULL);
}
