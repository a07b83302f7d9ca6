/* SPDX-License-Identifier: MIT */
#include "discovery/answers.h"
#include "tests/unit/fail_alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbba"

enum { V4, V6 }; /* protocols; any numbers would do */

static struct answer answer(const char *name, const char *id, int interface, int protocol) {
    struct answer a;
    memset(&a, 0, sizeof a);
    a.interface = interface;
    a.protocol = protocol;
    snprintf(a.name, sizeof a.name, "%s", name);
    snprintf(a.txt.id, sizeof a.txt.id, "%s", id);
    return a;
}

static void add_addr(struct answer *a, const char *text, uint16_t port, enum peer_rank rank) {
    struct answer_addr *to = &a->addrs[a->n_addrs++];
    assert_true(a->n_addrs <= ANSWER_ADDRS_MAX);
    to->rank = rank;
    if (inet_pton(AF_INET, text, &to->in.sin_addr) == 1) {
        to->in.sin_family = AF_INET;
        to->in.sin_port = htons(port);
        return;
    }
    assert_int_equal(inet_pton(AF_INET6, text, &to->in6.sin6_addr), 1);
    to->in6.sin6_family = AF_INET6;
    to->in6.sin6_port = htons(port);
    if (IN6_IS_ADDR_LINKLOCAL(&to->in6.sin6_addr))
        to->in6.sin6_scope_id = (uint32_t)a->interface;
}

static struct answer answer_at(const char *name, const char *id, int interface, const char *addr) {
    bool v6 = strchr(addr, ':');
    struct answer a = answer(name, id, interface, v6 ? V6 : V4);
    add_addr(&a, addr, 5000, strncmp(addr, "fe80", 4) ? PEER_RANK_GLOBAL : PEER_RANK_LINK);
    return a;
}

static void put(struct answers *all, struct answer a) { assert_int_equal(answers_put(all, &a), 0); }
static void drop(struct answers *all, struct answer a) { answers_drop(all, &a); }

static struct peer next_peer(struct answers *all) {
    struct peer p;
    assert_int_equal(answers_next(all, &p), ANSWERS_CHANGED);
    return p;
}

static struct peer next_gone(struct answers *all) {
    struct peer p;
    assert_int_equal(answers_next(all, &p), ANSWERS_GONE);
    return p;
}

static void assert_no_news(struct answers *all) {
    struct peer p;
    assert_int_equal(answers_next(all, &p), 0);
}

static void assert_addrs(const struct peer *p, const char *expected) {
    char shown[2048] = "";
    for (unsigned i = 0; i < p->n_addrs; i++) {
        const struct sockaddr_storage *s = &p->addrs[i];
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)s;
        const struct sockaddr_in *in = (const struct sockaddr_in *)s;
        bool v4 = s->ss_family == AF_INET;
        char text[INET6_ADDRSTRLEN], one[128];
        inet_ntop(s->ss_family, v4 ? (const void *)&in->sin_addr : &in6->sin6_addr, text,
                  sizeof text);
        int n = snprintf(one, sizeof one, "%s%s", i ? " " : "", text);
        if (!v4 && in6->sin6_scope_id)
            n += snprintf(one + n, sizeof one - (size_t)n, "%%%u", (unsigned)in6->sin6_scope_id);
        uint16_t port = ntohs(v4 ? in->sin_port : in6->sin6_port);
        if (port != 5000)
            snprintf(one + n, sizeof one - (size_t)n, ":%u", port);
        assert_true(strlen(shown) + strlen(one) < sizeof shown);
        strcat(shown, one);
    }
    assert_string_equal(shown, expected);
}

