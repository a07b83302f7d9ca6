/* SPDX-License-Identifier: MIT */
#include "core/tls_internal.h"

#include "core/err.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    RECORD = SSL3_RT_MAX_PLAIN_LENGTH,
    RECORD_MORE = 22, /* header 5, content type 1, tag 16: RFC 8446 section 5.2 */
    SLACK = 1024,     /* kept free in the blocks for alerts and new keys */
};

/* Far below where AES-GCM wears out: 2^24.5 full records, RFC 8446 section 5.5. */
static const uint64_t update_after = (uint64_t)64 << 30;

struct tls {
    SSL *ssl;
    const uint8_t *in; /* ciphertext not yet read: lent, or our copy */
    size_t in_len;
    uint8_t *kept;
    bool in_end, cut, ready;
    int failed; /* the first error: all later calls return it */
    struct blocks blocks;
    uint64_t sealed; /* plaintext bytes since the last new keys */
    uint8_t key[KEY_LEN];
    char error[128];
};

static int fail(struct tls *t, int err, const char *reason) {
    t->failed = err;
    snprintf(t->error, sizeof t->error, "%s", reason);
    return err;
}

/* -- the library's view: one BIO that reads what was fed and writes to the blocks ------------- */

static int bio_read(BIO *bio, char *out, size_t len, size_t *done) {
    struct tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (t->in_len == 0) {
        if (t->in_end)
            t->cut = true;
        else
            BIO_set_retry_read(bio);
        return 0;
    }
    *done = len < t->in_len ? len : t->in_len;
    memcpy(out, t->in, *done);
    t->in += *done;
    t->in_len -= *done;
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *done) {
    struct tls *t = BIO_get_data(bio);

    int r = blocks_append(&t->blocks, data, len);

    BIO_clear_retry_flags(bio);
    if (r < 0) {
        fail(t, r == -ENOMEM ? r : ERR_TLS, "no room for output");
        return 0;
    }
    *done = len;
    return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_method(void) {
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lanyard blocks");

    if (m && BIO_meth_set_read_ex(m, bio_read) && BIO_meth_set_write_ex(m, bio_write) &&
        BIO_meth_set_ctrl(m, bio_ctrl))
        return m;
    BIO_meth_free(m);
    return NULL;
}

/* -- one connection -------------------------------------------------------------------------- */

int tls_new(struct tls **t, struct tls_context *ctx) {
    struct tls *new = calloc(1, sizeof *new);
    BIO *bio = NULL;

    if (!new)
        return -ENOMEM;
    blocks_init(&new->blocks, &ctx->budget);
    new->ssl = SSL_new(ctx->ssl);
    if (new->ssl)
        bio = BIO_new(ctx->bio);
    if (!bio) {
        tls_free(new);
        ERR_clear_error();
        return -ENOMEM;
    }
    BIO_set_data(bio, new);
    BIO_set_init(bio, 1);
    SSL_set_bio(new->ssl, bio, bio);
    if (ctx->role == TLS_DIALLER)
        SSL_set_connect_state(new->ssl);
    else
        SSL_set_accept_state(new->ssl);
    *t = new;
    return 0;
}

void tls_give_back(struct tls *t) {
    if (!t)
        return;
    SSL_free(t->ssl); /* with its BIO, whose methods are the context's */
    t->ssl = NULL;
    blocks_clear(&t->blocks);
}

void tls_free(struct tls *t) {
    if (!t)
        return;
    tls_give_back(t);
    free(t->kept);
    free(t);
}

void tls_feed(struct tls *t, const uint8_t *in, size_t len) {
    free(t->kept);
    t->kept = NULL;
    t->in = in;
    t->in_len = len;
}

int tls_keep(struct tls *t) {
    uint8_t *copy;

    if (t->in_len == 0 || t->kept)
        return 0;
    copy = malloc(t->in_len);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, t->in, t->in_len);
    t->kept = copy;
    t->in = copy;
    return 0;
}

void tls_feed_end(struct tls *t) { t->in_end = true; }

/* After a call of the library that returned no success: 0 if it only wants more input, else an
 * error. */
static int judge(struct tls *t, int returned) {
    int kind = SSL_get_error(t->ssl, returned);
    unsigned long first = ERR_get_error();
    const char *reason = first ? ERR_reason_error_string(first) : NULL;

    ERR_clear_error();
    if (t->failed)
        return t->failed;
    if (t->cut)
        return fail(t, ERR_TLS_CUT, "end of input without close_notify");
    if (kind == SSL_ERROR_WANT_READ)
        return 0;
    if (kind == SSL_ERROR_ZERO_RETURN)
        return fail(t, UV_EOF, "closed by the peer");
    return fail(t, ERR_TLS, reason ? reason : "unknown error");
}

