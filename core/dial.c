/* SPDX-License-Identifier: MIT */
#include "core/dial.h"

#define LOG_MODULE "dial"
#include "core/addr.h"
#include "core/err.h"
#include "core/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_LEN = 640 };

struct attempt {
    struct dial *d;
    struct conn *conn; /* NULL: not started, or over */
};

struct dial {
    uv_timer_t timer; /* first: the handle is the dial */
    uv_getaddrinfo_t resolve;
    const struct conn_env *env;
    const struct dial_handler *handler; /* NULL: over, we live on for the loop alone */
    void *owner;
    bool key_known, resolving, timer_closed;
    bool chosen; /* one address is left, whatever becomes of it */
    uint8_t key[KEY_LEN];

    struct sockaddr_storage addrs[DIAL_ADDRS_MAX];
    struct attempt attempts[DIAL_ADDRS_MAX];
    unsigned n_addrs, n_started, n_live;
    uint64_t deadline;

    int why; /* of the most telling attempt so far */
    char text[TEXT_LEN];
};

static const struct sockaddr *addr_at(const struct dial *d, unsigned i) {
    return (const struct sockaddr *)&d->addrs[i];
}

/* -- the end --------------------------------------------------------------------------------- */

static void free_if_over(struct dial *d) {
    if (d->timer_closed && !d->resolving)
        free(d);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct dial *d = (struct dial *)handle;

    d->timer_closed = true;
    free_if_over(d);
}

static int ignore_message(struct conn *c, const struct msg *m) { return 0; }

/* Conns that lost close on their own. */
static void abandon(struct attempt *a, int why) {
    struct conn *c = a->conn;

    a->conn = NULL;
    a->d->n_live--;
    conn_leave(c, why);
}

