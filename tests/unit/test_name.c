/* SPDX-License-Identifier: MIT */
#include "proto/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct text {
    const char *at;
    size_t len;
};
#define T(text)                                                                                    \
    { text, sizeof(text) - 1 }

/* A copy in memory of exactly its size, so that checkers see one byte too far. */
static bool judge(bool (*ok)(const char *, size_t), struct text t) {
    char *copy = malloc(t.len + (t.len == 0));
    assert_non_null(copy);
    memcpy(copy, t.at, t.len);
    bool r = ok(copy, t.len);
    free(copy);
    return r;
}

static void names(void **state) {
    static const struct text good[] = {
        T("a"),        T("..."),      T(".a"), T("..a"), T(" "),     T("a b"),
        T("\xff\xfe"), T("\n"),       T("~"),  T("a:b"), T("C:\\x"), T("*"),
        T("-rf"),      T("\xc3\xa4"), T("a."), T("con"), T("\x1b["), T("a\\..\\b")};
    static const struct text bad[] = {T(""),     T("."),    T(".."), T("/"),   T("a/"),
                                      T("/a"),   T("a/b"),  T("\0"), T("a\0"), T("\0a"),
                                      T("a\0b"), T("../a"), T("./a")};
    char longest[NAME_MAX_LEN + 1];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(judge(name_ok, good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(judge(name_ok, bad[i]));
    memset(longest, '.', sizeof longest);
    assert_true(judge(name_ok, (struct text){longest, 255}));
    assert_false(judge(name_ok, (struct text){longest, 256}));
}

static void paths(void **state) {
    static const struct text good[] = {T("a"), T("a/b"), T(".../..b/c..")};
    static const struct text bad[] = {T(""),      T("/"),     T("/a"),    T("a/"),     T("a//b"),
                                      T("../a"),  T("a/.."),  T("a/./b"), T("a/../b"), T("."),
                                      T("a\0/b"), T("a/b\0"), T("//")};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(judge(name_path_ok, good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(judge(name_path_ok, bad[i]));
}

static void paths_have_limits(void **state) {
    char deep[2 * (PATH_MAX_DEPTH + 1)], longest[PATH_MAX_LEN + 1];
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = i % 2 == 0 ? 'a' : '/';
    assert_true(judge(name_path_ok, (struct text){deep, 2 * PATH_MAX_DEPTH - 1}));
    assert_false(judge(name_path_ok, (struct text){deep, 2 * PATH_MAX_DEPTH + 1}));
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = i % 256 == 255 ? '/' : 'a';
    assert_true(judge(name_path_ok, (struct text){longest, PATH_MAX_LEN}));
    longest[PATH_MAX_LEN] = 'a';
    longest[PATH_MAX_LEN - 1] = '/';
    assert_false(judge(name_path_ok, (struct text){longest, PATH_MAX_LEN + 1}));
    memset(longest, 'a', 300);
    assert_false(judge(name_path_ok, (struct text){longest, 300}));
}

static void utf8(void **state) {
    static const struct text good[] = {T(""),
                                       T("a\0b"),
                                       T("\x7f"),
                                       T("\xc2\x80"),
                                       T("\xdf\xbf"),
                                       T("\xe0\xa0\x80"),
                                       T("\xed\x9f\xbf"),
                                       T("\xee\x80\x80"),
                                       T("\xef\xbf\xbf"),
                                       T("\xf0\x90\x80\x80"),
                                       T("\xf4\x8f\xbf\xbf")};
    static const struct text bad[] = {T("\x80"),
                                      T("\xbf"),
                                      T("\xc2"),
                                      T("\xc2 "), /* alone */
                                      T("\xc0\xaf"),
                                      T("\xc1\xbf"),
                                      T("\xe0\x9f\xbf"),
                                      T("\xf0\x8f\xbf\xbf"), /* too long forms */
                                      T("\xed\xa0\x80"),
                                      T("\xed\xbf\xbf"), /* surrogates */
                                      T("\xf4\x90\x80\x80"),
                                      T("\xf5\x80\x80\x80"),
                                      T("\xf8\x88\x80\x80\x80"),
                                      T("\xfe"),
                                      T("\xff"),
                                      T("\xe2\x82"),
                                      T("\xe2\x82 "),
                                      T("\xf0\x9f\x98"),
                                      T("a\xe2\x28\xa1")};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(judge(name_utf8_ok, good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(judge(name_utf8_ok, bad[i]));
}

static void shown(void **state) {
    static const struct {
        struct text in;
        const char *out;
    } table[] = {
        {T(""), ""},
        {T("a b~"), "a b~"},
        {T("J\xc3\xb6rg \xf0\x9f\x98\x80"), "J\xc3\xb6rg \xf0\x9f\x98\x80"},
        {T("\x1b[2J\r\n\t\x7f"), "\\x1b[2J\\x0d\\x0a\\x09\\x7f"},
        {T("a\0b"), "a\\x00b"},
        {T("\\x1b"), "\\\\x1b"},
        {T("\xc2\x9b"
           "31m"),
         "\\xc2\\x9b31m"},                                      /* C1: another way to say ESC [ */
        {T("a\xe2\x80\xaegnp.exe"), "a\\xe2\\x80\\xaegnp.exe"}, /* right to left */
        {T("\xe2\x81\xa6"), "\\xe2\\x81\\xa6"},
        {T("\xd8\x9c"), "\\xd8\\x9c"},
        {T("\xe2\x80\x8b"), "\\xe2\\x80\\x8b"}, /* zero width */
        {T("\xe2\x80\xa8"), "\\xe2\\x80\\xa8"}, /* line separator */
        {T("\xef\xbb\xbf"), "\\xef\\xbb\\xbf"},
        {T("\xf3\xa0\x81\xa1"), "\\xf3\\xa0\\x81\\xa1"}, /* a tag, unseen */
        {T("\xe2\x80\x90"), "\xe2\x80\x90"},             /* just beside: a hyphen */
        {T("\xff\xc3(\xe2\x82"), "\\xff\\xc3(\\xe2\\x82"},
        {T("\xed\xa0\x80"), "\\xed\\xa0\\x80"},
    };
    char out[128];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        size_t n = name_show(table[i].in.at, table[i].in.len, out, sizeof out);
        assert_string_equal(out, table[i].out);
        assert_int_equal(n, strlen(out));
        assert_true(n <= 4 * table[i].in.len);
    }
}

static void shown_in_too_little_room(void **state) {
    static const char text[] = "a\xc3\xa4\x1b\\";
    static const char *const cut[] = {"",
                                      "a",
                                      "a",
                                      "a\xc3\xa4",
                                      "a\xc3\xa4",
                                      "a\xc3\xa4",
                                      "a\xc3\xa4",
                                      "a\xc3\xa4\\x1b",
                                      "a\xc3\xa4\\x1b",
                                      "a\xc3\xa4\\x1b\\\\"};
    for (size_t cap = 1; cap <= sizeof cut / sizeof cut[0]; cap++) {
        char *out = malloc(cap);
        assert_int_equal(name_show(text, sizeof text - 1, out, cap), strlen(cut[cap - 1]));
        assert_string_equal(out, cut[cap - 1]);
        free(out);
    }
}

/* A name must not end the quotes and go on as a command. */
static void quoted(void **state) {
    char out[32], small[9];
    assert_string_equal(name_quote("anna's Mac", out, sizeof out), "'anna'\\''s Mac'");
    assert_string_equal(name_quote("", out, sizeof out), "''");
    assert_string_equal(name_quote("'", out, sizeof out), "''\\'''");
    assert_string_equal(name_quote("'; ls", small, sizeof small), "''\\''; '");
    assert_string_equal(name_quote("abcd'", small, sizeof small), "'abcd'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(paths),
        cmocka_unit_test(paths_have_limits),
        cmocka_unit_test(utf8),
        cmocka_unit_test(shown),
        cmocka_unit_test(shown_in_too_little_room),
        cmocka_unit_test(quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
