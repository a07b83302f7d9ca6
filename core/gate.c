/* SPDX-License-Identifier: MIT */
#include "core/gate.h"

#include "core/err.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

static void ring_init(struct gate_guest *ring) { ring->next = ring->prev = ring; }

static void ring_append(struct gate_guest *ring, struct gate_guest *guest) {
    guest->prev = ring->prev;
    guest->next = ring;
    guest->prev->next = guest->next->prev = guest;
}

int gate_init(struct gate *g, const struct gate_rules *rules,
              const uint8_t listener[static KEY_LEN]) {
    memset(g, 0, sizeof *g);
    g->rules = *rules;
    if (!rules->inside_max)
        g->rules.inside_max = GATE_INSIDE;
    if (!rules->per_addr)
        g->rules.per_addr = GATE_WAITING_PER_ADDR;
    if (!rules->per_key)
        g->rules.per_key = GATE_PER_KEY;
    ring_init(&g->waiting);
    ring_init(&g->inside);
    return rules->code ? access_key(rules->code, listener, g->code_key) : 0;
}

void gate_clear(struct gate *g) { OPENSSL_cleanse(g, sizeof *g); }

bool gate_code_void(const struct gate *g) { return g->n_wrong == GATE_WRONG; }

/* ---- before AUTH ---- */

static unsigned count_waiting(const struct gate *g, int place, const uint8_t *addr) {
    unsigned n = 0;

    for (const struct gate_guest *o = g->waiting.next; o != &g->waiting; o = o->next)
        n += (int)o->place == place && (!addr || memcmp(o->addr, addr, sizeof o->addr) == 0);
    return n;
}

int gate_arrive(struct gate *g, struct gate_guest *guest, const struct sockaddr *from,
                uint64_t now_ms, const char **text) {
    int near = g->rules.routed ? 1 : onlink_has(&g->links, from, now_ms);

    onlink_bytes(from, guest->addr);
    if (near < 0)
        return near;
    if (near) {
        guest->place = GATE_WAITS;
        ring_append(&g->waiting, guest);
        return 0;
    }
    if (count_waiting(g, GATE_STRANGER, NULL) == GATE_STRANGERS)
        return -EBUSY;
    guest->place = GATE_STRANGER;
    ring_append(&g->waiting, guest);
    *text =
        "it answers machines of its own link only; there, `lanyard share --routed` lets others in";
    return WIRE_ERR(WIRE_DENIED);
}

static struct gate_guest *oldest_waiting(struct gate *g, const uint8_t *addr) {
    for (struct gate_guest *o = g->waiting.next; o != &g->waiting; o = o->next)
        if (o->place == GATE_WAITS && (!addr || memcmp(o->addr, addr, sizeof o->addr) == 0))
            return o;
    return NULL;
}

/* The oldest has had the most time to say who it is. */
struct gate_guest *gate_evict(struct gate *g, const struct gate_guest *for_whom) {
    struct gate_guest *out = NULL;

    if (count_waiting(g, GATE_WAITS, for_whom->addr) > g->rules.per_addr)
        out = oldest_waiting(g, for_whom->addr);
    else if (count_waiting(g, GATE_WAITS, NULL) > GATE_WAITING)
        out = oldest_waiting(g, NULL);
    if (out)
        gate_leave(out);
    return out;
}

/* ---- AUTH ---- */

static bool may_come(const struct gate *g, const uint8_t *key) {
    for (unsigned i = 0; i < g->rules.n_only; i++)
        if (memcmp(g->rules.only[i], key, KEY_LEN) == 0)
            return true;
    return g->rules.only == NULL;
}

static bool tried_too_often(const struct gate *g, const struct gate_guest *guest) {
    unsigned n = 0;

    for (unsigned i = 0; i < g->n_wrong; i++)
        n += memcmp(g->wrong_from[i], guest->addr, sizeof guest->addr) == 0;
    return n >= GATE_WRONG_PER_ADDR;
}

static int check_code(struct gate *g, const struct gate_guest *guest,
                      const struct gate_claim *claim, const char **text) {
    if (claim->method == WIRE_AUTH_NONE)
        return WIRE_ERR(WIRE_AUTH_REQUIRED);
    if (gate_code_void(g)) {
        *text = "its code is void, for too many wrong ones were tried: ask for a new one";
        return WIRE_ERR(WIRE_AUTH_FAILED);
    }
    if (tried_too_often(g, guest)) {
        *text = "too many wrong codes came from this address: ask for a new one";
        return WIRE_ERR(WIRE_AUTH_FAILED);
    }
    if (claim->proof.len == WIRE_PROOF_LEN &&
        access_proves(g->code_key, ACCESS_DIALLER, claim->bond, claim->proof.at))
        return 0;
    memcpy(g->wrong_from[g->n_wrong++], guest->addr, sizeof guest->addr);
    return WIRE_ERR(WIRE_AUTH_FAILED);
}

/* Is there room for one more of this peer? */
static int check_room(const struct gate *g, const uint8_t *key, const char **text) {
    unsigned n = 0, of_key = 0;

    for (const struct gate_guest *o = g->inside.next; o != &g->inside; o = o->next) {
        n++;
        of_key += memcmp(o->key, key, KEY_LEN) == 0;
    }
    if (of_key >= g->rules.per_key)
        *text = "this peer has enough connections there";
    else if (n >= g->rules.inside_max)
        *text = "too many peers are connected";
    else
        return 0;
    return WIRE_ERR(WIRE_BUSY);
}

int gate_auth(struct gate *g, struct gate_guest *guest, const struct gate_claim *claim,
              uint8_t answer[static WIRE_PROOF_LEN], const char **text) {
    int err = 0;

    if (claim->method != (g->rules.code ? WIRE_AUTH_CODE : WIRE_AUTH_NONE) &&
        claim->method != WIRE_AUTH_NONE)
        return WIRE_ERR(WIRE_UNSUPPORTED);
    if (!may_come(g, claim->key)) {
        *text = "what it shares is for other peers";
        return WIRE_ERR(WIRE_DENIED);
    }
    if (g->rules.code)
        err = check_code(g, guest, claim, text);
    if (err == 0)
        err = check_room(g, claim->key, text);
    if (err == 0 && g->rules.code)
        err = access_proof(g->code_key, ACCESS_LISTENER, claim->bond, answer);
    if (err < 0)
        return err;
    gate_leave(guest);
    memcpy(guest->key, claim->key, KEY_LEN);
    guest->place = GATE_IN;
    ring_append(&g->inside, guest);
    return 0;
}

void gate_leave(struct gate_guest *guest) {
    if (guest->place == GATE_OUT)
        return;
    guest->place = GATE_OUT;
    guest->prev->next = guest->next;
    guest->next->prev = guest->prev;
}
