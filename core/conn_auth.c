/* SPDX-License-Identifier: MIT */
#include "core/conn_internal.h"

#include "core/err.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

int conn_bond(const struct conn *c, struct access_bond *bond) {
    const uint8_t *theirs = conn_key(c), *ours = tls_own_key(c->env->tls);

    if (!theirs)
        return ERR_TLS;
    memcpy(bond->dialler, c->dialled ? ours : theirs, KEY_LEN);
    memcpy(bond->listener, c->dialled ? theirs : ours, KEY_LEN);
    return tls_export(c->tls, bond->exported);
}

/* -- the side that dialled ------------------------------------------------------------------- */

static int say_none(struct conn *c) {
    c->said_auth = true;
    return conn_say(c, &(struct msg){.type = WIRE_AUTH});
}

static int say_proof(struct conn *c, const uint8_t *key) {
    struct msg m = {.type = WIRE_AUTH, .auth.method = WIRE_AUTH_CODE};
    uint8_t proof[WIRE_PROOF_LEN];
    struct access_bond bond;
    int r = key ? conn_bond(c, &bond) : -ENOMEM;

    if (r == 0)
        r = access_proof(key, ACCESS_DIALLER, &bond, proof);
    if (r < 0)
        return r;
    memcpy(c->code_key, key, sizeof c->code_key);
    c->said_auth = c->proves = true;
    m.auth.proof = (struct bytes){proof, sizeof proof};
    return conn_say(c, &m);
}

static void on_key(struct prover_want *w, const uint8_t *key) {
    struct conn *c = (struct conn *)((char *)w - offsetof(struct conn, want));
    int r = say_proof(c, key);

    if (r < 0)
        conn_part(c, r, "");
}

/* Whoever does not ask for our code did not give it out; and one who only took the name of a peer
 * that we know would learn something to guess by. */
static int prove(struct conn *c, bool asked) {
    const struct conn_env *env = c->env;
    const uint8_t *key;
    int err;

    if (!asked)
        return ERR_CODE_UNASKED;
    if (env->known && trust_check(env->known, c->name, conn_key(c), NULL) == ERR_KEY_CHANGED)
        return ERR_KEY_CHANGED;
    c->want.ready = on_key;
    memcpy(c->want.listener, conn_key(c), KEY_LEN);
    key = prover_want(env->prover, &c->want, &err);
    return key ? say_proof(c, key) : err;
}

int conn_say_auth(struct conn *c, uint32_t features) {
    int r = c->handler->on_hello ? c->handler->on_hello(c) : 0;

    if (r < 0 || c->state != WAIT_AUTH)
        return r;
    return c->env->prover ? prove(c, features & WIRE_FEATURE_CODE) : say_none(c);
}

int conn_on_authed(struct conn *c, const struct msg *m) {
    struct access_bond bond;
    int r;

    if (!c->said_auth)
        return WIRE_ERR(WIRE_PROTOCOL);
    if (m->authed.result != WIRE_OK)
        return err_of_code(m->authed.result);
    if (!c->proves)
        return conn_open_up(c);
    r = conn_bond(c, &bond);
    if (r < 0)
        return r;
    if (m->authed.proof.len != WIRE_PROOF_LEN ||
        !access_proves(c->code_key, ACCESS_LISTENER, &bond, m->authed.proof.at))
        return ERR_CODE_UNPROVEN;
    return conn_open_up(c);
}

/* -- the side that listens ------------------------------------------------------------------- */

int conn_on_auth(struct conn *c, const struct msg *m) {
    struct msg answer = {.type = WIRE_AUTHED};
    struct conn_welcome w = {0};
    int r = 0;

    if (c->handler->on_auth)
        r = c->handler->on_auth(c, m, &w);
    else if (m->auth.method != WIRE_AUTH_NONE)
        r = WIRE_ERR(WIRE_UNSUPPORTED);
    if (r < 0) {
        conn_part(c, r, w.text ? w.text : "");
        return 0;
    }
    if (w.proves)
        answer.authed.proof = (struct bytes){w.proof, sizeof w.proof};
    r = conn_say(c, &answer);
    return r ? r : conn_open_up(c);
}
