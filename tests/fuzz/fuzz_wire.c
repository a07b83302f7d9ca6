/* SPDX-License-Identifier: MIT */
/*
 * Input: type, flags, req (2 bytes), payload. What is decoded must be encoded again, and decoded to
 * the same; sums and limits must be what wire.h promises.
 */
#include "proto/wire.h"

#include "proto/name.h"
#include "tests/fuzz/fuzz.h"

static uint8_t first[WIRE_FRAME_MAX], second[WIRE_FRAME_MAX];

static void check_rows(const struct msg *m) {
    struct bytes rows = m->entries.rows;
    struct wire_entry e;
    unsigned n = 0;
    while (wire_entry_next(&rows, &e)) {
        must(name_path_ok((const char *)e.path.at, e.path.len));
        must(m->type == WIRE_FOUND || name_ok((const char *)e.path.at, e.path.len));
        must(e.size <= WIRE_SIZE_MAX && e.mode <= 0777);
        n++;
    }
    must(n == m->entries.n && rows.len == 0);
}

static void check_ranges(const struct msg *m) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < m->get.n; i++) {
        struct wire_range r = wire_range_at(m, i);
        must(r.count > 0 && r.first + r.count > r.first);
        sum += r.count;
    }
    must(sum > 0 && sum <= WIRE_OUTSTANDING_CHUNKS);
}

/* Lays the frame out again, the way a server does. Returns its length. */
static size_t check_data(const struct msg *m, uint8_t *out) {
    uint64_t sum = 0;
    must(m->data.n > 0 && m->data.n <= WIRE_RECORDS_MAX);
    for (unsigned i = 0; i < m->data.n; i++) {
        struct wire_record r = wire_record_at(m, i);
        must(r.kind <= WIRE_RECORD_ERROR && r.len <= WIRE_CHUNK_SIZE);
        must((r.len > 0) == (r.kind != WIRE_RECORD_ERROR));
        must(r.more == 0 || (r.kind == WIRE_RECORD_ZEROS && r.len == WIRE_CHUNK_SIZE));
        sum += r.kind == WIRE_RECORD_DATA ? r.len : 0;
        wire_data_record(out, i, &r);
    }
    must(sum == m->data.data.len);
    must(wire_data_chunks(m) >= m->data.n && wire_data_chunks(m) <= WIRE_OUTSTANDING_CHUNKS);
    memcpy(out + wire_data_offset(m->data.n), m->data.data.at, m->data.data.len);
    return wire_data_end(out, m->data.n, m->data.data.len, m->req);
}

static size_t encode(const struct msg *m, uint8_t *out) {
    if (m->type == WIRE_ENTRIES || m->type == WIRE_FOUND)
        check_rows(m);
    if (m->type == WIRE_GET)
        check_ranges(m);
    if (m->type == WIRE_DATA)
        return check_data(m, out);
    int n = wire_encode(m, out, WIRE_FRAME_MAX);
    must(n >= WIRE_HEADER_LEN);
    return (size_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wire_header h = {0};
    struct msg m;
    uint8_t head[WIRE_HEADER_LEN];
    if (size < 4)
        return 0;
    uint32_t len = (uint32_t)(size - 4);
    const uint8_t bytes[] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                             (uint8_t)len};
    memcpy(head, bytes, 4);
    memcpy(head + 4, data, 4);
    if (wire_header_get(&h, head) < 0)
        return 0;
    uint8_t *payload = exact(data + 4, len);
    if (wire_decode(&m, &h, payload) == 0) {
        size_t n = encode(&m, first);
        must(wire_header_get(&h, first) == 0 && h.len == n - WIRE_HEADER_LEN);
        must(wire_decode(&m, &h, first + WIRE_HEADER_LEN) == 0);
        must(encode(&m, second) == n && memcmp(first, second, n) == 0);
    }
    free(payload);
    return 0;
}
