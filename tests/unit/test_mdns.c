/* SPDX-License-Identifier: MIT */
/* announce and browse against backends that do what the test says, and count what is asked. */
#include "discovery/announce.h"
#include "discovery/browse.h"
#include "discovery/seek.h"
#include "tests/unit/fake_avahi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

enum { DEADLINE_MS = 8000, TICK_MS = 5 };

static struct user {
    uv_loop_t loop;
    uv_timer_t tick;
    struct browse *browse;
    struct announce *announce;
    unsigned n_peers, n_gone, n_settled, n_problems, n_established, n_closed;
    uint16_t port;
    char name[64], problem[256];
    uint64_t started_ms;
} u;

static uint64_t now_ms(void) { return uv_hrtime() / 1000000; }

static void on_peer(void *owner, const struct peer *p) {
    u.n_peers++;
    u.port = p->port;
    assert_string_equal(p->version, "1");
}

static void on_gone(void *owner, const struct peer *p) { u.n_gone++; }
static void on_settled(void *owner) { u.n_settled++; }

static void on_problem(void *owner, const char *text) {
    u.n_problems++;
    snprintf(u.problem, sizeof u.problem, "%s", text);
}

static void on_established(void *owner, const char *name) {
    u.n_established++;
    snprintf(u.name, sizeof u.name, "%s", name);
}

static void on_closed(void *owner) { u.n_closed++; }

static const struct browse_handler browser = {on_peer, on_gone, on_settled, on_problem};
static const struct announce_handler announcer = {on_established, on_problem};

static void on_tick(uv_timer_t *t) {}

static int setup(void **state) {
    memset(&u, 0, sizeof u);
    fake_reset();
    uv_loop_init(&u.loop);
    uv_timer_init(&u.loop, &u.tick);
    uv_timer_start(&u.tick, on_tick, TICK_MS, TICK_MS);
    u.started_ms = now_ms();
    return 0;
}

/* Every test ends with an empty loop and nothing open in Avahi. */
static int teardown(void **state) {
    uv_close((uv_handle_t *)&u.tick, NULL);
    uv_run(&u.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&u.loop), 0);
    assert_int_equal(fake_daemon.n_open + fake_embedded.n_open, 0);
    assert_int_equal(fake_daemon.n_resolvers + fake_embedded.n_resolvers, 0);
    return 0;
}

