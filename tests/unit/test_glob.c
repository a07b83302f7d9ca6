/* SPDX-License-Identifier: MIT */
#include "core/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct {
    const char *pattern, *name;
    bool matches;
} cases[] = {
    {"", "", true},
    {"", "a", false},
    {"a", "", false},
    {"film.mkv", "film.mkv", true},
    {"film.mkv", "film_mkv", false},
    {"*", "", true},
    {"*", "anything", true},
    {"**", "x", true},
    {"*.mkv", "film.mkv", true},
    {"*.mkv", ".mkv", true},
    {"*.mkv", "film.mkv.txt", false},
    {"*.mkv", "film.mkv.mkv", true},
    {"f*m", "film", true},
    {"f*m*", "film.mkv", true},
    {"*a*b*c*", "xxaxxbxxcxx", true},
    {"*a*b*c*", "xxaxxcxxbxx", false},
    {"*ab", "aab", true},
    {"*aab*", "aaab", true},
    {"?", "a", true},
    {"?", "", false},
    {"?", "ab", false},
    {"a?c", "abc", true},
    {"?", "\xc3\xa4", true}, /* one character, two bytes */
    {"??", "\xc3\xa4", false},
    {"?", "\xf0\x9f\x8e\xb5", true},
    {"?", "\xff", true}, /* a byte that is not UTF-8 */
    {"??", "\xff\xc3", true},
    {"*\xa4", "\xc3\xa4", false}, /* half of a character is none */
    {"[abc]", "b", true},
    {"[abc]", "d", false},
    {"[a-c]x", "bx", true},
    {"[!a-c]", "b", false},
    {"[!a-c]", "d", true},
    {"[^a]", "b", true},
    {"[!a]", "", false},
    {"[]x]", "]", true},
    {"[]x]", "x", true},
    {"[!]x]", "]", false},
    {"[a-]", "-", true},
    {"[a-]", "b", false},
    {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa4", true},
    {"[\xc3\xa4]", "\xa4", false},
    {"[abc", "[abc", true}, /* no set: itself */
    {"[abc", "a", false},
    {"[", "[", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"\\[a]", "[a]", true},
    {"a\\", "a\\", true},
    {"*\\?", "what?", true},
    {"A*", "abc", false},
};

static void matches(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (glob_match(cases[i].pattern, cases[i].name) != cases[i].matches)
            fail_msg("'%s' '%s'", cases[i].pattern, cases[i].name);
}

static void tells_patterns(void **state) {
    assert_true(glob_is_pattern("*.mkv"));
    assert_true(glob_is_pattern("a?"));
    assert_true(glob_is_pattern("[a]"));
    assert_false(glob_is_pattern("film.mkv"));
    assert_false(glob_is_pattern(""));
    assert_false(glob_is_pattern("a]\\b"));
}

/* With fnmatch(3) these take longer than anyone lives. */
static void hostile_patterns_end(void **state) {
    char pattern[1025] = "", name[256];
    memset(name, 'a', 255);
    name[255] = 0;
    for (int i = 0; i < 512; i++)
        memcpy(pattern + 2 * i, "*a", 3);
    clock_t start = clock();
    assert_false(glob_match(pattern, name));
    for (int i = 0; i < 255; i++)
        memcpy(pattern + 4 * i, "*[a]", 5);
    assert_true(glob_match(pattern, name));
    strcat(pattern, "b");
    assert_false(glob_match(pattern, name));
    memset(pattern, 'a', 1022);
    memcpy(pattern, "*[", 2);
    memcpy(pattern + 1022, "]b", 3);
    assert_false(glob_match(pattern, name));
    assert_true(clock() - start < CLOCKS_PER_SEC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches),
        cmocka_unit_test(tells_patterns),
        cmocka_unit_test(hostile_patterns_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
