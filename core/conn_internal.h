/* SPDX-License-Identifier: MIT */
/*
 * conn_internal -- what the files of conn share; nobody else includes it
 *
 *     conn.c        life: beginning, timers, end, and what owners call
 *     conn_io.c     the socket: reads to messages, queue to writes
 *     conn_tcp.c    what we ask of TCP
 *     conn_bulk.c   a large frame on its way through TLS, on a thread of the crew
 *     conn_talk.c   the conversation: what both roles say and hear
 *     conn_auth.c   who lets whom in: AUTH and AUTHED
 *     conn_pace.c   a limit on what moves, which many connections share
 */
#ifndef CORE_CONN_INTERNAL_H
#define CORE_CONN_INTERNAL_H

#include "core/addr.h"
#include "core/blocks.h"
#include "core/conn.h"
#include "core/drain.h"
#include "core/outq.h"

#include <stdatomic.h>

enum conn_state {
    CONNECTING,
    HANDSHAKE,
    WAIT_HELLO,
    WAIT_AUTH,
    OPENED,
    FAREWELL, /* our last words go out, what still comes is dropped */
    DEAD,     /* the handles are closing */
};

/* What is lent to the crew, and what comes back. */
struct bulk {
    struct crew_task task;
    uv_async_t back;
    atomic_bool is_back; /* what the crew did is here to be seen */
    bool away;           /* TLS, the socket and all below n_written are the crew's */
    atomic_bool stop;    /* nobody wants it any more */
    unsigned n_written;  /* blocks, by the loop, meanwhile */
    uv_os_fd_t fd;
    const uint8_t *from; /* plaintext to send: len bytes, done of them are in TLS */
    uint8_t *to;         /* or where it goes, and how much of it came */
    size_t len, done;
    uint64_t moved; /* bytes that the socket took */
    bool drained;   /* the socket had no more */
    int err;        /* of TLS, 0: none */
    int broken;     /* of the socket, 0: none */
    /* of a block that is out, what the socket has not taken; the loop writes it first */
    const uint8_t *rest;
    size_t rest_len;
};

enum { CONN_TEXT_LEN = 512, CONN_SHOWN_LEN = 256 };

struct conn {
    uv_tcp_t tcp; /* first: the handle is the conn */
    uv_timer_t timer;
    uv_idle_t wake;        /* active: something to do in the next turn of the loop */
    uv_timer_t turn_timer; /* active: the limit has us wait for turn */
    struct pacer_turn turn;
    unsigned n_handles;
    const struct conn_env *env;
    const struct conn_handler *handler;
    void *owner;
    enum conn_state state;

    struct tls *tls;
    struct session session;
    struct outq out;
    uv_write_t writes[BLOCKS_MAX]; /* a ring, as the blocks of tls are */
    unsigned n_writes, next_write;
    uv_connect_t connect;
    uv_shutdown_t shutdown;
    bool dialled, peer_left, deaf, said_all, shut;

    struct bulk bulk;
    bool crowded; /* more came than one read could take */
    bool stopped; /* not reading, since TLS is away */

    bool paused;               /* not reading: there is no buffer for the frame that comes */
    struct pool_waiter waiter; /* for one */
    uint8_t *reserve;          /* it came */

    uint64_t written, taken; /* bytes given to the socket; see conn_is_taken() */

    bool said_auth;          /* dialler: AUTHED may come */
    bool proves;             /* dialler: with a proof, which needs this key */
    struct prover_want want; /* for the key */
    uint8_t code_key[ACCESS_KEY_LEN];
    uint64_t admit_by; /* listener: when it must have been let in */
    int refusal;       /* listener: what it hears instead of HELLO */
    const char *refusal_text;

    struct liveness life;
    struct drain drain;
    uint64_t due; /* when the timer was to fire */
    int why;
    char text[CONN_TEXT_LEN], name[CONN_SHOWN_LEN], software[CONN_SHOWN_LEN], addr[ADDR_TEXT_LEN];
};

/* conn.c */
void conn_enter(struct conn *c, enum conn_state state, unsigned limit_ms);
void conn_kick(struct conn *c); /* conn_on_wake in the next turn of the loop */
void conn_set_why(struct conn *c, int why, const char *text); /* the first reason counts */
void conn_drop(struct conn *c);                               /* closes the socket now */
void conn_fail(struct conn *c, int why, const char *text);    /* the same: it is of no more use */

/* When nobody else has it. */
void conn_close_socket(struct conn *c);

/* A frame waits to be sent: the timer must look whether it goes. */
void conn_watch_drain(struct conn *c);

/* conn_io.c */
int conn_start_reading(struct conn *c);
void conn_on_turn(struct conn *c); /* it may go on */
void conn_receive(struct conn *c); /* all that was fed to tls */
void conn_on_wake(uv_idle_t *wake);
/* Goes on sending. before: bytes in the queue when the owner was asked for more. */
void conn_flush(struct conn *c, size_t before);
/* After hear(): an error, or 0; ends what cannot go on. */
void conn_heard(struct conn *c, int r);

/* Has the peer's system taken some of what we sent since this was asked last, with more still on
 * its way? Then its PONG may be late for no other reason than a slow line. */
bool conn_is_taken(struct conn *c);

/* conn_pace.c: all of it costs nothing without a limit */
/* How many of `want` bytes may be sent now, from the front of the queue, or read; 0: conn_on_turn
 * comes when it is our turn. */
size_t conn_may_send(struct conn *c, size_t want);
size_t conn_may_read(struct conn *c, size_t want);
/* So many of them were; 0: there is no room, or nothing to send. */
void conn_sent(struct conn *c, size_t n);
void conn_read(struct conn *c, size_t n, bool all); /* all: there may be more to read */
bool conn_is_held(const struct conn *c);            /* it waits for its turn */
bool conn_is_limited(const struct conn *c);
void conn_say_alive(struct conn *c); /* PING, if we read so slowly that it must be told */

/* conn_tcp.c: of a connected socket. */
void conn_set_options(struct conn *c);

/* conn_bulk.c: while bulk.away nobody else may touch tls or the socket. */
/* What outq_front gave. true: the crew has it, or it waits for what is being written; false: it is
 * not worth it, or there is no thread. */
bool conn_bulk_send(struct conn *c, const uint8_t *at, size_t len);
/* The rest of the frame that arrives, if that is worth it. */
void conn_bulk_receive(struct conn *c);
void conn_on_back(uv_async_t *back);

/* conn_talk.c */
void conn_log_frame(const struct conn *c, const char *verb, const struct wire_header *h);
int conn_say(struct conn *c, const struct msg *m);
int conn_say_hello(struct conn *c);
int conn_open_up(struct conn *c); /* both sides have said all that comes before requests */
/* Ends the conversation: drops what has not started, says why, closes when that is sent. */
void conn_part(struct conn *c, int why, const char *text);
/* Plaintext has arrived in the session. 0, or an error. */
int conn_take_message(struct conn *c);

/* conn_auth.c */
int conn_say_auth(struct conn *c, uint32_t features); /* of the listener's HELLO */
int conn_on_auth(struct conn *c, const struct msg *m);
int conn_on_authed(struct conn *c, const struct msg *m);

#endif
