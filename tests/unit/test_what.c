/* SPDX-License-Identifier: MIT */
#include "cli/what.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ID8 "abcdefg2"

/* What a word means: kind, name or host, id, port, path. */
struct meaning {
    const char *word;
    int kind;
    const char *name, *id;
    uint16_t port;
    const char *path;
};

static void check(const struct what *w, const struct meaning *m) {
    assert_int_equal(w->peer.kind, m->kind);
    assert_string_equal(w->path, m->path);
    if (m->kind == PEER_NAME) {
        assert_string_equal(w->peer.name, m->name);
        assert_string_equal(w->peer.id, m->id);
    }
    if (m->kind == PEER_ADDR) {
        assert_string_equal(w->peer.host, m->name);
        assert_int_equal(w->peer.port, m->port);
    }
}

static void parses_downloads(void **state) {
    static const struct meaning cases[] = {
        {"film.mkv", PEER_ANY, "", "", 0, "film.mkv"},
        {"Music/a/b.flac", PEER_ANY, "", "", 0, "Music/a/b.flac"},
        {"Music/", PEER_ANY, "", "", 0, "Music"},
        {"anna:film.mkv", PEER_NAME, "anna", "", 0, "film.mkv"},
        {"anna:/Music/", PEER_NAME, "anna", "", 0, "Music"},
        {"Anna's laptop:x", PEER_NAME, "Anna's laptop", "", 0, "x"},
        {"anna #2:x", PEER_NAME, "anna #2", "", 0, "x"},
        {"anna#" ID8 ":x", PEER_NAME, "anna", ID8, 0, "x"},
        {"a#b#" ID8 ":x", PEER_NAME, "a#b", ID8, 0, "x"},
        {"anna#ABCDEFG2:x", PEER_NAME, "anna#ABCDEFG2", "", 0, "x"},
        {"anna:a:b", PEER_NAME, "anna", "", 0, "a:b"},
        {"anna:2024", PEER_NAME, "anna", "", 0, "2024"},
        {"anna:5000:x", PEER_ADDR, "anna", "", 5000, "x"},
        {"anna:5000:x:y", PEER_ADDR, "anna", "", 5000, "x:y"},
        {"10.0.0.1:x", PEER_ADDR, "10.0.0.1", "", 5000, "x"},
        {"10.0.0.1:70000:x", PEER_ADDR, "10.0.0.1", "", 5000, "70000:x"},
        {"10.0.0.1:6000:x", PEER_ADDR, "10.0.0.1", "", 6000, "x"},
        {"[fe80::1%eth0]:6000:x", PEER_ADDR, "fe80::1%eth0", "", 6000, "x"},
        {"[::1]:x", PEER_ADDR, "::1", "", 5000, "x"},
        {"[::1]:6000x", PEER_ADDR, "::1", "", 5000, "6000x"},
        {":x", PEER_ANY, "", "", 0, ":x"},
        {"[x]:y", PEER_ANY, "", "", 0, "[x]:y"},
        {"anna:", PEER_NAME, "anna", "", 0, ""},
        {"\xff", PEER_ANY, "", "", 0, "\xff"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct what w;

        assert_int_equal(what_parse(&w, cases[i].word), 0);
        check(&w, &cases[i]);
    }
}

static void parses_listings(void **state) {
    static const struct meaning cases[] = {
        {"anna", PEER_NAME, "anna", "", 0, ""},
        {"anna:Music", PEER_NAME, "anna", "", 0, "Music"},
        {"anna:2024/", PEER_NAME, "anna", "", 0, "2024"},
        {"nas.lan:5001", PEER_ADDR, "nas.lan", "", 5001, ""},
        {"10.0.0.1:5001", PEER_ADDR, "10.0.0.1", "", 5001, ""},
        {"10.0.0.1:5001:a", PEER_ADDR, "10.0.0.1", "", 5001, "a"},
        {"fe80::1", PEER_ADDR, "fe80::1", "", 5000, ""},
        {"[fe80::1]", PEER_ADDR, "fe80::1", "", 5000, ""},
        {"[fe80::1]:5001", PEER_ADDR, "fe80::1", "", 5001, ""},
        {"anna#" ID8, PEER_NAME, "anna", ID8, 0, ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct what w;

        assert_int_equal(what_parse_listed(&w, cases[i].word), 0);
        check(&w, &cases[i]);
    }
}

static void refuses(void **state) {
    static const char *const downloads[] = {"a/../b", "..", "anna:a//b", "anna:./x", "10.0.0.1:.."};
    static const char *const peers[] = {"", "anna:x", "[::1", "[x]", "[::1]x", ("#" ID8), ":5000"};
    char longest[8000];
    struct peer_spec p;
    struct what w;

    for (size_t i = 0; i < sizeof downloads / sizeof *downloads; i++)
        assert_int_equal(what_parse(&w, downloads[i]), -EINVAL);
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++)
        assert_int_equal(what_parse_peer(&p, peers[i]), -EINVAL);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(what_parse(&w, longest), -EINVAL);
    assert_int_equal(what_parse_peer(&p, longest), -EINVAL);
    longest[300] = ':'; /* too long for a peer, and no name of a file either */
    assert_int_equal(what_parse(&w, longest), -EINVAL);
}

/* HOST PORT NAME: who it is was said before. */
static void takes_a_path_as_it_is(void **state) {
    static const char *const same[] = {"x:", ":", "anna:x", "a:b/..c", "[::1]:5000:x", "odd/x:"};
    static const char *const none[] = {"", "/", "..", "a:/../b", "x:/."};
    struct what w;

    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_int_equal(what_parse_path(&w, same[i]), 0);
        assert_int_equal(w.peer.kind, PEER_ANY);
        assert_string_equal(w.path, same[i]);
    }
    assert_int_equal(what_parse_path(&w, "/film:/"), 0);
    assert_string_equal(w.path, "film:");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(what_parse_path(&w, none[i]), -EINVAL);
}

