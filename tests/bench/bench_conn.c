/* SPDX-License-Identifier: MIT */
/*
 * bench_conn -- how fast bytes go through one connection on the loopback interface
 *
 *     bench_conn loop MIB    both ends on one loop
 *     bench_conn pair MIB    one process each
 *     bench_conn bare MIB    the limit: two processes, blocking sockets, nothing but TLS
 *
 * One line: MB/s, and seconds of CPU per GB of both ends together.
 *
 *     bench_conn hold N ADDRESS PORT    N clients of a server that want nothing, until it is killed
 *
 * One line, when all are let in.
 */
#include "core/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS = 8, AHEAD = 2 };

struct bench {
    uv_loop_t loop;
    struct pool pool;
    struct conn_env env;
    struct conn *conn;
    uint64_t frames, target;
    size_t frame_len;
};

static struct identity id;

static void check(int r, const char *what) {
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", what, uv_strerror(r));
        exit(1);
    }
}

static double seconds(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(int who) {
    struct rusage u;

    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(const char *mode, uint64_t bytes, double took, double cpu) {
    double gb = (double)bytes / 1e9;

    printf("%s %.0f MB/s %.2f cpu-s/GB\n", mode, gb * 1e3 / took, cpu / gb);
}

/* -- the end that sends ----------------------------------------------------------------------- */

static int send_more(struct conn *c) {
    struct bench *b = conn_owner(c);

    while (b->frames < b->target && conn_queued(c) < AHEAD * WIRE_FRAME_MAX) {
        uint8_t *frame = pool_get(&b->pool);
        if (!frame)
            return 0;
        check(conn_send_frame(c, frame, b->frame_len), "send");
        b->frames++;
    }
    return 0;
}

static void drained(struct conn *c) { send_more(c); }

static int ignore_message(struct conn *c, const struct msg *m) { return 0; }

static void sender_closed(struct conn *c, int why, const char *text) { check(why, text); }

static const struct conn_handler sender = {.on_open = send_more,
                                           .on_message = ignore_message,
                                           .on_drain = drained,
                                           .on_closed = sender_closed};

/* Every buffer is made a whole frame once: it only has to be sent. */
static void fill_pool(struct bench *b) {
    uint8_t *page = calloc(1, WIRE_PAGE_MAX), *frames[BUFFERS];
    struct msg m = {.type = WIRE_MANIFEST, .req = 1};

    for (size_t i = 0; page && i < WIRE_PAGE_MAX; i++)
        page[i] = (uint8_t)(i * 2654435761u >> 13);
    m.manifest.page = (struct bytes){page, WIRE_PAGE_MAX};
    for (unsigned i = 0; i < BUFFERS; i++) {
        frames[i] = pool_get(&b->pool);
        b->frame_len = (size_t)wire_encode(&m, frames[i], WIRE_FRAME_MAX);
    }
    for (unsigned i = 0; i < BUFFERS; i++)
        pool_put(&b->pool, frames[i]);
    free(page);
}

static void accept_one(uv_stream_t *listener, int status) {
    struct bench *b = listener->data;

    check(conn_accept(&b->conn, &b->env, listener, &sender, b), "accept");
    uv_close((uv_handle_t *)listener, NULL);
}

/* -- the end that receives -------------------------------------------------------------------- */

static int take_frame(struct conn *c, const struct msg *m) {
    struct bench *b = conn_owner(c);

    if (++b->frames == b->target)
        conn_close(c, 0);
    return 0;
}

static void receiver_closed(struct conn *c, int why, const char *text) { check(why, text); }

static const struct conn_handler receiver = {.on_message = take_frame,
                                             .on_closed = receiver_closed};

/* -- modes ------------------------------------------------------------------------------------ */

static void open_bench(struct bench *b, enum tls_role role, uint64_t mib) {
    memset(b, 0, sizeof *b);
    check(uv_loop_init(&b->loop), "loop");
    check(pool_init(&b->pool, BUFFERS), "pool");
    check(conn_env_init(&b->env, &b->loop, role, &id, &b->pool), "env");
    b->target = mib;
    if (role == TLS_LISTENER)
        fill_pool(b);
}

static void listen_on(struct bench *b, uv_tcp_t *listener, struct sockaddr_in *addr) {
    int len = sizeof *addr;

    uv_ip4_addr("127.0.0.1", 0, addr);
    check(uv_tcp_init(&b->loop, listener), "tcp");
    listener->data = b;
    check(uv_tcp_bind(listener, (const struct sockaddr *)addr, 0), "bind");
    check(uv_listen((uv_stream_t *)listener, 4, accept_one), "listen");
    check(uv_tcp_getsockname(listener, (struct sockaddr *)addr, &len), "getsockname");
}

static void dial(struct bench *b, const struct sockaddr_in *addr) {
    check(conn_dial(&b->conn, &b->env, (const struct sockaddr *)addr, &receiver, b), "dial");
}

static void run_loop(uint64_t mib) {
    static struct bench in, out;
    struct sockaddr_in addr;
    uv_tcp_t listener;

    open_bench(&out, TLS_LISTENER, mib);
    open_bench(&in, TLS_DIALLER, mib);
    in.env.loop = &out.loop;
    listen_on(&out, &listener, &addr);
    double start = seconds(), cpu = cpu_seconds(RUSAGE_SELF);
    dial(&in, &addr);
    uv_run(&out.loop, UV_RUN_DEFAULT);
    report("loop", mib << 20, seconds() - start, cpu_seconds(RUSAGE_SELF) - cpu);
}

static void run_pair(uint64_t mib) {
    static struct bench b;
    struct sockaddr_in addr;
    uv_tcp_t listener;

    open_bench(&b, TLS_LISTENER, mib);
    listen_on(&b, &listener, &addr);
    double start = seconds();
    pid_t pid = fork();
    check(pid, "fork");
    if (pid == 0) {
        check(uv_loop_fork(&b.loop), "loop");
        uv_run(&b.loop, UV_RUN_DEFAULT);
        _exit(0);
    }
    static struct bench in;
    open_bench(&in, TLS_DIALLER, mib);
    dial(&in, &addr);
    uv_run(&in.loop, UV_RUN_DEFAULT);
    waitpid(pid, NULL, 0);
    report("pair", mib << 20, seconds() - start,
           cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN));
}

static void write_all(int fd, struct tls *t, bool all) {
    const uint8_t *block;
    size_t len;

    while (tls_out(t, all, &block, &len)) {
        for (size_t at = 0; at < len;) {
            ssize_t n = write(fd, block + at, len - at);
            check((int)(n < 0 ? -1 : 0), "write");
            at += (size_t)n;
        }
        tls_out_done(t);
    }
}

/* Reads until the end, or until the handshake is done if nothing is wanted. */
static uint64_t read_some(int fd, struct tls *t, bool all) {
    static uint8_t in[256 * 1024], out[1024 * 1024];
    uint64_t total = 0;
    int r = 0;

    while (all || !tls_ready(t)) {
        ssize_t n = read(fd, in, sizeof in);
        if (n <= 0)
            break;
        tls_feed(t, in, (size_t)n);
        while ((r = tls_read(t, out, sizeof out)) > 0)
            total += (uint64_t)r;
        write_all(fd, t, true);
        if (r < 0)
            break;
    }
    return total;
}

static void run_bare(uint64_t mib) {
    static uint8_t data[1024 * 1024];
    struct tls_context *ctx;
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    struct tls *t;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd;

    uv_ip4_addr("127.0.0.1", 0, &addr);
    check(bind(listener, (struct sockaddr *)&addr, sizeof addr), "bind");
    check(listen(listener, 1), "listen");
    getsockname(listener, (struct sockaddr *)&addr, &len);
    double start = seconds();
    pid_t pid = fork();
    check(pid, "fork");
    check(tls_context_new(&ctx, &id, pid ? TLS_DIALLER : TLS_LISTENER), "context");
    check(tls_new(&t, ctx), "tls");
    if (pid == 0) {
        fd = accept(listener, NULL, NULL);
        read_some(fd, t, false);
        for (uint64_t i = 0; i < mib; i++)
            for (size_t at = 0; at < sizeof data; write_all(fd, t, false))
                at += (size_t)tls_write(t, data + at, sizeof data - at);
        tls_close(t);
        write_all(fd, t, true);
        _exit(0);
    }
    fd = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(fd, (struct sockaddr *)&addr, sizeof addr), "connect");
    tls_read(t, data, 1);
    write_all(fd, t, true);
    uint64_t got = read_some(fd, t, true);
    waitpid(pid, NULL, 0);
    report("bare", got, seconds() - start, cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN));
}

