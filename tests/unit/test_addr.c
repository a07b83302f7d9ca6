/* SPDX-License-Identifier: MIT */
#include "core/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static struct sockaddr_storage make(const char *ip, int port) {
    struct sockaddr_storage a = {0};
    int r = strchr(ip, ':') ? uv_ip6_addr(ip, port, (struct sockaddr_in6 *)&a)
                            : uv_ip4_addr(ip, port, (struct sockaddr_in *)&a);

    assert_int_equal(r, 0);
    return a;
}

static void shows_addresses(void **state) {
    static const struct {
        const char *ip, *text;
    } cases[] = {
        {"192.168.1.7", "192.168.1.7:5000"},
        {"2001:db8::1", "[2001:db8::1]:5000"},
        {"::ffff:10.0.0.1", "10.0.0.1:5000"},
        {"fe80::1%lo", "[fe80::1%lo]:5000"},
        {"fe80::1", "[fe80::1]:5000"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:5000"},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sockaddr_storage a = make(cases[i].ip, 5000);
        char text[ADDR_TEXT_LEN];

        addr_show((const struct sockaddr *)&a, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void a_zone_without_a_name_is_a_number(void **state) {
    struct sockaddr_storage a = make("fe80::1", 1);
    char text[ADDR_TEXT_LEN];

    ((struct sockaddr_in6 *)&a)->sin6_scope_id = 4000000000;
    addr_show((const struct sockaddr *)&a, text);
    assert_string_equal(text, "[fe80::1%4000000000]:1");
}

static void other_families_are_unknown(void **state) {
    struct sockaddr_storage a = {.ss_family = AF_UNIX};
    char text[ADDR_TEXT_LEN];

    addr_show((const struct sockaddr *)&a, text);
    assert_string_equal(text, "an unknown address");
    assert_false(addr_is_link_local((const struct sockaddr *)&a));
    assert_false(addr_equal((const struct sockaddr *)&a, (const struct sockaddr *)&a));
}

static void knows_link_local_ones(void **state) {
    static const struct {
        const char *ip;
        bool local;
    } cases[] = {
        {"169.254.0.1", true}, {"169.253.0.1", false}, {"192.168.1.1", false}, {"fe80::1", true},
        {"febf::1", true},     {"fec0::1", false},     {"2001:db8::1", false}, {"fd00::1", false},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sockaddr_storage a = make(cases[i].ip, 1);

        assert_int_equal(addr_is_link_local((const struct sockaddr *)&a), cases[i].local);
    }
}

static void compares_all_that_counts(void **state) {
    const struct sockaddr_storage all[] = {
        make("10.0.0.1", 1), make("10.0.0.2", 1), make("10.0.0.1", 2),
        make("fe80::1", 1),  make("fe80::2", 1),  make("fe80::1%lo", 1),
    };
    const unsigned n = sizeof all / sizeof *all;

    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < n; k++)
            assert_int_equal(
                addr_equal((const struct sockaddr *)&all[i], (const struct sockaddr *)&all[k]),
                i == k);
}

static void global_ones_come_first(void **state) {
    struct sockaddr_storage all[] = {
        make("fe80::1%lo", 1), make("10.0.0.1", 1),    make("169.254.0.1", 1),
        make("10.0.0.2", 1),   make("2001:db8::1", 1), make("fe80::2%lo", 1),
    };
    static const char *const sorted[] = {"10.0.0.1:1",     "10.0.0.2:1",    "[2001:db8::1]:1",
                                         "[fe80::1%lo]:1", "169.254.0.1:1", "[fe80::2%lo]:1"};

    addr_sort(all, 0);
    addr_sort(all, sizeof all / sizeof *all);
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        char text[ADDR_TEXT_LEN];

        addr_show((const struct sockaddr *)&all[i], text);
        assert_string_equal(text, sorted[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_addresses),
        cmocka_unit_test(a_zone_without_a_name_is_a_number),
        cmocka_unit_test(other_families_are_unknown),
        cmocka_unit_test(knows_link_local_ones),
        cmocka_unit_test(compares_all_that_counts),
        cmocka_unit_test(global_ones_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
