/* SPDX-License-Identifier: MIT */
/*
 * answers -- who is here: from answers per interface and protocol to peers
 *
 * An answer is what one service said through one interface and protocol. All answers with one name
 * and id are one peer: anybody can claim an id, and whoever does it under another name must not get
 * between the addresses of the one whose id it is. Bounded. Pure: no I/O, no clock.
 */
#ifndef DISCOVERY_ANSWERS_H
#define DISCOVERY_ANSWERS_H

#include "discovery/peer.h"

enum {
    ANSWER_ADDRS_MAX = 4,
    ANSWERS_PEERS_MAX = 1024,
    ANSWERS_MAX = 4096 /* a peer on two interfaces with two protocols gives four */
};

struct answer_addr {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    enum peer_rank rank; /* never PEER_RANK_NEVER */
};
uint16_t answer_port(const struct answer_addr *a); /* in the order of this host */

/* Zero it first: answers are compared byte by byte. */
struct answer {
    int interface, protocol; /* with the name: which answer it is */
    char name[PEER_NAME_LEN + 1];
    struct peer_txt txt;
    bool local;
    unsigned generation; /* see answers_sweep */
    unsigned n_addrs;
    struct answer_addr addrs[ANSWER_ADDRS_MAX]; /* with port and scope */
};

/* One that all answers with this name and id (or both without an id) belong to. */
struct answers_peer {
    char name[PEER_NAME_LEN + 1];
    char id[64];
    uint32_t who;         /* a hash of these */
    bool touched;         /* since answers_next() looked at it */
    uint64_t fingerprint; /* of what answers_next() told last; 0: nothing */
};

struct answers {
    struct answers_entry *entries; /* answers, in the order in which they were first heard */
    struct answers_peer *peers;
    unsigned n_entries, cap_entries, n_peers, cap_peers;
    uint64_t clock; /* counts changes: the younger address of two equals goes first */
};

void answers_init(struct answers *all);
void answers_clear(struct answers *all);

/* Takes in an answer, in place of an older one with the same interface, protocol and name. 0,
 * -ENOSPC or -ENOMEM: not taken. */
int answers_put(struct answers *all, const struct answer *a);

/* Forgets the answer of this interface, protocol and name. */
void answers_drop(struct answers *all, const struct answer *like);

/* Forgets all answers that are older than this generation. */
void answers_sweep(struct answers *all, unsigned generation);

enum { ANSWERS_CHANGED = 1, ANSWERS_GONE = 2 };

/* What is new, one peer a call. 0: nothing any more; ANSWERS_CHANGED: *p is a new peer or the new
 * state of one; ANSWERS_GONE: *p has its name and id. */
int answers_next(struct answers *all, struct peer *p);

#endif
