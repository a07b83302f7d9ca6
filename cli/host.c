/* SPDX-License-Identifier: MIT */
#include "cli/host.h"

#include "cli/client.h"
#include "cli/confined.h"
#include "cli/what.h"
#include "core/err.h"
#include "proto/name.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define LOG_MODULE "share"
#include "core/log.h"

enum { FILES_WANTED = 4096 };

static int add_path(struct shares *s, const char *path) {
    char shown[1024];
    int err = shares_add(s, path);

    if (!err)
        return 0;
    name_show(path, strlen(path), shown, sizeof shown);
    if (err == -EEXIST)
        return fail(CODE_USAGE,
                    "%s: another share is called the same; give one of them another name "
                    "(mv, or ln -s in a folder of its own)",
                    shown);
    if (err == -EINVAL)
        return fail(CODE_FAILED, "%s is neither a file nor a folder", shown);
    return fail(CODE_FAILED, "cannot share %s: %s", shown, err_text(err));
}

static int add_paths(struct host *h, const struct host_options *o) {
    int code = 0;

    shares_init(&h->shares, o->hidden || h->app->config.hidden);
    if (o->n_paths < 0)
        return 0;
    if (o->n_paths == 0)
        return add_path(&h->shares, ".");
    for (int i = 0; i < o->n_paths && !code; i++)
        code = add_path(&h->shares, o->paths[i]);
    return code;
}

/* ---- who may come in ---- */

static bool is_meant(const char *word, const struct trust_peer *peer) {
    char key[KEY_TEXT_LEN + 1];
    struct peer_spec spec;

    key_text(peer->key, key);
    return strcmp(word, key) == 0 ||
           (what_parse_peer(&spec, word) == 0 && what_matches(&spec, peer->name, key));
}

/* All keys of one word of --to. 0, or the exit code of a failure that was reported. */
static int allow(struct host *h, const struct trust *known, const char *word) {
    unsigned before = h->n_only;
    uint8_t(*only)[KEY_LEN] = reallocarray(h->only, h->n_only + known->n + 1, sizeof *only);
    char shown[1024];

    if (!only)
        return fail(CODE_FAILED, "out of memory");
    h->only = only;
    h->n_only += key_parse(word, only[h->n_only]) == 0; /* whether it is known or not */
    for (size_t i = 0; i < known->n; i++)
        if (is_meant(word, &known->peers[i]))
            memcpy(only[h->n_only++], known->peers[i].key, KEY_LEN);
    if (h->n_only > before)
        return 0;
    name_show(word, strlen(word), shown, sizeof shown);
    return fail(
        CODE_NOT_FOUND,
        "--to: no known peer is called `%s`. `lanyard trust list` shows whom you know; with "
        "the key that `lanyard id` shows there, `lanyard trust add NAME KEY` pins another",
        shown);
}

static int allow_all(struct host *h, const struct host_options *o) {
    struct trust known;
    int code;

    if (o->n_to == 0)
        return 0;
    code = client_load_trust(h->app, &known);
    if (code)
        return code;
    for (unsigned i = 0; i < o->n_to && !code; i++)
        code = allow(h, &known, o->to[i]);
    trust_clear(&known);
    return code;
}

static int make_rules(struct host *h, const struct host_options *o) {
    if (o->code && access_make(&h->code) < 0)
        return fail(CODE_FAILED, "cannot make a code: the system gives no random bytes");
    return allow_all(h, o);
}

void host_warn_of_code(const struct server_event *e) {
    if (e->left > 0)
        warn("a wrong code came from %s; after %u more the code is void", e->addr, e->left);
    else
        warn("a wrong code came from %s. It was one too many: the code is void, nobody comes in "
             "with it any more. End this and share again for a new one",
             e->addr);
}

/* ---- the server ---- */

/* Each connection takes a descriptor; we never use select(2). */
static void raise_file_limit(void) {
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= FILES_WANTED)
        return;
    files.rlim_cur = files.rlim_max < FILES_WANTED ? files.rlim_max : FILES_WANTED;
    setrlimit(RLIMIT_NOFILE, &files); /* if not, fewer peers are answered at a time */
}

static void forget(struct host *h) {
    OPENSSL_cleanse(&h->code, sizeof h->code);
    free(h->only);
    h->only = NULL;
    shares_clear(&h->shares);
}

static void on_event(void *owner, const struct server_event *e) {
    struct host *h = owner;

    h->handler->on_event(h->owner, e);
}

static void on_server_closed(void *owner) {
    struct host *h = owner;

    forget(h);
    h->handler->on_closed(h->owner);
}

