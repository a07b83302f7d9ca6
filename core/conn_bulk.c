/* SPDX-License-Identifier: MIT */
#include "core/conn_internal.h"

#include "core/err.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

enum {
    LEAST = 128 * 1024,      /* plaintext: less is done before another thread has woken up */
    CIPHERTEXT = 256 * 1024, /* of one read, on the stack of the crew's thread */
    NEXT_HEADER = 17 * 1024, /* ciphertext: a record, and a little for what TLS adds to others */
};

static struct bulk *bulk_of(struct crew_task *t) { return (struct bulk *)t; }

static struct conn *conn_of(struct bulk *b) {
    return (struct conn *)((char *)b - offsetof(struct conn, bulk));
}

/* -- on a thread of the crew ------------------------------------------------------------------
 *
 * The socket does not block. As libuv does, it is read(2) and written to: proc_pid_io(5) counts
 * these calls, not recv(2) and send(2). */

/* After this, b may be gone. */
static void hand_back(struct bulk *b) {
    atomic_store(&b->is_back, true);
    uv_async_send(&b->back);
}

/* 0: the socket takes no more, or failed: see b->broken. */
static size_t push_some(struct bulk *b) {
    ssize_t n = write(b->fd, b->rest, b->rest_len);

    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            b->broken = -errno;
        return 0;
    }
    b->moved += (uint64_t)n;
    return (size_t)n;
}

/* Sends what is in the blocks. false: not all of it. */
static bool push(struct bulk *b, struct tls *tls) {
    while (tls_out(tls, true, &b->rest, &b->rest_len)) {
        while (b->rest_len > 0) {
            size_t n = push_some(b);
            if (n == 0)
                return false;
            b->rest += n;
            b->rest_len -= n;
        }
        tls_out_done(tls);
    }
    return true;
}

/* A batch into a block, the block into the socket: while it is in the cache. What the socket does
 * not take waits in the other blocks. */
static void run_send(struct crew_task *t) {
    struct bulk *b = bulk_of(t);
    struct tls *tls = conn_of(b)->tls;
    bool takes = push(b, tls);

    while (b->done < b->len && b->broken == 0 && !atomic_load(&b->stop)) {
        size_t left = b->len - b->done;
        int n = tls_write(tls, b->from + b->done, left < TLS_BATCH ? left : TLS_BATCH);

        if (n < 0)
            b->err = n;
        if (n <= 0)
            break;
        b->done += (size_t)n;
        takes = takes && push(b, tls);
    }
    hand_back(b);
}

/* For so much plaintext, as we make records of it. */
static size_t ciphertext_of(size_t len) { return len + len / 512 + NEXT_HEADER; }

/* Ciphertext into block. 0: no more. Records may be empty or say next to nothing, and come without
 * an end: then it is the turn of others. */
static size_t pull(struct bulk *b, uint8_t block[static CIPHERTEXT]) {
    size_t want = ciphertext_of(b->len - b->done);
    ssize_t n;

    if (b->moved > 2 * ciphertext_of(b->len) || atomic_load(&b->stop))
        return 0;
    n = read(b->fd, block, want < CIPHERTEXT ? want : CIPHERTEXT);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        b->broken = -errno; /* it is told once only */
    if (n <= 0) {           /* the end is for the loop to find */
        b->drained = true;
        return 0;
    }
    b->moved += (uint64_t)n;
    return (size_t)n;
}

static void run_receive(struct crew_task *t) {
    struct bulk *b = bulk_of(t);
    struct tls *tls = conn_of(b)->tls;
    uint8_t block[CIPHERTEXT];

    while (b->done < b->len) {
        int n = tls_read(tls, b->to + b->done, b->len - b->done);

        if (n < 0) {
            b->err = n;
            break;
        }
        b->done += (size_t)n;
        if (n > 0)
            continue;
        size_t got = pull(b, block);
        if (got == 0)
            break;
        tls_feed(tls, block, got);
    }
    if (b->err == 0)
        b->err = tls_keep(tls);
    hand_back(b);
}

/* -- on the loop ------------------------------------------------------------------------------ */

static bool may_lend(const struct conn *c) {
    return c->state == OPENED && !c->bulk.away && !conn_is_limited(c);
}

static bool lend(struct conn *c, void (*run)(struct crew_task *t), size_t len) {
    struct bulk *b = &c->bulk;

    if (uv_fileno((uv_handle_t *)&c->tcp, &b->fd) < 0)
        return false;
    b->task.run = run;
    b->len = len;
    b->done = 0;
    b->moved = 0;
    b->drained = false;
    b->err = b->broken = 0;
    tls_lend(c->tls, run == run_send ? BLOCKS_MAX : 1);
    b->away = crew_give(c->env->crew, &b->task) == 0;
    if (!b->away)
        tls_take_back(c->tls);
    return b->away;
}

bool conn_bulk_send(struct conn *c, const uint8_t *at, size_t len) {
    if (len < LEAST || !outq_in_frame(&c->out) || !may_lend(c))
        return false;
    if (c->n_writes > 0 || c->bulk.rest_len > 0)
        return true;
    c->bulk.from = at;
    return lend(c, run_send, len);
}

void conn_bulk_receive(struct conn *c) {
    uint8_t *at;
    size_t len;

    if (!c->crowded || c->paused || c->peer_left || !may_lend(c))
        return;
    if (session_space(&c->session, &at, &len) != 0 || len < LEAST)
        return;
    c->bulk.to = at;
    if (!lend(c, run_receive, len))
        return;
    uv_read_stop((uv_stream_t *)&c->tcp);
    c->stopped = true;
}

static void after_send(struct conn *c) {
    struct bulk *b = &c->bulk;
    size_t before = c->out.len;

    c->written += b->moved;
    if (b->done > 0) {
        outq_advance(&c->out, b->done);
        drain_took(&c->drain, b->done);
    }
    conn_flush(c, before);
}

static void after_receive(struct conn *c) {
    struct bulk *b = &c->bulk;

    c->crowded = !b->drained;
    if (b->moved > 0)
        c->life.heard = uv_now(c->env->loop);
    if (c->state < FAREWELL && b->err == 0 && b->done > 0) {
        session_filled(&c->session, b->done);
        b->err = conn_take_message(c);
    }
    if (b->err)
        conn_heard(c, b->err);
    else
        conn_receive(c);
}

/* Reads again what was not read meanwhile. */
static void go_on(struct conn *c) {
    int r;

    if (!c->stopped || c->paused || c->bulk.away || c->peer_left || c->state == DEAD)
        return;
    c->stopped = false;
    r = conn_start_reading(c);
    if (r < 0)
        conn_fail(c, r, "");
}

void conn_on_back(uv_async_t *back) {
    struct bulk *b = (struct bulk *)((char *)back - offsetof(struct bulk, back));
    struct conn *c = conn_of(b);
    bool sent = b->task.run == run_send;

    if (!b->away || !atomic_exchange(&b->is_back, false))
        return;
    b->away = false;
    tls_take_back(c->tls);
    for (; b->n_written > 0; b->n_written--)
        tls_out_done(c->tls);
    if (c->state == DEAD)
        conn_close_socket(c);
    else if (b->broken)
        conn_fail(c, b->broken, "");
    else if (sent && b->err < 0)
        conn_fail(c, b->err, b->err == ERR_TLS ? tls_error(c->tls) : "");
    else if (sent)
        after_send(c);
    else
        after_receive(c);
    go_on(c);
    if (c->paused) /* whatever it waited for may have come */
        conn_kick(c);
}