static void shut(struct dial *d) {
    d->handler = NULL;
    for (unsigned i = 0; i < d->n_started; i++)
        if (d->attempts[i].conn)
            abandon(&d->attempts[i], 0);
    if (d->resolving)
        uv_cancel((uv_req_t *)&d->resolve);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

void dial_stop(struct dial *d) {
    if (d)
        shut(d);
}

/* Tells the owner, once. */
static void finish(struct dial *d, int why, const char *text, struct conn *conn) {
    const struct dial_handler *h = d->handler;

    shut(d);
    h->on_done(d->owner, why, text, conn);
}

/* -- attempts -------------------------------------------------------------------------------- */

/* How much an error says about why there is no connection. */
static unsigned weight(int why) {
    if (why == ERR_KEY_OTHER || why == ERR_KEY_CHANGED || why == ERR_CODE_UNASKED ||
        why == ERR_CODE_UNPROVEN)
        return 6;
    if (err_code(why))
        return 5; /* somebody who speaks our protocol told us */
    if (why == ERR_TLS || why == ERR_TLS_CUT || why == UV_EOF)
        return 4;
    if (why == UV_ECONNREFUSED)
        return 3;
    return why == UV_ETIMEDOUT ? 2 : 1;
}

static void note(struct dial *d, int why, const char *where, const char *text) {
    if (why == 0)
        why = UV_EOF; /* a BYE instead of a welcome */
    log_info("%s: %s%s%s", where, err_text(why), text[0] ? ": " : "", text);
    if (d->why && weight(why) <= weight(d->why))
        return;
    d->why = why;
    snprintf(d->text, sizeof d->text, "%s%s%s", where, text[0] ? ": " : "", text);
}

static void next(struct dial *d);

/* It is who we want: no other address is of interest any more. */
static void choose(struct dial *d, const struct attempt *chosen) {
    for (unsigned i = 0; i < d->n_started; i++)
        if (d->attempts[i].conn && &d->attempts[i] != chosen)
            abandon(&d->attempts[i], 0);
    d->chosen = true;
}

static int on_hello(struct conn *c) {
    struct attempt *a = conn_owner(c);
    struct dial *d = a->d;

    if (d->key_known && memcmp(conn_key(c), d->key, KEY_LEN) != 0)
        return ERR_KEY_OTHER;
    if (d->env->prover)
        choose(d, a);
    return 0;
}

static int on_open(struct conn *c) {
    struct attempt *a = conn_owner(c);
    struct dial *d = a->d;

    a->conn = NULL; /* it is the owner's now */
    d->n_live--;
    finish(d, 0, "", c);
    return 0;
}

static void on_closed(struct conn *c, int why, const char *text) {
    struct attempt *a = conn_owner(c);
    struct dial *d = a->d;

    a->conn = NULL;
    d->n_live--;
    if (conn_name(c)[0] && d->handler->on_refused)
        d->handler->on_refused(d->owner, c);
    note(d, why, conn_addr(c), why == ERR_KEY_OTHER ? conn_name(c) : text);
    next(d);
}

static const struct conn_handler conn_events = {
    .on_hello = on_hello, .on_open = on_open, .on_message = ignore_message, .on_closed = on_closed};

/* Starts the next address that can be started at all. */
static void start_one(struct dial *d) {
    while (!d->chosen && d->n_started < d->n_addrs) {
        unsigned i = d->n_started++;
        struct attempt *a = &d->attempts[i];
        char where[ADDR_TEXT_LEN];
        int r;

        a->d = d;
        addr_show(addr_at(d, i), where);
        r = conn_dial(&a->conn, d->env, addr_at(d, i), &conn_events, a);
        if (r == 0) {
            log_debug("%s: dialling", where);
            d->n_live++;
            return;
        }
        a->conn = NULL;
        note(d, r, where, "");
    }
}

static void on_timer(uv_timer_t *timer) {
    struct dial *d = (struct dial *)timer;

    if (uv_now(d->env->loop) < d->deadline) {
        start_one(d);
        next(d);
        return;
    }
    if (!d->why)
        note(d, UV_ETIMEDOUT, d->resolving ? "looking up the address" : "no address answered", "");
    finish(d, d->why, d->text, NULL);
}

static uint64_t min(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* DIAL_STAGGER_MS, or less if the last of many addresses would have no time left. */
static uint64_t stagger(const struct dial *d) {
    return min(DIAL_STAGGER_MS, d->env->patience->dial / 3 / d->n_addrs);
}

/* Something has changed: is it over, or when does the next address start? */
static void next(struct dial *d) {
    uint64_t now = uv_now(d->env->loop), wait = d->deadline > now ? d->deadline - now : 0;

    if (d->n_live == 0 && (d->chosen || (d->n_started == d->n_addrs && !d->resolving))) {
        finish(d, d->why, d->text, NULL);
        return;
    }
    if (!d->chosen && d->n_started < d->n_addrs && wait > 0)
        wait = d->n_live == 0 ? 0 : min(wait, stagger(d));
    uv_timer_start(&d->timer, on_timer, wait, 0);
}

/* -- addresses ------------------------------------------------------------------------------- */

static void add_addr(struct dial *d, const struct sockaddr *addr) {
    size_t len = addr->sa_family == AF_INET6  ? sizeof(struct sockaddr_in6)
                 : addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                              : 0;

    if (len == 0 || d->n_addrs == DIAL_ADDRS_MAX)
        return;
    for (unsigned i = 0; i < d->n_addrs; i++)
        if (addr_equal(addr, addr_at(d, i)))
            return;
    memcpy(&d->addrs[d->n_addrs++], addr, len);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found) {
    struct dial *d = (struct dial *)((char *)req - offsetof(struct dial, resolve));

    d->resolving = false;
    if (!d->handler) {
        uv_freeaddrinfo(found);
        free_if_over(d);
        return;
    }
    for (struct addrinfo *a = found; a; a = a->ai_next)
        add_addr(d, a->ai_addr);
    uv_freeaddrinfo(found);
    if (status < 0)
        note(d, status, "looking up the address", "");
    /* those that wait */
    addr_sort(d->addrs + d->n_started, d->n_addrs - d->n_started);
    next(d);
}

static void resolve(struct dial *d, const char *host, uint16_t port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char service[8];
    int r;

    snprintf(service, sizeof service, "%u", port);
    r = uv_getaddrinfo(d->env->loop, &d->resolve, on_resolved, host, service, &hints);
    if (r < 0)
        note(d, r, "looking up the address", "");
    else
        d->resolving = true;
}

int dial_start(struct dial **out, const struct conn_env *env, const struct endpoint *to,
               const struct dial_handler *h, void *owner) {
    struct dial *d;

    if ((to->n_addrs == 0 && !to->host[0]) || to->n_addrs > DIAL_ADDRS_MAX)
        return -EINVAL;
    d = calloc(1, sizeof *d);
    if (!d)
        return -ENOMEM;
    d->env = env;
    d->handler = h;
    d->owner = owner;
    d->key_known = to->key_known;
    memcpy(d->key, to->key, KEY_LEN);
    for (unsigned i = 0; i < to->n_addrs; i++)
        add_addr(d, (const struct sockaddr *)&to->addrs[i]);
    addr_sort(d->addrs, d->n_addrs);
    uv_timer_init(env->loop, &d->timer);
    d->deadline = uv_now(env->loop) + env->patience->dial;
    if (to->host[0])
        resolve(d, to->host, to->port);
    uv_timer_start(&d->timer, on_timer, 0, 0); /* not before we return */
    *out = d;
    return 0;
}