static bool take_peer_key(struct tls *t) {
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    EVP_PKEY *pkey = cert ? X509_get0_pubkey(cert) : NULL;
    size_t len = KEY_LEN;

    return pkey && EVP_PKEY_is_a(pkey, "ED25519") &&
           EVP_PKEY_get_raw_public_key(pkey, t->key, &len) && len == KEY_LEN;
}

/* 1: done; 0: needs input. */
static int handshake(struct tls *t) {
    const uint8_t *chosen;
    unsigned len;
    int r = SSL_do_handshake(t->ssl);

    if (r != 1)
        return judge(t, r);
    SSL_get0_alpn_selected(t->ssl, &chosen, &len); /* a dialler may have offered none at all */
    if (len != TLS_ALPN_LEN - 1 || memcmp(chosen, tls_alpn + 1, len) != 0)
        return fail(t, ERR_TLS, "the peer does not speak lanyard/1");
    if (!take_peer_key(t))
        return fail(t, ERR_TLS, "the peer has no Ed25519 key");
    ERR_clear_error();
    t->ready = true;
    return 1;
}

int tls_read(struct tls *t, uint8_t *out, size_t len) {
    int r;

    if (t->failed)
        return t->failed;
    ERR_clear_error();
    if (!t->ready) {
        r = handshake(t);
        if (r <= 0)
            return r;
    }
    r = SSL_read(t->ssl, out, len < INT_MAX ? (int)len : INT_MAX);
    if (r > 0)
        return r;
    r = judge(t, r);
    if (r == 0)
        tls_feed(t, NULL, 0);
    return r;
}

/* Never more than the blocks can take: a write that the library had to remember would have to come
 * again with the same data. */
static size_t writable(const struct tls *t) {
    size_t left = blocks_room(&t->blocks), records, rest;

    if (left <= SLACK)
        return 0;
    records = (left - SLACK) / (RECORD + RECORD_MORE);
    rest = (left - SLACK) % (RECORD + RECORD_MORE);
    return records * RECORD + (rest > RECORD_MORE ? rest - RECORD_MORE : 0);
}

int tls_write(struct tls *t, const uint8_t *data, size_t len) {
    size_t most = writable(t);
    int r;

    if (t->failed && t->failed != UV_EOF) /* they said all, we may not have */
        return t->failed;
    if (!t->ready || len == 0 || most == 0)
        return 0;
    ERR_clear_error();
    r = SSL_write(t->ssl, data, (int)(len < most ? len : most));
    if (r <= 0) {
        r = judge(t, r);
        return r ? r : fail(t, ERR_TLS, "a write wants to read");
    }
    t->sealed += (uint64_t)r;
    if (t->sealed >= update_after && tls_update(t) < 0)
        return t->failed;
    return r;
}

int tls_update(struct tls *t) {
    t->sealed = 0;
    if (!t->ready || !SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED))
        return judge(t, 0);
    return 0;
}

int tls_close(struct tls *t) {
    int r;

    if (t->failed && t->failed != UV_EOF)
        return t->failed;
    if (!t->ready)
        return 0;
    ERR_clear_error();
    r = SSL_shutdown(t->ssl);
    return r < 0 ? judge(t, r) : 0;
}

int tls_out(struct tls *t, bool all, const uint8_t **data, size_t *len) {
    return blocks_out(&t->blocks, all, data, len);
}

void tls_out_done(struct tls *t) { blocks_done(&t->blocks); }

void tls_trim(struct tls *t) { blocks_trim(&t->blocks); }

void tls_lend(struct tls *t, unsigned most) { blocks_reserve(&t->blocks, most); }

void tls_take_back(struct tls *t) { blocks_release(&t->blocks); }

int tls_export(struct tls *t, uint8_t out[static 32]) {
    static const char label[] = "EXPORTER-lanyard-code";
    int made;

    if (!t->ready)
        return ERR_TLS;
    made = SSL_export_keying_material(t->ssl, out, 32, label, sizeof label - 1, NULL, 0, 0);
    ERR_clear_error();
    return made == 1 ? 0 : ERR_TLS;
}

bool tls_ready(const struct tls *t) { return t->ready; }

const uint8_t *tls_peer_key(const struct tls *t) { return t->ready ? t->key : NULL; }

const char *tls_error(const struct tls *t) { return t->error; }
