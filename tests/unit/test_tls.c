/* SPDX-License-Identifier: MIT */
/* Two ends joined by arrays: what one says is cut, delayed or changed before the other hears it. */
#include "core/err.h"
#include "core/tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { BULK = 8 * 1024 * 1024 };

static char dirs[2][64];
static struct identity ids[2]; /* by role */
static struct tls_context *contexts[2];
static uint8_t *bulk;

struct end {
    struct tls *tls;
    uint8_t *got;
    size_t n_got;
    int last; /* what tls_read said last */
};

struct pair {
    struct end dialler, listener;
};

static int set_up(void **state) {
    for (int i = 0; i < 2; i++) {
        strcpy(dirs[i], "/tmp/lanyard-tls-XXXXXX");
        if (!mkdtemp(dirs[i]) || identity_load(&ids[i], dirs[i]) ||
            tls_context_new(&contexts[i], &ids[i], i == 0 ? TLS_DIALLER : TLS_LISTENER))
            return -1;
    }
    bulk = malloc(BULK);
    for (size_t i = 0; i < BULK; i++)
        bulk[i] = (uint8_t)(i * 2654435761u >> 13);
    return 0;
}

static int tear_down(void **state) {
    char command[160];

    free(bulk);
    for (int i = 0; i < 2; i++) {
        tls_context_free(contexts[i]);
        identity_clear(&ids[i]);
    }
    snprintf(command, sizeof command, "rm -rf '%s' '%s'", dirs[0], dirs[1]);
    return system(command);
}

static void end_open(struct end *e, int role) {
    memset(e, 0, sizeof *e);
    assert_int_equal(tls_new(&e->tls, contexts[role]), 0);
    e->got = malloc(BULK + 1);
}

static void end_close(struct end *e) {
    tls_free(e->tls);
    free(e->got);
}

static void pair_open(struct pair *p) {
    end_open(&p->dialler, 0);
    end_open(&p->listener, 1);
    p->dialler.last = tls_read(p->dialler.tls, p->dialler.got, BULK);
    assert_int_equal(p->dialler.last, 0);
}

static void pair_close(struct pair *p) {
    end_close(&p->dialler);
    end_close(&p->listener);
}

static void hear(struct end *e, const uint8_t *in, size_t len) {
    uint8_t *copy = malloc(len ? len : 1); /* so that a sanitizer sees reads beyond it */

    memcpy(copy, in, len);
    tls_feed(e->tls, copy, len);
    do {
        e->last = tls_read(e->tls, e->got + e->n_got, BULK - e->n_got + 1);
        if (e->last > 0)
            e->n_got += (size_t)e->last;
    } while (e->last > 0);
    free(copy);
}

/* Moves all that `from` has to say, at most `piece` bytes at a time. Returns the bytes moved. */
static size_t move(struct end *from, struct end *to, size_t piece) {
    const uint8_t *block;
    size_t len, moved = 0;

    while (tls_out(from->tls, true, &block, &len)) {
        for (size_t at = 0; at < len && to->last == 0; at += piece)
            hear(to, block + at, piece < len - at ? piece : len - at);
        moved += len;
        tls_out_done(from->tls);
    }
    return moved;
}

static void join(struct pair *p, size_t piece) {
    while (move(&p->dialler, &p->listener, piece) + move(&p->listener, &p->dialler, piece) > 0)
        ;
}

static void pair_join(struct pair *p) {
    pair_open(p);
    join(p, SIZE_MAX);
    assert_true(tls_ready(p->dialler.tls) && tls_ready(p->listener.tls));
}

static void say(struct end *e, const void *data, size_t len) {
    assert_int_equal(tls_write(e->tls, data, len), len);
}

static void both_learn_the_key_of_the_other(void **state) {
    struct pair p;

    pair_open(&p);
    assert_null(tls_peer_key(p.dialler.tls));
    assert_int_equal(tls_write(p.dialler.tls, bulk, 10), 0); /* not yet */
    join(&p, SIZE_MAX);
    assert_true(tls_ready(p.dialler.tls) && tls_ready(p.listener.tls));
    assert_memory_equal(tls_peer_key(p.dialler.tls), ids[1].key, KEY_LEN);
    assert_memory_equal(tls_peer_key(p.listener.tls), ids[0].key, KEY_LEN);
    assert_string_equal(tls_error(p.dialler.tls), "");
    pair_close(&p);
}

