/* SPDX-License-Identifier: MIT */
/*
 * pair -- a server and a fetch on one loop, over loopback, for tests of whole transfers
 *
 *     make_pair -> run_shell("... share/x") -> fetch_all("share/x", "x") -> drop_pair
 *
 * Everything lies in a scratch folder: `share` is served, `out` is where downloads go. on_progress
 * sees every event of a fetch. Each program has its own copy.
 */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include "scratch.h"

#include "core/err.h"
#include "core/fetch.h"
#include "core/server.h"

enum { POOL = 16, DEADLINE_MS = 20000, MIB = 1024 * 1024 };

struct pair {
    struct scratch at;
    uv_loop_t loop;
    struct identity here, there;
    struct trust trust;
    struct shares shares;
    struct server *server;
    const struct patience *patience; /* of the server, NULL: as usual */
    uint16_t port, second_port;      /* second_port: 0 if there is one server only */
    unsigned per_key;                /* connections of one peer that it takes, 0: many */
    uint64_t limit;                  /* bytes a second that it sends, 0: as it can */
    struct pool pool;
    struct conn_env env;
    struct fetch *fetch;
    const struct fetch_lane_rules *lane_rules; /* of the fetch, NULL: as usual */
    uv_timer_t deadline;
    void (*on_progress)(struct pair *p, const struct fetch_event *e);

    bool done;
    int why;
    bool incomplete;
    char text[2048], path[4096];
    uint64_t bytes, fetched, zeros, reused;
    unsigned warnings, sources;
};

struct second {
    struct identity id;
    struct shares shares;
    struct server *server;
};

static struct second second;

static inline char *in(const struct pair *p, const char *path) {
    static char full[8][256];
    static unsigned i;
    char *out = full[i++ % 8];

    snprintf(out, sizeof full[0], "%s/%s", p->at.path, path);
    return out;
}

static inline void run_shell(const struct pair *p, const char *script) {
    char command[2048];

    snprintf(command, sizeof command, "set -e; cd %s; %s", p->at.path, script);
    assert_int_equal(system(command), 0);
}

static inline void start_server(struct pair *p, int port) {
    struct server_options o = {.loop = &p->loop,
                               .id = &p->there,
                               .shares = &p->shares,
                               .name = "there",
                               .port = port,
                               .patience = p->patience,
                               .limit = p->limit,
                               .rules = {.per_addr = 60, .per_key = p->per_key ? p->per_key : 60},
                               .owner = p};

    assert_int_equal(server_new(&p->server, &o), 0);
    p->port = server_port(p->server);
}

static inline void on_deadline(uv_timer_t *timer) { fail_msg("the transfer did not end in time"); }

static inline int make_pair_of(void **state, bool hidden) {
    struct pair *p = calloc(1, sizeof *p);

    assert_non_null(p);
    scratch_make(&p->at);
    run_shell(p, "mkdir here there out share");
    assert_int_equal(uv_loop_init(&p->loop), 0);
    assert_int_equal(identity_load(&p->here, in(p, "here")), 0);
    assert_int_equal(identity_load(&p->there, in(p, "there")), 0);
    assert_int_equal(trust_load(&p->trust, in(p, "here")), 0);
    shares_init(&p->shares, hidden);
    assert_int_equal(shares_add(&p->shares, in(p, "share")), 0);
    assert_int_equal(pool_init(&p->pool, POOL), 0);
    assert_int_equal(conn_env_init(&p->env, &p->loop, TLS_DIALLER, &p->here, &p->pool), 0);
    conn_env_set_name(&p->env, "here");
    uv_timer_init(&p->loop, &p->deadline);
    start_server(p, 0);
    *state = p;
    return 0;
}

static inline int make_pair(void **state) { return make_pair_of(state, false); }

static inline int drop_pair(void **state) {
    struct pair *p = *state;

    if (p->fetch)
        fetch_stop(p->fetch);
    if (p->server)
        server_close(p->server);
    if (second.server)
        server_close(second.server);
    uv_close((uv_handle_t *)&p->deadline, NULL);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&p->loop), 0);
    conn_env_clear(&p->env);
    pool_clear(&p->pool);
    shares_clear(&p->shares);
    trust_clear(&p->trust);
    identity_clear(&p->here);
    identity_clear(&p->there);
    shares_clear(&second.shares);
    identity_clear(&second.id);
    memset(&second, 0, sizeof second);
    scratch_remove(&p->at);
    free(p);
    return 0;
}

static inline void on_event(void *owner, const struct fetch_event *e) {
    struct pair *p = owner;

    p->warnings += e->kind == FETCH_WARNING;
    if (p->on_progress)
        p->on_progress(p, e);
}

static inline void on_done(void *owner, const struct fetch_result *r) {
    struct pair *p = owner;

    p->done = true;
    p->why = r->why;
    p->incomplete = r->incomplete;
    snprintf(p->text, sizeof p->text, "%s", r->text);
    snprintf(p->path, sizeof p->path, "%s", r->path ? r->path : "");
    p->bytes = r->bytes;
    p->fetched = r->fetched;
    p->zeros = r->zeros;
    p->reused = r->reused;
    p->sources = r->sources;
    p->fetch = NULL;
    uv_stop(&p->loop);
}

static const struct fetch_handler events = {.on_event = on_event, .on_done = on_done};

static inline void start_fetch(struct pair *p, const char *path, const char *name) {
    static struct fetch_source sources[2];
    struct fetch_request r = {.sources = sources, .n_sources = 1, .name = name};

    memset(sources, 0, sizeof sources);
    r.dir = in(p, "out");
    r.timeout_ms = 5000;
    r.lane_rules = p->lane_rules;
    uint16_t ports[] = {p->port, p->second_port};
    r.n_sources = p->second_port ? 2 : 1;
    for (unsigned i = 0; i < r.n_sources; i++) {
        sources[i].to.n_addrs = 1;
        uv_ip4_addr("127.0.0.1", ports[i], (struct sockaddr_in *)&sources[i].to.addrs[0]);
        snprintf(sources[i].path, sizeof sources[i].path, "%s", path);
    }
    p->done = false;
    p->warnings = 0;
    uv_timer_start(&p->deadline, on_deadline, DEADLINE_MS, 0);
    assert_int_equal(fetch_start(&p->fetch, &p->env, &p->trust, &r, &events, p), 0);
}

static inline int fetch_all(struct pair *p, const char *path, const char *name) {
    start_fetch(p, path, name);
    while (!p->done)
        uv_run(&p->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&p->deadline);
    return p->why;
}

/* For on_progress. */
/* A file of which a download is told, every 100 ms, while it is on its way: also by a machine that
 * takes in a gigabyte a second. */
enum { BIG = 250000000 };

static inline void make_big(struct pair *p) {
    run_shell(p,
              "[ ! -f share/big ] || cp share/big old; head -c 250000000 /dev/urandom > share/big");
}

static inline void stop_early(struct pair *p, const struct fetch_event *e) {
    if (p->fetch && e->kind == FETCH_PROGRESS && e->done > 0)
        fetch_stop(p->fetch);
}

/* A second peer with the same files. */
static inline void start_second(struct pair *p) {
    struct server_options o = {
        .loop = &p->loop, .id = &second.id, .shares = &second.shares, .name = "second", .port = 0};

    run_shell(p, "mkdir second second/share; cp -p share/* second/share/");
    assert_int_equal(identity_load(&second.id, in(p, "second")), 0);
    shares_init(&second.shares, false);
    assert_int_equal(shares_add(&second.shares, in(p, "second/share")), 0);
    assert_int_equal(server_new(&second.server, &o), 0);
}

#endif
