/* SPDX-License-Identifier: MIT */
#include "core/tls_internal.h"

#include "core/err.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

enum {
    SHARED_BLOCKS = 64,       /* for all connections of a context: 16 MiB */
    CERT_LIST_MAX = 8 * 1024, /* ours is 300 bytes */
};

const uint8_t tls_alpn[TLS_ALPN_LEN] = {9, 'l', 'a', 'n', 'y', 'a', 'r', 'd', '/', '1'};

static bool cpu_has_aes(void) {
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
    return false;
#endif
}

static int choose_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                       unsigned in_len, void *arg) {
    uint8_t *match;

    if (SSL_select_next_proto(&match, out_len, tls_alpn, sizeof tls_alpn, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = match;
    return SSL_TLSEXT_ERR_OK;
}

/* Any certificate will do here: its key is compared with the one we expect by whoever dialled. */
static int accept_any(X509_STORE_CTX *store, void *arg) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

/* The application protocol. In the second call 0 is success, unlike everywhere else. */
static bool set_alpn(SSL_CTX *ssl) {
    SSL_CTX_set_alpn_select_cb(ssl, choose_alpn, NULL);
    return SSL_CTX_set_alpn_protos(ssl, tls_alpn, sizeof tls_alpn) == 0;
}

static bool set_options(SSL_CTX *ssl, const struct identity *id) {
    const char *ciphers = cpu_has_aes() ? "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
                                        : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";

    /* the listener's order counts, but ChaCha20 if the dialler has no AES in its CPU */
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ssl, accept_any, NULL);
    SSL_CTX_set_max_cert_list(ssl, CERT_LIST_MAX);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) &&
           SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) && SSL_CTX_set_num_tickets(ssl, 0) &&
           SSL_CTX_set_ciphersuites(ssl, ciphers) &&
           SSL_CTX_set1_groups_list(ssl, "X25519:P-256") &&
           SSL_CTX_set1_sigalgs_list(ssl, "ed25519") &&
           SSL_CTX_set1_client_sigalgs_list(ssl, "ed25519") &&
           SSL_CTX_set_session_id_context(ssl, tls_alpn, sizeof tls_alpn) && set_alpn(ssl) &&
           SSL_CTX_use_certificate(ssl, id->cert) && SSL_CTX_use_PrivateKey(ssl, id->pkey);
}

int tls_context_new(struct tls_context **ctx, const struct identity *id, enum tls_role role) {
    struct tls_context *c = calloc(1, sizeof *c);
    int r = -ENOMEM;

    if (!c)
        return r;
    c->role = role;
    memcpy(c->key, id->key, KEY_LEN);
    c->budget.max = SHARED_BLOCKS;
    c->bio = tls_bio_method();
    c->ssl = SSL_CTX_new(role == TLS_DIALLER ? TLS_client_method() : TLS_server_method());
    if (c->bio && c->ssl)
        r = set_options(c->ssl, id) ? 0 : ERR_TLS;
    ERR_clear_error();
    if (r) {
        tls_context_free(c);
        return r;
    }
    *ctx = c;
    return 0;
}

void tls_context_free(struct tls_context *ctx) {
    if (!ctx)
        return;
    SSL_CTX_free(ctx->ssl);
    BIO_meth_free(ctx->bio);
    free(ctx);
}

const uint8_t *tls_own_key(const struct tls_context *ctx) { return ctx->key; }