static void carries_bytes_cut_anywhere(void **state) {
    const size_t pieces[] = {1, 2, 3, 5, 17, 1000, 16406, 70000};

    for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct pair p;

        pair_open(&p);
        join(&p, pieces[i]);
        say(&p.dialler, bulk, 100000);
        say(&p.listener, bulk + 7, 3);
        join(&p, pieces[i]);
        say(&p.dialler, bulk + 100000, 1);
        join(&p, pieces[i]);
        assert_int_equal(p.listener.n_got, 100001);
        assert_memory_equal(p.listener.got, bulk, 100001);
        assert_int_equal(p.dialler.n_got, 3);
        assert_memory_equal(p.dialler.got, bulk + 7, 3);
        pair_close(&p);
    }
}

static void full_blocks_push_back(void **state) {
    struct pair p;
    size_t said = 0;

    pair_join(&p);
    while (said < BULK) {
        const uint8_t *block;
        size_t len;
        int n = tls_write(p.listener.tls, bulk + said, BULK - said);
        assert_true(n >= 0);
        said += (size_t)n;
        /* bounded, whatever we have to say: the blocks, and a record that is not whole yet */
        assert_true(said - p.dialler.n_got <= (1 << 20) + 20000);
        if (n == 0 && tls_out(p.listener.tls, false, &block, &len)) {
            hear(&p.dialler, block, len);
            tls_out_done(p.listener.tls);
        }
    }
    join(&p, SIZE_MAX);
    assert_int_equal(p.dialler.n_got, BULK);
    assert_memory_equal(p.dialler.got, bulk, BULK);
    pair_close(&p);
}

static void what_was_not_taken_leaves_no_trace(void **state) {
    struct pair p;
    size_t said = 0;
    int n;

    pair_join(&p);
    while ((n = tls_write(p.dialler.tls, bulk + said, 100000)) > 0)
        said += (size_t)n;
    assert_int_equal(n, 0);
    join(&p, SIZE_MAX);
    say(&p.dialler, "other", 5);
    join(&p, SIZE_MAX);
    assert_int_equal(p.listener.n_got, said + 5);
    assert_memory_equal(p.listener.got, bulk, said);
    assert_memory_equal(p.listener.got + said, "other", 5);
    pair_close(&p);
}

static void keeps_what_was_lent(void **state) {
    struct pair p;
    const uint8_t *block;
    uint8_t lent[100000], out[50];
    size_t len;

    pair_join(&p);
    say(&p.dialler, bulk, 60000);
    assert_true(tls_out(p.dialler.tls, true, &block, &len));
    memcpy(lent, block, len);
    tls_feed(p.listener.tls, lent, len);
    assert_int_equal(tls_read(p.listener.tls, out, sizeof out), sizeof out);
    assert_memory_equal(out, bulk, sizeof out);
    assert_int_equal(tls_keep(p.listener.tls), 0);
    assert_int_equal(tls_keep(p.listener.tls), 0);
    memset(lent, 0xee, sizeof lent);
    for (size_t at = sizeof out; at < 60000;) {
        int n = tls_read(p.listener.tls, p.listener.got, 7777);
        assert_true(n > 0);
        assert_memory_equal(p.listener.got, bulk + at, n);
        at += (size_t)n;
    }
    assert_int_equal(tls_read(p.listener.tls, out, sizeof out), 0);
    tls_out_done(p.dialler.tls);
    say(&p.dialler, bulk, 10);
    join(&p, SIZE_MAX);
    assert_memory_equal(p.listener.got, bulk, 10);
    pair_close(&p);
}

static void changes_keys_on_the_way(void **state) {
    struct pair p;

    pair_join(&p);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(tls_update(p.dialler.tls), 0);
        say(&p.dialler, bulk + i * 1000, 1000);
        if (i % 3 == 0)
            assert_int_equal(tls_update(p.listener.tls), 0);
        say(&p.listener, bulk + i * 1000, 1000);
        join(&p, 999);
    }
    assert_int_equal(p.listener.n_got, 20000);
    assert_memory_equal(p.listener.got, bulk, 20000);
    assert_memory_equal(p.dialler.got, bulk, 20000);
    pair_close(&p);
}

