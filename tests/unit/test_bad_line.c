/* SPDX-License-Identifier: MIT */
/* A connection that breaks at any byte, in any way: the download goes on by itself and ends right.
 *
 * Every frame of the conversation is at least 30 bytes on the line (8 of its own, 22 of TLS), so a
 * step of less hits each of them. LANYARD_EVERY_BYTE=1 hits every byte. */
#include "bad_line.h"
#include "pair.h"

enum {
    AT_ONCE = 48, /* downloads: each waits a little before it dials again; 60 an address */
    STEP = 29,
    WIDE_STEP = 113,
    WHOLE_MS = 100000,
    WHOLE_EVERY_BYTE_MS = 3600000,
};

/* Short times, for lines that stall: they bring a second attempt sooner, nothing else. */
static const struct patience hasty = {
    .connect = 5000,
    .tls = 1500,
    .hello = 1500,
    .auth = 1500,
    .admit = 4500,
    .dial = 10000,
    .ping = 700,
    .silence = 5000,
    .answer = 1500,
    .farewell = 500,
    .elsewhere = 1500,
    .pace = 1500,
    .hope = 3600000,
    .look = 50,
};

struct run {
    struct line line; /* first: the listener is the run */
    struct fetch *fetch;
    bool over, checked;
    int why;
    uint64_t fetched;
    char text[512];
};

static struct run runs[AT_ONCE];
static uint64_t total[2]; /* bytes that a sound download takes in each direction */
static unsigned n_hit;

static void on_run_event(void *owner, const struct fetch_event *e) {}

static void on_run_done(void *owner, const struct fetch_result *r) {
    struct run *run = owner;

    run->over = true;
    run->why = r->why;
    run->fetched = r->fetched;
    snprintf(run->text, sizeof run->text, "%s", r->text);
    line_close(&run->line);
}

static const struct fetch_handler run_events = {.on_event = on_run_event, .on_done = on_run_done};

static void start_run(struct pair *p, struct run *run, const struct fault *fault) {
    static struct fetch_source source;
    struct fetch_request r = {.sources = &source, .n_sources = 1, .name = "t"};
    char dir[64];

    memset(run, 0, sizeof *run);
    run->line.sound = !fault;
    if (fault)
        run->line.fault = *fault;
    snprintf(dir, sizeof dir, "out/%u", (unsigned)(run - runs));
    r.dir = in(p, dir);
    r.timeout_ms = 60000;
    line_open(&run->line, &p->loop, p->port);
    source.to.n_addrs = 1;
    uv_ip4_addr("127.0.0.1", run->line.port, (struct sockaddr_in *)&source.to.addrs[0]);
    strcpy(source.path, "share/t");
    assert_int_equal(fetch_start(&run->fetch, &p->env, &p->trust, &r, &run_events, run), 0);
}

/* What came is what is there; then its place is free for the next run. */
static void check_run(struct pair *p, struct run *run) {
    static const char *const kinds[] = {"cut", "reset", "half", "stall", "flip"};
    const struct fault *f = &run->line.fault;
    unsigned i = (unsigned)(run - runs);
    char script[256];

    if (run->why != 0)
        fail_msg("%s %s at byte %llu: %d: %s", run->line.sound ? "sound," : kinds[f->kind],
                 f->from == CLIENT ? "to the server" : "to the client", (unsigned long long)f->at,
                 run->why, run->text);
    snprintf(script, sizeof script,
             "diff -r --no-dereference share/t out/%u/t; rm -r out/%u/t; "
             "test -z \"$(ls -A out/%u)\"",
             i, i, i);
    run_shell(p, script);
    assert_true(run->fetched <= 2 * 3020);
    run->checked = true;
    n_hit += run->line.hit;
}

static bool every_byte(void) {
    const char *every = getenv("LANYARD_EVERY_BYTE");

    return every && *every == '1';
}

static void on_deadline_of_all(uv_timer_t *timer) { fail_msg("a download does not end"); }

/* All of them, AT_ONCE at a time. */
static void play(struct pair *p, const struct fault *faults, unsigned n) {
    unsigned started = 0, checked = 0;

    uv_timer_start(&p->deadline, on_deadline_of_all, every_byte() ? WHOLE_EVERY_BYTE_MS : WHOLE_MS,
                   0);
    for (unsigned i = 0; i < AT_ONCE && started < n; i++)
        start_run(p, &runs[i], faults ? &faults[started++] : (started++, NULL));
    while (checked < n) {
        uv_run(&p->loop, UV_RUN_ONCE);
        for (unsigned i = 0; i < AT_ONCE; i++) {
            struct run *run = &runs[i];

            if (!run->over || run->line.n_open || run->checked)
                continue;
            check_run(p, run);
            checked++;
            if (started < n)
                start_run(p, run, &faults[started++]);
        }
    }
    uv_timer_stop(&p->deadline);
}

static void play_everywhere(struct pair *p, int kind, unsigned step) {
    struct fault *faults;
    unsigned n = 0;

    play(p, NULL, 1);
    total[CLIENT] = runs[0].line.passed[CLIENT];
    total[SERVER] = runs[0].line.passed[SERVER];
    assert_true(total[CLIENT] > 500 && total[SERVER] > 3000);
    faults = calloc(total[CLIENT] + total[SERVER], sizeof *faults);
    assert_non_null(faults);
    for (int from = CLIENT; from <= SERVER; from++)
        for (uint64_t at = 0; at < total[from]; at += every_byte() ? 1 : step)
            faults[n++] = (struct fault){.kind = kind, .from = from, .at = at};
    n_hit = 0;
    play(p, faults, n);
    assert_true(n_hit >= n - n / 20); /* some lie behind the last byte that matters */
    print_message("%u downloads, %u hit\n", n, n_hit);
    free(faults);
}

static int make_tree(void **state) {
    struct pair *p;

    make_pair(state);
    p = *state;
    p->env.patience = &hasty;
    /* in memory if that can be had: many hundreds of downloads are synced */
    run_shell(p,
              "m=$(mktemp -d -p /dev/shm lanyard-test-XXXXXX) && rmdir out && ln -s $m out || :; "
              "for i in $(seq 0 95); do mkdir out/$i; done; "
              "mkdir share/t share/t/d; head -c 3000 /dev/urandom > share/t/d/f; "
              ": > share/t/none; echo 'younger than the walk' | head -c 20 > share/t/g; "
              "ln -s d/f share/t/link; touch -d '+1 hour' share/t/d/f share/t/g");
    return 0;
}

static int drop_tree(void **state) {
    run_shell(*state, "case $(readlink out) in /dev/shm/*) rm -r $(readlink out);; esac");
    return drop_pair(state);
}

static void cut_anywhere(void **state) { play_everywhere(*state, CUT, STEP); }

static void reset_anywhere(void **state) { play_everywhere(*state, RESET, WIDE_STEP); }

static void half_closed_anywhere(void **state) { play_everywhere(*state, HALF, WIDE_STEP); }

static void stalled_anywhere(void **state) { play_everywhere(*state, STALL, WIDE_STEP); }

static void flipped_anywhere(void **state) { play_everywhere(*state, FLIP, WIDE_STEP); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cut_anywhere, make_tree, drop_tree),
        cmocka_unit_test_setup_teardown(reset_anywhere, make_tree, drop_tree),
        cmocka_unit_test_setup_teardown(half_closed_anywhere, make_tree, drop_tree),
        cmocka_unit_test_setup_teardown(stalled_anywhere, make_tree, drop_tree),
        cmocka_unit_test_setup_teardown(flipped_anywhere, make_tree, drop_tree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
