/* SPDX-License-Identifier: MIT */
/* Access codes: how they look, what they prove, and to whom they prove nothing. */
#include "core/access.h"

#include "core/err.h"
#include "core/tls.h"
#include "tests/unit/golden.h"

#include <errno.h>
#include <unistd.h>

/* The session that tests/data/wire/auth.hex is about. */
static const struct access_code golden_code = {"k7f3q9zz"};

static void golden_bond(struct access_bond *bond) {
    for (unsigned i = 0; i < KEY_LEN; i++) {
        bond->dialler[i] = (uint8_t)i;
        bond->listener[i] = (uint8_t)(32 + i);
        bond->exported[i] = (uint8_t)(64 + i);
    }
}

static void new_codes_are_random(void **state) {
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    struct access_code a, b;
    char shown[ACCESS_SHOWN_LEN + 1];
    unsigned seen[256] = {0}, different = 0;

    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(access_make(&a), 0);
        assert_int_equal(strlen(a.text), ACCESS_CODE_LEN);
        for (const char *c = a.text; *c; c++)
            seen[(unsigned char)*c]++;
    }
    for (unsigned i = 0; i < 256; i++) {
        different += seen[i] > 0;
        if (seen[i])
            assert_non_null(strchr(letters, (int)i));
    }
    assert_int_equal(different, 32); /* 500 of each are expected: 5 bits in every place */
    access_show(&a, shown);
    assert_int_equal(access_parse(&b, shown), 0);
    assert_string_equal(a.text, b.text);
}

static void a_code_may_be_typed_in_any_form(void **state) {
    static const struct {
        const char *typed, *meant; /* NULL: no code */
    } cases[] = {
        {"k7f3-q9zz", "k7f3q9zz"},
        {"K7F3Q9ZZ", "k7f3q9zz"},
        {" k7f3 q9zz\n", "k7f3q9zz"},
        {"OoIiLl01", "00111101"},
        {"k-7-f-3-q-9-z-z-", "k7f3q9zz"},
        {"", NULL},
        {"-", NULL},
        {"k7f3-q9z", NULL},
        {"k7f3-q9zzz", NULL},
        {"k7f3-q9zu", NULL},
        {"k7f3_q9zz", NULL},
        {"k7f3-q9z\xc3\xa9", NULL},
    };
    struct access_code code;

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(access_parse(&code, cases[i].typed), cases[i].meant ? 0 : -EINVAL);
        assert_string_equal(code.text, cases[i].meant ? cases[i].meant : "");
    }
}

static void proofs_are_the_golden_ones(void **state) {
    uint8_t key[ACCESS_KEY_LEN], proof[WIRE_PROOF_LEN];
    struct access_bond bond;

    golden_bond(&bond);
    assert_int_equal(access_key(&golden_code, bond.listener, key), 0);
    for (int who = 0; who < 2; who++) {
        size_t len;
        uint8_t *frame = golden_wire(who == ACCESS_DIALLER ? "auth" : "authed", &len);

        assert_int_equal(access_proof(key, (enum access_role)who, &bond, proof), 0);
        assert_memory_equal(proof, frame + len - sizeof proof, sizeof proof);
        free(frame);
    }
}

