/* SPDX-License-Identifier: MIT */
/* What a server does for peers that ask and go, and in which order: nothing that can still be
 * saved, and a few walks at a time. */
#include "core/dial.h"
#include "core/query.h"
#include "core/responder_internal.h"
#include "scratch.h"

#include <netinet/in.h>
#include <unistd.h>

enum {
    HUGE_FROM = 300, /* names: more than a glance takes in */
    A_TURN = 9000,   /* names: more than one turn of searches looks at */
};
enum { THREADS = 4, DEADLINE_MS = 10000 }; /* of libuv's pool, if nobody says otherwise */

static struct {
    struct scratch at;
    uv_loop_t loop;
    uv_timer_t tick; /* so that a loop that waits looks up now and then */
    struct identity ids[2];
    struct pool pool;
    struct conn_env env;
    struct shares shares;
    struct server *server;
    uv_work_t work[2 * THREADS];
    uv_sem_t begun, go_on;
    bool counted, answered, closed;
} t;

static void on_tick(uv_timer_t *timer) {}

/* Runs the loop until *flag, or until the time is up. */
static bool comes(const bool *flag) {
    uint64_t end = uv_now(&t.loop) + DEADLINE_MS;

    while (!*flag && uv_now(&t.loop) < end)
        uv_run(&t.loop, UV_RUN_ONCE);
    return *flag;
}

static void on_event(void *owner, const struct server_event *e) {
    t.counted = t.counted || e->kind == SERVER_COUNTED;
}

static void on_closed(void *owner) { t.closed = true; }

static int setup(void **state) {
    struct server_options o = {.loop = &t.loop,
                               .id = &t.ids[0],
                               .shares = &t.shares,
                               .name = "there",
                               .on_event = on_event,
                               .on_closed = on_closed};

    t.counted = t.answered = t.closed = false;
    scratch_make(&t.at);
    scratch_file(&t.at, "film", "a film");
    for (unsigned i = 0; i < 2; i++) {
        char name[8], path[128];
        snprintf(name, sizeof name, "id%u", i);
        scratch_dir(&t.at, name);
        snprintf(path, sizeof path, "%s/%s", t.at.path, name);
        assert_int_equal(identity_load(&t.ids[i], path), 0);
    }
    assert_int_equal(uv_loop_init(&t.loop), 0);
    uv_timer_init(&t.loop, &t.tick);
    uv_timer_start(&t.tick, on_tick, 50, 50);
    assert_int_equal(pool_init(&t.pool, 2), 0);
    assert_int_equal(conn_env_init(&t.env, &t.loop, TLS_DIALLER, &t.ids[1], &t.pool), 0);
    assert_int_equal(shares_add(&t.shares, t.at.path), 0);
    assert_int_equal(server_new(&t.server, &o), 0);
    assert_true(comes(&t.counted));
    return 0;
}

static int teardown(void **state) {
    uv_close((uv_handle_t *)&t.tick, NULL);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&t.loop), 0);
    conn_env_clear(&t.env);
    pool_clear(&t.pool);
    shares_clear(&t.shares);
    for (unsigned i = 0; i < 2; i++)
        identity_clear(&t.ids[i]);
    scratch_remove(&t.at);
    return 0;
}

/* ---- all workers are busy ---- */

static void wait_for_go(uv_work_t *work) {
    uv_sem_post(&t.begun);
    uv_sem_wait(&t.go_on);
}

static void went(uv_work_t *work, int status) {}

/* Queues what holds all workers: `first` of t.work and the next ones. */
static void queue_holds(unsigned first) {
    for (unsigned i = first; i < first + THREADS; i++)
        assert_int_equal(uv_queue_work(&t.loop, &t.work[i], wait_for_go, went), 0);
}

static void wait_until_held(void) {
    for (unsigned i = 0; i < THREADS; i++)
        uv_sem_wait(&t.begun);
}

static void hold_workers(void) {
    uv_sem_init(&t.begun, 0);
    uv_sem_init(&t.go_on, 0);
    queue_holds(0);
    wait_until_held();
}

static void let_workers_go(void) {
    for (unsigned i = 0; i < THREADS; i++)
        uv_sem_post(&t.go_on);
}