static int listen_at(struct host *h, const struct host_options *o) {
    int port = o->port >= 0 ? o->port : h->app->config.port;
    const struct server_options options = {.loop = h->loop,
                                           .id = &h->app->id,
                                           .shares = &h->shares,
                                           .name = h->name,
                                           .port = port,
                                           .limit = h->limit,
                                           .rules = {.routed = o->routed,
                                                     .code = o->code ? &h->code : NULL,
                                                     .only = (const uint8_t(*)[KEY_LEN])h->only,
                                                     .n_only = h->n_only},
                                           .on_event = on_event,
                                           .on_closed = on_server_closed,
                                           .owner = h};
    int err = server_new(&h->server, &options);

    if (err == -EADDRINUSE && port >= 0)
        return fail(CODE_FAILED,
                    "port %d is taken by another program; without --port a free one is used", port);
    if (err == -EACCES && port >= 0)
        return fail(CODE_FAILED, "port %d: %s; ports below 1024 are for root", port, err_text(err));
    if (err)
        return fail(CODE_FAILED, "cannot listen: %s", err_text(err));
    h->port = server_port(h->server);
    return 0;
}

static void on_established(void *owner, const char *name) {
    struct host *h = owner;
    bool renamed = strcmp(name, h->name) != 0;

    if (renamed) {
        snprintf(h->name, sizeof h->name, "%s", name);
        server_set_name(h->server, h->name);
    }
    h->handler->on_visible(h->owner, h->name, renamed);
}

static void on_problem(void *owner, const char *text) { log_info("discovery: %s", text); }

static const struct announce_handler announce_events = {.on_established = on_established,
                                                        .on_problem = on_problem};

/* Not to be visible is no reason not to share: others can still come by address. */
static void announce(struct host *h) {
    char id[KEY_TEXT_LEN + 1];
    const struct announce_options options = {
        .name = h->name, .id = id, .version = LANYARD_VERSION, .port = h->port};
    int err;

    key_text(h->app->id.key, id);
    err = announce_start(&h->announce, h->loop, &options, &announce_events, h);
    if (err) {
        h->announce = NULL;
        warn("others will not see us: %s", err_text(err));
    }
}

/* ---- the limit ---- */

void host_set_limit(struct host *h, uint64_t rate) {
    h->limit = rate;
    server_set_limit(h->server, rate);
}

static void on_limit(void *owner, uint64_t rate) { host_set_limit(owner, rate); }

static void follow_limit(struct host *h) {
    h->follow.on_limit = on_limit;
    h->follow.owner = h;
    follow_start(&h->follow, h->loop, &h->app->config, CONFIG_SHARE_LIMIT);
}

/* ---- life ---- */

int host_open(struct host *h, struct app *app, uv_loop_t *loop, const struct host_options *o,
              const struct host_handler *handler, void *owner) {
    int code;

    *h = (struct host){.app = app, .loop = loop, .handler = handler, .owner = owner};
    raise_file_limit();
    code = app_identity(app);
    if (!code)
        code = app_name(app, o->name, h->name); /* loads the settings too */
    if (code)
        return code;
    h->limit = o->limit.given ? o->limit.rate : app->config.limits[CONFIG_SHARE_LIMIT];
    code = add_paths(h, o);
    if (!code)
        code = make_rules(h, o);
    if (!code)
        confined_sharing(app, &h->shares);
    if (!code)
        code = listen_at(h, o);
    if (code) {
        forget(h);
        return code;
    }
    follow_limit(h);
    announce(h);
    return 0;
}

static void on_announce_closed(void *owner) {
    struct host *h = owner;

    server_close(h->server);
}

/* First invisible, then deaf: nobody is sent to a closed port. */
void host_close(struct host *h) {
    follow_stop(&h->follow);
    if (h->announce)
        announce_close(h->announce, on_announce_closed);
    else
        server_close(h->server);
    h->announce = NULL;
}

void host_address(char out[static 64]) {
    uv_interface_address_t *all;
    int n, best = PEER_RANK_LOOPBACK;

    out[0] = '\0';
    if (uv_interface_addresses(&all, &n) != 0)
        return;
    for (int i = 0; i < n; i++) {
        struct sockaddr_storage addr = {0};
        int rank;

        if (all[i].address.address4.sin_family != AF_INET) /* the shorter ones to type */
            continue;
        memcpy(&addr, &all[i].address.address4, sizeof all[i].address.address4);
        ((struct sockaddr_in *)&addr)->sin_port = htons(SERVER_PORT);
        rank = (int)peer_rank((struct sockaddr *)&addr, all[i].name);
        if (all[i].is_internal || rank >= best)
            continue;
        best = rank;
        uv_ip4_name(&all[i].address.address4, out, 64);
    }
    uv_free_interface_addresses(all, n);
}
