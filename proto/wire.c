/* SPDX-License-Identifier: MIT */
#include "proto/wire.h"

#include "proto/be.h"
#include "proto/manifest.h"
#include "proto/name.h"

#include <errno.h>

static const uint8_t magic[4] = {'L', 'A', 'N', 'Y'};

static bool text_ok(struct bytes b) {
    return !memchr(b.at, '\0', b.len) && name_utf8_ok((const char *)b.at, b.len);
}

static bool path_ok(struct bytes b) { return name_path_ok((const char *)b.at, b.len); }

/* One pair per message. get_: false if a value is beyond its limit; that the bytes sufficed is
 * checked once by wire_decode(). put_: wire_encode() looks for what went wrong. */

static bool get_hello(struct msg *m, struct be_reader *r) {
    struct bytes is = be_read_raw(r, sizeof magic);
    m->hello.major = (uint8_t)be_read(r, 1);
    m->hello.minor = (uint8_t)be_read(r, 1);
    if (is.len == 0 || memcmp(is.at, magic, sizeof magic) != 0)
        return false;
    if (m->hello.major != WIRE_MAJOR)
        return true; /* what follows is another protocol's */
    m->hello.features = (uint32_t)be_read(r, 4);
    m->hello.port = (uint16_t)be_read(r, 2);
    m->hello.name = be_read_string(r, 1);
    m->hello.software = be_read_string(r, 1);
    return m->hello.name.len > 0 && m->hello.name.len <= WIRE_NAME_LEN && text_ok(m->hello.name) &&
           text_ok(m->hello.software);
}

static void put_hello(const struct msg *m, struct be_writer *w) {
    be_write_raw(w, magic, sizeof magic);
    be_write(w, m->hello.major, 1);
    be_write(w, m->hello.minor, 1);
    be_write(w, m->hello.features, 4);
    be_write(w, m->hello.port, 2);
    be_write_string(w, m->hello.name, 1);
    be_write_string(w, m->hello.software, 1);
}

static bool get_auth(struct msg *m, struct be_reader *r) {
    m->auth.method = (uint8_t)be_read(r, 1);
    m->auth.proof = be_read_string(r, 1);
    return m->auth.method != WIRE_AUTH_CODE || m->auth.proof.len == WIRE_PROOF_LEN;
}

static void put_auth(const struct msg *m, struct be_writer *w) {
    be_write(w, m->auth.method, 1);
    be_write_string(w, m->auth.proof, 1);
}

static bool get_authed(struct msg *m, struct be_reader *r) {
    m->authed.result = (uint8_t)be_read(r, 1);
    m->authed.proof = be_read_string(r, 1);
    return true;
}

static void put_authed(const struct msg *m, struct be_writer *w) {
    be_write(w, m->authed.result, 1);
    be_write_string(w, m->authed.proof, 1);
}

static bool get_ping(struct msg *m, struct be_reader *r) {
    m->ping.cookie = be_read(r, 8);
    return true;
}

static void put_ping(const struct msg *m, struct be_writer *w) { be_write(w, m->ping.cookie, 8); }

static bool get_error(struct msg *m, struct be_reader *r) {
    m->error.code = (uint16_t)be_read(r, 2);
    m->error.detail = (uint32_t)be_read(r, 4);
    m->error.text = be_read_string(r, 2);
    return true;
}

static void put_error(const struct msg *m, struct be_writer *w) {
    be_write(w, m->error.code, 2);
    be_write(w, m->error.detail, 4);
    be_write_string(w, m->error.text, 2);
}

static bool get_nothing(struct msg *m, struct be_reader *r) { return true; }

static void put_nothing(const struct msg *m, struct be_writer *w) {}

static bool get_info(struct msg *m, struct be_reader *r) {
    m->info.files = be_read(r, 8);
    m->info.bytes = be_read(r, 8);
    m->info.shares = (uint32_t)be_read(r, 4);
    m->info.complete = be_read(r, 1) != 0;
    m->info.steps = be_read(r, 8);
    return true;
}

static void put_info(const struct msg *m, struct be_writer *w) {
    be_write(w, m->info.files, 8);
    be_write(w, m->info.bytes, 8);
    be_write(w, m->info.shares, 4);
    be_write(w, m->info.complete, 1);
    be_write(w, m->info.steps, 8);
}

static bool get_list(struct msg *m, struct be_reader *r) {
    m->list.path = be_read_string(r, 2);
    return m->list.path.len == 0 || path_ok(m->list.path);
}

