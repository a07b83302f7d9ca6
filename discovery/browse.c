/* SPDX-License-Identifier: MIT */
#include "discovery/browse.h"

#include "discovery/seek.h"

#include <errno.h>
#include <stdlib.h>

/* A peer answers through several interfaces and protocols at nearly the same time: tell once. */
enum { GATHER_MS = 20, REPORTS_MAX = 64 /* a turn */ };

struct browse {
    struct mdns *mdns;
    struct answers answers;
    uv_timer_t deadline, gather;
    unsigned n_timers;
    bool settled, closing, told_full;
    const struct browse_handler *handler;
    void *owner;
    void (*on_closed)(void *owner);
};

static void on_gather(uv_timer_t *timer);

static void report(struct browse *b, unsigned max) {
    struct peer p;
    int change;

    uv_timer_stop(&b->gather);
    for (unsigned n = 0; n < max && !b->closing; n++) {
        change = answers_next(&b->answers, &p);
        if (change == 0)
            return;
        if (change == ANSWERS_CHANGED)
            b->handler->on_peer(b->owner, &p);
        else
            b->handler->on_gone(b->owner, &p);
    }
    if (!b->closing)
        uv_timer_start(&b->gather, on_gather, 0, 0); /* the loop has other work too */
}

static void on_gather(uv_timer_t *timer) { report(timer->data, REPORTS_MAX); }

static void settle(struct browse *b) {
    if (b->settled)
        return;
    b->settled = true;
    uv_timer_stop(&b->deadline);
    report(b, ANSWERS_PEERS_MAX);
    if (!b->closing)
        b->handler->on_settled(b->owner);
}

static void on_deadline(uv_timer_t *timer) { settle(timer->data); }

static void put(struct browse *b, const struct answer *a) {
    int err = answers_put(&b->answers, a);

    if (err == 0 || b->told_full)
        return;
    b->told_full = true;
    b->handler->on_problem(b->owner, err == -ENOMEM ? "out of memory: a peer is left out"
                                                    : "too many peers: some are left out");
}

static void on_event(void *owner, const struct mdns_event *e) {
    struct browse *b = owner;

    switch (e->what) {
    case MDNS_ANSWER:
        put(b, &e->answer);
        break;
    case MDNS_GONE:
        answers_drop(&b->answers, &e->answer);
        break;
    case MDNS_SWEEP:
        answers_sweep(&b->answers, e->answer.generation);
        break;
    case MDNS_SETTLED:
        settle(b);
        break;
    case MDNS_PROBLEM:
        b->handler->on_problem(b->owner, e->text);
        break;
    case MDNS_ESTABLISHED:
        break;
    }
    if (!b->closing && !uv_is_active((uv_handle_t *)&b->gather))
        uv_timer_start(&b->gather, on_gather, GATHER_MS, 0);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct browse *b = handle->data;

    if (--b->n_timers > 0)
        return;
    if (b->on_closed)
        b->on_closed(b->owner);
    answers_clear(&b->answers);
    free(b);
}

static void on_mdns_closed(void *owner) {
    struct browse *b = owner;

    uv_close((uv_handle_t *)&b->deadline, on_timer_closed);
    uv_close((uv_handle_t *)&b->gather, on_timer_closed);
}

int browse_start(struct browse **out, uv_loop_t *loop, const struct browse_handler *h,
                 void *owner) {
    static const struct mdns_user user = {on_event, on_mdns_closed};
    struct browse *b = calloc(1, sizeof(*b));
    struct mdns_options o = {.role = &seek_role, .user = &user, .owner = b};
    int err = -ENOMEM;

    if (!b)
        return err;
    answers_init(&b->answers);
    b->handler = h;
    b->owner = owner;
    o.role_state = seek_new();
    if (!o.role_state)
        goto out;
    err = mdns_start(&b->mdns, loop, &o);
    if (err)
        goto out;
    uv_timer_init(loop, &b->deadline);
    uv_timer_init(loop, &b->gather);
    b->n_timers = 2;
    b->deadline.data = b->gather.data = b;
    uv_timer_start(&b->deadline, on_deadline, BROWSE_SETTLE_MS, 0);
    *out = b;
    return 0;

out:
    free(o.role_state);
    free(b);
    return err;
}

void browse_refresh(struct browse *b) { mdns_refresh(b->mdns); }

const char *browse_backend(const struct browse *b) { return mdns_backend(b->mdns); }

void browse_close(struct browse *b, void (*on_closed)(void *owner)) {
    if (b->closing)
        return;
    b->closing = true;
    b->on_closed = on_closed;
    uv_timer_stop(&b->deadline);
    uv_timer_stop(&b->gather);
    mdns_close(b->mdns);
}