/* What was queued since they are held is done, the loop does not know it, they are held again. */
static void let_workers_do_what_is_queued(void) {
    queue_holds(THREADS);
    let_workers_go();
    wait_until_held();
}

/* ---- the test ---- */

static void on_done(void *owner, int why, const char *text, const struct query_peer *peer,
                    const struct query_info *info) {
    t.answered = true;
}

static const struct query_handler query_events = {.on_done = on_done};

/* A search of all that is shared takes long: whoever asks for one and goes, again and again, must
 * not leave a heap of them. */
static void who_has_gone_gets_no_search(void **state) {
    struct query_request r = {.kind = QUERY_FIND, .arg = "film", .timeout_ms = 200};
    struct sockaddr_in *to = (struct sockaddr_in *)&r.to.addrs[0];
    struct query *q;
    bool closed;

    uv_ip4_addr("127.0.0.1", server_port(t.server), to);
    r.to.n_addrs = 1;
    hold_workers();
    assert_int_equal(query_start(&q, &t.env, &r, &query_events, NULL), 0);
    assert_true(comes(&t.answered)); /* by its own clock: nobody searches */
    server_close(t.server);
    closed = comes(&t.closed);
    let_workers_go();
    assert_true(closed);
}

/* ---- walks in turn ---- */

struct asker {
    struct conn *conn;
    const char *below; /* what it opens of the share, "" for all */
    bool searches, opened, found, informed;
    uint64_t steps;
};

static int heard(struct conn *c, const struct msg *m) {
    struct asker *a = conn_owner(c);

    a->opened = a->opened || m->type == WIRE_OPENED;
    a->found = a->found || (m->type == WIRE_FOUND && m->flags & WIRE_LAST);
    if (m->type == WIRE_INFO) {
        a->informed = true;
        a->steps = m->info.steps;
    }
    return 0;
}

static void over(struct conn *c, int why, const char *text) {
    ((struct asker *)conn_owner(c))->conn = NULL;
}

static const struct conn_handler talk = {.on_message = heard, .on_closed = over};

static void on_dialled(void *owner, int why, const char *text, struct conn *c) {
    const char *share = strrchr(t.at.path, '/') + 1;
    struct msg m = {.type = WIRE_OPEN, .req = 1};
    struct asker *a = owner;
    char path[256];

    assert_int_equal(why, 0);
    a->conn = c;
    conn_set_handler(c, &talk, a);
    snprintf(path, sizeof path, "%s%s", share, a->below ? a->below : "");
    m.open.path = (struct bytes){(const uint8_t *)path, strlen(path)};
    if (a->searches)
        m = (struct msg){.type = WIRE_FIND, .req = 1, .find.pattern = {(const uint8_t *)"no", 2}};
    assert_int_equal(conn_send(c, &m), 0);
}

static const struct dial_handler dial_events = {.on_done = on_dialled};

static struct responder_host *host(void) { return (struct responder_host *)t.server; }

static unsigned n_opens(void) {
    unsigned n = 0;

    for (const struct open_job *job = host()->opens; job; job = job->next)
        n++;
    return n;
}

static void until_opens(unsigned n) {
    for (uint64_t end = uv_now(&t.loop) + DEADLINE_MS; n_opens() != n;) {
        assert_true(uv_now(&t.loop) < end);
        uv_run(&t.loop, UV_RUN_ONCE);
    }
}

static void ask(struct asker *a) {
    struct endpoint to = {.n_addrs = 1};
    struct dial *d;

    uv_ip4_addr("127.0.0.1", server_port(t.server), (struct sockaddr_in *)&to.addrs[0]);
    assert_int_equal(dial_start(&d, &t.env, &to, &dial_events, a), 0);
}

static void open_share(struct asker *a) {
    unsigned before = n_opens();

    ask(a);
    until_opens(before + 1);
}

/* Those who are still there, and the server. */
static void close_all(struct asker *all, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        if (all[i].conn)
            conn_close(all[i].conn, 0);
    server_close(t.server);
    assert_true(comes(&t.closed));
}

