/* SPDX-License-Identifier: MIT */
#include "cli/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void puts_exactly(const char *bytes, size_t len, const char *expected) {
    json_t *o = json_object();
    char *line;

    assert_int_equal(json_put_bytes(o, "path", bytes, len), 0);
    line = json_dumps(o, JSON_COMPACT);
    assert_string_equal(line, expected);
    free(line);
    json_decref(o);
}

static void keeps_utf8(void **state) {
    puts_exactly("J\xc3\xbcrgen", 7, "{\"path\":\"J\xc3\xbcrgen\"}");
    puts_exactly("", 0, "{\"path\":\"\"}");
    puts_exactly("a\\b\"c", 5, "{\"path\":\"a\\\\b\\\"c\"}");
    puts_exactly("a\nb\x1b[2J\x7f", 8, "{\"path\":\"a\\nb\\u001B[2J\x7f\"}");
}

static void shows_other_bytes_and_keeps_them(void **state) {
    puts_exactly("a\xff", 2, "{\"path\":\"a\\\\xff\",\"path_hex\":\"61ff\"}");
    puts_exactly("\xed\xa0\x80", 3, /* a surrogate */
                 "{\"path\":\"\\\\xed\\\\xa0\\\\x80\",\"path_hex\":\"eda080\"}");
}

static void passes_lack_of_memory_on(void **state) {
    assert_int_equal(json_put_bytes(NULL, "path", "a", 1), -ENOMEM);
    assert_int_equal(json_line(NULL), -ENOMEM);
}

/* Jansson's n-th allocation from now fails; 0: none. */
static unsigned fails_at;

static void *may_fail(size_t size) { return fails_at && --fails_at == 0 ? NULL : malloc(size); }

static const char text[] = "some forty bytes, for what comes before it";

/* An event whose second key begins at any place: a line grows by leaps. */
static json_t *event_of(size_t len) {
    return json_pack("{s:s%, s:i, s:s}", "event", text, len, "a key of some length", 5, "peer",
                     "b");
}

/* Whatever fails, stdout gets the whole line or nothing. */
static void prints_whole_lines_only(void **state) {
    int out = dup(STDOUT_FILENO);
    char expected[256], got[256];

    for (size_t len = 0; len < 40; len++) {
        int err = -ENOMEM;
        size_t n = (size_t)snprintf(
            expected, sizeof expected,
            "{\"event\":\"%.*s\",\"a key of some length\":5,\"peer\":\"b\"}\n", (int)len, text);
        FILE *file = tmpfile();

        json_set_alloc_funcs(may_fail, free);
        dup2(fileno(file), STDOUT_FILENO);
        for (unsigned at = 1; err != 0; at++) {
            json_t *o = event_of(len);

            fails_at = at;
            err = json_event(o);
            fails_at = 0;
            assert_true(err == 0 || err == -ENOMEM);
        }
        dup2(out, STDOUT_FILENO);
        json_set_alloc_funcs(malloc, free);
        rewind(file);
        assert_int_equal(fread(got, 1, sizeof got, file), n);
        assert_memory_equal(got, expected, n);
        fclose(file);
    }
    close(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_utf8),
        cmocka_unit_test(shows_other_bytes_and_keeps_them),
        cmocka_unit_test(passes_lack_of_memory_on),
        cmocka_unit_test(prints_whole_lines_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