static void an_orderly_end_is_told_from_a_cut(void **state) {
    struct pair p;

    pair_join(&p);
    say(&p.dialler, bulk, 100);
    assert_int_equal(tls_close(p.dialler.tls), 0);
    join(&p, SIZE_MAX);
    assert_int_equal(p.listener.n_got, 100);
    assert_int_equal(p.listener.last, UV_EOF);
    say(&p.listener, bulk, 100); /* the other direction still works */
    p.dialler.last = 0;
    move(&p.listener, &p.dialler, SIZE_MAX);
    assert_int_equal(p.dialler.n_got, 100);
    pair_close(&p);

    pair_join(&p);
    say(&p.dialler, bulk, 100);
    join(&p, SIZE_MAX);
    tls_feed_end(p.listener.tls);
    hear(&p.listener, bulk, 0);
    assert_int_equal(p.listener.n_got, 100);
    assert_int_equal(p.listener.last, ERR_TLS_CUT);
    assert_int_equal(tls_write(p.listener.tls, bulk, 1), ERR_TLS_CUT);
    pair_close(&p);
}

/* All that the dialler says in a handshake and with 100 bytes after it; per call, at most one
 * change: byte `flip` inverted, or the stream ends before byte `end`. Returns the bytes said. */
static size_t listen_to(struct end *listener, size_t flip, size_t end) {
    struct pair p;
    uint8_t copy[64 * 1024];
    const uint8_t *block;
    size_t total = 0, len;

    pair_open(&p);
    for (bool spoke = false;;) {
        if (tls_ready(p.dialler.tls) && !spoke) {
            say(&p.dialler, bulk, 100);
            spoke = true;
        }
        if (!tls_out(p.dialler.tls, true, &block, &len))
            break;
        memcpy(copy, block, len);
        if (flip >= total && flip - total < len)
            copy[flip - total] ^= 0xff;
        size_t n = end < total ? 0 : end - total < len ? end - total : len;
        if (p.listener.last == 0)
            hear(&p.listener, copy, n);
        total += len;
        tls_out_done(p.dialler.tls);
        move(&p.listener, &p.dialler, SIZE_MAX);
    }
    if (p.listener.last == 0) {
        tls_feed_end(p.listener.tls);
        hear(&p.listener, copy, 0);
    }
    end_close(&p.dialler);
    *listener = p.listener;
    return total;
}

static void a_flipped_byte_never_passes(void **state) {
    struct end e;
    size_t total = listen_to(&e, SIZE_MAX, SIZE_MAX);

    assert_int_equal(e.n_got, 100);
    assert_int_equal(e.last, ERR_TLS_CUT);
    end_close(&e);
    for (size_t i = 0; i < total; i++) {
        listen_to(&e, i, SIZE_MAX);
        assert_true(e.last == ERR_TLS || e.last == ERR_TLS_CUT);
        if (tls_ready(e.tls)) /* the record version is not checked: RFC 8446 section 5.1 */
            assert_memory_equal(tls_peer_key(e.tls), ids[0].key, KEY_LEN);
        assert_true(e.n_got == 0 || (e.n_got == 100 && memcmp(e.got, bulk, 100) == 0));
        end_close(&e);
    }
}

static void a_cut_anywhere_is_a_cut(void **state) {
    struct end e;
    size_t total = listen_to(&e, SIZE_MAX, SIZE_MAX);

    end_close(&e);
    for (size_t i = 0; i < total; i++) {
        listen_to(&e, SIZE_MAX, i);
        assert_int_equal(e.last, ERR_TLS_CUT);
        assert_int_equal(e.n_got, 0);
        assert_string_not_equal(tls_error(e.tls), "");
        end_close(&e);
    }
}

static void garbage_is_an_error(void **state) {
    static const char *const lines[] = {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
                                        "\x16\x03\x01\xff\xff", "\x15\x03\x03\x00\x02\x02\x28"};

    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
        for (int role = 0; role < 2; role++) {
            struct end e;

            end_open(&e, role);
            tls_read(e.tls, e.got, 1);
            hear(&e, (const uint8_t *)lines[i], strlen(lines[i]) + (i == 3 ? 4 : 0));
            assert_int_equal(e.last, ERR_TLS);
            assert_int_equal(tls_read(e.tls, e.got, 1), ERR_TLS); /* and stays */
            assert_int_equal(ERR_peek_error(), 0);                /* nothing left for others */
            end_close(&e);
        }
    }
}

/* -- peers that are not ours ------------------------------------------------------------------ */

struct foreigner {
    int max_version;
    const char *alpn; /* as on the wire, NULL: none */
    bool no_cert;
    const char *key_type; /* of its certificate */
};

