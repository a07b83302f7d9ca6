/* SPDX-License-Identifier: MIT */
/* A server and a fetch on one loop, over loopback: what arrives is what is there. */
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
    uint16_t port, second_port; /* second_port: 0 if there is one server only */
    struct pool pool;
    struct conn_env env;
    struct fetch *fetch;
    uv_timer_t deadline;
    void (*on_progress)(struct pair *p, const struct fetch_event *e);

    bool done;
    int why;
    bool incomplete;
    char text[2048], path[4096];
    uint64_t bytes, fetched, reused;
    unsigned warnings, sources;
};

struct second {
    struct identity id;
    struct shares shares;
    struct server *server;
};

static struct second second;

static char *in(const struct pair *p, const char *path) {
    static char full[8][256];
    static unsigned i;
    char *out = full[i++ % 8];

    snprintf(out, sizeof full[0], "%s/%s", p->at.path, path);
    return out;
}

static void run_shell(const struct pair *p, const char *script) {
    char command[2048];

    snprintf(command, sizeof command, "set -e; cd %s; %s", p->at.path, script);
    assert_int_equal(system(command), 0);
}

static void start_server(struct pair *p, int port) {
    struct server_options o = {.loop = &p->loop,
                               .id = &p->there,
                               .shares = &p->shares,
                               .name = "there",
                               .port = port,
                               .owner = p};

    assert_int_equal(server_new(&p->server, &o), 0);
    p->port = server_port(p->server);
}

static void on_deadline(uv_timer_t *timer) { fail_msg("the transfer did not end in time"); }

static int make_pair(void **state) {
    struct pair *p = calloc(1, sizeof *p);

    assert_non_null(p);
    scratch_make(&p->at);
    run_shell(p, "mkdir here there out share");
    assert_int_equal(uv_loop_init(&p->loop), 0);
    assert_int_equal(identity_load(&p->here, in(p, "here")), 0);
    assert_int_equal(identity_load(&p->there, in(p, "there")), 0);
    assert_int_equal(trust_load(&p->trust, in(p, "here")), 0);
    shares_init(&p->shares, false);
    assert_int_equal(shares_add(&p->shares, in(p, "share")), 0);
    assert_int_equal(pool_init(&p->pool, POOL), 0);
    assert_int_equal(conn_env_init(&p->env, &p->loop, TLS_DIALLER, &p->here, &p->pool), 0);
    conn_env_set_name(&p->env, "here");
    uv_timer_init(&p->loop, &p->deadline);
    start_server(p, 0);
    *state = p;
    return 0;
}

