/* SPDX-License-Identifier: MIT */
/*
 * wire -- one frame: header and payload of every message, to bytes and back
 *
 *      0       4      5       6       8
 *      | len:32 | type:8 | flags:8 | req:16 | payload[len]          integers big-endian
 *
 *      dialler                                   listener
 *      HELLO                    <->                 HELLO
 *      AUTH                      ->
 *                               <-                 AUTHED
 *      INFO_GET                  ->
 *                               <-                 INFO
 *      LIST | FIND               ->
 *                               <-                 ENTRIES | FOUND, the last has WIRE_LAST
 *      OPEN                      ->
 *                               <-                 OPENED
 *      MANIFEST_GET              ->
 *                               <-                 MANIFEST
 *      GET | CANCEL              ->
 *                               <-                 DATA, DATA, ... a record for each chunk or hole
 *      DIGEST_GET                ->
 *                               <-                 DIGEST, DIGEST, ...
 *      PING | PONG | ERROR | BYE <->
 *
 * proto/PROTOCOL.md is the specification. This file alone reads lengths from peers: wire_decode()
 * has checked every length and count in the message it hands out. Pure: no I/O, no allocation.
 * Every pointer in a decoded message points into the payload that was decoded.
 */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Codes in AUTHED, ERROR, BYE and DATA records. In the program they are WIRE_ERR(code). */
#define WIRE_CODE_MAP(X)                                                                           \
    X(OK, 0, "success")                                                                            \
    X(PROTOCOL, 1, "the peer broke the protocol")                                                  \
    X(VERSION, 2, "the peer speaks another version of the protocol")                               \
    X(AUTH_REQUIRED, 3, "the peer asks for an access code")                                        \
    X(AUTH_FAILED, 4, "the peer did not accept the access code")                                   \
    X(DENIED, 5, "the peer denied access")                                                         \
    X(NOT_FOUND, 6, "the peer has nothing of this name")                                           \
    X(CHANGED, 7, "the file changed while it was read")                                            \
    X(GONE, 8, "the file was removed at its source")                                               \
    X(IO, 9, "the peer could not read it")                                                         \
    X(BUSY, 10, "the peer is busy")                                                                \
    X(LIMIT, 11, "a limit of the peer was reached")                                                \
    X(CANCELLED, 12, "cancelled")                                                                  \
    X(UNSUPPORTED, 13, "the peer does not support this")                                           \
    X(SHUTDOWN, 14, "the peer is shutting down")                                                   \
    X(TIMEOUT, 15, "the peer did not answer in time")                                              \
    X(CORRUPT, 16, "the data arrived damaged")                                                     \
    X(INTERNAL, 17, "the peer had an internal error")

enum wire_code {
#define X(name, number, text) WIRE_##name = number,
    WIRE_CODE_MAP(X)
#undef X
};

#define WIRE_ERR(code) (-10000 - (int)(code))

/* The sentence for a code; a general one for codes we do not know. Static. */
const char *wire_code_text(unsigned code);

enum wire_type {
    WIRE_HELLO = 0x01,
    WIRE_AUTH = 0x02,
    WIRE_AUTHED = 0x03,
    WIRE_PING = 0x04,
    WIRE_PONG = 0x05,
    WIRE_ERROR = 0x06,
    WIRE_BYE = 0x07,
    WIRE_INFO_GET = 0x10,
    WIRE_INFO = 0x11,
    WIRE_LIST = 0x12,
    WIRE_ENTRIES = 0x13,
    WIRE_FIND = 0x14,
    WIRE_FOUND = 0x15,
    WIRE_OPEN = 0x20,
    WIRE_OPENED = 0x21,
    WIRE_MANIFEST_GET = 0x22,
    WIRE_MANIFEST = 0x23,
    WIRE_GET = 0x24,
    WIRE_DATA = 0x25,
    WIRE_CANCEL = 0x26,
    WIRE_DIGEST_GET = 0x27,
    WIRE_DIGEST = 0x28,
    /* 0x30..0x37 are kept for HAVE, NEXT, PEERS_GET, PEERS (see PROTOCOL.md); 0x80.. is ignored */
};

