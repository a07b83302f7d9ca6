/* SPDX-License-Identifier: MIT */
#include "core/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const struct sockaddr_in6 *as_in6(const struct sockaddr *addr) {
    return (const struct sockaddr_in6 *)(const void *)addr;
}

static const struct sockaddr_in *as_in(const struct sockaddr *addr) {
    return (const struct sockaddr_in *)(const void *)addr;
}

static void show6(const struct sockaddr_in6 *a, char *out) {
    char ip[INET6_ADDRSTRLEN] = "", zone[IF_NAMESIZE] = "";

    if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
        inet_ntop(AF_INET, a->sin6_addr.s6_addr + 12, ip, sizeof ip);
        snprintf(out, ADDR_TEXT_LEN, "%s:%u", ip, ntohs(a->sin6_port));
        return;
    }
    inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof ip);
    if (a->sin6_scope_id && !if_indextoname(a->sin6_scope_id, zone))
        snprintf(zone, sizeof zone, "%u", a->sin6_scope_id);
    snprintf(out, ADDR_TEXT_LEN, "[%s%s%s]:%u", ip, zone[0] ? "%" : "", zone, ntohs(a->sin6_port));
}

void addr_show(const struct sockaddr *addr, char out[static ADDR_TEXT_LEN]) {
    char ip[INET_ADDRSTRLEN] = "";

    if (addr->sa_family == AF_INET6) {
        show6(as_in6(addr), out);
    } else if (addr->sa_family == AF_INET) {
        inet_ntop(AF_INET, &as_in(addr)->sin_addr, ip, sizeof ip);
        snprintf(out, ADDR_TEXT_LEN, "%s:%u", ip, ntohs(as_in(addr)->sin_port));
    } else {
        snprintf(out, ADDR_TEXT_LEN, "an unknown address");
    }
}

bool addr_is_link_local(const struct sockaddr *addr) {
    if (addr->sa_family == AF_INET6)
        return IN6_IS_ADDR_LINKLOCAL(&as_in6(addr)->sin6_addr);
    return addr->sa_family == AF_INET &&
           (ntohl(as_in(addr)->sin_addr.s_addr) & 0xffff0000) == 0xa9fe0000;
}

bool addr_equal(const struct sockaddr *a, const struct sockaddr *b) {
    if (a->sa_family != b->sa_family)
        return false;
    if (a->sa_family == AF_INET6)
        return as_in6(a)->sin6_port == as_in6(b)->sin6_port &&
               as_in6(a)->sin6_scope_id == as_in6(b)->sin6_scope_id &&
               memcmp(&as_in6(a)->sin6_addr, &as_in6(b)->sin6_addr, 16) == 0;
    return a->sa_family == AF_INET && as_in(a)->sin_port == as_in(b)->sin_port &&
           as_in(a)->sin_addr.s_addr == as_in(b)->sin_addr.s_addr;
}

static bool is_local_at(const struct sockaddr_storage *addrs, unsigned i) {
    return addr_is_link_local((const struct sockaddr *)&addrs[i]);
}

void addr_sort(struct sockaddr_storage *addrs, unsigned n) {
    for (unsigned i = 1; i < n; i++) {
        struct sockaddr_storage a = addrs[i];
        unsigned at = i;

        if (is_local_at(addrs, i))
            continue;
        for (; at > 0 && is_local_at(addrs, at - 1); at--)
            addrs[at] = addrs[at - 1];
        addrs[at] = a;
    }
}