#define until(condition)                                                                           \
    do {                                                                                           \
        uint64_t deadline = now_ms() + DEADLINE_MS;                                                \
        while (!(condition) && now_ms() < deadline)                                                \
            uv_run(&u.loop, UV_RUN_ONCE);                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static void start_browse(void) {
    assert_int_equal(browse_start(&u.browse, &u.loop, &browser, NULL), 0);
}

static void start_announce(void) {
    const struct announce_options o = {"anna", ID, "1", 5000};
    assert_int_equal(announce_start(&u.announce, &u.loop, &o, &announcer, NULL), 0);
}

static void close_both(void) {
    unsigned n = u.n_closed + !!u.browse + !!u.announce;
    uint64_t start = now_ms();
    if (u.browse)
        browse_close(u.browse, on_closed);
    if (u.announce)
        announce_close(u.announce, on_closed);
    until(u.n_closed == n);
    assert_true(now_ms() - start < 1000);
}

static bool backend_is(const char *name) { return strcmp(browse_backend(u.browse), name) == 0; }

static void the_daemon_is_used_if_it_answers(void **state) {
    fake_daemon.state = BACKEND_RUNNING;
    fake_daemon.n_services = 3;
    start_browse();
    start_announce();
    until(u.n_peers == 3 && u.n_settled == 1 && u.n_established == 1);
    assert_true(now_ms() - u.started_ms < BROWSE_SETTLE_MS);
    assert_string_equal(u.name, "anna");
    assert_true(backend_is("avahi-daemon"));
    assert_string_equal(announce_backend(u.announce), "avahi-daemon");
    close_both();
    assert_int_equal(fake_embedded.n_opened, 0);
}

static void without_dbus_we_respond_ourselves(void **state) {
    fake_embedded.n_services = 1;
    start_browse();
    until(u.n_peers == 1);
    assert_true(now_ms() - u.started_ms < 250);
    assert_true(backend_is("embedded"));
    close_both();
}

static void with_dbus_a_daemon_may_come_for_a_moment(void **state) {
    fake_daemon.state = BACKEND_ABSENT;
    start_browse();
    until(backend_is("embedded"));
    assert_true(now_ms() - u.started_ms >= 250);
    close_both();
}

static void a_daemon_that_comes_later_takes_over(void **state) {
    fake_daemon.state = BACKEND_ABSENT;
    start_announce();
    until(u.n_established == 1);
    assert_string_equal(announce_backend(u.announce), "embedded");
    fake_daemon.state = BACKEND_STARTING; /* from now on it must be alone */
    until(fake_embedded.n_open == 0);
    fake_daemon.state = BACKEND_RUNNING;
    until(u.n_established == 2);
    assert_string_equal(announce_backend(u.announce), "avahi-daemon");
    close_both();
}

static void a_daemon_that_dies_is_waited_for(void **state) {
    fake_daemon.state = BACKEND_RUNNING;
    fake_daemon.n_services = 2;
    start_announce();
    start_browse();
    until(u.n_established == 1 && u.n_peers == 2);
    fake_daemon.state = BACKEND_DEAD;
    until(u.n_problems == 2 && fake_daemon.n_open == 0);
    fake_daemon.state = BACKEND_RUNNING;
    until(u.n_established == 2);
    until(fake_daemon.n_resolvers == 2);
    assert_int_equal(fake_embedded.n_opened, 0);
    assert_int_equal(u.n_peers, 2); /* nothing new, and nobody was gone */
    assert_int_equal(u.n_gone, 0);
    close_both();
}

static void a_daemon_that_hangs_does_not_hold_us(void **state) {
    fake_daemon.hang = true;
    start_browse();
    sem_wait(&fake_hung);
    until(u.n_settled == 1);
    until(u.n_problems >= 1);
    assert_non_null(strstr(u.problem, "does not answer"));
    assert_true(backend_is(""));
    browse_refresh(u.browse);
    close_both();
    assert_int_equal(u.n_closed, 1);
    fake_daemon.state = BACKEND_RUNNING;
    sem_post(&fake_released); /* now the thread that was left behind cleans up */
    sem_wait(&fake_freed);
}

static void a_closed_loop_is_not_woken(void **state) {
    fake_daemon.hang = true;
    start_announce();
    sem_wait(&fake_hung);
    announce_close(u.announce, NULL); /* without on_closed: that is allowed */
    u.announce = NULL;
    uint64_t start = now_ms();
    until(now_ms() - start > 400);
    fake_daemon.state = BACKEND_RUNNING;
    sem_post(&fake_released);
    sem_wait(&fake_freed);
}

static void a_collision_takes_the_next_name(void **state) {
    fake_daemon.state = BACKEND_RUNNING;
    fake_daemon.collisions = 2;
    start_announce();
    until(u.n_established == 1);
    assert_string_equal(u.name, "anna #3");
    assert_int_equal(fake_daemon.n_published, 1);
    close_both();
    assert_int_equal(fake_daemon.n_published, 0);
}

static void a_flood_of_services_is_bounded(void **state) {
    fake_daemon.state = BACKEND_RUNNING;
    fake_daemon.n_services = 10000;
    start_browse();
    until(u.n_peers >= ANSWERS_PEERS_MAX);
    until(u.n_problems >= 2); /* the thread's limit of services, the loop's of peers */
    assert_int_equal(u.n_peers, ANSWERS_PEERS_MAX);
    assert_true(fake_daemon.n_resolvers_max <= SEEK_RESOLVERS);
    close_both();
}

static void closing_in_a_flood_is_safe(void **state) {
    fake_daemon.state = BACKEND_RUNNING;
    fake_daemon.n_services = 10000;
    start_browse();
    until(u.n_peers > 0);
    close_both();
    unsigned n = u.n_peers;
    uv_run(&u.loop, UV_RUN_NOWAIT);
    assert_int_equal(u.n_peers, n);
}

static void a_refresh_tells_what_changed(void **state) {
    fake_daemon.state = BACKEND_RUNNING;
    fake_daemon.n_services = 1;
    start_browse();
    until(u.n_peers == 1);
    fake_daemon.port = 6000;
    browse_refresh(u.browse);
    until(u.n_peers == 2);
    assert_int_equal(u.port, 6000);
    close_both();
}

static void a_goodbye_is_told(void **state) {
    fake_daemon.state = BACKEND_RUNNING;
    fake_daemon.n_services = 2;
    start_browse();
    until(u.n_peers == 2);
    fake_daemon.n_services = 0;
    until(u.n_gone == 2);
    close_both();
}

static void nobody_is_told_after_a_while(void **state) {
    fake_daemon.state = BACKEND_RUNNING;
    start_browse();
    until(u.n_settled == 1);
    assert_true(now_ms() - u.started_ms >= BROWSE_SETTLE_MS - 50);
    assert_int_equal(u.n_peers, 0);
    close_both();
}

static void the_mute_do_not_delay_the_settling(void **state) {
    fake_daemon.state = BACKEND_RUNNING;
    fake_daemon.n_services = 200;
    fake_daemon.mute = true;
    start_browse();
    until(u.n_settled == 1);
    assert_true(now_ms() - u.started_ms < BROWSE_SETTLE_MS + 500);
    assert_int_equal(u.n_peers, 0);
    close_both();
}

static void wrong_options_are_refused(void **state) {
    static const struct announce_options bad[] = {{"", ID, "1", 5000},
                                                  {"a\xff", ID, "1", 5000},
                                                  {"anna", "abc", "1", 5000},
                                                  {"anna", ID, "a b", 5000},
                                                  {"anna", ID, "1", 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(announce_start(&u.announce, &u.loop, &bad[i], &announcer, NULL),
                         UV_EINVAL);
    u.announce = NULL;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_daemon_is_used_if_it_answers),
        TEST(without_dbus_we_respond_ourselves),
        TEST(with_dbus_a_daemon_may_come_for_a_moment),
        TEST(a_daemon_that_comes_later_takes_over),
        TEST(a_daemon_that_dies_is_waited_for),
        TEST(a_daemon_that_hangs_does_not_hold_us),
        TEST(a_closed_loop_is_not_woken),
        TEST(a_collision_takes_the_next_name),
        TEST(a_flood_of_services_is_bounded),
        TEST(closing_in_a_flood_is_safe),
        TEST(a_refresh_tells_what_changed),
        TEST(a_goodbye_is_told),
        TEST(nobody_is_told_after_a_while),
        TEST(the_mute_do_not_delay_the_settling),
        TEST(wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