static uint64_t ask_steps(struct asker *a) {
    const struct msg m = {.type = WIRE_INFO_GET, .req = 2};

    a->informed = false;
    assert_int_equal(conn_send(a->conn, &m), 0);
    assert_true(comes(&a->informed));
    return a->steps;
}

/* Names of one file: ext4 takes its time to find a place for thousands of new ones. */
static void make_songs(unsigned n) {
    char name[16];

    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof name, "song %u", i);
        assert_int_equal(linkat(t.at.fd, "film", t.at.fd, name, 0), 0);
    }
}

static void until_none_glances(void) {
    bool glances;

    do {
        uv_run(&t.loop, UV_RUN_ONCE);
        glances = false;
        for (const struct open_job *job = host()->opens; job; job = job->next)
            glances = glances || job->state == OPEN_GLANCES;
    } while (glances);
}

/* All look at a glance; of those who open something huge two walk. Who waits hears that those move,
 * and leaves the queue when it goes. */
static void huge_walks_take_turns(void **state) {
    static struct asker all[5];
    struct asker *walks[4], *waits[4];
    unsigned n_walks = 0, n_waits = 0, i = 0;
    struct open_job *walking = NULL, *last = NULL;

    memset(all, 0, sizeof all);
    make_songs(HUGE_FROM);
    hold_workers();
    for (i = 0; i < 4; i++)
        open_share(&all[i]);
    for (const struct open_job *job = host()->opens; job; job = job->next)
        assert_int_equal(job->state, OPEN_GLANCES);
    let_workers_do_what_is_queued();
    until_none_glances();
    i = 0;
    for (struct open_job *job = host()->opens; job; job = job->next, i++) {
        job->watch.seen = 0;
        if (job->state == OPEN_WALKS) {
            walks[n_walks++] = &all[i];
            walking = job;
        } else {
            waits[n_waits++] = &all[i];
        }
    }
    assert_int_equal(n_walks, 2);
    assert_int_equal(n_waits, 2);
    assert_int_equal(ask_steps(waits[0]), 0);
    walking->watch.seen = 5;
    assert_int_equal(ask_steps(walks[1]), 5);
    assert_int_equal(ask_steps(waits[0]), 5);
    assert_int_equal(ask_steps(waits[1]), 5);

    all[4].below = "/film";
    open_share(&all[4]);
    for (last = host()->opens; last->next; last = last->next)
        ;
    assert_int_equal(last->state, OPEN_GLANCES); /* it does not wait for those before it */
    conn_close(waits[0]->conn, 0);
    until_opens(4);
    let_workers_go();
    assert_true(comes(&all[4].opened) && comes(&waits[1]->opened));
    assert_true(comes(&walks[0]->opened) && comes(&walks[1]->opened));
    assert_false(waits[0]->opened);
    assert_null(host()->opens);
    assert_true(host()->walked > 5);
    close_all(all, 5);
}

/* 256 names are seen at a glance, one more is not. */
static void a_glance_takes_in_so_much(void **state) {
    static struct asker all[2];
    char name[16];

    memset(all, 0, sizeof all);
    scratch_dir(&t.at, "less");
    scratch_dir(&t.at, "more");
    for (unsigned i = 0; i < 257; i++) {
        snprintf(name, sizeof name, "more/%u", i);
        scratch_file(&t.at, name, "");
        if (i < 256) {
            snprintf(name, sizeof name, "less/%u", i);
            scratch_file(&t.at, name, "");
        }
    }
    hold_workers();
    all[0].below = "/less";
    all[1].below = "/more";
    open_share(&all[0]);
    open_share(&all[1]);
    let_workers_do_what_is_queued();
    until_none_glances();
    assert_int_equal(n_opens(), 1);
    assert_int_equal(host()->opens->state, OPEN_WALKS);
    assert_true(comes(&all[0].opened));
    assert_false(all[1].opened);
    let_workers_go();
    assert_true(comes(&all[1].opened));
    close_all(all, 2);
}

