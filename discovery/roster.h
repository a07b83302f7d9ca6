/* SPDX-License-Identifier: MIT */
/*
 * roster -- who is here: from answers per interface and protocol to peers
 *
 * An answer is what one service said through one interface and protocol. All answers with one id
 * are one peer; those without an id are one peer by name. Bounded. Pure: no I/O, no clock.
 */
#ifndef DISCOVERY_ROSTER_H
#define DISCOVERY_ROSTER_H

#include "discovery/peer.h"

enum {
    ANSWER_ADDRS_MAX = 4,
    ROSTER_PEERS_MAX = 1024,
    ROSTER_ANSWERS_MAX = 4096 /* a peer on two interfaces with two protocols gives four */
};

struct answer_addr {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    enum peer_rank rank; /* never PEER_RANK_NEVER */
};

/* Zero it first: answers are compared byte by byte. */
struct answer {
    int interface, protocol; /* with the name: which answer it is */
    char name[PEER_NAME_LEN + 1];
    struct peer_txt txt;
    bool local;
    unsigned generation; /* see roster_sweep */
    unsigned n_addrs;
    struct answer_addr addrs[ANSWER_ADDRS_MAX]; /* with port and scope */
};

/* One that all answers with this id, or without an id but with this name, belong to. */
struct roster_peer {
    char name[PEER_NAME_LEN + 1];
    char id[64];
    bool touched;         /* since roster_next() looked at it */
    uint64_t fingerprint; /* of what roster_next() told last; 0: nothing */
};

struct roster {
    struct roster_entry *entries; /* answers, in the order in which they were first heard */
    struct roster_peer *peers;
    unsigned n_entries, cap_entries, n_peers, cap_peers;
    uint64_t clock; /* counts changes: the younger address of two equals goes first */
};

void roster_init(struct roster *r);
void roster_clear(struct roster *r);

/* Takes in an answer, in place of an older one with the same interface, protocol and name. 0,
 * -ENOSPC or -ENOMEM: not taken. */
int roster_put(struct roster *r, const struct answer *a);

/* Forgets the answer of this interface, protocol and name. */
void roster_drop(struct roster *r, const struct answer *like);

/* Forgets all answers that are older than this generation. */
void roster_sweep(struct roster *r, unsigned generation);

enum { ROSTER_CHANGED = 1, ROSTER_GONE = 2 };

/* What is new, one peer a call. 0: nothing any more; ROSTER_CHANGED: *p is a new peer or the new
 * state of one; ROSTER_GONE: *p has its name and id. */
int roster_next(struct roster *r, struct peer *p);

#endif
