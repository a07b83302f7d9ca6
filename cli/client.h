/* SPDX-License-Identifier: MIT */
/*
 * client -- a loop and what connections need, for the time of one command
 *
 *     client_open -> ... client_run ... -> client_close
 *
 * SIGINT, SIGTERM and SIGHUP (unless it is ignored, see nohup(1)) ask the command to stop:
 * client_run returns, or on_stop is called and the command ends in order. The second one ends the
 * process at once, and so does what is not in order within STOP_MS: a disk that hangs, a sync of
 * much (not at the prompt).
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "cli/app.h"
#include "cli/stop.h"
#include "core/conn.h"
#include "core/trust.h"

struct client {
    struct app *app;
    struct trust trust; /* the peers that we know */
    uv_loop_t *loop;
    struct pool pool;
    struct conn_env env;
    struct prover prover;     /* of env, if there is a code */
    struct pacer pacer;       /* of env */
    struct patience patience; /* of env */
    uv_signal_t signals[STOP_SIGNALS];
    uv_timer_t guard;
    unsigned stops;                       /* signals that came */
    int stop_code;                        /* exit code then: CODE_INCOMPLETE */
    void (*last_words)(struct client *c); /* before the process ends at once. May be NULL */
    void (*on_stop)(void *owner);
    void *owner;
};

/* Loads key and known peers. buffers: of frames, for what is going to arrive at once. 0, or the
 * exit code of a failure that was reported. */
int client_open(struct client *c, struct app *app, unsigned buffers);

/* From now on every peer must know this code. Nothing may be under way that wants another. */
void client_set_code(struct client *c, const struct access_code *code);

/* All that arrives, together: at most so many bytes a second; 0: as fast as it goes. */
void client_set_limit(struct client *c, uint64_t rate);

/* Runs the loop until *done. ERR_STOPPED: a signal came first (never if on_stop is set). */
int client_run(struct client *c, const bool *done);

/* Runs the loop until all that was closed is down. A name that is being resolved cannot be called
 * back: after a moment it is left behind, with the loop (app->left_behind). */
void client_close(struct client *c);

/* Loads the file of known peers. 0, or the exit code of a failure that was reported. */
int client_load_trust(struct app *app, struct trust *t);

#endif
