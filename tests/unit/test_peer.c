/* SPDX-License-Identifier: MIT */
#include "discovery/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID "mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2q"

/* A record of strings. */
struct record {
    uint8_t bytes[2048];
    size_t len;
};

static void add(struct record *r, const void *text, size_t len) {
    r->bytes[r->len++] = (uint8_t)len;
    memcpy(r->bytes + r->len, text, len);
    r->len += len;
}

static void add_text(struct record *r, const char *text) { add(r, text, strlen(text)); }

/* In memory of exactly its size: sanitizers see one byte too far. */
static struct peer_txt parse(const uint8_t *bytes, size_t len) {
    uint8_t *exact = malloc(len + (len == 0));
    struct peer_txt t;
    assert_non_null(exact);
    memcpy(exact, bytes, len);
    memset(&t, 'x', sizeof t);
    peer_txt_parse(exact, len, &t);
    free(exact);
    return t;
}

static void assert_txt(const char *const *strings, const char *id, const char *version) {
    struct record r = {.len = 0};
    for (; *strings; strings++)
        add_text(&r, *strings);
    struct peer_txt t = parse(r.bytes, r.len);
    assert_string_equal(t.id, id);
    assert_string_equal(t.version, version);
}

#define TXT(id, version, ...) assert_txt((const char *const[]){__VA_ARGS__, NULL}, id, version)

static void txt_comes_back_as_it_was(void **state) {
    static const struct peer_txt all[] = {{ID, "0.1.0"}, {ID, ""}, {"", "0.1.0"}, {"", ""}};
    uint8_t out[PEER_TXT_MAX];

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int len = peer_txt_make(&all[i], out);
        assert_true(len > 0);
        struct peer_txt t = parse(out, (size_t)len);
        assert_memory_equal(&t, &all[i], sizeof t);
    }
}