static void give_cert(SSL_CTX *ctx, const char *type) {
    EVP_PKEY *pkey = strcmp(type, "EC") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                                             : EVP_PKEY_Q_keygen(NULL, NULL, type);
    X509 *x = X509_new();

    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 1000);
    X509_set_pubkey(x, pkey);
    assert_true(X509_sign(x, pkey, strcmp(type, "EC") == 0 ? EVP_sha256() : NULL));
    assert_true(SSL_CTX_use_certificate(ctx, x) && SSL_CTX_use_PrivateKey(ctx, pkey));
    X509_free(x);
    EVP_PKEY_free(pkey);
}

static int select_theirs(SSL *ssl, const uint8_t **out, uint8_t *len, const uint8_t *in,
                         unsigned in_len, void *arg) {
    const char *alpn = arg;

    *out = (const uint8_t *)alpn + 1;
    *len = (uint8_t)alpn[0];
    return SSL_TLSEXT_ERR_OK;
}

static SSL *foreign_end(const struct foreigner *f, bool listens, SSL_CTX **ctx) {
    *ctx = SSL_CTX_new(listens ? TLS_server_method() : TLS_client_method());
    SSL_CTX_set_max_proto_version(*ctx, f->max_version);
    if (f->alpn && !listens)
        SSL_CTX_set_alpn_protos(*ctx, (const uint8_t *)f->alpn, (unsigned)strlen(f->alpn));
    if (f->alpn && listens)
        SSL_CTX_set_alpn_select_cb(*ctx, select_theirs, (void *)(uintptr_t)f->alpn);
    if (listens && !f->no_cert)
        SSL_CTX_set_verify(*ctx, SSL_VERIFY_PEER, NULL);
    if (!f->no_cert)
        give_cert(*ctx, f->key_type);
    SSL *ssl = SSL_new(*ctx);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    if (listens)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return ssl;
}

/* What our end in this role says to the foreigner. */
static int meet(const struct foreigner *f, int role, bool *ready) {
    SSL_CTX *ctx;
    SSL *ssl = foreign_end(f, role == 0, &ctx);
    struct end e;
    uint8_t buf[64 * 1024];
    bool moved = true;

    end_open(&e, role);
    e.last = tls_read(e.tls, e.got, BULK);
    while (moved) {
        const uint8_t *block;
        size_t len;

        moved = false;
        while (tls_out(e.tls, true, &block, &len)) {
            BIO_write(SSL_get_rbio(ssl), block, (int)len);
            tls_out_done(e.tls);
            moved = true;
        }
        if (SSL_do_handshake(ssl) == 1)
            SSL_read(ssl, buf, sizeof buf);
        int n = BIO_read(SSL_get_wbio(ssl), buf, sizeof buf);
        if (n > 0 && e.last == 0) {
            hear(&e, buf, (size_t)n);
            moved = true;
        }
    }
    *ready = tls_ready(e.tls);
    int r = e.last;
    end_close(&e);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return r;
}

static void foreigners_are_refused(void **state) {
    static const char ours[] = "\x09lanyard/1";
    const struct {
        struct foreigner f;
        bool fine[2]; /* by our role */
    } cases[] = {
        {{TLS1_3_VERSION, ours, false, "ED25519"}, {true, true}}, /* the test itself works */
        {{TLS1_3_VERSION, NULL, false, "ED25519"}, {false, false}},
        {{TLS1_3_VERSION, "\x08http/1.1", false, "ED25519"}, {false, false}},
        {{TLS1_2_VERSION, ours, false, "ED25519"}, {false, false}},
        {{TLS1_3_VERSION, ours, true, NULL}, {false, false}},
        {{TLS1_3_VERSION, ours, false, "EC"}, {false, false}},
        {{TLS1_3_VERSION, ours, false, "ED448"}, {false, false}},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int role = 0; role < 2; role++) {
            bool ready;
            int r = meet(&cases[i].f, role, &ready);

            assert_int_equal(ready, cases[i].fine[role]);
            assert_int_equal(r, cases[i].fine[role] ? 0 : ERR_TLS);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_learn_the_key_of_the_other),
        cmocka_unit_test(carries_bytes_cut_anywhere),
        cmocka_unit_test(full_blocks_push_back),
        cmocka_unit_test(what_was_not_taken_leaves_no_trace),
        cmocka_unit_test(keeps_what_was_lent),
        cmocka_unit_test(changes_keys_on_the_way),
        cmocka_unit_test(an_orderly_end_is_told_from_a_cut),
        cmocka_unit_test(a_flipped_byte_never_passes),
        cmocka_unit_test(a_cut_anywhere_is_a_cut),
        cmocka_unit_test(garbage_is_an_error),
        cmocka_unit_test(foreigners_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
