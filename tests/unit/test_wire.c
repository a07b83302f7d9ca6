/* SPDX-License-Identifier: MIT */
#include "proto/wire.h"

#include "proto/manifest.h"
#include "tests/unit/golden.h"

#include <errno.h>

/* A struct bytes, as an initializer. */
#define B(text)                                                                                    \
    { (const uint8_t *)(text), sizeof(text) - 1 }

static const int broken = WIRE_ERR(WIRE_PROTOCOL);

/* The messages of tests/data/wire, as structs; those with rows are made by fill(). */
static const struct golden_msg {
    const char *file;
    struct msg m;
} goldens[] = {
    {"hello", {WIRE_HELLO, 0, 0, .hello = {1, 0, 0, 5000, B("Zo\xc3\xab"), B("lanyard 0.1.0")}}},
    {"auth",
     {WIRE_AUTH, 0, 0,
      .auth = {WIRE_AUTH_CODE,
               B("\xe4\x7a\x38\x2c\xaf\x91\x03\x74\x9c\x51\xd2\x46\x1e\xe0\xd5\xa7"
                 "\x4c\xa3\xba\x45\x5f\xf0\x89\x6d\x7f\x3b\x69\xaf\xc3\x78\x2e\xe1")}}},
    {"authed",
     {WIRE_AUTHED, 0, 0,
      .authed = {WIRE_OK, B("\x31\xc2\x8f\xf5\xb7\x46\x59\xeb\x6b\x61\x41\x40\xd1\x4a\x27\x80"
                            "\xf2\xa7\xcd\xd0\xa6\x6e\x03\xd8\x90\xe4\xeb\xe1\xa1\xca\xe9\x2b")}}},
    {"ping", {WIRE_PING, 0, 0, .ping = {0x0123456789abcdef}}},
    {"pong", {WIRE_PONG, 0, 0, .ping = {0x0123456789abcdef}}},
    {"error", {WIRE_ERROR, 0, 7, .error = {WIRE_NOT_FOUND, 0, B("nothing here")}}},
    {"bye", {WIRE_BYE, 0, 0, .error = {WIRE_SHUTDOWN, 250, B("bye")}}},
    {"info_get", {.type = WIRE_INFO_GET, .flags = 0, .req = 1}},
    {"info", {WIRE_INFO, 0, 1, .info = {3, (1ULL << 40) + 5, 2, true, 70000}}},
    {"list", {WIRE_LIST, 0, 2, .list = {B("Music/live")}}},
    {"entries", {.type = WIRE_ENTRIES, .flags = WIRE_LAST, .req = 2}},
    {"find", {WIRE_FIND, 0, 3, .find = {WIRE_FIND_PATTERN, B("*.ogg")}}},
    {"found", {.type = WIRE_FOUND, .flags = 0, .req = 3}},
    {"open", {WIRE_OPEN, 0, 4, .open = {B("set")}}},
    {"opened",
     {WIRE_OPENED, 0, 4,
      .opened = {{0xd6, 0xd0, 0x83, 0x28, 0x1f, 0x38, 0xc6, 0xb0, 0x58, 0xf0, 0x5f,
                  0x8f, 0xdb, 0xbe, 0xc6, 0xa2, 0x31, 0x24, 0xab, 0x8e, 0x2b, 0xc1,
                  0x5b, 0x76, 0x7c, 0xc8, 0xe9, 0xa3, 0x79, 0x2e, 0x3d, 0x31},
                 237,
                 6,
                 3,
                 (1 << 20) + 6,
                 1700000001000000000,
                 20,
                 2,
                 B("a/b")}}},
    {"manifest_get", {WIRE_MANIFEST_GET, 0, 5, .manifest_get = {0, 237}}},
    {"manifest", {WIRE_MANIFEST, 0, 5, .manifest = {0, B("LANYMAN2\x14\0\0\0\0\0\0\0")}}},
    {"get", {.type = WIRE_GET, .flags = 0, .req = 6}},
    {"cancel", {.type = WIRE_CANCEL, .flags = 0, .req = 6}},
    {"digest_get", {WIRE_DIGEST_GET, 0, 8, .digest_get = {WIRE_DIGEST_XXH3, 2, 2}}},
    {"digest", {.type = WIRE_DIGEST, .flags = 0, .req = 8}},
};
enum { N_GOLDENS = sizeof goldens / sizeof goldens[0] };

