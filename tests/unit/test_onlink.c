/* SPDX-License-Identifier: MIT */
#include "core/onlink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

#include <cmocka.h>

static struct onlink links;

static const struct sockaddr *addr_of(const char *text, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (strchr(text, ':'))
        assert_int_equal(uv_ip6_addr(text, 5000, (struct sockaddr_in6 *)out), 0);
    else
        assert_int_equal(uv_ip4_addr(text, 5000, (struct sockaddr_in *)out), 0);
    return (const struct sockaddr *)out;
}

static void add(const char *addr, const char *mask) {
    struct sockaddr_storage a, m;

    onlink_add(&links, addr_of(addr, &a), mask ? addr_of(mask, &m) : NULL);
}

static bool matches(const char *addr) {
    struct sockaddr_storage a;

    return onlink_match(&links, addr_of(addr, &a));
}

static int set_up(void **state) {
    memset(&links, 0, sizeof links);
    return 0;
}

static void the_prefixes_of_interfaces_count(void **state) {
    add("192.168.1.7", "255.255.255.0");
    add("10.9.0.1", "255.255.255.252");
    add("2001:db8:1::7", "ffff:ffff:ffff:ffff::");
    add("172.16.5.1", "255.240.0.0");
    assert_true(matches("192.168.1.1") && matches("192.168.1.255") && matches("10.9.0.3"));
    assert_false(matches("192.168.2.1") || matches("192.168.0.255") || matches("10.9.0.4"));
    assert_true(matches("172.31.255.255") && matches("172.16.0.0"));
    assert_false(matches("172.32.0.0") || matches("172.15.255.255"));
    assert_true(matches("2001:db8:1::ffff") && matches("2001:db8:1:0:ffff::"));
    assert_false(matches("2001:db8:1:1::7") || matches("2001:db8::7"));
}

static void a_mapped_address_is_that_of_ipv4(void **state) {
    add("192.168.1.7", "255.255.255.0");
    assert_true(matches("::ffff:192.168.1.9"));
    assert_false(matches("::ffff:192.168.2.9"));
    assert_false(matches("::192.168.1.9")); /* another thing that looks like it */
    assert_true(matches("::ffff:127.0.0.1"));
}

static void loopback_and_link_local_are_always_near(void **state) {
    assert_true(matches("127.0.0.1") && matches("127.255.0.9") && matches("::1"));
    assert_true(matches("fe80::1") && matches("febf::1") && matches("169.254.9.9"));
    assert_false(matches("fec0::1") || matches("169.253.9.9") || matches("::2") || matches("::"));
    assert_false(matches("128.0.0.1") || matches("8.8.8.8") || matches("2001:db8::1"));
}

static void masks_that_say_nothing_open_nothing(void **state) {
    add("10.0.0.1", "0.0.0.0");
    add("2001:db8::1", "::");
    assert_int_equal(links.n, 0);
    add("10.0.0.1", "255.255.255.255"); /* one end of a tunnel */
    add("10.0.1.1", NULL);
    assert_true(matches("10.0.0.1") && matches("10.0.1.1"));
    assert_false(matches("10.0.0.2") || matches("10.0.1.2"));
}

static void other_families_and_too_many_are_left_out(void **state) {
    struct sockaddr_storage other = {.ss_family = AF_UNIX};

    onlink_add(&links, (struct sockaddr *)&other, NULL);
    assert_int_equal(links.n, 0);
    assert_false(onlink_match(&links, (struct sockaddr *)&other));
    for (unsigned i = 0; i < ONLINK_MAX + 10; i++)
        add("10.0.0.1", "255.0.0.0");
    assert_int_equal(links.n, ONLINK_MAX);
}

/* What was read is used for a while; a no is looked at again sooner than a yes. */
static void the_interfaces_are_read_now_and_then(void **state) {
    struct sockaddr_storage far, near;

    addr_of("198.51.100.1", &far);
    addr_of("127.0.0.1", &near);
    assert_false(onlink_has(&links, (struct sockaddr *)&far, 100000));
    assert_true(links.read);
    add("198.51.100.2", "255.255.255.0"); /* as if plugged in */
    assert_true(onlink_has(&links, (struct sockaddr *)&far, 100001));
    links.n--;
    assert_false(onlink_has(&links, (struct sockaddr *)&far, 100900));
    assert_int_equal(links.read_at_ms, 100000);
    assert_true(onlink_has(&links, (struct sockaddr *)&near, 104000));
    assert_int_equal(links.read_at_ms, 100000);
    assert_false(onlink_has(&links, (struct sockaddr *)&far, 104000));
    assert_int_equal(links.read_at_ms, 104000);
}

/* Nobody is called a stranger because we could not look. */
static void interfaces_that_cannot_be_read_are_an_error(void **state) {
    struct sockaddr_storage far, near;
    struct rlimit were, none;

    addr_of("198.51.100.1", &far);
    addr_of("127.0.0.1", &near);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &were), 0);
    none = (struct rlimit){0, were.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(onlink_has(&links, (struct sockaddr *)&far, 100000), -EMFILE);
    assert_int_equal(onlink_has(&links, (struct sockaddr *)&near, 100000), 1);
    assert_int_equal(onlink_has(&links, (struct sockaddr *)&far, 100500), -EMFILE);
    assert_int_equal(links.read_at_ms, 100000); /* nor can anybody make us look all the time */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &were), 0);
    assert_int_equal(onlink_has(&links, (struct sockaddr *)&far, 101000), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(onlink_has(&links, (struct sockaddr *)&far, 102000), -EMFILE);
    assert_int_equal(onlink_has(&links, (struct sockaddr *)&far, 102500), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &were), 0);
}

#define FRESH(test) cmocka_unit_test_setup(test, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(the_prefixes_of_interfaces_count),
        FRESH(a_mapped_address_is_that_of_ipv4),
        FRESH(loopback_and_link_local_are_always_near),
        FRESH(masks_that_say_nothing_open_nothing),
        FRESH(other_families_and_too_many_are_left_out),
        FRESH(the_interfaces_are_read_now_and_then),
        FRESH(interfaces_that_cannot_be_read_are_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
