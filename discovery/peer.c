/* SPDX-License-Identifier: MIT */
#include "discovery/peer.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static bool id_ok(const char *id, size_t len) {
    if (len != PEER_ID_LEN)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!((id[i] >= 'a' && id[i] <= 'z') || (id[i] >= '2' && id[i] <= '7')))
            return false;
    /* 256 bits are 51 * 5 + 1: only two last characters leave no bit over. */
    return id[len - 1] == 'a' || id[len - 1] == 'q';
}

static bool version_ok(const char *version, size_t len) {
    if (len == 0 || len > PEER_VERSION_LEN)
        return false;
    for (size_t i = 0; i < len; i++)
        if (version[i] < 0x21 || version[i] > 0x7e)
            return false;
    return true;
}

/* One "key=value" of the record. A string without '=' has no value. */
struct pair {
    const char *key, *value;
    size_t key_len, value_len;
};

static bool pair_is(const struct pair *p, const char *key) {
    return p->key_len == strlen(key) && strncasecmp(p->key, key, p->key_len) == 0;
}

static struct pair pair_of(const char *text, size_t len) {
    struct pair p = {.key = text, .key_len = len};
    const char *equals = memchr(text, '=', len);

    if (equals) {
        p.key_len = (size_t)(equals - text);
        p.value = equals + 1;
        p.value_len = len - p.key_len - 1;
    }
    return p;
}

/* The first of two equal keys counts (RFC 6763, 6.4), even if its value is no good. */
static void parse_pairs(const uint8_t *rdata, size_t len, struct peer_txt *t) {
    bool id_seen = false, version_seen = false, txtvers_seen = false, known_txtvers = true;

    for (size_t at = 0, n; at < len; at += 1 + n) {
        n = rdata[at];
        if (n > len - at - 1)
            break;
        struct pair p = pair_of((const char *)rdata + at + 1, n);
        if (pair_is(&p, "txtvers") && !txtvers_seen) {
            txtvers_seen = true;
            known_txtvers = p.value_len == 1 && p.value[0] == '1';
        } else if (pair_is(&p, "id") && !id_seen) {
            id_seen = true;
            if (id_ok(p.value, p.value_len))
                memcpy(t->id, p.value, p.value_len);
        } else if (pair_is(&p, "v") && !version_seen) {
            version_seen = true;
            if (version_ok(p.value, p.value_len))
                memcpy(t->version, p.value, p.value_len);
        }
    }
    if (!known_txtvers)
        memset(t, 0, sizeof(*t));
}

void peer_txt_parse(const uint8_t *rdata, size_t len, struct peer_txt *t) {
    memset(t, 0, sizeof(*t));
    if (len <= PEER_TXT_MAX)
        parse_pairs(rdata, len, t);
}

static size_t put_pair(uint8_t *out, const char *key, const char *value) {
    size_t key_len = strlen(key), value_len = strlen(value);

    out[0] = (uint8_t)(key_len + 1 + value_len);
    memcpy(out + 1, key, key_len);
    out[1 + key_len] = '=';
    memcpy(out + 1 + key_len + 1, value, value_len);
    return 1 + (size_t)out[0];
}

int peer_txt_make(const struct peer_txt *t, uint8_t out[static PEER_TXT_MAX]) {
    size_t len = 0, id_len = strnlen(t->id, sizeof(t->id)),
           version_len = strnlen(t->version, sizeof(t->version));

    if ((id_len && !id_ok(t->id, id_len)) || (version_len && !version_ok(t->version, version_len)))
        return -EINVAL;

    len += put_pair(out + len, "txtvers", "1"); /* first, as RFC 6763, 6.7 asks */
    if (id_len)
        len += put_pair(out + len, "id", t->id);
    if (version_len)
        len += put_pair(out + len, "v", t->version);
    return (int)len;
}

/* The length of the well-formed UTF-8 sequence (RFC 3629) at s, which ends with a NUL; 0 if it is
 * none. A NUL is no continuation byte, so nothing is read beyond it. */
static size_t utf8_len(const unsigned char *s) {
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t n;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        n = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        n = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        n = 4;
    else
        return 0;

    if (s[0] == 0xe0)
        low = 0xa0; /* shortest form */
    else if (s[0] == 0xed)
        high = 0x9f; /* no surrogates */
    else if (s[0] == 0xf0)
        low = 0x90; /* shortest form */
    else if (s[0] == 0xf4)
        high = 0x8f; /* up to U+10FFFF */
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return n;
}

bool peer_name_ok(const char *name) {
    const unsigned char *s = (const unsigned char *)name;
    size_t at = 0;

    while (s[at]) {
        size_t n = utf8_len(s + at);
        if (n == 0 || s[at] < 0x20 || s[at] == 0x7f || at + n > PEER_NAME_LEN)
            return false;
        at += n;
    }
    return at > 0;
}

static bool is_virtual(const char *interface) {
    static const char *const prefixes[] = {
        "docker", "br-",  "veth", "virbr", "vnet", "lxc", "lxd", "podman", "cni",
        "vmnet",  "vbox", "tun",  "tap",   "wg",   "zt",  "ppp", "utun",   "tailscale"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(interface, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static enum peer_rank rank_v4(const struct sockaddr_in *in) {
    uint32_t a = ntohl(in->sin_addr.s_addr);
    uint8_t first = (uint8_t)(a >> 24);

    if (first == 127)
        return PEER_RANK_LOOPBACK;
    if (first == 0 || first >= 224)
        return PEER_RANK_NEVER;
    return a >> 16 == 0xa9fe ? PEER_RANK_LINK : PEER_RANK_GLOBAL;
}

static enum peer_rank rank_v6(const struct sockaddr_in6 *in6) {
    const struct in6_addr *a = &in6->sin6_addr;

    if (IN6_IS_ADDR_LOOPBACK(a))
        return PEER_RANK_LOOPBACK;
    if (IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_MULTICAST(a) || IN6_IS_ADDR_V4MAPPED(a) ||
        IN6_IS_ADDR_V4COMPAT(a))
        return PEER_RANK_NEVER;
    return IN6_IS_ADDR_LINKLOCAL(a) ? PEER_RANK_LINK : PEER_RANK_GLOBAL;
}

enum peer_rank peer_rank(const struct sockaddr *addr, const char *interface) {
    bool through_lo = strcmp(interface, "lo") == 0;
    enum peer_rank rank = PEER_RANK_NEVER;

    if (addr->sa_family == AF_INET)
        rank = rank_v4((const struct sockaddr_in *)addr);
    else if (addr->sa_family == AF_INET6)
        rank = rank_v6((const struct sockaddr_in6 *)addr);

    if (rank == PEER_RANK_NEVER)
        return rank;
    /* A stranger who says 127.0.0.1 would make us dial ourselves. */
    if (rank == PEER_RANK_LOOPBACK)
        return through_lo ? rank : PEER_RANK_NEVER;
    if (through_lo)
        return PEER_RANK_LOOPBACK;
    return is_virtual(interface) ? PEER_RANK_VIRTUAL : rank;
}
