/* SPDX-License-Identifier: MIT */
/*
 * gate -- who may come in to a server, and how many at a time
 *
 *     gate_arrive -> waits | is refused | is not taken       gate_evict -> who must go for it
 *     gate_auth   -> is inside | is refused                  gate_leave
 *
 * Whoever is refused hears one sentence, which tells nothing of what is shared. Knows nothing of
 * sockets: a guest is one connection of the owner. Loop thread.
 */
#ifndef CORE_GATE_H
#define CORE_GATE_H

#include "core/access.h"
#include "core/onlink.h"

enum {
    GATE_WAITING = 64, /* connections that are not inside yet */
    GATE_WAITING_PER_ADDR = 8,
    GATE_STRANGERS = 4, /* connections from other links, to be told so */
    GATE_PER_KEY = 16,  /* connections inside, of one peer */
    GATE_INSIDE = 1024,
    GATE_WRONG = 5, /* wrong codes, then the code is void */
    GATE_WRONG_PER_ADDR = 3,
};

struct gate_rules {
    bool routed;                    /* machines of other links may come, too */
    const struct access_code *code; /* NULL: none is needed */
    const uint8_t (*only)[KEY_LEN]; /* these keys may come, the caller's; NULL: all */
    unsigned n_only;
    unsigned inside_max; /* 0: GATE_INSIDE */
    unsigned per_addr;   /* 0: GATE_WAITING_PER_ADDR */
    unsigned per_key;    /* 0: GATE_PER_KEY */
};

struct gate_guest { /* embedded in the owner's connection; zero it first */
    struct gate_guest *next, *prev;
    enum { GATE_OUT, GATE_STRANGER, GATE_WAITS, GATE_IN } place;
    uint8_t addr[ONLINK_ADDR_LEN], key[KEY_LEN];
};

struct gate {
    struct gate_rules rules;
    uint8_t code_key[ACCESS_KEY_LEN];
    struct onlink links;
    struct gate_guest waiting, inside; /* rings, the oldest first; waiting has the strangers, too */
    unsigned n_wrong;
    uint8_t wrong_from[GATE_WRONG][ONLINK_ADDR_LEN];
};

/* What somebody says who wants to be let in. */
struct gate_claim {
    const uint8_t *key; /* KEY_LEN bytes: whose TLS it is */
    uint8_t method;     /* of AUTH */
    struct bytes proof;
    const struct access_bond *bond;
};

/* listener: our key. With a code this takes as long as access_key. 0, -ENOMEM. rules are copied. */
int gate_init(struct gate *g, const struct gate_rules *rules,
              const uint8_t listener[static KEY_LEN]);
void gate_clear(struct gate *g); /* wipes it; all guests must have left; takes a zeroed one */

/* A connection came. 0; WIRE_ERR(DENIED): of another link, tell it *text; else close it: -EBUSY,
 * there are enough of these, or the error that kept us from knowing. */
int gate_arrive(struct gate *g, struct gate_guest *guest, const struct sockaddr *from,
                uint64_t now_ms, const char **text);
/* Until it returns NULL, after each arrival: this one has left, close it. */
struct gate_guest *gate_evict(struct gate *g, const struct gate_guest *for_whom);

/* 0: it is inside, and with a code `answer` is our proof; else what it is refused with, and *text
 * if there is more to say. A wrong code is counted. */
int gate_auth(struct gate *g, struct gate_guest *guest, const struct gate_claim *claim,
              uint8_t answer[static WIRE_PROOF_LEN], const char **text);
void gate_leave(struct gate_guest *guest); /* no-op if it has */

bool gate_code_void(const struct gate *g);

#endif