/* -- clients that want nothing ---------------------------------------------------------------- */

enum { PER_KEY = 16 }; /* so many connections a server takes of one peer */

struct peer {
    struct identity id;
    struct conn_env env;
};

static unsigned n_open;

static void make_identity(struct identity *made) {
    char dir[] = "/tmp/lanyard-bench-XXXXXX", key[64];

    check(mkdtemp(dir) ? 0 : -errno, "mkdtemp");
    check(identity_load(made, dir), "identity");
    snprintf(key, sizeof key, "%s/key.pem", dir);
    unlink(key);
    check(rmdir(dir) ? -errno : 0, dir);
}

static struct peer *another_peer(struct bench *b) {
    struct peer *p = calloc(1, sizeof *p);

    check(p ? 0 : -ENOMEM, "peer");
    make_identity(&p->id);
    check(conn_env_init(&p->env, &b->loop, TLS_DIALLER, &p->id, &b->pool), "env");
    return p;
}

static int count_open(struct conn *c) {
    n_open++;
    return 0;
}

static void lost(struct conn *c, int why, const char *text) {
    fprintf(stderr, "a connection is gone: %d %s\n", why, text);
    exit(1);
}

static const struct conn_handler quiet = {
    .on_open = count_open, .on_message = ignore_message, .on_closed = lost};

/* One after the other: a server lets few wait who are not in yet. */
static void run_hold(unsigned n, const char *address, int port) {
    static struct bench b;
    struct sockaddr_in addr;
    struct peer *peer = NULL;

    check(uv_ip4_addr(address, port, &addr), address);
    open_bench(&b, TLS_DIALLER, 0);
    for (unsigned i = 0; i < n; i++) {
        if (i % PER_KEY == 0)
            peer = another_peer(&b);
        check(conn_dial(&b.conn, &peer->env, (struct sockaddr *)&addr, &quiet, NULL), "dial");
        while (n_open <= i)
            uv_run(&b.loop, UV_RUN_ONCE);
    }
    printf("%u open\n", n);
    fflush(stdout);
    uv_run(&b.loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv) {
    unsigned long n = argc >= 3 ? strtoul(argv[2], NULL, 10) : 0;
    bool holds = argc == 5 && strcmp(argv[1], "hold") == 0;

    if (n == 0 || (argc != 3 && !holds)) {
        fprintf(stderr, "usage: bench_conn loop|pair|bare MIB | hold N ADDRESS PORT\n");
        return 2;
    }
    make_identity(&id);
    if (holds)
        run_hold((unsigned)n, argv[3], atoi(argv[4]));
    else if (strcmp(argv[1], "loop") == 0)
        run_loop(n);
    else if (strcmp(argv[1], "pair") == 0)
        run_pair(n);
    else
        run_bare(n);
    return 0;
}