static void put_list(const struct msg *m, struct be_writer *w) {
    be_write_string(w, m->list.path, 2);
}

static bool get_find(struct msg *m, struct be_reader *r) {
    m->find.mode = (uint8_t)be_read(r, 1);
    m->find.pattern = be_read_string(r, 2);
    return m->find.pattern.len > 0 && m->find.pattern.len <= PATH_MAX_LEN &&
           !memchr(m->find.pattern.at, '\0', m->find.pattern.len);
}

static void put_find(const struct msg *m, struct be_writer *w) {
    be_write(w, m->find.mode, 1);
    be_write_string(w, m->find.pattern, 2);
}

static bool get_entries(struct msg *m, struct be_reader *r) {
    struct bytes rest;
    struct wire_entry e;
    m->entries.n = (uint16_t)be_read(r, 2);
    m->entries.rows = rest = (struct bytes){r->at, r->left};
    for (unsigned i = 0; i < m->entries.n; i++) {
        if (!wire_entry_next(&rest, &e) || !wire_entry_ok(&e))
            return false;
        if (m->type == WIRE_ENTRIES && !name_ok((const char *)e.path.at, e.path.len))
            return false;
    }
    m->entries.rows.len -= rest.len;
    return true;
}

static void put_entries(const struct msg *m, struct be_writer *w) {
    be_write(w, m->entries.n, 2);
    be_write_raw(w, m->entries.rows.at, m->entries.rows.len);
}

static bool get_open(struct msg *m, struct be_reader *r) {
    m->open.path = be_read_string(r, 2);
    return path_ok(m->open.path);
}

static void put_open(const struct msg *m, struct be_writer *w) {
    be_write_string(w, m->open.path, 2);
}

static bool get_opened(struct msg *m, struct be_reader *r) {
    struct bytes id = be_read_raw(r, WIRE_ID_LEN);
    memcpy(m->opened.id, id.at, id.len);
    m->opened.length = be_read(r, 8);
    m->opened.entries = (uint32_t)be_read(r, 4);
    m->opened.chunks = be_read(r, 8);
    m->opened.bytes = be_read(r, 8);
    m->opened.now_ns = (int64_t)be_read(r, 8);
    m->opened.chunk_shift = (uint8_t)be_read(r, 1);
    m->opened.left_out = (uint32_t)be_read(r, 4);
    m->opened.first = be_read_string(r, 2);
    /* The totals must be such as a manifest can have, before anybody makes room for them. */
    uint64_t n = m->opened.entries, most = m->opened.bytes / WIRE_CHUNK_SIZE + n;
    return m->opened.chunk_shift == WIRE_CHUNK_SHIFT && n > 0 && n <= MANIFEST_ENTRIES_MAX &&
           m->opened.length > MANIFEST_HEADER_LEN + n * MANIFEST_ENTRY_FIXED &&
           m->opened.length <= MANIFEST_LEN_MAX && m->opened.bytes <= WIRE_SIZE_MAX &&
           m->opened.chunks <= most;
}

static void put_opened(const struct msg *m, struct be_writer *w) {
    be_write_raw(w, m->opened.id, WIRE_ID_LEN);
    be_write(w, m->opened.length, 8);
    be_write(w, m->opened.entries, 4);
    be_write(w, m->opened.chunks, 8);
    be_write(w, m->opened.bytes, 8);
    be_write(w, (uint64_t)m->opened.now_ns, 8);
    be_write(w, m->opened.chunk_shift, 1);
    be_write(w, m->opened.left_out, 4);
    be_write_string(w, m->opened.first, 2);
}

static bool page_ok(uint64_t offset, uint64_t len) {
    return len > 0 && len <= WIRE_PAGE_MAX && offset <= MANIFEST_LEN_MAX - len;
}

static bool get_manifest_get(struct msg *m, struct be_reader *r) {
    m->manifest_get.offset = be_read(r, 8);
    m->manifest_get.length = (uint32_t)be_read(r, 4);
    return page_ok(m->manifest_get.offset, m->manifest_get.length);
}

static void put_manifest_get(const struct msg *m, struct be_writer *w) {
    be_write(w, m->manifest_get.offset, 8);
    be_write(w, m->manifest_get.length, 4);
}

static bool get_manifest(struct msg *m, struct be_reader *r) {
    m->manifest.offset = be_read(r, 8);
    m->manifest.page = be_read_string(r, 4);
    return page_ok(m->manifest.offset, m->manifest.page.len);
}

static void put_manifest(const struct msg *m, struct be_writer *w) {
    be_write(w, m->manifest.offset, 8);
    be_write_string(w, m->manifest.page, 4);
}