enum {
    WIRE_HEADER_LEN = 8,
    WIRE_LAST = 0x01, /* header flag: the last frame of an answer */
    WIRE_MAJOR = 1,
    WIRE_MINOR = 0,
    WIRE_CHUNK_SHIFT = 20,
    WIRE_CHUNK_SIZE = 1 << WIRE_CHUNK_SHIFT,
    WIRE_DIGEST_LEN = 16, /* XXH3-128, canonical (big-endian) form, XXH128_canonical_t */
    WIRE_KEY_LEN = 32,
    WIRE_ID_LEN = 32,
    WIRE_NAME_LEN = 63,
    WIRE_RECORD_LEN = 32,
    WIRE_RANGE_LEN = 12,
    WIRE_RECORDS_MAX = 512,  /* records in one DATA frame */
    WIRE_RANGES_MAX = 512,   /* ranges in one GET */
    WIRE_DATA_HEAD = 8,      /* bytes of a DATA payload before its records */
    WIRE_ENTRIES_HEAD = 2,   /* of ENTRIES and FOUND before their rows */
    WIRE_MANIFEST_HEAD = 12, /* of MANIFEST before its page */
    WIRE_DIGEST_HEAD = 13,   /* of DIGEST before its digests */
    WIRE_PROOF_MAX = 254,
    WIRE_PROOF_LEN = 32, /* in AUTH with a code, and in its AUTHED */
    WIRE_TEXT_MAX = 504, /* bytes of the sentence in ERROR and BYE */
    WIRE_CONTROL_MAX = 64 * 1024,
    WIRE_PAGE_MAX = 1024 * 1024, /* bytes of manifest in one MANIFEST */
    WIRE_DIGESTS_MAX = 4000,     /* digests in one DIGEST */
    WIRE_PAYLOAD_MAX = WIRE_CHUNK_SIZE + 16 * 1024 + WIRE_DATA_HEAD,
    WIRE_FRAME_MAX = WIRE_HEADER_LEN + WIRE_PAYLOAD_MAX,
    WIRE_OUTSTANDING_CHUNKS = 4096, /* asked for and not answered, per connection */
};

/* No file, and no sum of files, is larger; so sums of sizes and offsets cannot overflow. */
#define WIRE_SIZE_MAX ((uint64_t)1 << 62)

enum { WIRE_FEATURE_CODE = 1 }; /* in HELLO of a listener: it asks for an access code */

enum wire_auth_method { WIRE_AUTH_NONE = 0, WIRE_AUTH_CODE = 1 };

struct bytes {
    const uint8_t *at;
    size_t len;
};

struct wire_header {
    uint32_t len; /* of the payload */
    uint8_t type;
    uint8_t flags;
    uint16_t req;
};

enum wire_kind { WIRE_DIR = 1, WIRE_FILE = 2, WIRE_SYMLINK = 3 };

/* One row of ENTRIES (path is a name) or FOUND (path is SHARE/dir/file). */
struct wire_entry {
    uint8_t kind;  /* enum wire_kind */
    uint16_t mode; /* & 0777 */
    uint64_t size; /* bytes; 0 for folders and symlinks */
    int64_t mtime_ns;
    struct bytes path; /* checked by name_path_ok() */
};

enum wire_find_mode {
    WIRE_FIND_PATTERN = 1, /* a glob on the base name if it has one of *?[, else part of it */
    WIRE_FIND_NAME = 2,    /* the path itself, else shares and base names that are equal */
};

enum wire_record_kind { WIRE_RECORD_DATA = 0, WIRE_RECORD_ZEROS = 1, WIRE_RECORD_ERROR = 2 };

struct wire_record {
    uint64_t chunk;
    uint32_t len; /* of the chunk; 0 for errors. Only kind DATA has bytes in the frame. */
    uint8_t kind;
    uint8_t code;  /* enum wire_code, for errors */
    uint16_t more; /* whole chunks of ZEROS that follow this one, and are the same */
    uint8_t digest[WIRE_DIGEST_LEN];
};

struct wire_range {
    uint64_t first;
    uint32_t count; /* > 0 */
};

enum wire_digest_kind { WIRE_DIGEST_XXH3 = 1 };

