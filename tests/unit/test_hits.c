/* SPDX-License-Identifier: MIT */
#include "cli/hits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int peer_a, peer_b, peer_c; /* only their addresses count */

static void add(struct hits *h, const void *peer, const char *path, uint8_t kind, uint64_t size) {
    struct wire_entry e = {.kind = kind, .size = size, .mtime_ns = 7, .mode = 0644};
    struct hit about = {.peer = peer, .peer_name = "a"};

    if (peer == &peer_b)
        about.peer_name = "b";
    if (peer == &peer_c)
        about.peer_name = "c";
    e.path = (struct bytes){(const uint8_t *)path, strlen(path)};
    assert_int_equal(hits_add(h, &about, "", &e), 0);
}

static void finds_nothing(void **state) {
    struct hits h;

    hits_init(&h);
    assert_int_equal(hits_resolve(&h, "x"), HITS_NONE);
    add(&h, &peer_a, "S/y", WIRE_FILE, 1); /* a peer that answers something else */
    add(&h, &peer_a, "x/y", WIRE_FILE, 1);
    add(&h, &peer_a, "S/xx", WIRE_FILE, 1);
    assert_int_equal(hits_resolve(&h, "x"), HITS_NONE);
    assert_int_equal(h.n, 0);
    hits_clear(&h);
}

static void full_path_beats_share_beats_base_name(void **state) {
    struct hits h;

    hits_init(&h);
    add(&h, &peer_a, "S/x", WIRE_FILE, 1);
    add(&h, &peer_b, "x", WIRE_FILE, 2);
    assert_int_equal(hits_resolve(&h, "x"), HITS_ONE);
    assert_int_equal(h.n, 1);
    assert_ptr_equal(h.all[0].peer, &peer_b);
    hits_clear(&h);

    add(&h, &peer_a, "T/S/x", WIRE_FILE, 1);
    add(&h, &peer_b, "S/x", WIRE_DIR, 0);
    assert_int_equal(hits_resolve(&h, "S/x"), HITS_ONE);
    assert_int_equal(h.n, 1);
    assert_ptr_equal(h.all[0].peer, &peer_b);
    hits_clear(&h);
}

static void equal_files_are_sources(void **state) {
    struct hits h;

    hits_init(&h);
    add(&h, &peer_c, "S/x", WIRE_FILE, 5);
    add(&h, &peer_a, "Z/x", WIRE_FILE, 5);
    add(&h, &peer_a, "A/x", WIRE_FILE, 5);
    add(&h, &peer_b, "B/x", WIRE_FILE, 5);
    assert_int_equal(hits_resolve(&h, "x"), HITS_ONE);
    assert_int_equal(h.n, 3);
    assert_string_equal(h.all[0].path, "A/x"); /* the first path of a peer that has two */
    assert_ptr_equal(h.all[1].peer, &peer_b);
    assert_ptr_equal(h.all[2].peer, &peer_c);
    hits_clear(&h);
}

static void lower_ranks_give_sources_too(void **state) {
    struct hits h;

    hits_init(&h);
    add(&h, &peer_a, "x", WIRE_FILE, 5);
    add(&h, &peer_b, "B/x", WIRE_FILE, 5);
    add(&h, &peer_c, "C/x", WIRE_FILE, 6); /* another file: no candidate, the share's name wins */
    assert_int_equal(hits_resolve(&h, "x"), HITS_ONE);
    assert_int_equal(h.n, 2);
    assert_ptr_equal(h.all[0].peer, &peer_a);
    assert_ptr_equal(h.all[1].peer, &peer_b);
    hits_clear(&h);
}

static void different_ones_are_candidates(void **state) {
    struct hits h;

    hits_init(&h);
    add(&h, &peer_a, "S/x", WIRE_FILE, 5);
    add(&h, &peer_b, "S/x", WIRE_FILE, 6);
    assert_int_equal(hits_resolve(&h, "x"), HITS_MANY);
    assert_int_equal(h.n, 2);
    hits_clear(&h);
    add(&h, &peer_a, "x", WIRE_DIR, 0); /* folders are never known to be the same */
    add(&h, &peer_b, "x", WIRE_DIR, 0);
    add(&h, &peer_b, "S/x", WIRE_DIR, 0);
    assert_int_equal(hits_resolve(&h, "x"), HITS_MANY);
    assert_int_equal(h.n, 2);
    hits_clear(&h);
    add(&h, &peer_a, "S/x", WIRE_FILE, 5);
    add(&h, &peer_a, "T/x", WIRE_FILE, 6); /* inside one peer */
    assert_int_equal(hits_resolve(&h, "x"), HITS_MANY);
    hits_clear(&h);
}

static void joins_the_folder(void **state) {
    struct wire_entry e = {.kind = WIRE_FILE, .path = {(const uint8_t *)"b", 1}};
    struct hit about = {.peer = NULL, .peer_name = ""};
    struct hits h;

    hits_init(&h);
    assert_int_equal(hits_add(&h, &about, "S/a", &e), 0);
    assert_string_equal(h.all[0].path, "S/a/b");
    assert_string_equal(hit_base(&h.all[0]), "b");
    hits_clear(&h);
}

static void stops_when_full(void **state) {
    char path[4000];
    struct wire_entry e = {.kind = WIRE_FILE, .path = {(const uint8_t *)path, sizeof path}};
    struct hit about = {.peer = NULL, .peer_name = ""};
    struct hits h;
    int err = 0;

    memset(path, 'a', sizeof path);
    hits_init(&h);
    for (unsigned i = 0; i < HITS_BYTES_MAX / sizeof path + 1 && err == 0; i++)
        err = hits_add(&h, &about, "", &e);
    assert_int_equal(err, HITS_FULL);
    assert_true(h.bytes <= HITS_BYTES_MAX);
    hits_clear(&h);
    assert_int_equal(hits_add(&h, &about, "", &e), 0);
    hits_clear(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_nothing),
        cmocka_unit_test(full_path_beats_share_beats_base_name),
        cmocka_unit_test(equal_files_are_sources),
        cmocka_unit_test(lower_ranks_give_sources_too),
        cmocka_unit_test(different_ones_are_candidates),
        cmocka_unit_test(joins_the_folder),
        cmocka_unit_test(stops_when_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