static bool get_get(struct msg *m, struct be_reader *r) {
    uint64_t sum = 0;
    m->get.n = (uint16_t)be_read(r, 2);
    m->get.ranges = be_read_raw(r, (uint64_t)m->get.n * WIRE_RANGE_LEN);
    if (r->bad || m->get.n == 0 || m->get.n > WIRE_RANGES_MAX)
        return false;
    for (unsigned i = 0; i < m->get.n; i++) {
        struct wire_range range = wire_range_at(m, i);
        if (range.count == 0 || range.first > WIRE_SIZE_MAX)
            return false;
        sum += range.count;
    }
    return sum <= WIRE_OUTSTANDING_CHUNKS;
}

static void put_get(const struct msg *m, struct be_writer *w) {
    be_write(w, m->get.n, 2);
    be_write_raw(w, m->get.ranges.at, m->get.ranges.len);
}

static bool record_ok(const struct wire_record *rec) {
    if (rec->chunk > WIRE_SIZE_MAX)
        return false;
    if (rec->more > 0 && (rec->kind != WIRE_RECORD_ZEROS || rec->len != WIRE_CHUNK_SIZE))
        return false;
    if (rec->kind == WIRE_RECORD_ERROR)
        return rec->len == 0 && rec->code != WIRE_OK;
    return rec->kind <= WIRE_RECORD_ZEROS && rec->len > 0 && rec->len <= WIRE_CHUNK_SIZE;
}

static bool get_data(struct msg *m, struct be_reader *r) {
    uint64_t sum = 0;
    m->data.n = (uint16_t)be_read(r, 2);
    be_read_raw(r, WIRE_DATA_HEAD - 2);
    m->data.records = be_read_raw(r, (uint64_t)m->data.n * WIRE_RECORD_LEN);
    m->data.data = be_read_raw(r, r->left);
    if (r->bad || m->data.n == 0 || m->data.n > WIRE_RECORDS_MAX)
        return false;
    for (unsigned i = 0; i < m->data.n; i++) {
        struct wire_record rec = wire_record_at(m, i);
        if (!record_ok(&rec))
            return false;
        sum += rec.kind == WIRE_RECORD_DATA ? rec.len : 0;
    }
    return sum == m->data.data.len && wire_data_chunks(m) <= WIRE_OUTSTANDING_CHUNKS;
}

static bool get_digest_get(struct msg *m, struct be_reader *r) {
    m->digest_get.kind = (uint8_t)be_read(r, 1);
    m->digest_get.first = be_read(r, 8);
    m->digest_get.n = (uint32_t)be_read(r, 4);
    return m->digest_get.n > 0 && m->digest_get.n <= WIRE_DIGESTS_MAX &&
           m->digest_get.first <= WIRE_SIZE_MAX;
}

static void put_digest_get(const struct msg *m, struct be_writer *w) {
    be_write(w, m->digest_get.kind, 1);
    be_write(w, m->digest_get.first, 8);
    be_write(w, m->digest_get.n, 4);
}

static bool get_digest(struct msg *m, struct be_reader *r) {
    m->digest.kind = (uint8_t)be_read(r, 1);
    m->digest.first = be_read(r, 8);
    m->digest.n = (uint32_t)be_read(r, 4);
    m->digest.digests = be_read_raw(r, (uint64_t)m->digest.n * WIRE_DIGEST_LEN);
    return m->digest.kind == WIRE_DIGEST_XXH3 && m->digest.n > 0 &&
           m->digest.n <= WIRE_DIGESTS_MAX && m->digest.first <= WIRE_SIZE_MAX;
}

static void put_digest(const struct msg *m, struct be_writer *w) {
    be_write(w, m->digest.kind, 1);
    be_write(w, m->digest.first, 8);
    be_write(w, m->digest.n, 4);
    be_write_raw(w, m->digest.digests.at, m->digest.digests.len);
}