static const uint8_t abc_digest[16] = {0x06, 0xb0, 0x5a, 0xb6, 0x73, 0x3a, 0x61, 0x85,
                                       0x78, 0xaf, 0x5f, 0x94, 0x89, 0x2f, 0x39, 0x50};

static uint8_t rows[WIRE_CONTROL_MAX];

static size_t put_row(size_t at, const struct wire_entry *e) {
    int n = wire_entry_put(e, rows + at, sizeof rows - at);
    assert_true(n > 0);
    return at + (size_t)n;
}

/* A golden message whole, its rows in `rows`. */
static struct msg fill(const struct golden_msg *g) {
    struct msg m = g->m;
    size_t len = 0;
    switch (m.type) {
    case WIRE_ENTRIES:
        len = put_row(0, &(struct wire_entry){WIRE_FILE, 0644, 5, 1700000000123456789, B("a.txt")});
        len = put_row(len, &(struct wire_entry){WIRE_DIR, 0777, 0, -1, B("\xe2\x82\xac")});
        m.entries.n = 2;
        m.entries.rows = (struct bytes){rows, len};
        break;
    case WIRE_FOUND:
        len = put_row(0, &(struct wire_entry){WIRE_FILE, 0600, (1 << 20) + 1, 1700000000000000000,
                                              B("Music/live/x.ogg")});
        m.entries.n = 1;
        m.entries.rows = (struct bytes){rows, len};
        break;
    case WIRE_GET:
        wire_range_put(rows, (struct wire_range){0, 1});
        wire_range_put(rows + WIRE_RANGE_LEN, (struct wire_range){1ULL << 32, 4095});
        m.get.n = 2;
        m.get.ranges = (struct bytes){rows, 2 * WIRE_RANGE_LEN};
        break;
    case WIRE_DIGEST:
        memset(rows, 0, 2 * WIRE_DIGEST_LEN);
        memcpy(rows, abc_digest, sizeof abc_digest);
        m.digest.kind = WIRE_DIGEST_XXH3;
        m.digest.first = 2;
        m.digest.n = 2;
        m.digest.digests = (struct bytes){rows, 2 * WIRE_DIGEST_LEN};
        break;
    }
    return m;
}

static int decode(struct msg *m, const uint8_t *frame) {
    struct wire_header h;
    int r = wire_header_get(&h, frame);
    return r < 0 ? r : wire_decode(m, &h, frame + WIRE_HEADER_LEN);
}

static void messages_become_the_golden_bytes(void **state) {
    static uint8_t out[WIRE_FRAME_MAX];
    for (unsigned i = 0; i < N_GOLDENS; i++) {
        size_t len;
        uint8_t *frame = golden_wire(goldens[i].file, &len);
        struct msg m = fill(&goldens[i]);
        assert_int_equal(wire_encode(&m, out, sizeof out), len);
        assert_memory_equal(out, frame, len);
        for (size_t cap = 0; cap < len; cap++)
            assert_int_equal(wire_encode(&m, out, cap), -ENOBUFS);
        assert_int_equal(wire_encode(&m, out, len), len);
        free(frame);
    }
}

static void golden_bytes_become_the_messages(void **state) {
    static uint8_t out[WIRE_FRAME_MAX];
    for (unsigned i = 0; i < N_GOLDENS; i++) {
        size_t len;
        struct msg m;
        uint8_t *frame = golden_wire(goldens[i].file, &len);
        assert_int_equal(decode(&m, frame), 0);
        assert_int_equal(m.type, goldens[i].m.type);
        assert_int_equal(m.flags, goldens[i].m.flags);
        assert_int_equal(m.req, goldens[i].m.req);
        assert_int_equal(wire_encode(&m, out, sizeof out), len);
        assert_memory_equal(out, frame, len);
        free(frame);
    }
}