static int drop_pair(void **state) {
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

static void on_event(void *owner, const struct fetch_event *e) {
    struct pair *p = owner;

    p->warnings += e->kind == FETCH_WARNING;
    if (p->on_progress)
        p->on_progress(p, e);
}

static void on_done(void *owner, const struct fetch_result *r) {
    struct pair *p = owner;

    p->done = true;
    p->why = r->why;
    p->incomplete = r->incomplete;
    snprintf(p->text, sizeof p->text, "%s", r->text);
    snprintf(p->path, sizeof p->path, "%s", r->path ? r->path : "");
    p->bytes = r->bytes;
    p->fetched = r->fetched;
    p->reused = r->reused;
    p->sources = r->sources;
    p->fetch = NULL;
    uv_stop(&p->loop);
}

static const struct fetch_handler events = {.on_event = on_event, .on_done = on_done};

static void start_fetch(struct pair *p, const char *path, const char *name) {
    static struct fetch_source sources[2];
    struct fetch_request r = {.sources = sources, .n_sources = 1, .name = name};

    memset(sources, 0, sizeof sources);
    r.dir = in(p, "out");
    r.timeout_ms = 5000;
    uint16_t ports[] = {p->port, p->second_port};
    r.n_sources = p->second_port ? 2 : 1;
    for (unsigned i = 0; i < r.n_sources; i++) {
        sources[i].to.n_addrs = 1;
        uv_ip4_addr("127.0.0.1", ports[i], (struct sockaddr_in *)&sources[i].to.addrs[0]);
        snprintf(sources[i].path, sizeof sources[i].path, "%s", path);
    }
    p->done = false;
    p->warnings = 0;
    assert_int_equal(fetch_start(&p->fetch, &p->env, &p->trust, &r, &events, p), 0);
}

static int fetch_all(struct pair *p, const char *path, const char *name) {
    start_fetch(p, path, name);
    uv_timer_start(&p->deadline, on_deadline, DEADLINE_MS, 0);
    while (!p->done)
        uv_run(&p->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&p->deadline);
    return p->why;
}

static void file_arrives(void **state) {
    struct pair *p = *state;

    run_shell(p, "head -c 5300000 /dev/urandom > share/a.bin; touch -d @1000000000.123456789 "
                 "share/a.bin; chmod 640 share/a.bin");
    assert_int_equal(fetch_all(p, "share/a.bin", "a.bin"), 0);
    assert_string_equal(p->path, in(p, "out/a.bin"));
    assert_int_equal(p->bytes, 5300000);
    assert_int_equal(p->fetched, 5300000);
    assert_int_equal(p->reused, 0);
    run_shell(p, "cmp share/a.bin out/a.bin; test \"$(stat -c '%a %.9Y' share/a.bin)\" = "
                 "\"$(stat -c '%a %.9Y' out/a.bin)\"; test \"$(ls -A out)\" = a.bin");
}

static void tree_arrives(void **state) {
    struct pair *p = *state;

    run_shell(p, "cd share; mkdir -p t/sub/deep t/empty; for i in $(seq 700); do "
                 "echo file $i > t/sub/f$i; done; : > t/none; ln -s sub/f1 t/link; "
                 "truncate -s 40M t/sparse; printf x | dd of=t/sparse bs=1 seek=9000000 "
                 "conv=notrunc status=none; head -c 3000000 /dev/urandom > t/sub/deep/big; "
                 "chmod 750 t/sub; touch -d @1234567890 t/empty t/sub");
    assert_int_equal(fetch_all(p, "share/t", "t"), 0);
    run_shell(p, "diff -r --no-dereference share/t out/t; "
                 "list() { (cd $1; find . -printf '%p %y %m %T@ %l\\n' | sort); }; "
                 "test \"$(list share/t)\" = \"$(list out/t)\"; "
                 "test $(stat -c %b out/t/sparse) -lt 5000");
}

static void stop_early(struct pair *p, const struct fetch_event *e) {
    if (p->fetch && e->kind == FETCH_PROGRESS && e->done > 0)
        fetch_stop(p->fetch);
}

/* Stopped in the middle, again and again, it fetches each chunk once. */
static void stopped_goes_on(void **state) {
    struct pair *p = *state;
    uint64_t fetched = 0;
    unsigned runs = 0;

    run_shell(p, "head -c 60000000 /dev/urandom > share/big");
    p->on_progress = stop_early;
    while (fetch_all(p, "share/big", "big") == ERR_STOPPED) {
        assert_true(p->incomplete);
        fetched += p->fetched;
        assert_int_equal(p->fetched + p->reused, fetched);
        assert_false(scratch_has(&p->at, "out/big"));
        assert_true(++runs < 300);
    }
    assert_int_equal(p->why, 0);
    assert_true(runs > 0);
    assert_int_equal(fetched + p->fetched, 60000000);
    assert_int_equal(p->reused, fetched);
    run_shell(p, "cmp share/big out/big");
}

static void existing_target_stays(void **state) {
    struct pair *p = *state;

    run_shell(p, "echo new > share/a; echo old > out/a");
    assert_int_equal(fetch_all(p, "share/a", "a"), ERR_EXISTS);
    assert_false(p->incomplete);
    scratch_expect(&p->at, "out/a", "old\n");
}

static void missing_name_is_said(void **state) {
    struct pair *p = *state;

    assert_int_equal(fetch_all(p, "share/nothing", "nothing"), WIRE_ERR(WIRE_NOT_FOUND));
    assert_false(scratch_has(&p->at, "out/nothing"));
}

/* Changed in place after a part of it was fetched: only what differs is fetched again. */
static void changed_source_is_compared(void **state) {
    struct pair *p = *state;

    run_shell(p, "head -c 100000000 /dev/urandom > share/big; touch -d @1000000000 share/big");
    p->on_progress = stop_early;
    start_fetch(p, "share/big", "big");
    while (!p->done)
        uv_run(&p->loop, UV_RUN_DEFAULT);
    assert_int_equal(p->why, ERR_STOPPED);
    uint64_t before = p->fetched;
    run_shell(p, "printf changed | dd of=share/big bs=1 seek=10 conv=notrunc status=none; "
                 "touch -d @1100000000 share/big");
    p->on_progress = NULL;
    assert_int_equal(fetch_all(p, "share/big", "big"), 0);
    run_shell(p, "cmp share/big out/big");
    assert_true(p->fetched <= 100000000 - before + MIB);
    assert_true(p->reused >= before - MIB);
}

static void grow_file(struct pair *p, const struct fetch_event *e) {
    if (e->kind == FETCH_STARTED)
        run_shell(p, "echo more >> share/log");
}

static void growing_file_is_reported(void **state) {
    struct pair *p = *state;

    run_shell(p, "head -c 3000000 /dev/urandom > share/log");
    p->on_progress = grow_file;
    assert_int_equal(fetch_all(p, "share/log", "log"), ERR_CHANGING);
    assert_true(p->incomplete);
    assert_false(scratch_has(&p->at, "out/log"));
}

static void remove_file(struct pair *p, const struct fetch_event *e) {
    if (e->kind == FETCH_STARTED && scratch_has(&p->at, "share/t/victim"))
        run_shell(p, "rm share/t/victim");
}

static void removed_file_is_left_out(void **state) {
    struct pair *p = *state;

    run_shell(p, "mkdir share/t; echo 1 > share/t/a; echo 2 > share/t/victim; echo 3 > share/t/z");
    p->on_progress = remove_file;
    assert_int_equal(fetch_all(p, "share/t", "t"), 0);
    run_shell(p, "diff -r share/t out/t");
}

static void restart_server(struct pair *p, const struct fetch_event *e) {
    if (!p->server || e->kind != FETCH_PROGRESS || e->done == 0)
        return;
    server_close(p->server);
    p->server = NULL;
    p->on_progress = NULL;
    start_server(p, p->port);
}

static void restarted_server_is_found(void **state) {
    struct pair *p = *state;

    run_shell(p, "head -c 60000000 /dev/urandom > share/big");
    p->on_progress = restart_server;
    assert_int_equal(fetch_all(p, "share/big", "big"), 0);
    assert_int_equal(p->fetched, 60000000);
    run_shell(p, "cmp share/big out/big");
}

/* ---- a second peer with the same file ---- */

static void start_second(struct pair *p) {
    struct server_options o = {
        .loop = &p->loop, .id = &second.id, .shares = &second.shares, .name = "second", .port = 0};

    run_shell(p, "mkdir second second/share; cp -p share/* second/share/");
    assert_int_equal(identity_load(&second.id, in(p, "second")), 0);
    shares_init(&second.shares, false);
    assert_int_equal(shares_add(&second.shares, in(p, "second/share")), 0);
    assert_int_equal(server_new(&second.server, &o), 0);
}

static void leave_for_good(struct pair *p, const struct fetch_event *e) {
    if (!p->server || e->kind != FETCH_PROGRESS || e->done == 0)
        return;
    server_close(p->server);
    p->server = NULL;
}

/* The first source goes for good: the second one takes over, and what is here already is compared
 * with what it has, not fetched again. */
static void other_source_takes_over(void **state) {
    struct pair *p = *state;

    run_shell(p, "head -c 60000000 /dev/urandom > share/big");
    start_second(p);
    p->on_progress = leave_for_good;
    p->second_port = server_port(second.server);
    assert_int_equal(fetch_all(p, "share/big", "big"), 0);
    assert_null(p->server);
    assert_int_equal(p->fetched, 60000000);
    assert_int_equal(p->sources, 2);
    run_shell(p, "cmp share/big out/big");
}

static void changed_key_is_refused(void **state) {
    struct pair *p = *state;

    run_shell(p, "echo 1 > share/a; echo 2 > share/b");
    assert_int_equal(fetch_all(p, "share/a", "a"), 0);
    server_close(p->server);
    identity_clear(&p->there);
    run_shell(p, "rm there/key.pem");
    assert_int_equal(identity_load(&p->there, in(p, "there")), 0);
    start_server(p, 0);
    assert_int_equal(fetch_all(p, "share/b", "b"), ERR_KEY_CHANGED);
    assert_non_null(strstr(p->text, "lanyard trust forget"));
    assert_false(scratch_has(&p->at, "out/b"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_arrives, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(tree_arrives, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(stopped_goes_on, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(existing_target_stays, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(missing_name_is_said, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(changed_source_is_compared, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(growing_file_is_reported, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(removed_file_is_left_out, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(restarted_server_is_found, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(other_source_takes_over, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(changed_key_is_refused, make_pair, drop_pair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
