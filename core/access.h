/* SPDX-License-Identifier: MIT */
/*
 * access -- an access code, and the proofs by which both ends of a connection show that they
 * know it
 *
 *     access_make | access_parse -> code    access_key (slow) -> key    access_proof -> 32 bytes
 *
 * PROTOCOL.md section 5, AUTH. Pure but for the randomness of access_make. Codes and keys are
 * secrets: whoever holds one wipes it (OPENSSL_cleanse).
 */
#ifndef CORE_ACCESS_H
#define CORE_ACCESS_H

#include "core/identity.h"
#include "proto/wire.h"

#include <stdbool.h>

enum {
    ACCESS_CODE_LEN = 8,  /* 5 bits each */
    ACCESS_SHOWN_LEN = 9, /* k7f3-q9zz */
    ACCESS_KEY_LEN = 32,
    ACCESS_EXPORT_LEN = 32,
    ACCESS_WORK_MEM = 16 * 1024 * 1024, /* what access_key needs while it works */
};

struct access_code {
    char text[ACCESS_CODE_LEN + 1]; /* without the dash; "": none */
};

/* What a proof is bound to: one TLS connection between two keys. */
struct access_bond {
    uint8_t exported[ACCESS_EXPORT_LEN]; /* tls_export */
    uint8_t dialler[KEY_LEN], listener[KEY_LEN];
};

enum access_role { ACCESS_DIALLER, ACCESS_LISTENER };

/* A new one. 0, or -EIO: the system gives no random bytes. */
int access_make(struct access_code *code);
/* What somebody typed. -EINVAL: no code can be meant. */
int access_parse(struct access_code *code, const char *typed);
void access_show(const struct access_code *code, char out[static ACCESS_SHOWN_LEN + 1]);

/* A fifth of a second and ACCESS_WORK_MEM: for a worker, not for a loop. 0, -ENOMEM. Any thread. */
int access_key(const struct access_code *code, const uint8_t listener[static KEY_LEN],
               uint8_t key[static ACCESS_KEY_LEN]);

/* 0, -ENOMEM. */
int access_proof(const uint8_t key[static ACCESS_KEY_LEN], enum access_role who,
                 const struct access_bond *bond, uint8_t proof[static WIRE_PROOF_LEN]);
/* Is it the proof that `who` would make? Takes the same time whatever is wrong with it. */
bool access_proves(const uint8_t key[static ACCESS_KEY_LEN], enum access_role who,
                   const struct access_bond *bond, const uint8_t proof[static WIRE_PROOF_LEN]);

#endif
