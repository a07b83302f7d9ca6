/* SPDX-License-Identifier: MIT */
#include "core/identity.h"

#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_FILE_MAX = 16 * 1024 };

/* mkdir -p, 0700 for what is missing (XDG Base Directory Specification). Changes path in place. */
static int make_dirs(char *path) {
    for (char *slash = path + 1;; slash++) {
        if (*slash != '/' && *slash != '\0')
            continue;
        char was = *slash;
        *slash = '\0';
        int r = mkdir(path, 0700);
        *slash = was;
        if (r < 0 && errno != EEXIST)
            return -errno;
        if (was == '\0')
            return 0;
    }
}

int identity_state_dir(char *out, size_t cap) {
    const char *base = getenv("XDG_STATE_HOME"), *rest = "lanyard";
    int n;

    if (!base || base[0] != '/') { /* "relative paths must be ignored", the same specification */
        base = getenv("HOME");
        rest = ".local/state/lanyard";
    }
    if (!base || base[0] != '/')
        return -ENOENT;
    n = snprintf(out, cap, "%s/%s", base, rest);
    if (n < 0 || (size_t)n >= cap)
        return -ENAMETOOLONG;
    return make_dirs(out);
}

static int no_password(char *buf, int size, int writing, void *arg) { return -1; }

/* Empties OpenSSL's queue of errors. */
static bool was_out_of_memory(void) {
    unsigned long e;
    bool found = false;

    while ((e = ERR_get_error()))
        found = found || ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE;
    return found;
}

/* Ed25519 in PKCS#8: an OCTET STRING in that of the structure (RFC 8410 section 7).
 * PEM_read_bio_PrivateKey, which knows all kinds of keys, takes twice the instructions in OpenSSL
 * 3.0, and those are a seventh of what fetching a small file takes. */
static int take_key(EVP_PKEY **out, const PKCS8_PRIV_KEY_INFO *info) {
    const ASN1_OBJECT *algorithm;
    const unsigned char *der;
    int len;

    if (!PKCS8_pkey_get0(&algorithm, &der, &len, NULL, info) ||
        OBJ_obj2nid(algorithm) != NID_ED25519 || len != 2 + KEY_LEN ||
        der[0] != V_ASN1_OCTET_STRING || der[1] != KEY_LEN)
        return ERR_KEY_FILE;
    *out = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, der + 2, KEY_LEN);
    return *out ? 0 : -ENOMEM; /* any 32 bytes are a key */
}

/* The private key in these bytes. ERR_KEY_FILE if they are not an Ed25519 key. */
static int parse_key(EVP_PKEY **out, const char *pem, size_t len) {
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    PKCS8_PRIV_KEY_INFO *info =
        bio ? PEM_read_bio_PKCS8_PRIV_KEY_INFO(bio, NULL, no_password, NULL) : NULL;
    int r = info ? take_key(out, info) : ERR_KEY_FILE;

    PKCS8_PRIV_KEY_INFO_free(info); /* and wipes it */
    BIO_free(bio);
    return was_out_of_memory() && r < 0 ? -ENOMEM : r; /* the file may be good */
}

static int read_key(EVP_PKEY **pkey, const char *path) {
    /* O_NONBLOCK: opening a FIFO of this name must not wait for a writer */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = ERR_KEY_FILE;
    char pem[KEY_FILE_MAX];
    struct stat st;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0) {
        r = -errno;
        goto out;
    }
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
        goto out;
    r = (int)fs_pread_some(fd, pem, sizeof pem, 0);
    if (r < 0)
        goto out;
    r = parse_key(pkey, pem, (size_t)r);
out:
    OPENSSL_cleanse(pem, sizeof pem);
    close(fd);
    return r;
}

/* Gives tmp its final name unless somebody else was first: 0, -EEXIST. */
static int publish(const char *tmp, const char *path) {
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS) /* NFS and some others know no RENAME_NOREPLACE */
        return -errno;
    return link(tmp, path) == 0 ? 0 : -errno;
}

static int sync_dir(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

    if (fd < 0)
        return -errno;
    r = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r;
}

static int write_pem(int fd, const EVP_PKEY *pkey) {
    BIO *bio = BIO_new_fd(fd, BIO_NOCLOSE);
    int r = bio ? 0 : -ENOMEM;

    errno = 0; /* of the write(2) in there: a full disk, say */
    if (!r && !PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL))
        r = errno ? -errno : -EIO;
    BIO_free(bio);
    ERR_clear_error();
    if (!r && (fchmod(fd, 0600) < 0 || fsync(fd) < 0))
        r = -errno;
    return r;
}

