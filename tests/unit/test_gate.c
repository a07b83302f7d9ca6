/* SPDX-License-Identifier: MIT */
/* Who comes in to a server: how many wait, whose turn it is to go, codes, keys. */
#include "core/gate.h"

#include "core/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { GUESTS = 2000 };

static struct gate gate;
static struct gate_guest guests[GUESTS];
static unsigned n_guests;
static const uint8_t listener[KEY_LEN] = {77};
static const struct access_code code = {"k7f3q9zz"};
static struct access_bond bond; /* all of one connection: what differs is who comes */
static const char *text;

static void open_gate(struct gate_rules rules) {
    memset(guests, 0, sizeof guests);
    n_guests = 0;
    assert_int_equal(gate_init(&gate, &rules, listener), 0);
}

/* A connection from 10.net.x.y, all of 10/8 being ours but for net 200 and above. */
static int arrive(unsigned net, unsigned host) {
    struct sockaddr_in from = {.sin_family = AF_INET}, mask = {.sin_family = AF_INET};

    gate.links = (struct onlink){.read = true};
    from.sin_addr.s_addr = htonl(10u << 24);
    mask.sin_addr.s_addr = htonl(0xffu << 24);
    onlink_add(&gate.links, (struct sockaddr *)&from, (struct sockaddr *)&mask);
    from.sin_addr.s_addr = htonl((net < 200 ? 10u : 11u) << 24 | net << 16 | host);
    text = "";
    return gate_arrive(&gate, &guests[n_guests++], (struct sockaddr *)&from, 0, &text);
}

/* Which guest must go for the one that came last; -1: none. */
static int evicted(void) {
    struct gate_guest *out = gate_evict(&gate, &guests[n_guests - 1]);

    return out ? (int)(out - guests) : -1;
}

static int auth(unsigned guest, uint8_t key, const struct access_code *with) {
    uint8_t keys[KEY_LEN] = {key}, proof[WIRE_PROOF_LEN], answer[WIRE_PROOF_LEN],
            code_key[ACCESS_KEY_LEN];
    struct gate_claim claim = {.key = keys, .bond = &bond};
    int err;

    text = "";
    if (with) {
        assert_int_equal(access_key(with, listener, code_key), 0);
        assert_int_equal(access_proof(code_key, ACCESS_DIALLER, &bond, proof), 0);
        claim.method = WIRE_AUTH_CODE;
        claim.proof = (struct bytes){proof, sizeof proof};
    }
    err = gate_auth(&gate, &guests[guest], &claim, answer, &text);
    if (err == 0 && with)
        assert_true(access_proves(code_key, ACCESS_LISTENER, &bond, answer));
    return err;
}

static void other_links_are_told_in_small_numbers(void **state) {
    open_gate((struct gate_rules){0});
    for (unsigned i = 0; i < GATE_STRANGERS; i++) {
        assert_int_equal(arrive(200, i), WIRE_ERR(WIRE_DENIED));
        assert_non_null(strstr(text, "own link only"));
        assert_int_equal(evicted(), -1);
    }
    assert_int_equal(arrive(200, 99), -EBUSY);
    assert_int_equal(arrive(1, 1), 0); /* and take nobody's place */
    gate_leave(&guests[0]);
    assert_int_equal(arrive(200, 99), WIRE_ERR(WIRE_DENIED));

    open_gate((struct gate_rules){.routed = true});
    assert_int_equal(arrive(200, 1), 0);
}

static void the_oldest_of_an_address_goes_first(void **state) {
    open_gate((struct gate_rules){0});
    assert_int_equal(arrive(1, 1), 0);
    for (unsigned i = 0; i < GATE_WAITING_PER_ADDR; i++) {
        assert_int_equal(arrive(1, 2), 0);
        assert_int_equal(evicted(), -1);
    }
    assert_int_equal(arrive(1, 2), 0);
    assert_int_equal(evicted(), 1); /* not 0: that one is of another address */
    assert_int_equal(evicted(), -1);
    assert_int_equal(guests[1].place, GATE_OUT);
    assert_int_equal(auth(2, 1, NULL), 0); /* whoever is inside does not count any more */
    assert_int_equal(arrive(1, 2), 0);
    assert_int_equal(evicted(), -1);
}

static void the_oldest_of_all_goes_when_too_many_wait(void **state) {
    open_gate((struct gate_rules){0});
    for (unsigned i = 0; i < GATE_WAITING; i++) {
        assert_int_equal(arrive(1, i / 4), 0);
        assert_int_equal(evicted(), -1);
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(arrive(2, (unsigned)i), 0);
        assert_int_equal(evicted(), i);
        assert_int_equal(evicted(), -1);
    }
}

static void one_peer_has_so_many_connections(void **state) {
    open_gate((struct gate_rules){0});
    for (unsigned i = 0; i < GATE_PER_KEY; i++) {
        assert_int_equal(arrive(1, i), 0);
        assert_int_equal(auth(i, 1, NULL), 0);
    }
    assert_int_equal(arrive(1, 99), 0);
    assert_int_equal(auth(n_guests - 1, 1, NULL), WIRE_ERR(WIRE_BUSY));
    assert_string_not_equal(text, "");
    assert_int_equal(auth(n_guests - 1, 2, NULL), 0);
    gate_leave(&guests[3]);
    assert_int_equal(arrive(1, 99), 0);
    assert_int_equal(auth(n_guests - 1, 1, NULL), 0);
}

