/* SPDX-License-Identifier: MIT */
/* AUTH between two ends of a connection: who lets whom in, and who learns what. */
#include "core/err.h"
#include "core/gate.h"
#include "sides.h"

#include <unistd.h>

static const struct access_code right = {"k7f3q9zz"}, wrong = {"k7f3q9zy"};
static struct prover prover;
static struct gate gate;
static struct gate_guest guest;
static struct trust known;
static unsigned hellos, auths;
static bool proof_of_nobody; /* the listener says that all is well, and proves nothing */

static int on_hello(struct conn *c) {
    hellos++;
    assert_string_equal(conn_name(c), "Listener");
    assert_memory_equal(conn_key(c), net_ids[1].key, KEY_LEN);
    return dialler.return_from_message;
}

static int on_auth(struct conn *c, const struct msg *m, struct conn_welcome *w) {
    struct access_bond bond;
    struct gate_claim claim = {
        .key = conn_key(c), .method = m->auth.method, .proof = m->auth.proof, .bond = &bond};

    auths++;
    if (proof_of_nobody)
        return 0;
    w->proves = gate.rules.code != NULL;
    assert_int_equal(conn_bond(c, &bond), 0);
    return gate_auth(&gate, &guest, &claim, w->proof, &w->text);
}

static const struct conn_handler dials = {.on_hello = on_hello,
                                          .on_open = side_open,
                                          .on_message = side_message,
                                          .on_closed = side_closed},
                                 listens = {.on_auth = on_auth,
                                            .on_open = side_open,
                                            .on_message = side_message,
                                            .on_closed = side_closed};

static void accept_guarded(struct net *n) {
    struct sockaddr_storage from;
    const char *text;

    assert_int_equal(
        conn_accept(&listener.conn, &n->listen, (uv_stream_t *)&n->listener, &listens, &listener),
        0);
    assert_int_equal(conn_peer(listener.conn, &from), 0);
    assert_int_equal(gate_arrive(&gate, &guest, (struct sockaddr *)&from, 0, &text), 0);
}

static int set_up_auth(void **state) {
    set_up(state);
    net.on_connection = accept_guarded;
    memset(&guest, 0, sizeof guest);
    memset(&known, 0, sizeof known);
    hellos = auths = 0;
    proof_of_nobody = false;
    return 0;
}

static int tear_down_auth(void **state) {
    tear_down(state);
    prover_clear(&prover);
    return 0;
}

static void ask_for(const struct access_code *code) {
    const struct gate_rules rules = {.code = code};

    assert_int_equal(gate_init(&gate, &rules, net_ids[1].key), 0);
    net.listen.features = code ? WIRE_FEATURE_CODE : 0;
}

static void dial_with(const struct access_code *code) {
    net.dial.prover = code ? &prover : NULL;
    if (code)
        prover_init(&prover, &net.loop, code);
    assert_int_equal(
        conn_dial(&dialler.conn, &net.dial, (const struct sockaddr *)&net.addr, &dials, &dialler),
        0);
}

static void refused(int dialler_why, int listener_why) {
    both_closed(dialler_why, listener_why);
    assert_int_equal(dialler.opened, 0);
    assert_int_equal(listener.opened, 0);
    gate_leave(&guest);
}

static void in_order(void) {
    NET_UNTIL(&net, dialler.opened && listener.opened);
    part();
    gate_leave(&guest);
    memset(&dialler, 0, sizeof dialler);
    memset(&listener, 0, sizeof listener);
}

static void who_knows_the_code_comes_in(void **state) {
    ask_for(&right);
    dial_with(&right);
    in_order();
    /* and again, with the key that was kept */
    assert_int_equal(
        conn_dial(&dialler.conn, &net.dial, (const struct sockaddr *)&net.addr, &dials, &dialler),
        0);
    in_order();
    assert_int_equal(prover.next_kept, 1);
    assert_int_equal(hellos, 2);
}

static void who_does_not_stays_outside(void **state) {
    ask_for(&right);
    dial_with(&wrong);
    refused(WIRE_ERR(WIRE_AUTH_FAILED), WIRE_ERR(WIRE_AUTH_FAILED));
    assert_int_equal(gate.n_wrong, 1);
}

static void who_has_no_code_is_asked_for_one(void **state) {
    ask_for(&right);
    dial_with(NULL);
    refused(WIRE_ERR(WIRE_AUTH_REQUIRED), WIRE_ERR(WIRE_AUTH_REQUIRED));
}

static void a_code_that_nobody_asked_for_is_not_shown(void **state) {
    ask_for(NULL);
    dial_with(&right);
    refused(ERR_CODE_UNASKED, 0);
    assert_int_equal(auths, 0);
}

/* Anybody can ask for a code and say that it was right. */
static void a_listener_that_proves_nothing_is_left(void **state) {
    ask_for(&right);
    proof_of_nobody = true;
    dial_with(&right);
    both_closed(ERR_CODE_UNPROVEN, 0);
    assert_int_equal(dialler.opened, 0);
}

