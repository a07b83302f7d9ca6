/* SPDX-License-Identifier: MIT */
/*
 * identity -- our key: made at first use, kept in $XDG_STATE_HOME/lanyard/key.pem
 *
 * An Ed25519 key (PKCS#8 PEM, mode 0600, written with O_EXCL beside it and renamed without replace,
 * so that two first starts at once agree on one key) and a self-signed X.509 certificate around
 * it that is made anew at each start: only the raw public key counts. Blocking; read-only after
 * load.
 */
#ifndef CORE_IDENTITY_H
#define CORE_IDENTITY_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_LEN = 32, KEY_TEXT_LEN = 52, KEY_SHORT_LEN = 8 };

struct identity {
    uint8_t key[KEY_LEN]; /* raw public key (RFC 8032) */
    EVP_PKEY *pkey;
    X509 *cert;
};

/* The folder of our state, made (0700) if missing: $XDG_STATE_HOME/lanyard, else
 * ~/.local/state/lanyard. 0, -ENAMETOOLONG, -ENOENT without HOME, or the error of mkdir. */
int identity_state_dir(char *out, size_t cap);

/* Loads or makes the key in that folder. ERR_KEY_FILE: not a key, or readable by others. */
int identity_load(struct identity *id, const char *state_dir);
void identity_clear(struct identity *id); /* takes a zeroed one */

/* A key as text: base32 of RFC 4648, lower case, no padding; the short id is its first 8
 * characters. */
void key_text(const uint8_t key[static KEY_LEN], char out[static KEY_TEXT_LEN + 1]);
int key_parse(const char *text, uint8_t key[static KEY_LEN]); /* 0 or -EINVAL */

#endif