static void so_many_come_in_and_no_more(void **state) {
    open_gate((struct gate_rules){.inside_max = 50});
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(arrive(1, i), 0);
        assert_int_equal(auth(i, (uint8_t)i, NULL), i < 50 ? 0 : WIRE_ERR(WIRE_BUSY));
    }
}

static void certain_keys_alone_come_in(void **state) {
    static const uint8_t only[][KEY_LEN] = {{3}, {5}};

    open_gate((struct gate_rules){.only = only, .n_only = 2});
    for (uint8_t key = 0; key < 7; key++) {
        assert_int_equal(arrive(1, key), 0);
        assert_int_equal(auth(key, key, NULL), key == 3 || key == 5 ? 0 : WIRE_ERR(WIRE_DENIED));
        assert_true(key == 3 || key == 5 || strstr(text, "other peers"));
    }
    open_gate((struct gate_rules){.only = only, .n_only = 0}); /* nobody at all */
    assert_int_equal(arrive(1, 1), 0);
    assert_int_equal(auth(0, 3, NULL), WIRE_ERR(WIRE_DENIED));
}

static void a_code_is_asked_for(void **state) {
    static const struct access_code wrong = {"00000000"};

    open_gate((struct gate_rules){.code = &code});
    assert_int_equal(arrive(1, 1), 0);
    assert_int_equal(auth(0, 1, NULL), WIRE_ERR(WIRE_AUTH_REQUIRED));
    assert_int_equal(gate.n_wrong, 0); /* to ask costs nothing */
    assert_int_equal(auth(0, 1, &wrong), WIRE_ERR(WIRE_AUTH_FAILED));
    assert_int_equal(gate.n_wrong, 1);
    assert_int_equal(auth(0, 1, &code), 0);
    assert_int_equal(guests[0].place, GATE_IN);

    open_gate((struct gate_rules){0}); /* there is none to prove */
    assert_int_equal(arrive(1, 1), 0);
    assert_int_equal(auth(0, 1, &code), WIRE_ERR(WIRE_UNSUPPORTED));
}

static void five_wrong_codes_make_it_void(void **state) {
    static const struct access_code wrong = {"00000000"};

    open_gate((struct gate_rules){.code = &code});
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(arrive(1, 1), 0);
        assert_int_equal(auth(i, 1, &wrong), WIRE_ERR(WIRE_AUTH_FAILED));
    }
    assert_int_equal(gate.n_wrong, GATE_WRONG_PER_ADDR); /* one alone does not make it void */
    assert_int_equal(arrive(1, 1), 0);
    assert_int_equal(auth(10, 1, &code), WIRE_ERR(WIRE_AUTH_FAILED)); /* but it may not guess on */
    assert_non_null(strstr(text, "this address"));
    assert_int_equal(arrive(1, 2), 0);
    assert_int_equal(auth(11, 1, &code), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(arrive(1, 3 + i), 0);
        assert_false(gate_code_void(&gate));
        assert_int_equal(auth(12 + i, 1, &wrong), WIRE_ERR(WIRE_AUTH_FAILED));
    }
    assert_true(gate_code_void(&gate));
    assert_int_equal(arrive(1, 9), 0);
    assert_int_equal(auth(14, 1, &code), WIRE_ERR(WIRE_AUTH_FAILED));
    assert_non_null(strstr(text, "void"));
    assert_int_equal(guests[11].place, GATE_IN); /* who is inside stays */
}

static void who_is_not_meant_cannot_even_guess(void **state) {
    static const uint8_t only[][KEY_LEN] = {{3}};
    static const struct access_code wrong = {"00000000"};

    open_gate((struct gate_rules){.only = only, .n_only = 1, .code = &code});
    assert_int_equal(arrive(1, 1), 0);
    assert_int_equal(auth(0, 1, &wrong), WIRE_ERR(WIRE_DENIED));
    assert_int_equal(auth(0, 1, &code), WIRE_ERR(WIRE_DENIED));
    assert_int_equal(gate.n_wrong, 0);
    assert_int_equal(auth(0, 3, NULL), WIRE_ERR(WIRE_AUTH_REQUIRED));
    assert_int_equal(auth(0, 3, &code), 0);
}

static void other_methods_are_not_known(void **state) {
    uint8_t key[KEY_LEN] = {1}, answer[WIRE_PROOF_LEN];
    const struct gate_claim claim = {.key = key, .method = 9, .bond = &bond};

    open_gate((struct gate_rules){0});
    assert_int_equal(arrive(1, 1), 0);
    assert_int_equal(gate_auth(&gate, &guests[0], &claim, answer, &text),
                     WIRE_ERR(WIRE_UNSUPPORTED));
}

static void leaving_twice_is_fine(void **state) {
    open_gate((struct gate_rules){0});
    assert_int_equal(arrive(1, 1), 0);
    gate_leave(&guests[0]);
    gate_leave(&guests[0]);
    gate_clear(&gate);
    assert_int_equal(gate.code_key[0], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_links_are_told_in_small_numbers),
        cmocka_unit_test(the_oldest_of_an_address_goes_first),
        cmocka_unit_test(the_oldest_of_all_goes_when_too_many_wait),
        cmocka_unit_test(one_peer_has_so_many_connections),
        cmocka_unit_test(so_many_come_in_and_no_more),
        cmocka_unit_test(certain_keys_alone_come_in),
        cmocka_unit_test(a_code_is_asked_for),
        cmocka_unit_test(five_wrong_codes_make_it_void),
        cmocka_unit_test(who_is_not_meant_cannot_even_guess),
        cmocka_unit_test(other_methods_are_not_known),
        cmocka_unit_test(leaving_twice_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
