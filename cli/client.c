/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include "cli/loop.h"
#include "core/err.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A peer that does not say goodbye is gone before we are. */
enum { FAREWELL_MS = 300, CLOSE_MS = 500, STOP_MS = 900 };

int client_load_trust(struct app *app, struct trust *t) {
    int code = app_state_dir(app), err;

    if (code)
        return code;
    err = trust_load(t, app->state_dir);
    if (!err)
        return 0;
    if (err == ERR_KNOWN_PEERS)
        fail(CODE_FAILED,
             "%s/known_peers, line %u is malformed: expected KEY NAME. Correct or remove it",
             app->state_dir, t->bad_line);
    else
        fail(CODE_FAILED, "%s/known_peers: %s", app->state_dir, err_text(err));
    trust_clear(t);
    return CODE_FAILED;
}

/* Whatever lies on disk is good for the next run at any moment. */
static void on_guard(uv_timer_t *timer) {
    struct client *c = timer->data;

    if (c->last_words)
        c->last_words(c);
    fflush(NULL);
    _exit(c->stop_code);
}

static void on_signal(uv_signal_t *handle, int signum) {
    struct client *c = handle->data;

    if (++c->stops > 1 && !c->app->at_prompt)
        _exit(c->stop_code);
    if (!c->app->at_prompt)
        uv_timer_start(&c->guard, on_guard, STOP_MS, 0);
    if (c->on_stop)
        c->on_stop(c->owner);
}

static void start_signals(struct client *c) {
    uv_timer_init(c->loop, &c->guard);
    uv_unref((uv_handle_t *)&c->guard);
    c->guard.data = c;
    c->stop_code = CODE_INCOMPLETE;
    for (unsigned i = 0; i < STOP_SIGNALS; i++) {
        uv_signal_init(c->loop, &c->signals[i]);
        c->signals[i].data = c;
        if (stop_is_heeded(stop_signals[i]))
            uv_signal_start(&c->signals[i], on_signal, stop_signals[i]);
        uv_unref((uv_handle_t *)&c->signals[i]);
    }
}

static void end_signals(struct client *c) {
    for (unsigned i = 0; i < STOP_SIGNALS; i++)
        uv_close((uv_handle_t *)&c->signals[i], NULL);
    uv_close((uv_handle_t *)&c->guard, NULL);
    if (!c->app->at_prompt)
        stop_ignore_late();
}

static int setup(struct client *c, unsigned buffers, const char *name) {
    int err = pool_init(&c->pool, buffers);

    if (!err)
        err = conn_env_init(&c->env, c->loop, TLS_DIALLER, &c->app->id, &c->pool);
    if (err)
        return err;
    conn_env_set_name(&c->env, name);
    c->env.port = c->app->port;
    c->env.known = &c->trust;
    c->env.pacer = &c->pacer;
    c->patience = patience_default;
    c->patience.farewell = FAREWELL_MS;
    c->env.patience = &c->patience;
    return 0;
}

int client_open(struct client *c, struct app *app, unsigned buffers) {
    char name[64];
    int code, err;

    *c = (struct client){.app = app};
    code = app_identity(app);
    if (!code)
        code = app_name(app, NULL, name);
    if (!code)
        code = client_load_trust(app, &c->trust);
    if (code)
        return code;
    c->loop = malloc(sizeof *c->loop);
    err = c->loop ? loop_init(c->loop) : -ENOMEM;
    if (err) {
        free(c->loop);
        trust_clear(&c->trust);
        return fail(CODE_FAILED, "cannot start: %s", err_text(err));
    }
    start_signals(c);
    err = setup(c, buffers, name);
    if (!err)
        return 0;
    client_close(c);
    return fail(CODE_FAILED, "cannot start: %s", err_text(err));
}

void client_set_code(struct client *c, const struct access_code *code) {
    prover_init(&c->prover, c->loop, code);
    c->env.prover = &c->prover;
}

void client_set_limit(struct client *c, uint64_t rate) {
    pacer_set_rate(&c->pacer, rate, conn_env_now_ns(&c->env));
}

int client_run(struct client *c, const bool *done) {
    while (!*done) {
        if (c->stops > 0 && !c->on_stop)
            return ERR_STOPPED;
        uv_run(c->loop, UV_RUN_ONCE);
    }
    return 0;
}

static void on_patience(uv_timer_t *timer) { *(bool *)timer->data = true; }

void client_close(struct client *c) {
    uv_timer_t patience;
    bool over = false;

    uv_timer_init(c->loop, &patience);
    patience.data = &over;
    uv_timer_start(&patience, on_patience, CLOSE_MS, 0);
    uv_unref((uv_handle_t *)&patience);
    while (uv_loop_alive(c->loop) && !over)
        uv_run(c->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&patience, NULL);
    end_signals(c);
    uv_run(c->loop, UV_RUN_NOWAIT);
    if (uv_loop_close(c->loop) == UV_EBUSY) {
        c->app->left_behind = true;
        return;
    }
    free(c->loop);
    prover_clear(&c->prover);
    conn_env_clear(&c->env);
    pool_clear(&c->pool);
    trust_clear(&c->trust);
}
