/* SPDX-License-Identifier: MIT */
/*
 * peer -- what mDNS says about one peer, and its TXT record
 *
 *     TXT (RFC 6763, section 6):  txtvers=1   id=<52 characters>   v=<version>
 *
 * All of it is a hint: anybody on the link can say anything. Who a peer is, only its key in the
 * TLS handshake proves. Pure: no I/O, no clock, no globals.
 */
#ifndef DISCOVERY_PEER_H
#define DISCOVERY_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_SERVICE "_lanyard._tcp"

enum {
    PEER_NAME_LEN = 63,    /* one DNS label */
    PEER_ID_LEN = 52,      /* base32 of 32 bytes, lower case, no padding */
    PEER_VERSION_LEN = 31, /* printable ASCII */
    PEER_ADDRS_MAX = 32,
    PEER_TXT_MAX = 1300 /* RFC 6763, 6.2: more does not fit one packet */
};

struct peer {
    char name[PEER_NAME_LEN + 1];       /* UTF-8, otherwise raw: escape it before you print it */
    char id[64];                        /* the key it claims, or "": missing or malformed */
    char version[PEER_VERSION_LEN + 1]; /* or "" */
    uint16_t port;                      /* that of addrs[0] */
    bool local;                         /* Avahi says: announced by this machine */
    unsigned n_addrs;
    struct sockaddr_storage addrs[PEER_ADDRS_MAX]; /* best first, with port and scope; no doubles */
};

/* What a TXT record holds. */
struct peer_txt {
    char id[64];
    char version[PEER_VERSION_LEN + 1];
};

/* Reads TXT rdata (strings with a length byte each). What is missing, malformed or of another
 * txtvers stays "". Takes any bytes. */
void peer_txt_parse(const uint8_t *rdata, size_t len, struct peer_txt *t);

/* Writes the rdata; fields that are "" are left out. Returns its length, or -EINVAL for an id or
 * version that peer_txt_parse would not take. */
int peer_txt_make(const struct peer_txt *t, uint8_t out[static PEER_TXT_MAX]);

/* 1..63 bytes of well-formed UTF-8 without control characters of ASCII? */
bool peer_name_ok(const char *name);

/* How good an address is, seen through the interface of this name: lower is better. */
enum peer_rank {
    PEER_RANK_GLOBAL,  /* global or private */
    PEER_RANK_LINK,    /* fe80::/10, 169.254/16 */
    PEER_RANK_VIRTUAL, /* through docker0, a VPN, ...: the classic "cannot connect" */
    PEER_RANK_LOOPBACK,
    PEER_RANK_NEVER /* unspecified, multicast, broadcast, mapped; loopback through the network */
};
enum peer_rank peer_rank(const struct sockaddr *addr, const char *interface);

#endif
