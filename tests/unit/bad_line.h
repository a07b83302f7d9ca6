/* SPDX-License-Identifier: MIT */
/*
 * bad_line -- a proxy for one download, whose first connection breaks at a certain byte
 *
 *     line_open -> (dial 127.0.0.1:port) -> line_close
 *
 * Bytes pass both ways; the first connection is faulty: once `at` bytes have passed in direction
 * `from`, `fault` happens. Later connections are sound. Loop thread.
 */
#ifndef TESTS_BAD_LINE_H
#define TESTS_BAD_LINE_H

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { CLIENT, SERVER, HOPS_MAX = 64 };

struct fault {
    enum {
        CUT,   /* both directions end, as when a process dies */
        RESET, /* the same by RST */
        HALF,  /* this direction ends by FIN, the other one goes on */
        STALL, /* this direction brings nothing any more */
        FLIP,  /* one bit of the next byte is wrong */
    } kind;
    int from; /* CLIENT or SERVER: who says what is hit */
    uint64_t at;
};

struct hop;

struct line {
    uv_tcp_t listener;
    uint16_t port, server_port;
    struct fault fault;
    bool sound, hit; /* hit: the fault has happened */
    struct hop *hops[HOPS_MAX];
    unsigned n_hops, n_open; /* connections so far; handles that are not closed */
    uint64_t passed[2];      /* on the first connection */
};

struct side {
    uv_tcp_t tcp; /* first: the handle is the side */
    struct hop *hop;
    bool ended, stalled;
};

/* One connection: what is read at one side is written at the other. */
struct hop {
    struct line *line;
    struct side sides[2];
    uv_connect_t connect;
    uv_shutdown_t shutdown[2];
    unsigned number, n_open;
    bool closing;
};

static void line_on_closed(uv_handle_t *handle) {
    struct hop *hop = ((struct side *)handle)->hop;

    hop->line->n_open--;
    if (--hop->n_open > 0)
        return;
    hop->line->hops[hop->number] = NULL;
    free(hop);
}

static void hop_close(struct hop *hop, bool reset) {
    if (hop->closing)
        return;
    hop->closing = true;
    for (unsigned i = 0; i < 2; i++)
        if (!reset || uv_tcp_close_reset(&hop->sides[i].tcp, line_on_closed) != 0)
            uv_close((uv_handle_t *)&hop->sides[i].tcp, line_on_closed);
}

static void line_on_shutdown(uv_shutdown_t *req, int status) {}

/* No more bytes from this side to the other one. */
static void end_side(struct hop *hop, int from) {
    hop->sides[from].ended = true;
    if (hop->sides[!from].ended)
        hop_close(hop, false);
    else
        uv_shutdown(&hop->shutdown[from], (uv_stream_t *)&hop->sides[!from].tcp, line_on_shutdown);
}

static void pass(struct hop *hop, int from, char *bytes, size_t len) {
    uv_buf_t buf = uv_buf_init(bytes, (unsigned)len);

    if (hop->number == 0)
        hop->line->passed[from] += len;
    if (len > 0 && uv_try_write((uv_stream_t *)&hop->sides[!from].tcp, &buf, 1) != (int)len)
        hop_close(hop, true); /* the other one has gone */
}

static void happen(struct hop *hop, int from, char *bytes, size_t len) {
    hop->line->hit = true;
    switch (hop->line->fault.kind) {
    case CUT:
    case RESET:
        hop_close(hop, hop->line->fault.kind == RESET);
        break;
    case HALF:
        end_side(hop, from);
        hop->sides[from].stalled = true;
        break;
    case STALL:
        hop->sides[from].stalled = true;
        break;
    case FLIP:
        bytes[0] ^= 0x10;
        pass(hop, from, bytes, len);
        break;
    }
}

static void carry(struct hop *hop, int from, char *bytes, size_t len) {
    const struct line *l = hop->line;
    uint64_t before = l->passed[from], at = l->fault.at;

    if (hop->sides[from].stalled)
        return;
    if (hop->number > 0 || l->sound || l->hit || from != l->fault.from || before + len <= at) {
        pass(hop, from, bytes, len);
        return;
    }
    pass(hop, from, bytes, (size_t)(at - before));
    if (!hop->closing)
        happen(hop, from, bytes + (at - before), len - (size_t)(at - before));
}

static void line_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct side *side = (struct side *)stream;
    struct hop *hop = side->hop;
    int from = side == &hop->sides[SERVER] ? SERVER : CLIENT;

    if (hop->closing || n == 0)
        return;
    if (n == UV_EOF && !side->stalled)
        end_side(hop, from);
    else if (n < 0)
        hop_close(hop, n != UV_EOF);
    else
        carry(hop, from, buf->base, (size_t)n);
}

static void line_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    static char block[64 * 1024];

    *buf = uv_buf_init(block, sizeof block);
}

static void line_on_connect(uv_connect_t *req, int status) {
    struct hop *hop = ((struct side *)req->handle)->hop;

    if (hop->closing)
        return;
    assert_int_equal(status, 0);
    for (unsigned i = 0; i < 2; i++)
        uv_read_start((uv_stream_t *)&hop->sides[i].tcp, line_on_alloc, line_on_read);
}

static void line_on_connection(uv_stream_t *listener, int status) {
    struct line *l = (struct line *)listener;
    struct hop *hop = calloc(1, sizeof *hop);
    struct sockaddr_in to;

    assert_true(status == 0 && hop && l->n_hops < HOPS_MAX);
    hop->line = l;
    hop->number = l->n_hops++;
    l->hops[hop->number] = hop;
    for (unsigned i = 0; i < 2; i++) {
        hop->sides[i].hop = hop;
        uv_tcp_init(listener->loop, &hop->sides[i].tcp);
        hop->n_open++;
        l->n_open++;
    }
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&hop->sides[CLIENT].tcp), 0);
    uv_ip4_addr("127.0.0.1", l->server_port, &to);
    assert_int_equal(uv_tcp_connect(&hop->connect, &hop->sides[SERVER].tcp,
                                    (const struct sockaddr *)&to, line_on_connect),
                     0);
}

static void line_open(struct line *l, uv_loop_t *loop, uint16_t server_port) {
    struct sockaddr_in any;
    int len = sizeof any;

    l->server_port = server_port;
    l->n_open = 1;
    uv_ip4_addr("127.0.0.1", 0, &any);
    uv_tcp_init(loop, &l->listener);
    assert_int_equal(uv_tcp_bind(&l->listener, (struct sockaddr *)&any, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&l->listener, 8, line_on_connection), 0);
    uv_tcp_getsockname(&l->listener, (struct sockaddr *)&any, &len);
    l->port = ntohs(any.sin_port);
}

static void line_on_listener_closed(uv_handle_t *handle) { ((struct line *)handle)->n_open--; }

/* The line itself must live on until n_open is 0. */
static void line_close(struct line *l) {
    for (unsigned i = 0; i < l->n_hops; i++)
        if (l->hops[i])
            hop_close(l->hops[i], false);
    uv_close((uv_handle_t *)&l->listener, line_on_listener_closed);
}

#endif
