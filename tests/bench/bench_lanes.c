/* SPDX-License-Identifier: MIT */
/*
 * bench_lanes -- a download over as many connections as one likes, however fast they are
 *
 *     bench_lanes N ADDRESS PORT PATH DIR STATE
 *
 * PATH at the sharer, to DIR; our key is in STATE. Else it is as `lanyard download`.
 */
#include "core/fetch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 24 }; /* as cli/cmd_download.c */

static bool over;

static void need(int r, const char *what) {
    if (r < 0) {
        fprintf(stderr, "%s: %d\n", what, r);
        exit(1);
    }
}

static void on_event(void *owner, const struct fetch_event *e) {}

static void on_done(void *owner, const struct fetch_result *r) {
    over = true;
    if (r->why)
        need(-1, r->text);
}

int main(int argc, char **argv) {
    static const struct fetch_handler events = {.on_event = on_event, .on_done = on_done};
    static struct fetch_source source;
    static struct identity id;
    static struct trust trust;
    static struct pool pool;
    static struct conn_env env;
    struct fetch_lane_rules rules = {.rate = 1, .every_ms = 1};
    struct fetch_request r = {.sources = &source, .n_sources = 1, .lane_rules = &rules};
    struct fetch *fetch;
    uv_loop_t loop;

    if (argc != 7)
        need(-1, "bench_lanes N ADDRESS PORT PATH DIR STATE");
    signal(SIGPIPE, SIG_IGN);
    rules.most = (unsigned)atoi(argv[1]);
    source.to.n_addrs = 1;
    need(uv_ip4_addr(argv[2], atoi(argv[3]), (struct sockaddr_in *)&source.to.addrs[0]), argv[2]);
    snprintf(source.path, sizeof source.path, "%s", argv[4]);
    r.name = strrchr(argv[4], '/') ? strrchr(argv[4], '/') + 1 : argv[4];
    r.dir = argv[5];
    need(uv_loop_init(&loop), "loop");
    need(identity_load(&id, argv[6]), argv[6]);
    need(trust_load(&trust, argv[6]), argv[6]);
    need(pool_init(&pool, BUFFERS), "buffers");
    need(conn_env_init(&env, &loop, TLS_DIALLER, &id, &pool), "TLS");
    conn_env_set_name(&env, "bench");
    need(fetch_start(&fetch, &env, &trust, &r, &events, NULL), "fetch");
    while (!over)
        uv_run(&loop, UV_RUN_ONCE);
    return 0;
}