static void golden_data_both_ways(void **state) {
    static const struct wire_record want[] = {
        {0,
         3,
         WIRE_RECORD_DATA,
         0,
         0,
         {0x06, 0xb0, 0x5a, 0xb6, 0x73, 0x3a, 0x61, 0x85, 0x78, 0xaf, 0x5f, 0x94, 0x89, 0x2f, 0x39,
          0x50}},
        {1ULL << 32,
         5,
         WIRE_RECORD_ZEROS,
         0,
         0,
         {0xc6, 0x15, 0x71, 0xa9, 0xfa, 0x58, 0x27, 0x84, 0x56, 0xb1, 0x43, 0x0e, 0xa9, 0xe3, 0x46,
          0x26}},
        {(1ULL << 32) + 1, 0, WIRE_RECORD_ERROR, WIRE_CHANGED, 0, {0}},
        {(1ULL << 32) + 2,
         WIRE_CHUNK_SIZE,
         WIRE_RECORD_ZEROS,
         0,
         4092,
         {0xb6, 0xef, 0x17, 0xa3, 0x44, 0x84, 0x92, 0xb6, 0x91, 0x87, 0x80, 0xb9, 0x05, 0x50, 0xbf,
          0x34}},
    };
    uint8_t out[256];
    size_t len;
    struct msg m;
    uint8_t *frame = golden_wire("data", &len);
    assert_int_equal(decode(&m, frame), 0);
    assert_int_equal(m.data.n, 4);
    assert_int_equal(wire_data_chunks(&m), 3 + 4093);
    assert_int_equal(m.data.data.len, 3);
    assert_memory_equal(m.data.data.at, "abc", 3);
    memset(out, 0xee, sizeof out);
    memcpy(out + wire_data_offset(4), "abc", 3);
    for (unsigned i = 0; i < 4; i++) {
        struct wire_record r = wire_record_at(&m, i);
        assert_int_equal(r.chunk, want[i].chunk);
        assert_int_equal(r.len, want[i].len);
        assert_int_equal(r.kind, want[i].kind);
        assert_int_equal(r.code, want[i].code);
        assert_int_equal(r.more, want[i].more);
        assert_memory_equal(r.digest, want[i].digest, WIRE_DIGEST_LEN);
        wire_data_record(out, i, &want[i]);
    }
    assert_int_equal(wire_data_end(out, 4, 3, 6), len);
    assert_memory_equal(out, frame, len);
    assert_int_equal(wire_encode(&m, out, sizeof out), -EINVAL);
    free(frame);
}

/* A payload that ends early, at every place, in memory of exactly that size. */
static void cut(const char *file) {
    size_t len;
    struct msg m;
    struct wire_header h;
    uint8_t *frame = golden_wire(file, &len);
    assert_int_equal(wire_header_get(&h, frame), 0);
    for (uint32_t left = 0; left < h.len; left++) {
        struct wire_header shorter = h;
        uint8_t *payload = malloc(left + 1);
        memcpy(payload + 1, frame + WIRE_HEADER_LEN, left);
        shorter.len = left;
        assert_int_equal(wire_decode(&m, &shorter, payload + 1), broken);
        free(payload);
    }
    free(frame);
}

static void cut_messages_are_refused(void **state) {
    for (unsigned i = 0; i < N_GOLDENS; i++)
        cut(goldens[i].file);
    cut("data");
}

static void longer_messages_are_understood(void **state) {
    static uint8_t out[WIRE_FRAME_MAX];
    uint8_t frame[512];
    for (unsigned i = 0; i < N_GOLDENS; i++) {
        size_t len;
        struct msg m;
        struct wire_header h;
        uint8_t *bytes = golden_wire(goldens[i].file, &len);
        memset(frame, 0xff, sizeof frame);
        memcpy(frame, bytes, len);
        assert_int_equal(wire_header_get(&h, frame), 0);
        h.len += 9;
        wire_header_put(frame, &h);
        assert_int_equal(decode(&m, frame), 0);
        assert_int_equal(wire_encode(&m, out, sizeof out), len);
        assert_memory_equal(out, bytes, len);
        free(bytes);
    }
}

/* Reserved flags are not handed out and not sent. */
static void reserved_flags(void **state) {
    uint8_t out[64];
    size_t len;
    struct msg m;
    uint8_t *frame = golden_wire("ping", &len);
    frame[5] = 0xff;
    assert_int_equal(decode(&m, frame), 0);
    assert_int_equal(m.flags, WIRE_LAST);
    m.flags = 0xff;
    assert_int_equal(wire_encode(&m, out, sizeof out), len);
    assert_int_equal(out[5], WIRE_LAST);
    free(frame);
}

