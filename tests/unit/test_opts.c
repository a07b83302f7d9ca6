/* SPDX-License-Identifier: MIT */
#include "cli/opts.h"

#include "cli/config.h"
#include "cli/say.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct target {
    bool flag, json;
    const char *text;
    struct opt_texts texts;
    uint64_t ms;
    int port;
};

static const struct usage usage = {
    .name = "test", .args = "A\nB C", .summary = "Do it", .details = "Like this.\n"};

/* Parses words (split at blanks, in place) and tells how many operands follow. */
static int parse(struct target *t, char *words, char **argv, int *operands) {
    const struct opt table[] = {
        {"flag", 'f', NULL, "a flag", OPT_FLAG, &t->flag},
        {"text", 't', "TEXT", "a text", OPT_TEXT, &t->text},
        {"peer", 0, "HOST", "texts", OPT_TEXTS, &t->texts},
        {"wait", 'w', "S", "seconds", OPT_SECONDS, &t->ms},
        {"port", 'p', "P", "a port", OPT_PORT, &t->port},
        OPT_COMMON(&t->json),
        {0},
    };
    int argc = 0, first = 0, err;

    *t = (struct target){0};
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
        argv[argc++] = w;
    argv[argc] = NULL;
    err = opts_parse(&usage, table, argc, argv, &first);
    *operands = argc - first;
    memmove(argv, argv + first, sizeof *argv * (size_t)(argc - first + 1));
    return err;
}

static void sets_targets(void **state) {
    char words[] = "test -f --text one --peer a x --peer=b --wait 0.25 -p 5001 y -- -z";
    char *argv[32];
    struct target t;
    int n;

    assert_int_equal(parse(&t, words, argv, &n), 0);
    assert_true(t.flag);
    assert_false(t.json);
    assert_string_equal(t.text, "one");
    assert_int_equal(t.texts.n, 2);
    assert_string_equal(t.texts.text[1], "b");
    assert_int_equal(t.ms, 250);
    assert_int_equal(t.port, 5001);
    assert_int_equal(n, 3);
    assert_string_equal(argv[0], "x");
    assert_string_equal(argv[1], "y");
    assert_string_equal(argv[2], "-z");
}

static void may_be_called_again(void **state) {
    char first[] = "test -f a", second[] = "test -f b c";
    char *argv[8];
    struct target t;
    int n;

    assert_int_equal(parse(&t, first, argv, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(parse(&t, second, argv, &n), 0);
    assert_int_equal(n, 2);
    assert_true(t.flag);
}

static void refuses(void **state) {
    static const char *const wrong[] = {
        "test --flagg",     "test -x",         "test --text",     "test --flag=1",
        "test --wait soon", "test --wait -1",  "test --wait nan", "test --port 0",
        "test -p 65536",    "test --port 12x", "test --code 1",   "test -p",
        "test --wait 1e9",  "test --port +5",
    };
    char words[64], *argv[8];
    struct target t;
    int n;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        strcpy(words, wrong[i]);
        assert_int_equal(parse(&t, words, argv, &n), -EINVAL);
    }
    assert_int_equal(opts_code(-EINVAL), CODE_USAGE);
}

static void takes_beginnings(void **state) {
    char words[] = "test --tex one", *argv[8];
    struct target t;
    int n;

    assert_int_equal(parse(&t, words, argv, &n), 0);
    assert_string_equal(t.text, "one");
}

static void limits_texts(void **state) {
    char words[512] = "test", *argv[64];
    struct target t;
    int n;

    for (int i = 0; i < OPT_TEXTS_MAX + 1; i++)
        strcat(words, " --peer a");
    assert_int_equal(parse(&t, words, argv, &n), -EINVAL);
    assert_int_equal(t.texts.n, OPT_TEXTS_MAX);
}

static void prints_help(void **state) {
    bool flag;
    const struct opt table[] = {{"output", 'o', "DIR", "put it there", OPT_TEXT, NULL},
                                {"hidden", 0, NULL, "all", OPT_FLAG, &flag},
                                {0}};
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    opts_help(&usage, table, f);
    fclose(f);
    assert_string_equal(text, "usage: lanyard test [OPTION...] A\n"
                              "       lanyard test [OPTION...] B C\n"
                              "\nDo it.\n\nLike this.\n"
                              "\nOptions:\n"
                              "  -o, --output DIR           put it there\n"
                              "      --hidden               all\n");
    free(text);
}

static void suggests(void **state) {
    static const char *const names[] = {"share", "list-peers", "list", "find", "download", "id"};

    assert_string_equal(opts_closest("shar", names, 6), "share");
    assert_string_equal(opts_closest("donwload", names, 6), "download");
    assert_string_equal(opts_closest("lst", names, 6), "list");
    assert_string_equal(opts_closest("down", names, 6), "download");
    assert_null(opts_closest("xyzzy", names, 6));
    assert_null(opts_closest("", names, 6));
    assert_null(opts_closest("qq", names, 6));
    assert_null(opts_closest("a-word-that-is-very-very-long-indeed-and-goes-on", names, 6));
}

static void reads_settings(void **state) {
    struct config c;

    config_init(&c);
    assert_int_equal(c.port, -1);
    assert_null(config_line(&c, ""));
    assert_null(config_line(&c, "  # name = no"));
    assert_null(config_line(&c, " name =  Anna's laptop \t"));
    assert_string_equal(c.name, "Anna's laptop");
    assert_null(config_line(&c, "port=6000"));
    assert_int_equal(c.port, 6000);
    assert_null(config_line(&c, "hidden = yes"));
    assert_true(c.hidden);
    assert_null(config_line(&c, "hidden = no"));
    assert_false(c.hidden);
}

static void refuses_settings(void **state) {
    static const char *const wrong[] = {
        "name",         "name =",
        "name = \xff",  "port = 0",
        "port = 65536", "port = 1x",
        "hidden = 1",   "colour = no",
        "= 3",          "name = 1234567890123456789012345678901234567890123456789012345678901234"};
    struct config c;

    config_init(&c);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_non_null(config_line(&c, wrong[i]));
    assert_string_equal(c.name, "");
    assert_int_equal(c.port, -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_targets),     cmocka_unit_test(may_be_called_again),
        cmocka_unit_test(refuses),          cmocka_unit_test(takes_beginnings),
        cmocka_unit_test(limits_texts),     cmocka_unit_test(prints_help),
        cmocka_unit_test(suggests),         cmocka_unit_test(reads_settings),
        cmocka_unit_test(refuses_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
