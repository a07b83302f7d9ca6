/* SPDX-License-Identifier: MIT */
#include "core/onlink.h"

#define LOG_MODULE "onlink"
#include "core/addr.h"
#include "core/log.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

/* Whoever may come in need not wait for an interface to be looked at; a stranger cannot make us
 * look more often than once a second. */
enum { YES_MS = 5000, NO_MS = 1000, MAPPED_BITS = 96 };

static const uint8_t mapped[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

void onlink_bytes(const struct sockaddr *addr, uint8_t out[static ONLINK_ADDR_LEN]) {
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)addr;
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)addr;

    memset(out, 0, ONLINK_ADDR_LEN);
    if (addr->sa_family == AF_INET6) {
        memcpy(out, &in6->sin6_addr, ONLINK_ADDR_LEN);
    } else if (addr->sa_family == AF_INET) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + sizeof mapped, &in->sin_addr, 4);
    }
}

/* Leading ones of a mask. */
static unsigned mask_bits(const struct sockaddr *addr, const struct sockaddr *mask) {
    unsigned bits = addr->sa_family == AF_INET ? MAPPED_BITS : 0, n = bits;
    uint8_t bytes[ONLINK_ADDR_LEN];

    if (!mask)
        return 8 * ONLINK_ADDR_LEN;
    /* some systems leave the family of a mask open: it is that of its address */
    if (addr->sa_family == AF_INET)
        memcpy(bytes + sizeof mapped, &((const struct sockaddr_in *)(const void *)mask)->sin_addr,
               4);
    else
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr, sizeof bytes);
    while (n < 8 * ONLINK_ADDR_LEN && (bytes[n / 8] & (0x80 >> n % 8)))
        n++;
    return n > bits ? n : 0;
}

void onlink_add(struct onlink *o, const struct sockaddr *addr, const struct sockaddr *mask) {
    struct onlink_prefix *p = &o->all[o->n];

    if (o->n == ONLINK_MAX || (addr->sa_family != AF_INET && addr->sa_family != AF_INET6))
        return;
    onlink_bytes(addr, p->addr);
    p->bits = mask_bits(addr, mask);
    o->n += p->bits > 0;
}

static bool within(const struct onlink_prefix *p, const uint8_t addr[static ONLINK_ADDR_LEN]) {
    unsigned bytes = p->bits / 8, rest = p->bits % 8;

    if (memcmp(p->addr, addr, bytes) != 0)
        return false;
    return rest == 0 || ((p->addr[bytes] ^ addr[bytes]) & (0xff00 >> rest)) == 0;
}

bool onlink_match(const struct onlink *o, const struct sockaddr *addr) {
    static const struct onlink_prefix always[] = {
        {{[10] = 0xff, 0xff, 127}, MAPPED_BITS + 8},       /* loopback */
        {{[10] = 0xff, 0xff, 169, 254}, MAPPED_BITS + 16}, /* link-local */
        {{[15] = 1}, 128},
        {{0xfe, 0x80}, 10},
    };
    uint8_t bytes[ONLINK_ADDR_LEN];

    onlink_bytes(addr, bytes);
    for (unsigned i = 0; i < sizeof always / sizeof *always; i++)
        if (within(&always[i], bytes))
            return true;
    for (unsigned i = 0; i < o->n; i++)
        if (within(&o->all[i], bytes))
            return true;
    return false;
}

static void read_prefixes(struct onlink *o, uint64_t now_ms) {
    struct ifaddrs *all;

    o->read = true;
    o->read_at_ms = now_ms;
    o->err = 0;
    if (getifaddrs(&all) != 0) {
        o->err = errno ? -errno : -EIO;
        log_warn("the interfaces of this machine cannot be read: %s", strerror(-o->err));
        return; /* what was known stays */
    }
    o->n = 0;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        if (i->ifa_addr && (i->ifa_flags & IFF_UP))
            onlink_add(o, i->ifa_addr, i->ifa_netmask);
    freeifaddrs(all);
}

int onlink_has(struct onlink *o, const struct sockaddr *addr, uint64_t now_ms) {
    bool found = onlink_match(o, addr);

    if (!o->read || now_ms - o->read_at_ms >= (found ? YES_MS : NO_MS)) {
        read_prefixes(o, now_ms);
        found = onlink_match(o, addr);
    }
    return found ? 1 : o->err;
}
