/* SPDX-License-Identifier: MIT */
/*
 * what -- the words that name a peer, and something at a peer
 *
 *     PEER   anna   anna#abcd2345   192.168.1.7   192.168.1.7:5000   nas.lan:5000   [V6]:5000
 *     WHAT   NAME   PEER:PATH       HOST:PORT:PATH   [V6]:PORT:PATH   [V6]:PATH
 *
 * A word that could be a display name and a host name is a display name; whoever finds no such peer
 * tries it as a host. `X:5000` is HOST:PORT where a PEER is meant, and file `5000` of peer X where
 * something to download is. Pure.
 */
#ifndef CLI_WHAT_H
#define CLI_WHAT_H

#include "core/identity.h"

#include <stdbool.h>
#include <stdint.h>

enum { WHAT_PORT = 5000, WHAT_NAME_MAX = 256, WHAT_PATH_MAX = 4096 };

struct peer_spec {
    enum {
        PEER_ANY,  /* none was named */
        PEER_NAME, /* name, and id if not "" */
        PEER_ADDR, /* host and port */
    } kind;
    char name[WHAT_NAME_MAX];
    char id[KEY_TEXT_LEN + 1]; /* the beginning of the key as text, KEY_SHORT_LEN or more, or "" */
    char host[WHAT_NAME_MAX];  /* PEER_NAME: may be tried as a host if not "" */
    uint16_t port;
};

struct what {
    struct peer_spec peer;
    char path[WHAT_PATH_MAX]; /* slashes at both ends are cut; "" if there is none */
};

/* 0; -EINVAL: no peer can be called so. */
int what_parse_peer(struct peer_spec *p, const char *text);

/* What `download` takes: a word without a colon is a NAME. -EINVAL: the path is none. */
int what_parse(struct what *w, const char *text);

/* A path behind a peer that is named by other words: colons are nothing special. -EINVAL: it is
 * none. */
int what_parse_path(struct what *w, const char *text);

/* What `list` takes: a word without a colon is a PEER. */
int what_parse_listed(struct what *w, const char *text);

/* HOST and PORT as two words. -EINVAL if the second is not a port. */
int what_parse_address(struct peer_spec *p, const char *host, const char *port);

/* Is this peer the one that was named? name: escaped, key_text: all of it. Not for PEER_ADDR. */
bool what_matches(const struct peer_spec *p, const char *name, const char *key_text);

#endif
