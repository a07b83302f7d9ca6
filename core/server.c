/* SPDX-License-Identifier: MIT */
#include "core/server.h"

#define LOG_MODULE "server"
#include "core/err.h"
#include "core/log.h"
#include "core/responder.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    PORT_TRIES = 100,
    BACKLOG = 128,
    FILES = 256,        /* descriptors that connections leave to the rest of the program */
    POOL_FRAMES = 24,   /* about 26 MiB for all connections together */
    RECOUNT_MS = 30000, /* counts older than this are counted again when somebody asks */
};

struct server {
    struct responder_host host; /* first: what responders see of us */
    uv_tcp_t listener;
    bool listening, closing;
    uv_tcp_t refused; /* a connection for which there was no memory */
    bool refusing, refuse_again;
    struct server_options options;
    struct gate gate;
    struct pool pool;
    struct pacer pacer;
    struct conn_env env; /* its port is where we listen */

    uv_work_t count_work;
    bool counting;
    atomic_bool stop_counting;
    struct share_totals totals, counted;
    int count_err;
    uint64_t counted_at_ms;
};

/* ---- the end ---- */

static void free_server(struct server *s) {
    gate_clear(&s->gate);
    conn_env_clear(&s->env);
    pool_clear(&s->pool);
    free(s);
}

static void finish_if_down(struct server *s) {
    struct server_options o = s->options;

    if (!s->closing || s->listening || s->refusing || s->counting || s->host.first)
        return;
    free_server(s);
    if (o.on_closed)
        o.on_closed(o.owner);
}

static void on_listener_closed(uv_handle_t *handle) {
    struct server *s = (struct server *)((char *)handle - offsetof(struct server, listener));

    s->listening = false;
    finish_if_down(s);
}

static void on_responder_gone(struct responder_host *host) {
    struct server *s = (struct server *)host;

    if (!host->first && !s->closing)
        pool_trim(&s->pool);
    finish_if_down(s);
}

void server_close(struct server *s) {
    s->closing = true;
    s->stop_counting = true;
    uv_close((uv_handle_t *)&s->listener, on_listener_closed);
    responder_close_all(&s->host);
}

/* ---- counting what is shared, in the background ---- */

static void run_count(uv_work_t *work) {
    struct server *s = (struct server *)((char *)work - offsetof(struct server, count_work));

    memset(&s->counted, 0, sizeof s->counted);
    s->count_err = shares_count(s->options.shares, &s->counted, &s->stop_counting);
}

static void on_counted(uv_work_t *work, int status) {
    struct server *s = (struct server *)((char *)work - offsetof(struct server, count_work));
    bool first = !s->host.counted;

    s->counting = false;
    if (s->count_err == 0) {
        s->totals = s->counted;
        s->host.counted = true;
        s->counted_at_ms = uv_now(s->options.loop);
    }
    if (first && s->host.counted && !s->closing)
        s->host.on_event(&s->host,
                         &(struct server_event){.kind = SERVER_COUNTED, .totals = &s->totals});
    finish_if_down(s);
}

static void start_count(struct server *s) {
    if (s->counting || s->closing)
        return;
    s->counting = uv_queue_work(s->options.loop, &s->count_work, run_count, on_counted) == 0;
}

static void on_ask_info(struct responder_host *host) {
    struct server *s = (struct server *)host;

    if (host->counted && uv_now(s->options.loop) - s->counted_at_ms > RECOUNT_MS)
        start_count(s);
}

/* ---- the beginning ---- */

static void on_event(struct responder_host *host, const struct server_event *e) {
    struct server *s = (struct server *)host;

    if (e->kind == SERVER_FAULT)
        log_info("%s: connection closed: %s", e->peer[0] ? e->peer : "a stranger", e->text);
    if (s->options.on_event)
        s->options.on_event(s->options.owner, e);
}

/* A connection that nobody takes would stop the listener for good. */
static void refuse(struct server *s);

static void on_refused(uv_handle_t *handle) {
    struct server *s = (struct server *)((char *)handle - offsetof(struct server, refused));

    s->refusing = false;
    if (s->refuse_again && !s->closing)
        refuse(s);
    finish_if_down(s);
}

static void refuse(struct server *s) {
    s->refuse_again = s->refusing;
    if (s->refusing || uv_tcp_init(s->options.loop, &s->refused) < 0)
        return;
    s->refusing = true;
    uv_accept((uv_stream_t *)&s->listener, (uv_stream_t *)&s->refused);
    uv_close((uv_handle_t *)&s->refused, on_refused);
}