static void interfaces_and_protocols_make_one_peer(void **state) {
    struct answers all;
    answers_init(&all);
    put(&all, answer_at("anna", ID_A, 2, "fe80::1"));
    put(&all, answer_at("anna", ID_A, 3, "fe80::1"));
    put(&all, answer_at("anna", ID_A, 2, "10.0.0.1"));
    put(&all, answer_at("anna", ID_A, 3, "10.0.0.1")); /* the same network twice */
    struct answer lo = answer("anna", ID_A, 1, V4);
    add_addr(&lo, "127.0.0.1", 5000, PEER_RANK_LOOPBACK);
    lo.local = true;
    put(&all, lo);
    struct answer docker = answer("anna", ID_A, 4, V4);
    add_addr(&docker, "172.17.0.1", 5000, PEER_RANK_VIRTUAL);
    snprintf(docker.txt.version, sizeof docker.txt.version, "1");
    put(&all, docker);

    struct peer p = next_peer(&all);
    assert_string_equal(p.name, "anna");
    assert_string_equal(p.id, ID_A);
    assert_string_equal(p.version, "1");
    assert_int_equal(p.port, 5000);
    assert_true(p.local);
    assert_addrs(&p, "10.0.0.1 fe80::1%3 fe80::1%2 172.17.0.1 127.0.0.1");
    assert_no_news(&all);
    answers_clear(&all);
}

static void global_comes_first_and_ipv4_within(void **state) {
    struct answers all;
    answers_init(&all);
    put(&all, answer_at("anna", ID_A, 2, "fe80::9"));
    struct answer a = answer("anna", ID_A, 2, V4);
    add_addr(&a, "169.254.1.1", 5000, PEER_RANK_LINK);
    add_addr(&a, "10.0.0.1", 5000, PEER_RANK_GLOBAL);
    put(&all, a);
    put(&all, answer_at("anna", ID_A, 3, "fd00::1"));
    struct peer p = next_peer(&all);
    assert_addrs(&p, "10.0.0.1 fd00::1 169.254.1.1 fe80::9%2");
    answers_clear(&all);
}

static void the_same_again_is_no_news(void **state) {
    struct answers all;
    answers_init(&all);
    put(&all, answer_at("anna", ID_A, 2, "10.0.0.1"));
    next_peer(&all);
    put(&all, answer_at("anna", ID_A, 2, "10.0.0.1"));
    assert_no_news(&all);
    put(&all, answer_at("anna", ID_A, 3, "10.0.0.1")); /* one more way to the same address */
    assert_no_news(&all);
    drop(&all, answer("anna", "", 3, V4));
    assert_no_news(&all);
    drop(&all, answer("stranger", "", 3, V4));
    assert_no_news(&all);
    answers_clear(&all);
}

static void a_new_port_or_address_replaces_the_old_one(void **state) {
    struct answers all;
    answers_init(&all);
    put(&all, answer_at("anna", ID_A, 2, "10.0.0.1"));
    next_peer(&all);
    struct answer a = answer("anna", ID_A, 2, V4);
    add_addr(&a, "10.0.0.1", 6000, PEER_RANK_GLOBAL);
    put(&all, a);
    struct peer p = next_peer(&all);
    assert_int_equal(p.port, 6000);
    assert_addrs(&p, "10.0.0.1:6000");
    put(&all, answer_at("anna", ID_A, 2, "10.0.0.7"));
    p = next_peer(&all);
    assert_addrs(&p, "10.0.0.7");
    answers_clear(&all);
}

static void of_two_equals_the_younger_goes_first(void **state) {
    struct answers all;
    answers_init(&all);
    put(&all, answer_at("anna", ID_A, 2, "10.0.0.1"));
    put(&all, answer_at("anna", ID_A, 3, "10.0.0.2"));
    struct peer p = next_peer(&all);
    assert_addrs(&p, "10.0.0.2 10.0.0.1");
    drop(&all, answer("anna", "", 3, V4));
    p = next_peer(&all);
    assert_addrs(&p, "10.0.0.1");
    answers_clear(&all);
}

/* Anybody can claim anna's id. One who does it under another name is another peer, whoever came
 * first, and the key tells who is who. */