/* Who waits for a worker moves as those move who have one. */
static void a_glance_that_is_queued_moves(void **state) {
    static struct asker all[2];

    memset(all, 0, sizeof all);
    hold_workers();
    open_share(&all[0]);
    open_share(&all[1]);
    assert_int_equal(ask_steps(&all[1]), 0);
    host()->opens->watch.seen = 5;
    assert_int_equal(ask_steps(&all[1]), 5);
    let_workers_go();
    assert_true(comes(&all[0].opened) && comes(&all[1].opened));
    close_all(all, 2);
}

/* Who goes while a glance is queued, or done but not heard of, gets no walk. */
static void who_has_gone_gets_no_walk(void **state) {
    static struct asker all[2];

    memset(all, 0, sizeof all);
    make_songs(HUGE_FROM);
    hold_workers();
    open_share(&all[0]);
    open_share(&all[1]);
    conn_close(all[0].conn, 0);
    until_opens(1);
    let_workers_do_what_is_queued();
    host()->opens->watch.stop = true; /* as responder_stop_open does */
    until_opens(0);
    let_workers_go();
    conn_close(all[1].conn, 0);
    server_close(t.server);
    assert_true(comes(&t.closed));
    assert_false(all[0].opened || all[1].opened);
}

/* ---- searches in turn ---- */

/* How many there are, or are in the turn that a worker has. */
static unsigned n_searches(bool in_turn) {
    unsigned n = 0;

    for (const struct responder *r = host()->first; r; r = r->next)
        n += r->listing && (r->listing->in_turn || !in_turn);
    return n;
}

static void until_searches(unsigned n) {
    for (uint64_t end = uv_now(&t.loop) + DEADLINE_MS; n_searches(false) != n;) {
        assert_true(uv_now(&t.loop) < end);
        uv_run(&t.loop, UV_RUN_ONCE);
    }
}

/* However many peers search at a time, there are workers for those who read. */
static void searches_take_turns(void **state) {
    static struct asker all[4];

    memset(all, 0, sizeof all);
    hold_workers();
    for (unsigned i = 0; i < 4; i++) {
        all[i].searches = true;
        ask(&all[i]);
        until_searches(i + 1);
    }
    assert_int_equal(n_searches(true), 1);
    conn_close(all[3].conn, 0);
    until_searches(3);
    let_workers_go();
    assert_true(comes(&all[0].found) && comes(&all[1].found) && comes(&all[2].found));
    assert_false(all[3].found);
    assert_int_equal(n_searches(false), 0);
    close_all(all, 4);
}

static void until_turns(uint64_t n) {
    for (uint64_t end = uv_now(&t.loop) + DEADLINE_MS; host()->turns < n;) {
        assert_true(uv_now(&t.loop) < end);
        uv_run(&t.loop, UV_RUN_ONCE);
    }
}

/* A turn looks at so many names, whoever needs them: those whom it did not reach are the first of
 * the next one. */
static void who_was_not_reached_is_next(void **state) {
    static struct asker all[3];
    const struct listing *a, *b, *c;

    memset(all, 0, sizeof all);
    make_songs(A_TURN);
    hold_workers();
    for (unsigned i = 0; i < 3; i++) {
        all[i].searches = true;
        ask(&all[i]);
        until_searches(i + 1);
    }
    a = host()->turn;
    b = host()->listings;
    c = b->next;
    assert_null(c->next);
    let_workers_go();
    until_turns(1);
    assert_ptr_equal(host()->turn, b);
    assert_ptr_equal(b->next, c);
    assert_true(a->waits);
    until_turns(2); /* b has used it up */
    assert_ptr_equal(host()->turn, c);
    assert_ptr_equal(c->next, a);
    assert_true(b->waits);
    assert_false(all[0].found || all[1].found || all[2].found);
    assert_true(comes(&all[0].found) && comes(&all[1].found) && comes(&all[2].found));
    assert_int_equal(n_searches(false), 0);
    close_all(all, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_has_gone_gets_no_search, setup, teardown),
        cmocka_unit_test_setup_teardown(huge_walks_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(a_glance_takes_in_so_much, setup, teardown),
        cmocka_unit_test_setup_teardown(a_glance_that_is_queued_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(who_has_gone_gets_no_walk, setup, teardown),
        cmocka_unit_test_setup_teardown(searches_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(who_was_not_reached_is_next, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