struct msg {
    uint8_t type; /* enum wire_type: says which member holds */
    uint8_t flags;
    uint16_t req;
    union {
        struct {
            uint8_t major, minor;
            uint32_t features;
            uint16_t port;               /* where the sender listens, 0: nowhere */
            struct bytes name, software; /* UTF-8, name 1..WIRE_NAME_LEN bytes */
        } hello;
        struct {
            uint8_t method;     /* enum wire_auth_method, or one of tomorrow */
            struct bytes proof; /* WIRE_AUTH_CODE: WIRE_PROOF_LEN bytes */
        } auth;
        struct {
            uint8_t result; /* enum wire_code */
            struct bytes proof;
        } authed;
        struct {
            uint64_t files, bytes;
            uint32_t shares;
            bool complete;  /* false: still counting */
            uint64_t steps; /* done of what this connection waits for */
        } info;
        struct {
            struct bytes path; /* empty: the shares themselves */
        } list;
        struct {
            uint8_t mode; /* enum wire_find_mode */
            struct bytes pattern;
        } find;
        struct { /* ENTRIES and FOUND: take rows with wire_entry_next() */
            uint16_t n;
            struct bytes rows;
        } entries;
        struct {
            struct bytes path;
        } open;
        struct {
            uint8_t id[WIRE_ID_LEN]; /* SHA-256 of the manifest */
            uint64_t length;         /* of the manifest in bytes */
            uint32_t entries;
            uint64_t chunks, bytes;
            int64_t now_ns; /* the server's clock before the walk, CLOCK_REALTIME */
            uint8_t chunk_shift;
            uint32_t left_out;  /* entries that the manifest does not tell of */
            struct bytes first; /* the first of them: path below entry 0, may be cut */
        } opened;
        struct {
            uint64_t offset;
            uint32_t length;
        } manifest_get;
        struct {
            uint64_t offset;
            struct bytes page;
        } manifest;
        struct { /* take ranges with wire_range_at() */
            uint16_t n;
            struct bytes ranges;
        } get;
        struct { /* take records with wire_record_at(); their bytes follow each other in `data` */
            uint16_t n;
            struct bytes records, data;
        } data;
        struct {
            uint8_t kind;
            uint64_t first;
            uint32_t n;
        } digest_get;
        struct { /* n digests of WIRE_DIGEST_LEN bytes; all-zero: not to be had */
            uint8_t kind;
            uint64_t first;
            uint32_t n;
            struct bytes digests;
        } digest;
        struct {
            uint64_t cookie;
        } ping; /* and PONG */
        struct {
            uint16_t code;
            uint32_t detail;
            struct bytes text;
        } error; /* and BYE */
    };
};

void wire_header_put(uint8_t out[static WIRE_HEADER_LEN], const struct wire_header *h);

/* 0, or WIRE_ERR(PROTOCOL) if len is above the maximum of the type. A type that we do not know has
 * the maximum WIRE_CONTROL_MAX. */
int wire_header_get(struct wire_header *h, const uint8_t in[static WIRE_HEADER_LEN]);

/* Encodes any message but DATA to out. Returns the frame's length, or -ENOBUFS if cap is too small,
 * -EINVAL if wire_decode() would refuse it. Rows, pages and digests may lie in place already, at
 * out + WIRE_HEADER_LEN + WIRE_..._HEAD; then they are not copied. */
int wire_encode(const struct msg *m, uint8_t *out, size_t cap);

/* Decodes the payload (h->len bytes) of a frame. 0; WIRE_ERR(PROTOCOL) if malformed;
 * WIRE_ERR(UNSUPPORTED) for an unknown type below 0x80; 1 for one from 0x80 on: ignore it. Of a
 * HELLO with another major only major and minor are decoded. */
int wire_decode(struct msg *m, const struct wire_header *h, const uint8_t *payload);

/* Is it a row that wire_decode() accepts? (In ENTRIES the path must be a single name as well.) */
bool wire_entry_ok(const struct wire_entry *e);

/* ENTRIES and FOUND rows. Put: returns bytes appended at out, -ENOBUFS or -EINVAL. Next: takes one
 * row off the front; 1, or 0 at the end (rows of a decoded message are well-formed). */
int wire_entry_put(const struct wire_entry *e, uint8_t *out, size_t cap);
int wire_entry_next(struct bytes *rows, struct wire_entry *e);

struct wire_range wire_range_at(const struct msg *get, unsigned i);
void wire_range_put(uint8_t out[static WIRE_RANGE_LEN], struct wire_range r);

struct wire_record wire_record_at(const struct msg *data, unsigned i);
uint32_t wire_data_chunks(const struct msg *data); /* that its records answer, all together */

/* A DATA frame is laid out in place, before its bytes are read from disk:
 *     header | n records | bytes
 * wire_data_offset(n) is where the bytes start in the frame. wire_data_end() writes the header and
 * returns the length of the whole frame; all n records must have been put. */
size_t wire_data_offset(unsigned n);
void wire_data_record(uint8_t *frame, unsigned i, const struct wire_record *r);
size_t wire_data_end(uint8_t *frame, unsigned n, size_t data_len, uint16_t req);

const char *wire_type_name(unsigned type);

#endif