static void another_name_with_the_same_id_is_another_peer(void **state) {
    struct answers all;
    answers_init(&all);
    for (unsigned i = 0; i < 2 * PEER_ADDRS_MAX; i++) {
        char name[64], addr[64];
        snprintf(name, sizeof name, "liar %u", i);
        snprintf(addr, sizeof addr, "10.0.1.%u", i + 1);
        put(&all, answer_at(name, ID_A, 2, addr));
        struct peer liar = next_peer(&all);
        assert_string_equal(liar.name, name);
        assert_int_equal(liar.n_addrs, 1);
    }
    put(&all, answer_at("anna", ID_A, 2, "10.0.0.1"));
    struct peer p = next_peer(&all);
    assert_string_equal(p.name, "anna");
    assert_string_equal(p.id, ID_A);
    assert_addrs(&p, "10.0.0.1");
    drop(&all, answer("anna", "", 2, V4));
    p = next_gone(&all);
    assert_string_equal(p.name, "anna");
    assert_no_news(&all);
    answers_clear(&all);
}

static void without_an_id_the_name_counts(void **state) {
    struct answers all;
    answers_init(&all);
    put(&all, answer_at("anna", "", 2, "10.0.0.1"));
    put(&all, answer_at("bert", "", 2, "10.0.0.2"));
    put(&all, answer_at("anna", "", 3, "10.0.1.1"));
    struct peer p = next_peer(&all);
    assert_string_equal(p.name, "anna");
    assert_addrs(&p, "10.0.1.1 10.0.0.1");
    p = next_peer(&all);
    assert_string_equal(p.name, "bert");
    assert_no_news(&all);
    answers_clear(&all);
}

static void a_service_that_changes_its_id_is_another_peer(void **state) {
    struct answers all;
    answers_init(&all);
    put(&all, answer_at("anna", ID_A, 2, "10.0.0.1"));
    next_peer(&all);
    put(&all, answer_at("anna", ID_B, 2, "10.0.0.1"));
    struct peer p;
    bool gone = false, came = false;
    for (int change; (change = answers_next(&all, &p)) != 0;) {
        gone |= change == ANSWERS_GONE && strcmp(p.id, ID_A) == 0;
        came |= change == ANSWERS_CHANGED && strcmp(p.id, ID_B) == 0;
    }
    assert_true(gone && came);
    assert_int_equal(all.n_peers, 1);
    answers_clear(&all);
}

static void what_came_and_went_unseen_is_no_news(void **state) {
    struct answers all;
    answers_init(&all);
    put(&all, answer_at("anna", ID_A, 2, "10.0.0.1"));
    drop(&all, answer("anna", "", 2, V4));
    assert_no_news(&all);
    assert_int_equal(all.n_peers, 0);
    answers_clear(&all);
}

static void the_sweep_takes_what_was_not_heard_again(void **state) {
    struct answers all;
    answers_init(&all);
    put(&all, answer_at("anna", ID_A, 2, "10.0.0.1"));
    put(&all, answer_at("anna", ID_A, 2, "fe80::1"));
    put(&all, answer_at("bert", ID_B, 2, "10.0.0.2"));
    next_peer(&all);
    next_peer(&all);
    struct answer again = answer_at("anna", ID_A, 2, "10.0.0.1");
    again.generation = 1;
    put(&all, again);
    assert_no_news(&all);
    answers_sweep(&all, 1);
    struct peer p = next_peer(&all);
    assert_addrs(&p, "10.0.0.1");
    p = next_gone(&all);
    assert_string_equal(p.name, "bert");
    assert_no_news(&all);
    answers_clear(&all);
}

static void only_the_best_addresses_are_kept(void **state) {
    struct answers all;
    answers_init(&all);
    for (int i = 0; i < 3 * PEER_ADDRS_MAX; i++)
        put(&all, answer_at("anna", ID_A, 3 + i, "fe80::1"));
    put(&all, answer_at("anna", ID_A, 2, "10.0.0.1"));
    struct peer p = next_peer(&all);
    assert_int_equal(p.n_addrs, PEER_ADDRS_MAX);
    assert_int_equal(p.addrs[0].ss_family, AF_INET);
    for (unsigned i = 1; i < p.n_addrs; i++)
        assert_int_equal(p.addrs[i].ss_family, AF_INET6);
    answers_clear(&all);
}

