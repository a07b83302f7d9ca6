/* SPDX-License-Identifier: MIT */
#include "cli/rate.h"

#include "cli/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void reads_what_people_write(void **state) {
    static const struct {
        const char *text;
        uint64_t rate;
    } right[] = {{"4096", 4096},           {"4K", 4096},          {"800k", 800 * 1024},
                 {"800KiB", 800 * 1024},   {"100KB", 100000},     {"5M", 5 << 20},
                 {"1.5m", 3 << 19},        {"2MB", 2000000},      {"0.5G", 1 << 29},
                 {"1GiB", 1 << 30},        {"10gb", 10000000000}, {"off", 0},
                 {"1000GB", 1000000000000}};
    uint64_t rate;

    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_int_equal(rate_parse(right[i].text, &rate), 0);
        assert_int_equal(rate, right[i].rate);
    }
}

static void refuses_nonsense(void **state) {
    static const char *const wrong[] = {"",       "0",   "-1",    "-5M",    "+5M",
                                        "5 M",    " 5M", "M",     "4095",   "3.9K",
                                        "1.2.3M", "5MM", "5Mb/s", "5X",     "1e9",
                                        "0x1000", "inf", "nan",   "1001GB", "99999999999999999999G",
                                        ".",      "on"};
    uint64_t rate;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_true(rate_parse(wrong[i], &rate) < 0);
}

static void may_stand_in_the_settings(void **state) {
    struct config c;

    config_init(&c);
    assert_int_equal(c.limits[CONFIG_SHARE_LIMIT], 0);
    assert_null(config_line(&c, "share-limit = 2MB"));
    assert_null(config_line(&c, "download-limit = 4K"));
    assert_int_equal(c.limits[CONFIG_SHARE_LIMIT], 2000000);
    assert_int_equal(c.limits[CONFIG_DOWNLOAD_LIMIT], 4096);
    assert_null(config_line(&c, "share-limit = off"));
    assert_int_equal(c.limits[CONFIG_SHARE_LIMIT], 0);
    assert_non_null(config_line(&c, "share-limit = 0"));
    assert_non_null(config_line(&c, "download-limit ="));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_people_write),
        cmocka_unit_test(refuses_nonsense),
        cmocka_unit_test(may_stand_in_the_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