/* Whatever follows the version of another major is not looked at. */
static void future_hello(void **state) {
    uint8_t frame[14] = {0, 0, 0, 6, WIRE_HELLO, 0, 0, 0, 'L', 'A', 'N', 'Y', 2, 7};
    struct msg m;
    assert_int_equal(decode(&m, frame), 0);
    assert_int_equal(m.hello.major, 2);
    assert_int_equal(m.hello.minor, 7);
    assert_int_equal(m.hello.name.len, 0);
    frame[12] = WIRE_MAJOR;
    assert_int_equal(decode(&m, frame), broken);
}

static void rows_may_lie_in_place(void **state) {
    static uint8_t out[WIRE_FRAME_MAX];
    uint8_t *page = out + WIRE_HEADER_LEN + WIRE_MANIFEST_HEAD;
    for (size_t i = 0; i < WIRE_PAGE_MAX; i++)
        page[i] = (uint8_t)(i * 31);
    struct msg m = {WIRE_MANIFEST, 0, 9, .manifest = {4096, {page, WIRE_PAGE_MAX}}}, got;
    assert_int_equal(wire_encode(&m, out, sizeof out), WIRE_HEADER_LEN + 12 + WIRE_PAGE_MAX);
    assert_int_equal(decode(&got, out), 0);
    assert_ptr_equal(got.manifest.page.at, page);
    for (size_t i = 0; i < WIRE_PAGE_MAX; i++)
        if (page[i] != (uint8_t)(i * 31))
            fail();
    struct wire_entry e = {WIRE_DIR, 0755, 0, 0, B("x")};
    uint8_t *row = out + WIRE_HEADER_LEN + WIRE_ENTRIES_HEAD;
    int n = wire_entry_put(&e, row, 64);
    m = (struct msg){WIRE_ENTRIES, WIRE_LAST, 9, .entries = {1, {row, (size_t)n}}};
    assert_int_equal(wire_encode(&m, out, sizeof out), WIRE_HEADER_LEN + 2 + n);
    assert_int_equal(decode(&got, out), 0);
}

static void rows_are_limited(void **state) {
    uint8_t out[64];
    struct wire_entry e = {WIRE_FILE, 07777, WIRE_SIZE_MAX, INT64_MIN, B("a/b")}, back;
    int n = wire_entry_put(&e, out, sizeof out);
    assert_int_equal(n, 25);
    assert_memory_equal(out + 2, "\x01\xff", 2); /* setuid does not travel */
    struct bytes left = {out, (size_t)n};
    assert_int_equal(wire_entry_next(&left, &back), 1);
    assert_int_equal(back.mode, 0777);
    out[2] = 0xff;
    left = (struct bytes){out, (size_t)n};
    assert_int_equal(wire_entry_next(&left, &back), 1);
    assert_int_equal(back.mode, 0777);
    assert_int_equal(back.size, WIRE_SIZE_MAX);
    assert_int_equal(back.mtime_ns, INT64_MIN);
    assert_int_equal(wire_entry_next(&left, &back), 0);
    for (int cap = 0; cap < n; cap++)
        assert_int_equal(wire_entry_put(&e, out, (size_t)cap), -ENOBUFS);
    e.size++;
    assert_int_equal(wire_entry_put(&e, out, sizeof out), -EINVAL);
    e = (struct wire_entry){WIRE_FILE, 0, 0, 0, B("../a")};
    assert_int_equal(wire_entry_put(&e, out, sizeof out), -EINVAL);
}

static void every_code_has_its_sentence(void **state) {
    for (unsigned code = 0; code <= WIRE_INTERNAL; code++)
        for (unsigned other = 0; other < code; other++)
            assert_string_not_equal(wire_code_text(code), wire_code_text(other));
    assert_non_null(wire_code_text(18));
    assert_string_equal(wire_code_text(18), wire_code_text(UINT32_MAX));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_become_the_golden_bytes),
        cmocka_unit_test(golden_bytes_become_the_messages),
        cmocka_unit_test(golden_data_both_ways),
        cmocka_unit_test(cut_messages_are_refused),
        cmocka_unit_test(longer_messages_are_understood),
        cmocka_unit_test(reserved_flags),
        cmocka_unit_test(future_hello),
        cmocka_unit_test(rows_may_lie_in_place),
        cmocka_unit_test(rows_are_limited),
        cmocka_unit_test(every_code_has_its_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
