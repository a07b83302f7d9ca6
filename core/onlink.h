/* SPDX-License-Identifier: MIT */
/*
 * onlink -- is an address one of a machine on a link of ours?
 *
 * It is if it lies within the prefix of an address of a local interface, or is link-local, or of
 * this machine. IPv4 addresses may be mapped into IPv6. The prefixes are those of now, read again
 * when they are old: an address that was just plugged in is known a second later.
 */
#ifndef CORE_ONLINK_H
#define CORE_ONLINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ONLINK_ADDR_LEN = 16, ONLINK_MAX = 256 };

struct onlink_prefix {
    uint8_t addr[ONLINK_ADDR_LEN]; /* of IPv6; IPv4 is mapped */
    unsigned bits;                 /* of it that count */
};

struct onlink {
    struct onlink_prefix all[ONLINK_MAX];
    unsigned n;
    bool read; /* ever, or in vain */
    int err;   /* of the last time */
    uint64_t read_at_ms;
};

/* 1 or 0; a negative errno: it is none of those that are known, and the interfaces cannot be read.
 * Zero it first. now_ms: of any clock that never goes back. */
int onlink_has(struct onlink *o, const struct sockaddr *addr, uint64_t now_ms);

/* An address as IPv6; all-zero if it is of another family. */
void onlink_bytes(const struct sockaddr *addr, uint8_t out[static ONLINK_ADDR_LEN]);

/* The two halves of onlink_has, pure: one more prefix (an address and its mask, NULL: the whole
 * address; a mask of no bits is none), and does one match? */
void onlink_add(struct onlink *o, const struct sockaddr *addr, const struct sockaddr *mask);
bool onlink_match(const struct onlink *o, const struct sockaddr *addr);

#endif