/* It asks for a code under the name of somebody whom we know. */
static void a_changed_key_is_shown_no_proof(void **state) {
    struct trust_peer friend = {.key = {1}, .name = "Listener"};

    known.peers = &friend;
    known.n = 1;
    net.dial.known = &known;
    ask_for(&right);
    dial_with(&right);
    refused(ERR_KEY_CHANGED, 0);
    assert_int_equal(auths, 0);
    net.dial.known = NULL;
}

static void the_owner_may_stop_before_anything_is_said(void **state) {
    ask_for(NULL);
    dialler.return_from_message = ERR_KEY_OTHER;
    dial_with(NULL);
    refused(ERR_KEY_OTHER, 0);
    assert_int_equal(hellos, 1);
    assert_int_equal(auths, 0);
}

static void closing_while_the_key_is_made(void **state) {
    ask_for(&right);
    dial_with(&right);
    NET_UNTIL(&net, hellos == 1);
    conn_close(dialler.conn, 0);
    refused(0, 0);
    assert_int_equal(auths, 0);
}

/* -- whoever is not even talked to ------------------------------------------------------------ */

static void accept_to_refuse(struct net *n) {
    accept_guarded(n);
    conn_refuse(listener.conn, WIRE_ERR(WIRE_DENIED), "not for you");
}

static void the_refused_hear_one_sentence(void **state) {
    ask_for(&right);
    net.on_connection = accept_to_refuse;
    dial_with(NULL);
    refused(WIRE_ERR(WIRE_DENIED), WIRE_ERR(WIRE_DENIED));
    assert_string_equal(dialler.text, "not for you");
    assert_int_equal(hellos, 0); /* not even a name */
}

static void accept_to_abort(struct net *n) {
    accept_guarded(n);
    conn_abort(listener.conn, WIRE_ERR(WIRE_BUSY));
}

static void the_aborted_hear_nothing(void **state) {
    ask_for(NULL);
    net.on_connection = accept_to_abort;
    dial_with(NULL);
    NET_UNTIL(&net, dialler.closed && listener.closed);
    assert_int_equal(listener.why, WIRE_ERR(WIRE_BUSY));
    assert_true(dialler.why < 0);
    gate_leave(&guest);
}

/* -- many keys -------------------------------------------------------------------------------- */

static struct {
    struct prover_want want;
    uint8_t key[ACCESS_KEY_LEN];
    unsigned called;
} wants[4];
static unsigned n_called;

static void on_ready(struct prover_want *w, const uint8_t *key) {
    unsigned i = (unsigned)((char *)w - (char *)wants) / (unsigned)sizeof *wants;

    assert_non_null(key);
    memcpy(wants[i].key, key, ACCESS_KEY_LEN);
    wants[i].called++;
    n_called++;
}

/* Two want the same key, one leaves, one wants another. */
static void keys_are_made_one_after_the_other(void **state) {
    uint8_t right_key[ACCESS_KEY_LEN];
    const uint8_t *kept;
    int err;

    ask_for(NULL);
    memset(wants, 0, sizeof wants);
    n_called = 0;
    prover_init(&prover, &net.loop, &right);
    for (unsigned i = 0; i < 4; i++) {
        wants[i].want.ready = on_ready;
        wants[i].want.listener[0] = i == 3;
        assert_null(prover_want(&prover, &wants[i].want, &err));
        assert_int_equal(err, 0);
    }
    prover_forget(&wants[1].want);
    prover_forget(&wants[1].want);
    NET_UNTIL(&net, n_called == 3);
    assert_int_equal(wants[1].called, 0);
    assert_memory_equal(wants[0].key, wants[2].key, ACCESS_KEY_LEN);
    assert_memory_not_equal(wants[0].key, wants[3].key, ACCESS_KEY_LEN);
    kept = prover_want(&prover, &wants[3].want, &err);
    assert_int_equal(access_key(&right, wants[3].want.listener, right_key), 0);
    assert_non_null(kept);
    assert_memory_equal(kept, right_key, ACCESS_KEY_LEN);
}

#define GUARDED(test) cmocka_unit_test_setup_teardown(test, set_up_auth, tear_down_auth)

int main(void) {
    const struct CMUnitTest tests[] = {
        GUARDED(who_knows_the_code_comes_in),
        GUARDED(who_does_not_stays_outside),
        GUARDED(who_has_no_code_is_asked_for_one),
        GUARDED(a_code_that_nobody_asked_for_is_not_shown),
        GUARDED(a_listener_that_proves_nothing_is_left),
        GUARDED(a_changed_key_is_shown_no_proof),
        GUARDED(the_owner_may_stop_before_anything_is_said),
        GUARDED(closing_while_the_key_is_made),
        GUARDED(the_refused_hear_one_sentence),
        GUARDED(the_aborted_hear_nothing),
        GUARDED(keys_are_made_one_after_the_other),
    };

    return cmocka_run_group_tests(tests, net_make_ids, net_free_ids);
}
