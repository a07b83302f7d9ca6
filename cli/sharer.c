/* SPDX-License-Identifier: MIT */
#include "cli/sharer.h"

#include "cli/loop.h"
#include "core/err.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MODULE "share"
#include "core/log.h"

struct sharer {
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t stop, set_limit;
    atomic_uint_least64_t limit; /* for set_limit */
    struct host host;
    uv_mutex_t lock; /* guards name */
    char name[64];
    bool closed;
};

static void on_event(void *owner, const struct server_event *e) {
    if (e->kind == SERVER_REQUEST)
        log_info("%s (%s) asks for %s", e->peer, e->key, e->path);
    else if (e->kind == SERVER_FAULT)
        log_info("%s: %s", e->peer, e->text);
    else if (e->kind == SERVER_WRONG_CODE)
        host_warn_of_code(e);
}

static void on_visible(void *owner, const char *name, bool renamed) {
    struct sharer *s = owner;

    uv_mutex_lock(&s->lock);
    snprintf(s->name, sizeof s->name, "%s", name);
    uv_mutex_unlock(&s->lock);
}

static void on_closed(void *owner) {
    struct sharer *s = owner;

    s->closed = true;
}

static const struct host_handler host_events = {
    .on_event = on_event, .on_visible = on_visible, .on_closed = on_closed};

static void on_stop(uv_async_t *async) {
    struct sharer *s = async->data;

    host_close(&s->host);
}

static void on_set_limit(uv_async_t *async) {
    struct sharer *s = async->data;

    host_set_limit(&s->host, s->limit);
}

static void run(void *arg) {
    struct sharer *s = arg;

    while (!s->closed)
        uv_run(&s->loop, UV_RUN_ONCE);
}

/* Closes the loop of a sharer whose host is down. */
static void end(struct sharer *s) {
    uv_close((uv_handle_t *)&s->stop, NULL);
    uv_close((uv_handle_t *)&s->set_limit, NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    uv_mutex_destroy(&s->lock);
    free(s);
}

/* Signals are for the main thread: it may wait for a key. */
static int create_thread(struct sharer *s) {
    sigset_t all, kept;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    err = uv_thread_create(&s->thread, run, s);
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    return err;
}

int sharer_start(struct app *app, const struct host_options *o) {
    struct sharer *s = calloc(1, sizeof *s);
    int code, err = s ? loop_init(&s->loop) : -ENOMEM;

    if (err) {
        free(s);
        return fail(CODE_FAILED, "cannot share: %s", err_text(err));
    }
    uv_mutex_init(&s->lock);
    uv_async_init(&s->loop, &s->stop, on_stop);
    uv_async_init(&s->loop, &s->set_limit, on_set_limit);
    s->stop.data = s->set_limit.data = s;
    code = host_open(&s->host, app, &s->loop, o, &host_events, s);
    if (code) {
        end(s);
        return code;
    }
    snprintf(s->name, sizeof s->name, "%s", s->host.name);
    err = create_thread(s);
    if (err) {
        host_close(&s->host);
        run(s);
        end(s);
        return fail(CODE_FAILED, "cannot share: %s", err_text(err));
    }
    app->sharer = s;
    app->port = s->host.port;
    return 0;
}

void sharer_stop(struct app *app) {
    struct sharer *s = app->sharer;

    if (!s)
        return;
    app->sharer = NULL;
    app->port = 0;
    uv_async_send(&s->stop);
    uv_thread_join(&s->thread);
    end(s);
}

void sharer_print(const struct app *app) {
    struct sharer *s = app->sharer;
    char name[sizeof s->name];

    uv_mutex_lock(&s->lock);
    memcpy(name, s->name, sizeof name);
    uv_mutex_unlock(&s->lock);
    share_print(&s->host, name);
}

static void change_limit(struct sharer *s, uint64_t rate) {
    s->limit = rate;
    uv_async_send(&s->set_limit);
    follow_tell(rate);
}

int sharer_change(struct app *app, const struct host_options *o) {
    int code;

    if (o->n_paths > 0 || o->n_to > 0 || o->name || o->port >= 0 || o->hidden || o->routed ||
        o->code) {
        sharer_stop(app);
        code = sharer_start(app, o);
        if (code)
            return code;
    } else if (o->limit.given) {
        change_limit(app->sharer, o->limit.rate);
        return CODE_DONE;
    }
    sharer_print(app);
    return CODE_DONE;
}
