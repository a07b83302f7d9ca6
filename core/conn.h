/* SPDX-License-Identifier: MIT */
/*
 * conn -- one TCP peer: the only file that reads and writes sockets
 *
 *     conn_dial | conn_accept -> on_open -> on_message ... -> on_closed     conn_close any time
 *
 *     in:   read_cb -> tls_feed, tls_read -> session_space, _filled, _next -> on_message
 *     out:  conn_send | conn_send_frame -> queue -> tls_write -> tls_out -> uv_write
 *
 * What is large takes the same way on another thread (core/conn_bulk.c): TLS and the socket are
 * lent to it, and the loop catches up when they are back.
 *
 * Does what both roles share: TLS, HELLO, AUTH, PING, liveness (PROTOCOL.md, timers),
 * back-pressure. Callbacks come from the loop, never from inside a call that the owner made;
 * on_closed is the last one, after it the conn is gone. No globals: everything it needs is in
 * struct conn_env. Loop thread.
 */
#ifndef CORE_CONN_H
#define CORE_CONN_H

#include "core/buf.h"
#include "core/crew.h"
#include "core/liveness.h"
#include "core/pacer.h"
#include "core/prover.h"
#include "core/tls.h"
#include "core/trust.h"
#include "proto/session.h"

#include <uv.h>

struct conn;

enum { CONN_SMALL_MAX = 256 * 1024, CONN_READ_BLOCK = 256 * 1024 };

/* What all connections of one role on one loop share. The owner's; outlives its conns. */
struct conn_env {
    uv_loop_t *loop;
    struct tls_context *tls;
    struct pool *pool;            /* frames that arrive, and that conn_send_frame sends */
    char name[WIRE_NAME_LEN + 1]; /* our display name, for HELLO */
    uint16_t port;                /* where we listen, 0: nowhere; the owner sets it */
    uint8_t *read_block;          /* CONN_READ_BLOCK bytes that all reads share */
    struct crew *crew;            /* for what is large */
    const struct patience *patience;
    /* NULL: no limit. Of what dialled connections read, and of the frames that accepted ones send:
     * small messages count, but do not wait. The owner's. */
    struct pacer *pacer;
    uint32_t features; /* of our HELLO; the owner sets it */
    /* Diallers: the code that both ends must prove to know, NULL: none; and the known peers, so
     * that it is proven to nobody who only took the name of one. The owner sets them. */
    struct prover *prover;
    const struct trust *known;
};

/* What a listener answers to AUTH. */
struct conn_welcome {
    bool proves; /* AUTHED carries this proof */
    uint8_t proof[WIRE_PROOF_LEN];
    const char *text; /* for whoever is not let in: a sentence, static; or NULL */
};

/* 0, -ENOMEM, ERR_TLS, UV_EAGAIN. id, pool and loop must outlive the env. */
int conn_env_init(struct conn_env *env, uv_loop_t *loop, enum tls_role role,
                  const struct identity *id, struct pool *pool);
/* The display name of the next HELLOs: cut at a whole character, escaped if it is not UTF-8. */
void conn_env_set_name(struct conn_env *env, const char *name);
/* The clock of its pacer. */
uint64_t conn_env_now_ns(const struct conn_env *env);
void conn_env_clear(struct conn_env *env); /* takes a zeroed one; all its conns must be gone */

struct conn_handler {
    /* Dialler: HELLO came, so it is known who is there; nothing but our name was said yet. Below 0:
     * close with this error. May be NULL. */
    int (*on_hello)(struct conn *c);
    /* Listener: AUTH came. 0: let the peer in; below 0: say why, and w->text, and close. NULL:
     * everybody without a proof comes in. */
    int (*on_auth)(struct conn *c, const struct msg *m, struct conn_welcome *w);
    /* HELLO and AUTH went well on both sides. Below 0: close with this error. May be NULL. */
    int (*on_open)(struct conn *c);
    /* Every message from INFO_GET on, and ERROR that answers a request (req is not 0). m is good
     * until it returns. Below 0: close with this error. */
    int (*on_message)(struct conn *c, const struct msg *m);
    /* Something left our queue and less than a frame waits in it. May be NULL. */
    void (*on_drain)(struct conn *c);
    /* Why: 0 the peer said BYE or we closed with 0; UV_*, ERR_*, WIRE_ERR(...). text: a sentence
     * with details (the peer's words escaped), "" if there is nothing to add. */
    void (*on_closed)(struct conn *c, int why, const char *text);
};

int conn_dial(struct conn **c, const struct conn_env *env, const struct sockaddr *addr,
              const struct conn_handler *h, void *owner);
/* -ENOMEM: the connection may still wait in the listener, which takes no other before it. */
int conn_accept(struct conn **c, const struct conn_env *env, uv_stream_t *listener,
                const struct conn_handler *h, void *owner);

/* For a listener, right after conn_accept: all that the peer will hear is this error and sentence
 * (static), as soon as it can; instead of HELLO. It has 2 s to hear it. */
void conn_refuse(struct conn *c, int why, const char *text);
/* Closes now, without a word. on_closed follows. */
void conn_abort(struct conn *c, int why);

/* The address of the other end. 0, or an error. */
int conn_peer(const struct conn *c, struct sockaddr_storage *addr);
/* What proofs are bound to; from HELLO on. 0, ERR_TLS. */
int conn_bond(const struct conn *c, struct access_bond *bond);

void *conn_owner(const struct conn *c);
void conn_set_handler(struct conn *c, const struct conn_handler *h, void *owner);

/* Encodes and queues one small message; it overtakes frames that have not started. 0, -EINVAL,
 * -ENOMEM. More than CONN_SMALL_MAX bytes of them waiting: the conn closes with WIRE_ERR(LIMIT), so
 * look at conn_queued() and go on in on_drain. After conn_close: 0, nothing is sent. */
int conn_send(struct conn *c, const struct msg *m);
/* Queues a whole encoded frame that lies in a buffer of env->pool; it goes back there when sent,
 * or at once if the conn is closing or memory is out (-ENOMEM). */
int conn_send_frame(struct conn *c, uint8_t *frame, size_t len);
/* Bytes that wait in our queue, and buffers of frames among them. */
size_t conn_queued(const struct conn *c);
unsigned conn_frames(const struct conn *c);

/* Takes the pool buffer in which the current on_message's message lies (DATA, MANIFEST); the caller
 * puts it back. NULL if the message lies elsewhere. */
uint8_t *conn_take(struct conn *c);

/* HELLO and AUTH went well, and neither end wants to close. */
bool conn_is_open(const struct conn *c);

/* ERROR to the peer if why < 0 is worth telling, BYE if 0; then closes. Idempotent. */
void conn_close(struct conn *c, int why);

/* The same, by an owner that wants to hear nothing more: no callback follows. */
void conn_leave(struct conn *c, int why);

const uint8_t *conn_key(const struct conn *c);   /* KEY_LEN bytes, from on_open on */
const char *conn_name(const struct conn *c);     /* its display name, escaped; "" before HELLO */
const char *conn_software(const struct conn *c); /* its version, escaped */
const char *conn_addr(const struct conn *c);     /* "192.168.1.7:5000", "[fe80::1%eth0]:5000" */

/* Bytes of what was asked for that have arrived so far, also of frames that are not whole yet. */
uint64_t conn_answered(const struct conn *c);

/* Is an answer expected? Then silence counts (PROTOCOL.md, liveness). */
void conn_expect(struct conn *c, bool answer);

#endif