static void on_connection(uv_stream_t *listener, int status) {
    struct server *s = (struct server *)((char *)listener - offsetof(struct server, listener));
    int err = status;

    if (err == 0)
        err = responder_accept(&s->host, listener);
    if (err < 0)
        log_info("a connection was not accepted: %s", err_text(err));
    if (err == -ENOMEM)
        refuse(s);
}

/* Both families on one socket where there is IPv6, else IPv4 alone. */
static int bind_port(struct server *s, uint16_t port) {
    struct sockaddr_in6 any6;
    struct sockaddr_in any4;
    int err;

    uv_ip6_addr("::", port, &any6);
    err = uv_tcp_bind(&s->listener, (const struct sockaddr *)&any6, 0);
    if (err != UV_EAFNOSUPPORT && err != UV_EADDRNOTAVAIL && err != UV_EINVAL)
        return err;
    uv_ip4_addr("0.0.0.0", port, &any4);
    return uv_tcp_bind(&s->listener, (const struct sockaddr *)&any4, 0);
}

static void on_try_closed(uv_handle_t *handle) { *(bool *)handle->data = true; }

/* A handle that failed to listen cannot be used again: close it and wait for that. */
static void drop_listener(struct server *s) {
    bool closed = false;

    s->listener.data = &closed;
    uv_close((uv_handle_t *)&s->listener, on_try_closed);
    while (!closed)
        uv_run(s->options.loop, UV_RUN_NOWAIT);
}

static int listen_on(struct server *s, uint16_t port) {
    struct sockaddr_storage bound;
    int len = sizeof bound;
    int err = uv_tcp_init(s->options.loop, &s->listener);

    if (err < 0)
        return err;
    err = bind_port(s, port);
    if (err == 0)
        err = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
    if (err == 0)
        err = uv_tcp_getsockname(&s->listener, (struct sockaddr *)&bound, &len);
    if (err < 0) {
        drop_listener(s);
        return err;
    }
    /* the port has the same place in sockaddr_in */
    s->env.port = ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
    s->listening = true;
    return 0;
}

static int listen_somewhere(struct server *s) {
    int err = UV_EADDRINUSE;

    if (s->options.port >= 0)
        return listen_on(s, (uint16_t)s->options.port);
    for (unsigned i = 0; err == UV_EADDRINUSE && i < PORT_TRIES; i++)
        err = listen_on(s, (uint16_t)(SERVER_PORT + i));
    return err == UV_EADDRINUSE ? listen_on(s, 0) : err;
}

/* Connections that may be inside: the rest of the file descriptors is for files. */
static unsigned inside_max(void) {
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur > GATE_INSIDE + FILES)
        return GATE_INSIDE;
    return (unsigned)(files.rlim_cur > 2 * FILES ? files.rlim_cur - FILES : files.rlim_cur / 2);
}

static int prepare(struct server *s, const struct server_options *o) {
    struct gate_rules rules = o->rules;
    int err = pool_init(&s->pool, POOL_FRAMES);

    rules.inside_max = inside_max();
    if (err == 0)
        err = gate_init(&s->gate, &rules, o->id->key);
    if (err < 0)
        return err;
    err = conn_env_init(&s->env, o->loop, TLS_LISTENER, o->id, &s->pool);
    if (err < 0)
        return err;
    if (o->patience)
        s->env.patience = o->patience;
    s->env.features = rules.code ? WIRE_FEATURE_CODE : 0;
    s->env.pacer = &s->pacer;
    server_set_limit(s, o->limit);
    server_set_name(s, o->name);
    return listen_somewhere(s);
}

int server_new(struct server **out, const struct server_options *o) {
    struct server *s = calloc(1, sizeof *s);
    int err;

    if (!s)
        return -ENOMEM;
    s->options = *o;
    s->host = (struct responder_host){.env = &s->env,
                                      .gate = &s->gate,
                                      .shares = o->shares,
                                      .totals = &s->totals,
                                      .on_ask_info = on_ask_info,
                                      .on_event = on_event,
                                      .on_gone = on_responder_gone};
    err = prepare(s, o);
    if (err < 0) {
        free_server(s);
        return err;
    }
    start_count(s);
    *out = s;
    return 0;
}

uint16_t server_port(const struct server *s) { return s->env.port; }

void server_set_name(struct server *s, const char *name) { conn_env_set_name(&s->env, name); }

void server_set_limit(struct server *s, uint64_t rate) {
    pacer_set_rate(&s->pacer, rate, conn_env_now_ns(&s->env));
}
