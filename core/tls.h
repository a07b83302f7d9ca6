/* SPDX-License-Identifier: MIT */
/*
 * tls -- TLS 1.3 over byte buffers, no sockets
 *
 *     ciphertext in:  tls_feed(block)  tls_read -> plaintext ... until 0      then the next block
 *     plaintext in:   tls_write        tls_out -> block of ciphertext, tls_out_done
 *
 * ALPN lanyard/1, self-signed Ed25519 certificates on both sides, no tickets. The ciphertext fed is
 * read in place, output is gathered in blocks (core/blocks.h): when they are full, tls_write takes
 * nothing more until one is done. A cut is not an end: without close_notify the end of input is
 * ERR_TLS_CUT. One thread for a context and its connections, but for those that are lent.
 */
#ifndef CORE_TLS_H
#define CORE_TLS_H

#include "core/identity.h"

#include <stdbool.h>

/* Shared by all connections of one role; has the budget of their blocks. */
struct tls_context;
enum tls_role { TLS_DIALLER, TLS_LISTENER };
int tls_context_new(struct tls_context **ctx, const struct identity *id, enum tls_role role);
void tls_context_free(struct tls_context *ctx);
const uint8_t *tls_own_key(const struct tls_context *ctx); /* KEY_LEN bytes */

/* So much plaintext fits in one block: of the socket, one write. */
enum { TLS_BATCH = 15 * 16384 };

struct tls;
int tls_new(struct tls **t, struct tls_context *ctx);
void tls_free(struct tls *t);

/* Lends ciphertext until it is read: all of it is consumed when tls_read returns 0. */
void tls_feed(struct tls *t, const uint8_t *in, size_t len);
/* Copies what is left of the block fed, so that its lender gets it back early. 0, -ENOMEM. */
int tls_keep(struct tls *t);
/* No more ciphertext will come (EOF of the socket). */
void tls_feed_end(struct tls *t);

/* Above 0: plaintext bytes at out; 0: everything fed is consumed; UV_EOF: the peer closed in order;
 * ERR_TLS_CUT; ERR_TLS: see tls_error; -ENOMEM. The handshake goes on in here too: the first call
 * of the dialler, with nothing fed, makes its first flight. Errors may leave an alert to send. */
int tls_read(struct tls *t, uint8_t *out, size_t len);

/* Bytes taken (0: the blocks are full, or the handshake is not done), ERR_TLS, or -ENOMEM. What is
 * not taken leaves no trace: the next call may bring other data. */
int tls_write(struct tls *t, const uint8_t *data, size_t len);
/* New keys for what we send, with the next write; tls_write does it by itself every 64 GiB. 0,
 * ERR_TLS. */
int tls_update(struct tls *t);
int tls_close(struct tls *t); /* queues close_notify. 0, ERR_TLS, -ENOMEM */

/* The next block to send: 1 and *data, *len, good until tls_out_done; 0: nothing. Blocks come and
 * are done in order; several may be out. A block that is not full comes only if `all` and no other
 * is out: what is written meanwhile joins it. */
int tls_out(struct tls *t, bool all, const uint8_t **data, size_t *len);
void tls_out_done(struct tls *t);

/* Gives back all that is the context's: the socket is gone. Only tls_peer_key, tls_error and
 * tls_free may follow, and the context may go before them. Takes NULL. */
void tls_give_back(struct tls *t);
/* Frees the blocks that are kept for the next output: when the connection is idle. */
void tls_trim(struct tls *t);

/* Until tls_take_back another thread may have it: tls_read, tls_write, tls_feed, tls_keep, tls_out
 * and tls_out_done. Its blocks are those that it could get now, `most` at the most. */
void tls_lend(struct tls *t, unsigned most);
void tls_take_back(struct tls *t);

/* 32 bytes that only the two ends of this connection can make (RFC 8446 section 7.5); the same at
 * both. 0, ERR_TLS. */
int tls_export(struct tls *t, uint8_t out[static 32]);

bool tls_ready(const struct tls *t);              /* the handshake is done */
const uint8_t *tls_peer_key(const struct tls *t); /* KEY_LEN bytes, NULL before tls_ready */
const char *tls_error(const struct tls *t);       /* the library's reason, for -v; never NULL */

#endif
