/* SPDX-License-Identifier: MIT */
#include "discovery/mdns.h"

#include "discovery/mdns_thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SILENT_MS = 2000, /* no sign of life so long after the start: tell */
    LEAVE_MS = 200    /* how long a thread may take to end before it is left behind */
};

struct mdns {
    uv_async_t async;
    uv_timer_t timer;
    unsigned n_handles;
    bool started, closing;
    struct mdns_thread *thread; /* NULL: left */
    const struct mdns_user *user;
    void *owner;
};

static void on_handle_closed(uv_handle_t *handle) {
    struct mdns *m = handle->data;

    if (--m->n_handles > 0)
        return;
    if (m->started)
        m->user->on_closed(m->owner);
    free(m);
}

static void close_handles(struct mdns *m) {
    uv_close((uv_handle_t *)&m->async, on_handle_closed);
    uv_close((uv_handle_t *)&m->timer, on_handle_closed);
}

/* The thread has ended, or hangs. */
static void leave(struct mdns *m) {
    mdns_thread_leave(m->thread);
    m->thread = NULL;
    close_handles(m);
}

/* One queue's worth at a time, so that a flood does not keep the loop from its other work. */
static void on_async(uv_async_t *async) {
    struct mdns *m = async->data;
    struct mdns_event e;
    unsigned n = 0;

    while (!m->closing && n < MDNS_QUEUE_LEN && mdns_thread_take(m->thread, &e)) {
        m->user->on_event(m->owner, &e);
        n++;
    }
    if (n == MDNS_QUEUE_LEN)
        uv_async_send(async);
    if (m->closing && mdns_thread_ended(m->thread))
        leave(m);
}

static void on_leave(uv_timer_t *timer) { leave(timer->data); }

static void on_silent(uv_timer_t *timer) {
    struct mdns *m = timer->data;
    struct mdns_event e = {.what = MDNS_PROBLEM};

    if (mdns_thread_answers(m->thread))
        return;
    snprintf(e.text, sizeof(e.text), "avahi-daemon does not answer (is it stopped?)");
    m->user->on_event(m->owner, &e);
}

void mdns_load(void) {
    avahi_daemon.load();
    avahi_embedded.load();
}

int mdns_start(struct mdns **out, uv_loop_t *loop, const struct mdns_options *o) {
    struct mdns *m = calloc(1, sizeof(*m));
    int err;

    if (!m)
        return -ENOMEM;
    m->user = o->user;
    m->owner = o->owner;
    err = uv_async_init(loop, &m->async, on_async);
    if (err) {
        free(m);
        return err;
    }
    uv_timer_init(loop, &m->timer);
    m->n_handles = 2;
    m->async.data = m->timer.data = m;
    err = mdns_thread_start(&m->thread, o->role, o->role_state, &m->async);
    if (err) {
        close_handles(m);
        return err;
    }
    m->started = true;
    uv_timer_start(&m->timer, on_silent, SILENT_MS, 0);
    *out = m;
    return 0;
}

void mdns_refresh(struct mdns *m) {
    if (m->thread)
        mdns_thread_refresh(m->thread);
}

const char *mdns_backend(const struct mdns *m) {
    return m->thread ? mdns_thread_backend(m->thread) : "";
}

void mdns_close(struct mdns *m) {
    if (m->closing)
        return;
    m->closing = true;
    mdns_thread_quit(m->thread);
    uv_timer_start(&m->timer, on_leave, LEAVE_MS, 0);
}
