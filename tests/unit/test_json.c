/* SPDX-License-Identifier: MIT */
#include "cli/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_utf8),
        cmocka_unit_test(shows_other_bytes_and_keeps_them),
        cmocka_unit_test(passes_lack_of_memory_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
