/* SPDX-License-Identifier: MIT */
/*
 * trust -- the peers that we know: name -> key, pinned at first sight
 *
 * $XDG_STATE_HOME/lanyard/known_peers, one line each: KEY NAME (name escaped by name_show; text
 * after the first space to the end of the line). Lines with '#' are comments. Rewritten through a
 * temporary file, fsync and rename, under a lock. A name may have several keys if the user added
 * them. Blocking.
 */
#ifndef CORE_TRUST_H
#define CORE_TRUST_H

#include "core/identity.h"

#include <stdbool.h>

struct trust_peer {
    uint8_t key[KEY_LEN];
    char name[256]; /* as shown: escaped */
};

struct trust {
    char path[4096];
    struct trust_peer *peers;
    size_t n;
    unsigned bad_line; /* of ERR_KNOWN_PEERS, counted from 1 */
};

enum { TRUST_KNOWN = 0, TRUST_NEW = 1 };

/* 0, also when there is no file; ERR_KNOWN_PEERS; or the error of reading it. */
int trust_load(struct trust *t, const char *state_dir);
void trust_clear(struct trust *t);

/* TRUST_KNOWN: this key is known under this name; TRUST_NEW: nobody is known under it;
 * ERR_KEY_CHANGED: another key is, which `other` (may be NULL) gets. */
int trust_check(const struct trust *t, const char *name, const uint8_t key[static KEY_LEN],
                uint8_t other[KEY_LEN]);
bool trust_knows_name(const struct trust *t, const char *name); /* as shown */

/* Both write the file. */
int trust_add(struct trust *t, const char *name, const uint8_t key[static KEY_LEN]);
/* Forgets every line with this name or this key text (or its short id). Returns how many, or an
 * error. */
int trust_forget(struct trust *t, const char *name_or_key);

#endif