/* Puts the key under its name, whole and on disk, or not at all. -EEXIST: another one is there. */
static int write_key(const EVP_PKEY *pkey, const char *state_dir, const char *path) {
    char tmp[PATH_MAX];
    int n = snprintf(tmp, sizeof tmp, "%s.XXXXXX", path), fd, r;

    if (n < 0 || (size_t)n >= sizeof tmp)
        return -ENAMETOOLONG;
    /* random, not our pid: hosts and containers may share the folder; O_EXCL and 0600 by itself */
    fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = write_pem(fd, pkey);
    close(fd);
    if (!r)
        r = publish(tmp, path);
    unlink(tmp);
    return r ? r : sync_dir(state_dir);
}

static int make_key(EVP_PKEY **pkey, const char *state_dir, const char *path) {
    EVP_PKEY *made = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    int r;

    if (!made)
        return -ENOMEM;
    r = write_key(made, state_dir, path);
    if (r == 0) {
        *pkey = made;
        return 0;
    }
    EVP_PKEY_free(made);
    return r == -EEXIST ? read_key(pkey, path) : r;
}

/* RFC 8410 section 4: the raw key and no parameters. X509_set_pubkey looks for an encoder first,
 * which takes a tenth of what fetching a small file takes. */
static bool put_key(X509 *x, const uint8_t key[static KEY_LEN]) {
    uint8_t *copy = OPENSSL_memdup(key, KEY_LEN); /* the certificate's, if all goes well */

    if (copy && X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(x), OBJ_nid2obj(NID_ED25519),
                                       V_ASN1_UNDEF, NULL, copy, KEY_LEN))
        return true;
    OPENSSL_free(copy);
    return false;
}

/* Peers look at the key alone, so the rest only has to be well-formed. */
static X509 *make_cert(EVP_PKEY *pkey, const uint8_t key[static KEY_LEN]) {
    X509 *x = X509_new(), *parsed = NULL;
    X509_NAME *name = x ? X509_get_subject_name(x) : NULL;

    if (name && X509_set_version(x, X509_VERSION_3) &&
        ASN1_INTEGER_set(X509_get_serialNumber(x), 1) &&
        ASN1_TIME_set_string(X509_getm_notBefore(x), "20000101000000Z") &&
        /* no end, RFC 5280 section 4.1.2.5 */
        ASN1_TIME_set_string(X509_getm_notAfter(x), "99991231235959Z") &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"lanyard", -1, -1,
                                   0) &&
        X509_set_issuer_name(x, name) && put_key(x, key) && X509_sign(x, pkey, NULL) > 0)
        parsed = X509_dup(x); /* written and read, for only what was read has its EVP_PKEY */
    if (parsed && !X509_get0_pubkey(parsed)) { /* out of memory */
        X509_free(parsed);
        parsed = NULL;
    }
    X509_free(x);
    ERR_clear_error();
    return parsed;
}

int identity_load(struct identity *id, const char *state_dir) {
    char path[PATH_MAX];
    size_t len = KEY_LEN;
    int n = snprintf(path, sizeof path, "%s/key.pem", state_dir), r;

    memset(id, 0, sizeof *id);
    if (n < 0 || (size_t)n >= sizeof path)
        return -ENAMETOOLONG;
    r = read_key(&id->pkey, path);
    if (r == -ENOENT)
        r = make_key(&id->pkey, state_dir, path);
    if (r < 0)
        return r;
    if (EVP_PKEY_get_raw_public_key(id->pkey, id->key, &len))
        id->cert = make_cert(id->pkey, id->key);
    if (!id->cert) {
        identity_clear(id);
        return -ENOMEM;
    }
    return 0;
}

void identity_clear(struct identity *id) {
    X509_free(id->cert);
    EVP_PKEY_free(id->pkey);
    memset(id, 0, sizeof *id);
}

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

void key_text(const uint8_t key[static KEY_LEN], char out[static KEY_TEXT_LEN + 1]) {
    for (unsigned i = 0; i < KEY_TEXT_LEN; i++) {
        unsigned byte = i * 5 / 8, shift = 11 - i * 5 % 8;
        unsigned two = (unsigned)key[byte] << 8 | (byte + 1 < KEY_LEN ? key[byte + 1] : 0);
        out[i] = base32[two >> shift & 31];
    }
    out[KEY_TEXT_LEN] = '\0';
}

int key_parse(const char *text, uint8_t key[static KEY_LEN]) {
    uint8_t out[KEY_LEN] = {0};

    for (unsigned i = 0; i < KEY_TEXT_LEN; i++) {
        const char *digit = text[i] ? strchr(base32, text[i]) : NULL;
        if (!digit)
            return -EINVAL;
        unsigned value = (unsigned)(digit - base32), byte = i * 5 / 8;
        unsigned two = value << (11 - i * 5 % 8);
        out[byte] |= (uint8_t)(two >> 8);
        if (byte + 1 < KEY_LEN)
            out[byte + 1] |= (uint8_t)two;
        else if (two & 0xff) /* bits beyond the key: each key has one text */
            return -EINVAL;
    }
    if (text[KEY_TEXT_LEN] != '\0')
        return -EINVAL;
    memcpy(key, out, KEY_LEN);
    return 0;
}