static void txt_is_these_bytes(void **state) {
    static const char expected[] = "\x09txtvers=1\x37id=" ID "\x07v=0.1.0";
    const struct peer_txt t = {ID, "0.1.0"};
    uint8_t out[PEER_TXT_MAX];

    assert_int_equal(peer_txt_make(&t, out), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
}

static void txt_cut_anywhere_gives_whole_fields_only(void **state) {
    const struct peer_txt whole = {ID, "0.1.0"};
    uint8_t out[PEER_TXT_MAX];
    size_t len = (size_t)peer_txt_make(&whole, out);

    for (size_t cut = 0; cut <= len; cut++) {
        struct peer_txt t = parse(out, cut);
        assert_string_equal(t.id, cut >= 10 + 56 ? ID : "");
        assert_string_equal(t.version, cut == len ? "0.1.0" : "");
    }
}

static void txt_is_read_as_the_rfc_says(void **state) {
    TXT("", "", NULL);
    TXT(ID, "1", "id=" ID, "v=1");              /* without txtvers */
    TXT(ID, "1", "TXTVERS=1", "ID=" ID, "V=1"); /* keys have no case */
    TXT(ID, "1", "v=1", "", "x", "=y", "x=", "id=" ID, "txtvers=1");
    TXT(ID, "a=b", "id=" ID, "v=a=b");           /* the first '=' ends the key */
    TXT(ID, "1", "id=" ID, "v=1", "v=2", "id="); /* the first one counts */
    TXT("", "", "id=", "id=" ID, "v", "v=1");    /* even if it is no good */
    TXT("", "", "txtvers=2", "id=" ID, "v=1");   /* another format */
    TXT("", "", "id=" ID, "v=1", "txtvers=");
    TXT("", "", "txtvers", "id=" ID, "v=1");
    TXT(ID, "", "id=" ID, "txtvers=1", "txtvers=2");
}

static void txt_takes_no_other_id(void **state) {
    TXT("", "", "id=mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2");   /* 51 */
    TXT("", "", "id=" ID "a");                                               /* 53 */
    TXT("", "", "id=Mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2q");  /* upper case */
    TXT("", "", "id=mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2b");  /* bits left over */
    TXT("", "", "id=1frggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2q");  /* no base32 */
    TXT("", "", "id=\nfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2q"); /* control */
    TXT("mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2a", "",
        "id=mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2a");

    struct record r = {.len = 0};
    char with_nul[] = "id=" ID;
    with_nul[20] = '\0';
    add(&r, with_nul, sizeof with_nul - 1);
    assert_string_equal(parse(r.bytes, r.len).id, "");
}

static void txt_takes_no_other_version(void **state) {
    TXT("", "0123456789012345678901234567890", "v=0123456789012345678901234567890");
    TXT("", "", "v=01234567890123456789012345678901");
    TXT("", "", "v=");
    TXT("", "", "v=1 2");
    TXT("", "", "v=1\x1b[2J");
    TXT("", "", "v=1\x7f");
    TXT("", "", "v=\xc3\xa4");
}

static void txt_survives_hostile_lengths(void **state) {
    static const uint8_t beyond[] = {255, 'i', 'd', '='}, lone[] = {3};
    struct record r = {.len = 0};

    assert_string_equal(parse(beyond, sizeof beyond).id, "");
    assert_string_equal(parse(lone, sizeof lone).id, "");
    for (unsigned i = 0; i < 256; i++) { /* a length byte of each kind, in front of too little */
        uint8_t bytes[100];
        memset(bytes, (int)i, sizeof bytes);
        parse(bytes, sizeof bytes);
    }
    add_text(&r, "id=" ID);
    while (r.len < PEER_TXT_MAX)
        r.bytes[r.len++] = 0; /* empty strings */
    assert_string_equal(parse(r.bytes, r.len).id, ID);
    r.bytes[r.len++] = 0;
    assert_string_equal(parse(r.bytes, r.len).id, "");
}

static void txt_is_not_made_of_what_would_not_be_taken(void **state) {
    struct peer_txt bad[] = {{"short", ""}, {ID "a", ""}, {ID, "a b"}, {ID, "\n"}};
    uint8_t out[PEER_TXT_MAX];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(peer_txt_make(&bad[i], out), -EINVAL);
    memset(bad[0].id, 'a', sizeof bad[0].id); /* no end */
    assert_int_equal(peer_txt_make(&bad[0], out), -EINVAL);
}

static void names_are_utf8_of_one_label(void **state) {
    static const char *const good[] = {
        "a",
        "anna's laptop",
        ("b\xc3\xbc"
         "ro"),
        "\xe2\x82\xac",
        "\xf0\x9f\x8d\xb0",
        "\xf4\x8f\xbf\xbf",
        "\xed\x9f\xbf",
        "012345678901234567890123456789012345678901234567890123456789012"};
    static const char *const bad[] = {
        "",
        "a\n",
        "\x7f",
        "\x80",
        "a\xc3",
        "\xc0\x80",
        "\xe0\x80\x80",
        "\xe2\x82",
        "\xed\xa0\x80",
        "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xff",
        "0123456789012345678901234567890123456789012345678901234567890123",
        "01234567890123456789012345678901234567890123456789012345678901\xc3\xa4"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(peer_name_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(peer_name_ok(bad[i]));
}

static enum peer_rank rank(const char *text, const char *interface) {
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return peer_rank((struct sockaddr *)&in, interface);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return peer_rank((struct sockaddr *)&in6, interface);
}

static void addresses_are_ranked(void **state) {
    static const char *const global[] = {"192.168.1.7", "10.0.0.1",    "172.17.0.2",
                                         "8.8.8.8",     "2001:db8::1", "fd00::2"};
    static const char *const link[] = {"169.254.0.1", "169.254.255.255", "fe80::1", "febf::1"};
    static const char *const never[] = {
        "0.0.0.0",         "0.1.2.3", "224.0.0.251", "240.0.0.1", "127.0.0.1",       "::1",
        "255.255.255.255", "::",      "ff02::fb",    "::7f00:1",  "::ffff:127.0.0.1"};

    for (size_t i = 0; i < sizeof global / sizeof *global; i++)
        assert_int_equal(rank(global[i], "eth0"), PEER_RANK_GLOBAL);
    for (size_t i = 0; i < sizeof link / sizeof *link; i++)
        assert_int_equal(rank(link[i], "wlp3s0"), PEER_RANK_LINK);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_int_equal(rank(never[i], "eth0"), PEER_RANK_NEVER);

    assert_int_equal(rank("127.0.0.1", "lo"), PEER_RANK_LOOPBACK);
    assert_int_equal(rank("::1", "lo"), PEER_RANK_LOOPBACK);
    assert_int_equal(rank("192.168.1.7", "lo"), PEER_RANK_LOOPBACK);
    assert_int_equal(rank("0.0.0.0", "lo"), PEER_RANK_NEVER);
    assert_int_equal(peer_rank(&(struct sockaddr){.sa_family = AF_UNIX}, "eth0"), PEER_RANK_NEVER);
}

static void virtual_interfaces_come_last(void **state) {
    static const char *const interfaces[] = {
        "docker0", "br-0123456789ab", "veth12ab", "virbr0",    "tun0", "tap1",
        "wg0",     "zt5u4y6eul",      "vmnet8",   "tailscale0"};

    for (size_t i = 0; i < sizeof interfaces / sizeof *interfaces; i++) {
        assert_int_equal(rank("172.17.0.1", interfaces[i]), PEER_RANK_VIRTUAL);
        assert_int_equal(rank("fe80::1", interfaces[i]), PEER_RANK_VIRTUAL);
        assert_int_equal(rank("127.0.0.1", interfaces[i]), PEER_RANK_NEVER);
    }
    assert_int_equal(rank("10.0.0.1", "br0"), PEER_RANK_GLOBAL); /* a bridge to a real network */
    assert_int_equal(rank("10.0.0.1", ""), PEER_RANK_GLOBAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(txt_comes_back_as_it_was),
        cmocka_unit_test(txt_is_these_bytes),
        cmocka_unit_test(txt_cut_anywhere_gives_whole_fields_only),
        cmocka_unit_test(txt_is_read_as_the_rfc_says),
        cmocka_unit_test(txt_takes_no_other_id),
        cmocka_unit_test(txt_takes_no_other_version),
        cmocka_unit_test(txt_survives_hostile_lengths),
        cmocka_unit_test(txt_is_not_made_of_what_would_not_be_taken),
        cmocka_unit_test(names_are_utf8_of_one_label),
        cmocka_unit_test(addresses_are_ranked),
        cmocka_unit_test(virtual_interfaces_come_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
