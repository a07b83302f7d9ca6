/* SPDX-License-Identifier: MIT */
/*
 * liveness -- when to ask whether a silent peer still lives, and when to give it up
 *
 * All times in milliseconds; now is a parameter, of any clock that never goes back. Pure.
 */
#ifndef CORE_LIVENESS_H
#define CORE_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

/* How long each step may take. */
struct patience {
    unsigned connect, tls, hello, auth;
    unsigned admit;     /* all of tls, hello and auth together, for whoever comes to us */
    unsigned dial;      /* all addresses of a peer together */
    unsigned ping;      /* silence until we say PING, then again and again */
    unsigned silence;   /* until we give up */
    unsigned answer;    /* the same while an answer is expected */
    unsigned farewell;  /* to send our last words and hear theirs */
    unsigned drain;     /* of slow taking, while others wait for its buffers; 0: no matter */
    unsigned elsewhere; /* without anything of what was asked for, until another source is asked */
    unsigned pace;      /* the same until the source is given up for now, if there is no other */
    unsigned hope;      /* that a source only moves, and brings nothing that stays */
    unsigned look;      /* the last one, for the source's clock to pass the times of files */
};

extern const struct patience patience_default;

struct liveness {
    uint64_t heard;    /* the last byte from the peer */
    uint64_t pinged;   /* our last PING */
    uint64_t expected; /* since when an answer is expected, 0: none is */
};

enum liveness_step { LIVENESS_WAIT, LIVENESS_PING, LIVENESS_DEAD };

/* What to do now. *next: when to ask again, at the latest. */
enum liveness_step liveness_check(const struct liveness *l, const struct patience *p, uint64_t now,
                                  uint64_t *next);

#endif
