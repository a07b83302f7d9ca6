/* SPDX-License-Identifier: MIT */
/* Transfers of what has a strange name: it arrives, and no sentence about it has it raw. */
#include "pair.h"

/* A sentence that can be printed, and be put into JSON. */
static void expect_clean(const char *text) {
    for (const char *at = text; *at; at++)
        if ((uint8_t)*at < ' ' || (uint8_t)*at > '~')
            fail_msg("byte %02x in: %s", (uint8_t)*at, text);
}

static void sentences_are_escaped(void **state) {
    struct pair *p = *state;
    const char name[] = "\x1b[31m\xff\n", shown[] = "\\x1b[31m\\xff\\x0a";
    char path[64];

    snprintf(path, sizeof path, "share/%s", name);
    assert_int_equal(fetch_all(p, path, name), WIRE_ERR(WIRE_NOT_FOUND));
    expect_clean(p->text);
    assert_non_null(strstr(p->text, shown));
    scratch_file(&p->at, path, "x");
    assert_int_equal(fetch_all(p, path, name), 0);
    scratch_file(&p->at, path, "another");
    assert_int_equal(fetch_all(p, path, name), ERR_EXISTS);
    expect_clean(p->text);
    assert_non_null(strstr(p->text, shown));
}

static int make_pair_with_hidden(void **state) { return make_pair_of(state, true); }

/* Neither dots, spaces, hyphens, bytes that are no text, nor 255 of them are in the way. */
static void names_of_any_bytes_arrive(void **state) {
    static const char *const names[] = {"...", "-rf", " ",    "x ",      "\\",
                                        "*",   "\t",  "\x7f", "\xff\xfe"};
    struct pair *p = *state;
    char name[256], path[300];

    for (size_t i = 0; i < sizeof names / sizeof *names + 3; i++) {
        memset(name, "a\xff\xa9"[i % 3], 255); /* \xa9 is no beginning of a character */
        name[255] = 0;
        if (i < sizeof names / sizeof *names)
            strcpy(name, names[i]);
        snprintf(path, sizeof path, "share/%s", name);
        scratch_file(&p->at, path, name);
        assert_int_equal(fetch_all(p, path, name), 0);
        snprintf(path, sizeof path, "out/%s", name);
        scratch_expect(&p->at, path, name);
    }
}

/* The 257th name of a path has no place in a manifest: all else arrives, and it is told. */
static void too_deep_is_told(void **state) {
    struct pair *p = *state;

    run_shell(p, "mkdir share/t; echo 1 > share/t/a; cd share/t; for i in $(seq 255); do mkdir d; "
                 "cd d; done; echo 2 > f");
    assert_int_equal(fetch_all(p, "share/t", "t"), 1);
    assert_int_equal(p->warnings, 1);
    run_shell(p, "rm $(cd share/t; find $PWD -name f); diff -r share/t out/t");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sentences_are_escaped, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(names_of_any_bytes_arrive, make_pair_with_hidden,
                                        drop_pair),
        cmocka_unit_test_setup_teardown(too_deep_is_told, make_pair, drop_pair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