/* Small fixed messages may grow up to 64 bytes in later minor versions. */
static const struct kind {
    const char *name;
    uint32_t max; /* bytes of payload */
    bool (*get)(struct msg *m, struct be_reader *r);
    void (*put)(const struct msg *m, struct be_writer *w);
} kinds[] = {
    [WIRE_HELLO] = {"HELLO", 1024, get_hello, put_hello},
    [WIRE_AUTH] = {"AUTH", 256, get_auth, put_auth},
    [WIRE_AUTHED] = {"AUTHED", 256, get_authed, put_authed},
    [WIRE_PING] = {"PING", 64, get_ping, put_ping},
    [WIRE_PONG] = {"PONG", 64, get_ping, put_ping},
    [WIRE_ERROR] = {"ERROR", 512, get_error, put_error},
    [WIRE_BYE] = {"BYE", 512, get_error, put_error},
    [WIRE_INFO_GET] = {"INFO_GET", 64, get_nothing, put_nothing},
    [WIRE_INFO] = {"INFO", 256, get_info, put_info},
    [WIRE_LIST] = {"LIST", 8192, get_list, put_list},
    [WIRE_ENTRIES] = {"ENTRIES", WIRE_CONTROL_MAX, get_entries, put_entries},
    [WIRE_FIND] = {"FIND", 8192, get_find, put_find},
    [WIRE_FOUND] = {"FOUND", WIRE_CONTROL_MAX, get_entries, put_entries},
    [WIRE_OPEN] = {"OPEN", 8192, get_open, put_open},
    [WIRE_OPENED] = {"OPENED", 8192, get_opened, put_opened},
    [WIRE_MANIFEST_GET] = {"MANIFEST_GET", 64, get_manifest_get, put_manifest_get},
    [WIRE_MANIFEST] = {"MANIFEST", WIRE_PAGE_MAX + 16, get_manifest, put_manifest},
    [WIRE_GET] = {"GET", 8192, get_get, put_get},
    [WIRE_DATA] = {"DATA", WIRE_PAYLOAD_MAX, get_data, NULL},
    [WIRE_CANCEL] = {"CANCEL", 64, get_nothing, put_nothing},
    [WIRE_DIGEST_GET] = {"DIGEST_GET", 64, get_digest_get, put_digest_get},
    [WIRE_DIGEST] = {"DIGEST", WIRE_CONTROL_MAX, get_digest, put_digest},
};

static const struct kind *kind_of(unsigned type) {
    return type < sizeof kinds / sizeof kinds[0] && kinds[type].name ? &kinds[type] : NULL;
}

void wire_header_put(uint8_t out[static WIRE_HEADER_LEN], const struct wire_header *h) {
    be_put(out, h->len, 4);
    out[4] = h->type;
    out[5] = h->flags;
    be_put(out + 6, h->req, 2);
}

int wire_header_get(struct wire_header *h, const uint8_t in[static WIRE_HEADER_LEN]) {
    *h = (struct wire_header){(uint32_t)be_get(in, 4), in[4], in[5] & WIRE_LAST,
                              (uint16_t)be_get(in + 6, 2)};
    const struct kind *k = kind_of(h->type);
    return h->len <= (k ? k->max : WIRE_CONTROL_MAX) ? 0 : WIRE_ERR(WIRE_PROTOCOL);
}

int wire_decode(struct msg *m, const struct wire_header *h, const uint8_t *payload) {
    struct be_reader r = {payload, h->len, false};
    const struct kind *k = kind_of(h->type);
    *m = (struct msg){.type = h->type, .flags = h->flags & WIRE_LAST, .req = h->req};
    if (!k)
        return h->type >= 0x80 ? 1 : WIRE_ERR(WIRE_UNSUPPORTED);
    return h->len <= k->max && k->get(m, &r) && !r.bad ? 0 : WIRE_ERR(WIRE_PROTOCOL);
}

int wire_encode(const struct msg *m, uint8_t *out, size_t cap) {
    struct be_writer w = {out, cap, false, false};
    const struct kind *k = kind_of(m->type);
    struct msg check;
    if (!k || !k->put)
        return -EINVAL;
    be_room(&w, WIRE_HEADER_LEN);
    k->put(m, &w);
    if (w.bad || w.full)
        return w.bad ? -EINVAL : -ENOBUFS;
    size_t len = (size_t)(w.at - out);
    if (len - WIRE_HEADER_LEN > k->max)
        return -EINVAL;
    struct wire_header h = {(uint32_t)(len - WIRE_HEADER_LEN), m->type, m->flags & WIRE_LAST,
                            m->req};
    wire_header_put(out, &h);
    return wire_decode(&check, &h, out + WIRE_HEADER_LEN) == 0 ? (int)len : -EINVAL;
}

const char *wire_type_name(unsigned type) {
    const struct kind *k = kind_of(type);
    return k ? k->name : "unknown";
}

const char *wire_code_text(unsigned code) {
    switch (code) {
#define X(name, number, text)                                                                      \
    case number:                                                                                   \
        return text;
        WIRE_CODE_MAP(X)
#undef X
    }
    return "the peer refused for a reason that this version does not know";
}
