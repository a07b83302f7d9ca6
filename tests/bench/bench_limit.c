/* SPDX-License-Identifier: MIT */
/*
 * bench_limit -- how fast one connection could be at most: nothing but the work that must be done
 *
 *     bench_limit serve PORT FILE               one file to one client, then it serves the next one
 *     bench_limit fetch ADDRESS PORT FILE       takes it and writes it to FILE
 *
 * Two processes with blocking calls, one thread each: read a MiB, XXH3-128, TLS 1.3 in batches of
 * 256 KiB; and at the other end TLS, XXH3-128 compared, write. On the wire: the size of the file (8
 * bytes), then each MiB after its digest. Keys are made at start, nobody proves who he is, nothing
 * is synced, resumed, scheduled or shown.
 */
#include "core/digest.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH = 256 * 1024, CHUNK = WIRE_CHUNK_SIZE };

static struct {
    uint8_t digest[WIRE_DIGEST_LEN];
    uint8_t data[CHUNK];
} chunk;

static void need(bool ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

/* -- TLS -------------------------------------------------------------------------------------- */

static void make_certificate(SSL_CTX *ctx) {
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    X509 *x = X509_new();

    need(key && x && X509_set_pubkey(x, key) && X509_gmtime_adj(X509_getm_notBefore(x), 0) &&
             X509_gmtime_adj(X509_getm_notAfter(x), 3600) && X509_sign(x, key, NULL) &&
             SSL_CTX_use_certificate(ctx, x) && SSL_CTX_use_PrivateKey(ctx, key),
         "certificate");
    X509_free(x);
    EVP_PKEY_free(key);
}

static SSL_CTX *make_context(bool listener) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    need(ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
             SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256"),
         "TLS");
    SSL_CTX_set_num_tickets(ctx, 0);
    if (listener)
        make_certificate(ctx);
    return ctx;
}

/* What core/conn.c takes where the system's choice paces: a limit should be one. */
static void take_the_faster_way(int fd) {
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) != 0)
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

/* Record by record a write is half as fast: a buffer between TLS and the socket makes batches. */
static SSL *speak_tls(SSL_CTX *ctx, int fd, bool listener) {
    SSL *ssl = SSL_new(ctx);
    BIO *batches = BIO_new(BIO_f_buffer());

    need(ssl && batches && BIO_set_buffer_size(batches, BATCH), "TLS");
    BIO_push(batches, BIO_new_socket(fd, BIO_CLOSE));
    SSL_set_bio(ssl, batches, batches);
    need((listener ? SSL_accept(ssl) : SSL_connect(ssl)) == 1, "handshake");
    return ssl;
}

static void send_all(SSL *ssl, const void *data, size_t len) {
    size_t sent;

    need(SSL_write_ex(ssl, data, len, &sent) && sent == len, "send");
}

static void receive_all(SSL *ssl, void *data, size_t len) {
    size_t n;

    for (size_t at = 0; at < len; at += n)
        need(SSL_read_ex(ssl, (uint8_t *)data + at, len - at, &n), "receive");
}

/* -- the two ends ----------------------------------------------------------------------------- */

static size_t chunk_len(off_t size, off_t at) {
    return size - at < CHUNK ? (size_t)(size - at) : CHUNK;
}

static void send_file(SSL *ssl, const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    need(file >= 0 && fstat(file, &st) == 0, path);
    send_all(ssl, &st.st_size, sizeof st.st_size);
    for (off_t at = 0; at < st.st_size; at += CHUNK) {
        size_t len = chunk_len(st.st_size, at);

        need(pread(file, chunk.data, len, at) == (ssize_t)len, path);
        digest_chunk(chunk.data, len, chunk.digest);
        send_all(ssl, &chunk, sizeof chunk.digest + len);
    }
    SSL_shutdown(ssl);
    BIO_flush(SSL_get_wbio(ssl));
    close(file);
}

static void receive_file(SSL *ssl, const char *path) {
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    uint8_t digest[WIRE_DIGEST_LEN];
    off_t size;

    need(file >= 0, path);
    receive_all(ssl, &size, sizeof size);
    for (off_t at = 0; at < size; at += CHUNK) {
        size_t len = chunk_len(size, at);

        receive_all(ssl, &chunk, sizeof chunk.digest + len);
        digest_chunk(chunk.data, len, digest);
        need(memcmp(digest, chunk.digest, sizeof digest) == 0, "digest");
        need(pwrite(file, chunk.data, len, at) == (ssize_t)len, path);
    }
    need(close(file) == 0, path);
}

static struct sockaddr_in address(const char *host, const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

    need(inet_pton(AF_INET, host, &to.sin_addr) == 1, host);
    return to;
}

static void serve(const char *port, const char *path) {
    struct sockaddr_in at = address("0.0.0.0", port);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    SSL_CTX *ctx = make_context(true);

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    need(bind(listener, (struct sockaddr *)&at, sizeof at) == 0, "bind");
    need(listen(listener, 1) == 0, "listen");
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        need(fd >= 0, "accept");
        take_the_faster_way(fd);
        SSL *ssl = speak_tls(ctx, fd, true);
        send_file(ssl, path);
        SSL_free(ssl);
    }
}

static void fetch(const char *host, const char *port, const char *path) {
    struct sockaddr_in to = address(host, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL_CTX *ctx = make_context(false);

    take_the_faster_way(fd);
    need(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    SSL *ssl = speak_tls(ctx, fd, false);
    receive_file(ssl, path);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        serve(argv[2], argv[3]);
    else if (argc == 5 && strcmp(argv[1], "fetch") == 0)
        fetch(argv[2], argv[3], argv[4]);
    else
        fprintf(stderr, "usage: bench_limit serve PORT FILE | fetch ADDRESS PORT FILE\n");
    return argc == 5 ? 0 : 2;
}
