/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/text.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct column columns[] = {
    {.title = "NAME", .cut = true}, {.title = "SIZE", .right = true}, {.title = "NOTE"}};

static char *printed(const char *const (*rows)[3], size_t n, unsigned width) {
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    struct table t;

    table_init(&t, columns, 3);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(table_add(&t, rows[i]), 0);
    table_print(&t, f, width, false);
    table_clear(&t);
    fclose(f);
    return text;
}

static void aligns(void **state) {
    static const char *const rows[][3] = {{"anna", "1", "x"}, {"a longer name", "1000000", ""}};
    char *text = printed(rows, 2, 0);

    assert_string_equal(text, "NAME              SIZE  NOTE\n"
                              "anna                 1  x\n"
                              "a longer name  1000000  \n");
    free(text);
}

static void counts_columns_not_bytes(void **state) {
    static const char *const rows[][3] = {{"J\xc3\xbcrgen", "1", "x"}, {"\xe6\x97\xa5", "2", "y"}};
    char *text = printed(rows, 2, 0);

    assert_string_equal(text, "NAME    SIZE  NOTE\n"
                              "J\xc3\xbcrgen     1  x\n"
                              "\xe6\x97\xa5         2  y\n");
    free(text);
}

static void fits_the_width(void **state) {
    static const char *const rows[][3] = {{"a name that is much too long", "1000", "note"}};
    char *text = printed(rows, 1, 30);

    assert_string_equal(text, "NAME                SIZE  NOTE\n"
                              "a name that is mu\xe2\x80\xa6  1000  note\n");
    free(text);
    text = printed(rows, 1, 5); /* too narrow: no column becomes unreadable */
    assert_non_null(strstr(text, "a name \xe2\x80\xa6  1000  note\n"));
    free(text);
}

static void shows_sizes(void **state) {
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KiB"},
                 {10188, "9.9 KiB"},
                 {10189, "10 KiB"},
                 {1048063, "1023 KiB"},
                 {1048064, "1.0 MiB"},
                 {1572864, "1.5 MiB"},
                 {1ull << 40, "1.0 TiB"},
                 {UINT64_MAX, "16 EiB"}};
    char out[TEXT_LEN];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(text_size(cases[i].bytes, out), cases[i].text);
}

static void shows_durations(void **state) {
    char out[TEXT_LEN];

    assert_string_equal(text_duration(0, out), "0s");
    assert_string_equal(text_duration(59, out), "59s");
    assert_string_equal(text_duration(200, out), "3m20s");
    assert_string_equal(text_duration(3900, out), "1h05m");
    assert_string_equal(text_duration(86400 * 2 + 3 * 3600, out), "2d03h");
    assert_non_null(text_duration(UINT64_MAX, out));
}

static void shows_times(void **state) {
    char out[TEXT_LEN];

    setenv("TZ", "UTC", 1);
    assert_string_equal(text_time(0, out), "1970-01-01 00:00");
    assert_string_equal(text_time(-1, out), "1969-12-31 23:59");
    assert_string_equal(text_time(1714564800000000000, out), "2024-05-01 12:00");
    assert_int_equal(strlen(text_time(INT64_MAX, out)), 16); /* year 2262 */
    assert_int_equal(strlen(text_time(INT64_MIN, out)), 16); /* year 1677 */
}

static void clips(void **state) {
    char out[64];

    text_clip("short", 5, out);
    assert_string_equal(out, "short");
    text_clip("longer", 5, out);
    assert_string_equal(out, "long\xe2\x80\xa6");
    text_clip("longer", 1, out);
    assert_string_equal(out, "\xe2\x80\xa6");
    text_clip("longer", 0, out);
    assert_string_equal(out, "");
    text_clip("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 4, out); /* wide: no half of one */
    assert_string_equal(out, "\xe6\x97\xa5\xe2\x80\xa6");
}

static void tells_rate_and_eta(void **state) {
    struct progress p;
    char line[PROGRESS_LINE_MAX];

    progress_init(&p, "film.mkv", false);
    p.bytes = 100 << 20;
    p.sources = 1;
    progress_line(&p, 100, line);
    assert_string_equal(line, "film.mkv  0 B / 100 MiB   0%  0 B/s  ETA -  1 source");
    for (unsigned i = 0; i <= 40; i++) { /* 10 MiB a second, for longer than the ring */
        p.fetched = p.done = (uint64_t)i << 20;
        progress_note(&p, 1000 + i * 100);
    }
    p.sources = 2;
    progress_line(&p, 100, line);
    assert_string_equal(line, "film.mkv  40 MiB / 100 MiB  40%  10 MiB/s  ETA 6s  2 sources");
    for (unsigned width = 1; width < 100; width++) {
        progress_line(&p, width, line);
        assert_true(text_width(line) <= width);
    }
}

static void survives_odd_progress(void **state) {
    struct progress p;
    char line[PROGRESS_LINE_MAX], name[4096];

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    progress_init(&p, name, false);
    progress_note(&p, 5);
    progress_note(&p, 5);
    progress_line(&p, 100000, line); /* an empty file: all of it is here */
    assert_non_null(strstr(line, "100%"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligns),
        cmocka_unit_test(counts_columns_not_bytes),
        cmocka_unit_test(fits_the_width),
        cmocka_unit_test(shows_sizes),
        cmocka_unit_test(shows_durations),
        cmocka_unit_test(shows_times),
        cmocka_unit_test(clips),
        cmocka_unit_test(tells_rate_and_eta),
        cmocka_unit_test(survives_odd_progress),
    };
    setlocale(LC_ALL, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
