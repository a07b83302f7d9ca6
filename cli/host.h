/* SPDX-License-Identifier: MIT */
/*
 * host -- what `share` and the prompt do: serve paths and be visible, on one loop
 *
 *     host_open -> handler ... -> host_close -> on_closed
 */
#ifndef CLI_HOST_H
#define CLI_HOST_H

#include "cli/app.h"
#include "cli/follow.h"
#include "cli/rate.h"
#include "core/server.h"
#include "core/share.h"
#include "discovery/announce.h"

#include <stdatomic.h>

struct host_options {
    const char *name; /* --name, or NULL */
    int port;         /* -1: the setting, else SERVER_PORT or the next free one */
    bool hidden;
    bool routed;              /* answer machines of other links, too */
    bool code;                /* ask for a code, a new one */
    const char *const *to;    /* answer these peers alone: names that are known, or keys */
    unsigned n_to;            /* 0: everybody */
    struct rate_option limit; /* not given: the setting */
    char *const *paths;
    int n_paths; /* 0: the current folder; -1: share nothing */
};

struct host_handler {
    void (*on_event)(void *owner, const struct server_event *e);
    /* Visible to the others under this name (raw). renamed: it is not the one we had. */
    void (*on_visible)(void *owner, const char *name, bool renamed);
    void (*on_closed)(void *owner); /* last */
};

struct host {
    struct app *app;
    uv_loop_t *loop;
    struct shares shares;
    struct access_code code;  /* "": none */
    uint8_t (*only)[KEY_LEN]; /* NULL: everybody */
    unsigned n_only;
    struct server *server;
    struct announce *announce;
    char name[64]; /* display name, raw; changes when discovery renames us */
    uint16_t port;
    struct follow follow;
    atomic_uint_least64_t limit; /* bytes a second, 0: none; may be read from another thread */
    const struct host_handler *handler;
    void *owner;
};

/* Opens in place; h must not move. All of handler is needed, it outlives h. 0, or the exit code of
 * a failure that was reported (then there is nothing to close, but the loop must run until it is
 * empty). */
int host_open(struct host *h, struct app *app, uv_loop_t *loop, const struct host_options *o,
              const struct host_handler *handler, void *owner);
void host_close(struct host *h);

void host_set_limit(struct host *h, uint64_t rate); /* from now on */

/* What to tell when SERVER_WRONG_CODE comes. */
void host_warn_of_code(const struct server_event *e);

/* The address of ours that others reach best, without a port; "" if there is none. */
void host_address(char out[static 64]);

#endif
