/* SPDX-License-Identifier: MIT */
/*
 * tls_internal -- what the files of tls share; nobody else includes it
 *
 *     tls_context.c   what all connections of one role have in common: ciphers, certificate
 *     tls.c           one connection
 */
#ifndef CORE_TLS_INTERNAL_H
#define CORE_TLS_INTERNAL_H

#include "core/blocks.h"
#include "core/tls.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    enum tls_role role;
    uint8_t key[KEY_LEN]; /* ours */
    struct block_budget budget;
};

enum { TLS_ALPN_LEN = 10 };
extern const uint8_t tls_alpn[TLS_ALPN_LEN]; /* as on the wire */

/* tls.c: reads what was fed, writes to the blocks. NULL: no memory. */
BIO_METHOD *tls_bio_method(void);

#endif
