/* SPDX-License-Identifier: MIT */
/* What arrives is what is there. */
#include "pair.h"

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

/* A hole of many chunks takes a word, and a chunk that is one in part the blocks with bytes. */
static void holes_are_not_sent(void **state) {
    struct pair *p = *state;

    run_shell(p,
              "truncate -s 64G share/hole; touch -d @1000000000 share/hole; for at in 0 5 40; do "
              "printf x | dd of=share/hole bs=1 seek=${at}000000000 conv=notrunc status=none; "
              "done; touch -d @1000000000 share/hole");
    assert_int_equal(fetch_all(p, "share/hole", "hole"), 0);
    assert_int_equal(p->fetched, 3 * MIB);
    assert_int_equal(p->zeros, ((uint64_t)64 << 30) - 3 * MIB);
    assert_int_equal(p->reused, 0);
    run_shell(p, "test $(stat -c %b out/hole) -le 24; for at in 0 5 40; do test $(dd if=out/hole "
                 "bs=1 skip=${at}000000000 count=1 status=none) = x; done");
}

static uint64_t enough; /* bytes that are here: the run may be stopped */

static void stop_with_more(struct pair *p, const struct fetch_event *e) {
    if (e->done > enough)
        stop_early(p, e);
}

/* Stopped in the middle, again and again, it fetches each chunk once. However fast it goes, each
 * run brings more than the ones before: so there is a last one. */
static void stopped_goes_on(void **state) {
    struct pair *p = *state;
    uint64_t fetched = 0;

    make_big(p);
    p->on_progress = stop_with_more;
    enough = BIG / 16;
    while (fetch_all(p, "share/big", "big") == ERR_STOPPED) {
        assert_true(p->incomplete);
        assert_true(p->fetched > 0);
        fetched += p->fetched;
        assert_int_equal(p->fetched + p->reused, fetched);
        assert_false(scratch_has(&p->at, "out/big"));
        enough = fetched + BIG / 16;
    }
    assert_int_equal(p->why, 0);
    assert_true(fetched > 0);
    assert_int_equal(fetched + p->fetched, BIG);
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

static void stop_when_lost(struct pair *p, const struct fetch_event *e) {
    if (p->fetch && e->kind == FETCH_SOURCE)
        fetch_stop(p->fetch);
}

/* Also when the loss would have been the end by itself. */
static void a_loss_may_stop_it(void **state) {
    static const uint8_t nobody[1][KEY_LEN];
    struct pair *p = *state;
    struct server_options o = {.loop = &p->loop,
                               .id = &p->there,
                               .shares = &p->shares,
                               .name = "there",
                               .rules = {.only = nobody, .n_only = 1}};

    server_close(p->server);
    assert_int_equal(server_new(&p->server, &o), 0);
    p->port = server_port(p->server);
    p->on_progress = stop_when_lost;
    assert_int_equal(fetch_all(p, "share/a", "a"), ERR_STOPPED);
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

    make_big(p);
    p->on_progress = restart_server;
    assert_int_equal(fetch_all(p, "share/big", "big"), 0);
    assert_null(p->on_progress); /* it was restarted */
    assert_int_equal(p->fetched, BIG);
    run_shell(p, "cmp share/big out/big");
}

/* ---- a second peer with the same file ---- */

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

    make_big(p);
    start_second(p);
    p->on_progress = leave_for_good;
    p->second_port = server_port(second.server);
    assert_int_equal(fetch_all(p, "share/big", "big"), 0);
    assert_null(p->server);
    assert_int_equal(p->fetched, BIG);
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
        cmocka_unit_test_setup_teardown(holes_are_not_sent, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(tree_arrives, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(stopped_goes_on, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(existing_target_stays, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(missing_name_is_said, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(a_loss_may_stop_it, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(restarted_server_is_found, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(other_source_takes_over, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(changed_key_is_refused, make_pair, drop_pair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
