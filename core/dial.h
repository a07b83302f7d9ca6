/* SPDX-License-Identifier: MIT */
/*
 * dial -- from a peer with several addresses to one open conn
 *
 *     dial_start -> on_done(0, conn) | on_done(why, NULL)        dial_stop at any time
 *
 * Races all addresses, DIAL_STAGGER_MS apart (closer if there are so many that the last ones would
 * have no time), global before link-local, in the order given otherwise; the first whose HELLO and
 * AUTH are done wins, the others are closed. With an access code the first HELLO wins: it is proven
 * at one address alone, for wrong ones are counted. If a key is wanted, an address where another
 * key answers counts as failed (ERR_KEY_OTHER), before anything but our name was said. Host names
 * are resolved (uv_getaddrinfo). Gives up after patience.dial.
 */
#ifndef CORE_DIAL_H
#define CORE_DIAL_H

#include "core/conn.h"

enum { DIAL_STAGGER_MS = 250, DIAL_ADDRS_MAX = 32 };

struct endpoint {
    char host[256]; /* a name or address to resolve, or "" */
    uint16_t port;  /* for host */
    unsigned n_addrs;
    struct sockaddr_storage addrs[DIAL_ADDRS_MAX]; /* with ports, and scope for fe80:: */
    bool key_known;
    uint8_t key[KEY_LEN]; /* who must answer */
};

struct dial;
struct dial_handler {
    /* The peer at one address said HELLO, and then it or we did not want to go on: c tells who it
     * is. Before on_done. May be NULL. */
    void (*on_refused)(void *owner, const struct conn *c);
    /* Exactly once, unless dial_stop came first; the dial is gone after it. conn: open, its handler
     * and owner to be set by conn_set_handler before this returns. why: the error of the most
     * telling address; text: that address, and what it said. */
    void (*on_done)(void *owner, int why, const char *text, struct conn *c);
};

int dial_start(struct dial **d, const struct conn_env *env, const struct endpoint *to,
               const struct dial_handler *h, void *owner);
/* Takes NULL; no callback follows. What was dialled closes in the background (1 s at most): env
 * must live until the loop has nothing left to do. The same holds after on_done. */
void dial_stop(struct dial *d);

#endif