static void a_proof_is_good_for_one_thing_alone(void **state) {
    static const struct access_code other_code = {"k7f3q9zy"};
    uint8_t key[ACCESS_KEY_LEN], other[ACCESS_KEY_LEN], proof[WIRE_PROOF_LEN];
    struct access_bond bond, changed;

    golden_bond(&bond);
    assert_int_equal(access_key(&golden_code, bond.listener, key), 0);
    assert_int_equal(access_proof(key, ACCESS_DIALLER, &bond, proof), 0);
    assert_true(access_proves(key, ACCESS_DIALLER, &bond, proof));
    assert_false(access_proves(key, ACCESS_LISTENER, &bond, proof)); /* sent back */
    for (size_t i = 0; i < sizeof bond; i++) { /* another session, dialler or listener */
        changed = bond;
        ((uint8_t *)&changed)[i] ^= 1;
        assert_false(access_proves(key, ACCESS_DIALLER, &changed, proof));
    }
    for (size_t i = 0; i < sizeof proof * 8; i++) {
        proof[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_false(access_proves(key, ACCESS_DIALLER, &bond, proof));
        proof[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(access_key(&other_code, bond.listener, other), 0);
    assert_false(access_proves(other, ACCESS_DIALLER, &bond, proof));
    assert_int_equal(access_key(&golden_code, bond.dialler, other), 0);
    assert_false(access_proves(other, ACCESS_DIALLER, &bond, proof));
}

/* -- over TLS -------------------------------------------------------------------------------- */

static struct identity ids[3];
static struct tls_context *diallers[3], *listeners[3];
enum { USER, SHARER, MIDDLE };

static int set_up(void **state) {
    for (unsigned i = 0; i < 3; i++) {
        char dir[] = "/tmp/lanyard-access-XXXXXX", path[64];

        if (!mkdtemp(dir) || identity_load(&ids[i], dir))
            return -1;
        snprintf(path, sizeof path, "%s/key.pem", dir);
        unlink(path);
        rmdir(dir);
        if (tls_context_new(&diallers[i], &ids[i], TLS_DIALLER) ||
            tls_context_new(&listeners[i], &ids[i], TLS_LISTENER))
            return -1;
    }
    return 0;
}

static int tear_down(void **state) {
    for (unsigned i = 0; i < 3; i++) {
        tls_context_free(diallers[i]);
        tls_context_free(listeners[i]);
        identity_clear(&ids[i]);
    }
    return 0;
}

static bool move(struct tls *from, struct tls *to) {
    const uint8_t *block;
    uint8_t plain[32];
    size_t len;
    bool moved = false;

    while (tls_out(from, true, &block, &len)) {
        tls_feed(to, block, len);
        assert_int_equal(tls_read(to, plain, sizeof plain), 0);
        tls_out_done(from);
        moved = true;
    }
    return moved;
}

/* A connection, and what each of its ends would bind a proof to. */
static void connect_tls(unsigned dialler, unsigned listener, struct access_bond bonds[2]) {
    struct tls *d, *l;
    uint8_t plain[32];

    assert_int_equal(tls_new(&d, diallers[dialler]), 0);
    assert_int_equal(tls_new(&l, listeners[listener]), 0);
    assert_int_equal(tls_export(d, plain), ERR_TLS);
    assert_int_equal(tls_read(d, plain, sizeof plain), 0);
    while (move(d, l) || move(l, d))
        ;
    memcpy(bonds[ACCESS_DIALLER].dialler, ids[dialler].key, KEY_LEN);
    memcpy(bonds[ACCESS_DIALLER].listener, tls_peer_key(d), KEY_LEN);
    memcpy(bonds[ACCESS_LISTENER].dialler, tls_peer_key(l), KEY_LEN);
    memcpy(bonds[ACCESS_LISTENER].listener, ids[listener].key, KEY_LEN);
    assert_int_equal(tls_export(d, bonds[ACCESS_DIALLER].exported), 0);
    assert_int_equal(tls_export(l, bonds[ACCESS_LISTENER].exported), 0);
    tls_free(d);
    tls_free(l);
}

static void both_ends_of_a_connection_are_bound_alike(void **state) {
    struct access_bond first[2], second[2];

    connect_tls(USER, SHARER, first);
    assert_memory_equal(&first[0], &first[1], sizeof first[0]);
    connect_tls(USER, SHARER, second);
    assert_memory_not_equal(first[0].exported, second[0].exported, ACCESS_EXPORT_LEN);
}

static void prove(unsigned to, enum access_role who, const struct access_bond *bond,
                  uint8_t proof[static WIRE_PROOF_LEN]) {
    uint8_t key[ACCESS_KEY_LEN];

    assert_int_equal(access_key(&golden_code, ids[to].key, key), 0);
    assert_int_equal(access_proof(key, who, bond, proof), 0);
}

/* Somebody in the middle is the listener of one connection and dials the other one, and hands on
 * what the user proves. Whatever the user takes it for, the sharer does not believe it. */
static void a_man_in_the_middle_relays_in_vain(void **state) {
    struct access_bond near[2], far[2];
    uint8_t key[ACCESS_KEY_LEN], proof[WIRE_PROOF_LEN];

    connect_tls(USER, MIDDLE, near);
    connect_tls(MIDDLE, SHARER, far);
    assert_int_equal(access_key(&golden_code, ids[SHARER].key, key), 0);
    prove(MIDDLE, ACCESS_DIALLER, &near[ACCESS_DIALLER], proof);
    assert_false(access_proves(key, ACCESS_DIALLER, &far[ACCESS_LISTENER], proof));
    prove(SHARER, ACCESS_DIALLER, &near[ACCESS_DIALLER], proof);
    assert_false(access_proves(key, ACCESS_DIALLER, &far[ACCESS_LISTENER], proof));
    /* even one who could make both connections export the same is found out by the keys */
    memcpy(near[ACCESS_DIALLER].exported, far[ACCESS_LISTENER].exported, ACCESS_EXPORT_LEN);
    prove(SHARER, ACCESS_DIALLER, &near[ACCESS_DIALLER], proof);
    assert_false(access_proves(key, ACCESS_DIALLER, &far[ACCESS_LISTENER], proof));
    /* nor does the user believe it when it hands back what the sharer proves */
    prove(SHARER, ACCESS_LISTENER, &far[ACCESS_LISTENER], proof);
    assert_int_equal(access_key(&golden_code, ids[MIDDLE].key, key), 0);
    assert_false(access_proves(key, ACCESS_LISTENER, &near[ACCESS_DIALLER], proof));
}

static void nothing_can_be_replayed(void **state) {
    struct access_bond first[2], second[2];
    uint8_t key[ACCESS_KEY_LEN], proof[WIRE_PROOF_LEN];

    connect_tls(USER, SHARER, first);
    connect_tls(USER, SHARER, second);
    prove(SHARER, ACCESS_DIALLER, &first[ACCESS_DIALLER], proof);
    assert_int_equal(access_key(&golden_code, ids[SHARER].key, key), 0);
    assert_true(access_proves(key, ACCESS_DIALLER, &first[ACCESS_LISTENER], proof));
    assert_false(access_proves(key, ACCESS_DIALLER, &second[ACCESS_LISTENER], proof));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_codes_are_random),
        cmocka_unit_test(a_code_may_be_typed_in_any_form),
        cmocka_unit_test(proofs_are_the_golden_ones),
        cmocka_unit_test(a_proof_is_good_for_one_thing_alone),
        cmocka_unit_test(both_ends_of_a_connection_are_bound_alike),
        cmocka_unit_test(a_man_in_the_middle_relays_in_vain),
        cmocka_unit_test(nothing_can_be_replayed),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
