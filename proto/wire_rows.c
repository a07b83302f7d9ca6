/* SPDX-License-Identifier: MIT */
/* The rows of messages that carry many: entries, ranges, records; and the layout of DATA. */
#include "proto/be.h"
#include "proto/name.h"

#include <errno.h>

bool wire_entry_ok(const struct wire_entry *e) {
    return e->kind >= WIRE_DIR && e->kind <= WIRE_SYMLINK && e->size <= WIRE_SIZE_MAX &&
           name_path_ok((const char *)e->path.at, e->path.len);
}

int wire_entry_put(const struct wire_entry *e, uint8_t *out, size_t cap) {
    struct be_writer w = {out, cap, false, false};
    if (!wire_entry_ok(e))
        return -EINVAL;
    be_write(&w, e->kind, 1);
    be_write(&w, 0, 1);
    be_write(&w, e->mode & 0777, 2);
    be_write(&w, e->size, 8);
    be_write(&w, (uint64_t)e->mtime_ns, 8);
    be_write_string(&w, e->path, 2);
    return w.full ? -ENOBUFS : (int)(w.at - out);
}

int wire_entry_next(struct bytes *rows, struct wire_entry *e) {
    struct be_reader r = {rows->at, rows->len, false};
    e->kind = (uint8_t)be_read(&r, 1);
    be_read(&r, 1);
    e->mode = be_read(&r, 2) & 0777;
    e->size = be_read(&r, 8);
    e->mtime_ns = (int64_t)be_read(&r, 8);
    e->path = be_read_string(&r, 2);
    if (r.bad)
        return 0;
    *rows = (struct bytes){r.at, r.left};
    return 1;
}

struct wire_range wire_range_at(const struct msg *get, unsigned i) {
    const uint8_t *at = get->get.ranges.at + (size_t)i * WIRE_RANGE_LEN;
    return (struct wire_range){be_get(at, 8), (uint32_t)be_get(at + 8, 4)};
}

void wire_range_put(uint8_t out[static WIRE_RANGE_LEN], struct wire_range r) {
    be_put(out, r.first, 8);
    be_put(out + 8, r.count, 4);
}

struct wire_record wire_record_at(const struct msg *data, unsigned i) {
    const uint8_t *at = data->data.records.at + (size_t)i * WIRE_RECORD_LEN;
    struct wire_record r = {
        .chunk = be_get(at, 8),
        .len = (uint32_t)be_get(at + 8, 4),
        .kind = at[12],
        .code = at[13],
        .more = (uint16_t)be_get(at + 14, 2),
    };
    memcpy(r.digest, at + 16, WIRE_DIGEST_LEN);
    return r;
}

uint32_t wire_data_chunks(const struct msg *data) {
    uint32_t sum = 0;
    for (unsigned i = 0; i < data->data.n; i++)
        sum += 1U + wire_record_at(data, i).more;
    return sum;
}

size_t wire_data_offset(unsigned n) {
    return WIRE_HEADER_LEN + WIRE_DATA_HEAD + (size_t)n * WIRE_RECORD_LEN;
}

void wire_data_record(uint8_t *frame, unsigned i, const struct wire_record *r) {
    uint8_t *at = frame + wire_data_offset(i);
    be_put(at, r->chunk, 8);
    be_put(at + 8, r->len, 4);
    at[12] = r->kind;
    at[13] = r->code;
    be_put(at + 14, r->more, 2);
    memcpy(at + 16, r->digest, WIRE_DIGEST_LEN);
}

size_t wire_data_end(uint8_t *frame, unsigned n, size_t data_len, uint16_t req) {
    size_t len = wire_data_offset(n) + data_len;
    struct wire_header h = {(uint32_t)(len - WIRE_HEADER_LEN), WIRE_DATA, 0, req};
    wire_header_put(frame, &h);
    be_put(frame + WIRE_HEADER_LEN, n, 2);
    be_put(frame + WIRE_HEADER_LEN + 2, 0, 6);
    return len;
}
