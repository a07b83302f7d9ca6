/* SPDX-License-Identifier: MIT */
#include "core/access.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

/* Without i, l, o and u: nobody mistakes one for another. */
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* Each guess costs 0.2 s and 16 MiB: 2^40 of them are 7000 years of one core. */
enum { SCRYPT_N = 1 << 14, SCRYPT_R = 8, SCRYPT_P = 5, SCRYPT_MEM = ACCESS_WORK_MEM + (1 << 20) };

int access_make(struct access_code *code) {
    uint8_t bits[ACCESS_CODE_LEN];

    if (RAND_priv_bytes(bits, sizeof bits) != 1) {
        ERR_clear_error();
        return -EIO;
    }
    for (unsigned i = 0; i < ACCESS_CODE_LEN; i++)
        code->text[i] = alphabet[bits[i] % 32];
    code->text[ACCESS_CODE_LEN] = '\0';
    OPENSSL_cleanse(bits, sizeof bits);
    return 0;
}

/* The letter that is meant, '\0' if it is none of ours. */
static char normal(char c) {
    if (c >= 'A' && c <= 'Z')
        c = (char)(c - 'A' + 'a');
    if (c == 'o')
        c = '0';
    if (c == 'i' || c == 'l')
        c = '1';
    return c != '\0' && strchr(alphabet, c) ? c : '\0';
}

int access_parse(struct access_code *code, const char *typed) {
    unsigned n = 0;

    code->text[0] = '\0';
    for (; *typed; typed++) {
        char c = normal(*typed);

        if (strchr(" \t\r\n-", *typed))
            continue;
        if (c == '\0' || n == ACCESS_CODE_LEN)
            break;
        code->text[n++] = c;
    }
    code->text[n] = '\0';
    if (n == ACCESS_CODE_LEN && *typed == '\0')
        return 0;
    OPENSSL_cleanse(code, sizeof *code);
    return -EINVAL;
}

void access_show(const struct access_code *code, char out[static ACCESS_SHOWN_LEN + 1]) {
    memcpy(out, code->text, 4);
    out[4] = '-';
    memcpy(out + 5, code->text + 4, 5);
}

int access_key(const struct access_code *code, const uint8_t listener[static KEY_LEN],
               uint8_t key[static ACCESS_KEY_LEN]) {
    static const char label[] = "lanyard/1 code";
    uint8_t salt[sizeof label - 1 + KEY_LEN];
    int made;

    memcpy(salt, label, sizeof label - 1);
    memcpy(salt + sizeof label - 1, listener, KEY_LEN);
    made = EVP_PBE_scrypt(code->text, ACCESS_CODE_LEN, salt, sizeof salt, SCRYPT_N, SCRYPT_R,
                          SCRYPT_P, SCRYPT_MEM, key, ACCESS_KEY_LEN);
    ERR_clear_error();
    return made == 1 ? 0 : -ENOMEM;
}

int access_proof(const uint8_t key[static ACCESS_KEY_LEN], enum access_role who,
                 const struct access_bond *bond, uint8_t proof[static WIRE_PROOF_LEN]) {
    const char *label = who == ACCESS_DIALLER ? "lanyard/1 dialler" : "lanyard/1 listener";
    uint8_t text[32 + ACCESS_EXPORT_LEN + 2 * KEY_LEN], *at = text;
    unsigned len = WIRE_PROOF_LEN;
    bool made;

    at = (uint8_t *)memcpy(at, label, strlen(label)) + strlen(label);
    at = (uint8_t *)memcpy(at, bond->exported, ACCESS_EXPORT_LEN) + ACCESS_EXPORT_LEN;
    at = (uint8_t *)memcpy(at, bond->dialler, KEY_LEN) + KEY_LEN;
    at = (uint8_t *)memcpy(at, bond->listener, KEY_LEN) + KEY_LEN;
    made = HMAC(EVP_sha256(), key, ACCESS_KEY_LEN, text, (size_t)(at - text), proof, &len);
    ERR_clear_error();
    return made ? 0 : -ENOMEM;
}

bool access_proves(const uint8_t key[static ACCESS_KEY_LEN], enum access_role who,
                   const struct access_bond *bond, const uint8_t proof[static WIRE_PROOF_LEN]) {
    uint8_t right[WIRE_PROOF_LEN];
    bool same =
        access_proof(key, who, bond, right) == 0 && CRYPTO_memcmp(right, proof, sizeof right) == 0;

    OPENSSL_cleanse(right, sizeof right);
    return same;
}