/* A better way to an address that is in the list already. */
static void a_double_moves_up(void **state) {
    struct answers all;
    answers_init(&all);
    struct answer a = answer("anna", ID_A, 2, V4);
    add_addr(&a, "10.0.0.9", 5000, PEER_RANK_VIRTUAL);
    put(&all, a);
    put(&all, answer_at("anna", ID_A, 3, "fe80::1"));
    put(&all, answer_at("anna", ID_A, 4, "10.0.0.9"));
    struct peer p = next_peer(&all);
    assert_addrs(&p, "10.0.0.9 fe80::1%3");
    answers_clear(&all);
}

static void there_is_a_limit_to_peers(void **state) {
    struct answers all;
    struct peer p;
    unsigned n_told = 0;
    answers_init(&all);
    for (unsigned i = 0; i < ANSWERS_PEERS_MAX; i++) {
        char name[64];
        snprintf(name, sizeof name, "peer %u", i);
        put(&all, answer_at(name, "", 2, "10.0.0.1"));
    }
    struct answer more = answer_at("one more", "", 2, "10.0.0.1");
    assert_int_equal(answers_put(&all, &more), -ENOSPC);
    put(&all, answer_at("peer 7", "", 3, "10.0.0.1")); /* known ones may say more */
    while (answers_next(&all, &p))
        n_told++;
    assert_int_equal(n_told, ANSWERS_PEERS_MAX);
    drop(&all, answer("peer 0", "", 2, V4));
    next_gone(&all);
    assert_int_equal(answers_put(&all, &more), 0);
    answers_clear(&all);
}

static void there_is_a_limit_to_answers(void **state) {
    struct answers all;
    answers_init(&all);
    for (int i = 0; i < ANSWERS_MAX; i++)
        put(&all, answer_at("anna", ID_A, i, "10.0.0.1"));
    struct answer more = answer_at("anna", ID_A, ANSWERS_MAX, "10.0.0.1");
    assert_int_equal(answers_put(&all, &more), -ENOSPC);
    next_peer(&all);
    answers_clear(&all);
}

static int fill(void *arg) {
    struct answers all;
    int err = 0;
    answers_init(&all);
    for (unsigned i = 0; i < 40 && !err; i++) {
        char name[64];
        snprintf(name, sizeof name, "peer %u", i);
        struct answer a = answer_at(name, "", 2, "10.0.0.1");
        err = answers_put(&all, &a);
    }
    struct peer p;
    unsigned n_told = 0;
    while (answers_next(&all, &p) == ANSWERS_CHANGED)
        n_told++;
    assert_true(err || n_told == 40);
    answers_clear(&all);
    return err;
}

static void out_of_memory_is_an_error_like_others(void **state) {
    assert_true(fail_alloc_each(fill, NULL) > 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interfaces_and_protocols_make_one_peer),
        cmocka_unit_test(global_comes_first_and_ipv4_within),
        cmocka_unit_test(the_same_again_is_no_news),
        cmocka_unit_test(a_new_port_or_address_replaces_the_old_one),
        cmocka_unit_test(of_two_equals_the_younger_goes_first),
        cmocka_unit_test(another_name_with_the_same_id_is_another_peer),
        cmocka_unit_test(without_an_id_the_name_counts),
        cmocka_unit_test(a_service_that_changes_its_id_is_another_peer),
        cmocka_unit_test(what_came_and_went_unseen_is_no_news),
        cmocka_unit_test(the_sweep_takes_what_was_not_heard_again),
        cmocka_unit_test(only_the_best_addresses_are_kept),
        cmocka_unit_test(a_double_moves_up),
        cmocka_unit_test(there_is_a_limit_to_peers),
        cmocka_unit_test(there_is_a_limit_to_answers),
        cmocka_unit_test(out_of_memory_is_an_error_like_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
