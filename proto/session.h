/* SPDX-License-Identifier: MIT */
/*
 * session -- the order of one conversation; bytes in, whole messages out
 *
 *     session_init
 *       while there are bytes:
 *         session_space    where the next bytes go
 *           SESSION_LEND   -> session_lend(a buffer of WIRE_FRAME_MAX)     or wait for one
 *         session_filled
 *         session_next     -> 1: one message, good until the next session_space
 *           session_take   -> keep the lent buffer beyond that (DATA, MANIFEST)
 *     session_clear
 *
 * Knows who may say what, when: HELLO first, then AUTH / AUTHED, then the rest; requests only from
 * the side that dialled, answers only from the one that listens. Frames of up to SESSION_INLINE
 * bytes lie in the session itself; larger ones only after AUTHED, in memory lent by the caller: no
 * buffer, no reading, so TCP pushes back. Decodes only whole frames. Pure: no I/O, no allocation.
 *
 * Requests and answers have a number that is not 0. ERROR and BYE may come at any time; a HELLO of
 * another major is WIRE_ERR(VERSION). A listener takes AUTH for granted: its owner answers AUTHED
 * before it takes the next message, and closes instead if the proof was wrong.
 */
#ifndef PROTO_SESSION_H
#define PROTO_SESSION_H

#include "proto/wire.h"

enum session_role { SESSION_DIALLER, SESSION_LISTENER }; /* what we are */

enum { SESSION_INLINE = WIRE_HEADER_LEN + 8 * 1024, SESSION_LEND = 1 };

struct session {
    enum session_role role;
    uint8_t state; /* enum in session.c */
    int error;     /* below 0: the conversation is over */
    struct wire_header header;
    size_t have;       /* bytes of the current frame that are here, with its header */
    uint64_t answered; /* payload bytes of ENTRIES, FOUND, MANIFEST, DATA, DIGEST so far */
    uint8_t *lent; /* the caller's memory, or NULL. The payload lies behind WIRE_HEADER_LEN bytes */
    uint8_t small[SESSION_INLINE];
};

void session_init(struct session *s, enum session_role role);

/* Where to put the next bytes, at most *len (> 0), never beyond the current frame. 0; SESSION_LEND:
 * the frame needs lent memory first; below 0: the error that session_next returned, again. */
int session_space(struct session *s, uint8_t **at, size_t *len);

/* mem: at least WIRE_FRAME_MAX bytes. The session returns it through session_take() or
 * session_clear(). */
void session_lend(struct session *s, uint8_t *mem);

void session_filled(struct session *s, size_t len);

/* 1: *m is the next message; 0: the frame is not whole yet (or was one to ignore); below 0: the
 * peer broke the protocol, say so and close. Call it once after each session_filled(). */
int session_next(struct session *s, struct msg *m);

/* Takes the lent memory out of the session, with the message that session_next() just returned in
 * it. NULL if that message lies in the session's own memory (then copy what you keep). If never
 * taken, it is used again. */
uint8_t *session_take(struct session *s);

/* Returns lent memory that is still in the session, or NULL. */
uint8_t *session_clear(struct session *s);

/* Both HELLO and AUTH went well: the peer's requests are welcome. */
bool session_open(const struct session *s);

#endif
