/* SPDX-License-Identifier: MIT */
/*
 * peer -- one end of a connection that speaks TLS, and then says whatever it is told to
 *
 *     peer_init   peer_dial | peer_accept -> on_ready -> on_frame ...   peer_leave, until `down`
 *
 * The other end is a program of ours: all that it says must be well-formed. Loop thread.
 */
#ifndef TESTS_FUZZ_PEER_H
#define TESTS_FUZZ_PEER_H

#include "core/tls.h"
#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"

#include <uv.h>

enum { PEER_SAID_MAX = 8 * 1024 * 1024 };

struct peer { /* the owner's until it is down */
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct tls *tls;
    bool used, ready; /* ready: TLS is up */
    bool over;        /* nothing comes any more */
    bool leaving, down;
    bool writing, ending, ended;
    unsigned heard; /* frames */
    void (*on_ready)(struct peer *p);
    void (*on_frame)(struct peer *p, const struct msg *m);
    void *owner;

    uint8_t *said; /* plaintext that waits */
    size_t said_len, said_at;
    size_t in_len;
    uint8_t in[2 * WIRE_FRAME_MAX]; /* begins with the frame of this on_frame */
};

void peer_init(struct peer *p); /* unused */
void peer_dial(struct peer *p, uv_loop_t *loop, struct tls_context *tls, uint16_t port);
void peer_accept(struct peer *p, uv_stream_t *listener, struct tls_context *tls);

void peer_say(struct peer *p, const void *bytes, size_t len); /* in TLS; no-op when it is over */
void peer_say_msg(struct peer *p, const struct msg *m);       /* a true one */
void peer_say_below(struct peer *p, const void *bytes, size_t len); /* on the socket itself */
void peer_end(struct peer *p);                                      /* close_notify, then silence */
void peer_listen(struct peer *p, bool listens);
void peer_leave(struct peer *p); /* the socket is closed now. Takes an unused one. */

#endif