static void takes_host_and_port(void **state) {
    struct peer_spec p;

    assert_int_equal(what_parse_address(&p, "nas", "5000"), 0);
    assert_string_equal(p.host, "nas");
    assert_int_equal(p.port, 5000);
    assert_int_equal(what_parse_address(&p, "[::1]", "65535"), 0);
    assert_string_equal(p.host, "::1");
    assert_int_equal(what_parse_address(&p, "nas", "0"), -EINVAL);
    assert_int_equal(what_parse_address(&p, "nas", "65536"), -EINVAL);
    assert_int_equal(what_parse_address(&p, "nas", "50x"), -EINVAL);
    assert_int_equal(what_parse_address(&p, "nas", "000005000"), -EINVAL);
    assert_int_equal(what_parse_address(&p, "", "5000"), -EINVAL);
}

static void keeps_host_names_for_later(void **state) {
    struct peer_spec p;

    assert_int_equal(what_parse_peer(&p, "nas"), 0);
    assert_int_equal(p.kind, PEER_NAME);
    assert_string_equal(p.host, "nas");
    assert_int_equal(p.port, 5000);
    assert_int_equal(what_parse_peer(&p, "Anna's laptop"), 0);
    assert_string_equal(p.host, "");
    assert_int_equal(what_parse_peer(&p, "anna#" ID8), 0);
    assert_string_equal(p.host, "");
}

static void matches(void **state) {
    const char *key = ID8 "hijklmnopqrstuvwxyz234567abcdefghijklmnopqrst";
    struct peer_spec p;

    assert_int_equal(what_parse_peer(&p, "anna"), 0);
    assert_true(what_matches(&p, "anna", key));
    assert_false(what_matches(&p, "Anna", key));
    assert_int_equal(what_parse_peer(&p, "anna#" ID8), 0);
    assert_true(what_matches(&p, "anna", key));
    assert_false(what_matches(&p, "anna", "x" ID8));
    assert_int_equal(what_parse_peer(&p, "a\\b"), 0); /* raw as typed, or as it was shown */
    assert_true(what_matches(&p, "a\\\\b", key));
    assert_true(what_matches(&p, "a\\b", key));
    p.kind = PEER_ANY;
    assert_true(what_matches(&p, "x", key));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_downloads),
        cmocka_unit_test(parses_listings),
        cmocka_unit_test(refuses),
        cmocka_unit_test(takes_a_path_as_it_is),
        cmocka_unit_test(takes_host_and_port),
        cmocka_unit_test(keeps_host_names_for_later),
        cmocka_unit_test(matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
