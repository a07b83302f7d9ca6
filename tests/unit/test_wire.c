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
    {"auth", {WIRE_AUTH, 0, 0, .auth = {1, B("\xc0\xde")}}},
    {"authed", {WIRE_AUTHED, 0, 0, .authed = {WIRE_OK, B("\xa5\x5a")}}},
    {"ping", {WIRE_PING, 0, 0, .ping = {0x0123456789abcdef}}},
    {"pong", {WIRE_PONG, 0, 0, .ping = {0x0123456789abcdef}}},
    {"error", {WIRE_ERROR, 0, 7, .error = {WIRE_NOT_FOUND, 0, B("nothing here")}}},
    {"bye", {WIRE_BYE, 0, 0, .error = {WIRE_SHUTDOWN, 250, B("bye")}}},
    {"info_get", {.type = WIRE_INFO_GET, .flags = 0, .req = 1}},
    {"info", {WIRE_INFO, 0, 1, .info = {3, (1ULL << 40) + 5, 2, true}}},
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
                 20}}},
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

static uint8_t *golden_wire(const char *file, size_t *len) {
    char path[64];
    snprintf(path, sizeof path, "wire/%s", file);
    return golden(path, len);
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
         {0x06, 0xb0, 0x5a, 0xb6, 0x73, 0x3a, 0x61, 0x85, 0x78, 0xaf, 0x5f, 0x94, 0x89, 0x2f, 0x39,
          0x50}},
        {1ULL << 32,
         5,
         WIRE_RECORD_ZEROS,
         0,
         {0xc6, 0x15, 0x71, 0xa9, 0xfa, 0x58, 0x27, 0x84, 0x56, 0xb1, 0x43, 0x0e, 0xa9, 0xe3, 0x46,
          0x26}},
        {(1ULL << 32) + 1, 0, WIRE_RECORD_ERROR, WIRE_CHANGED, {0}},
    };
    uint8_t out[256];
    size_t len;
    struct msg m;
    uint8_t *frame = golden_wire("data", &len);
    assert_int_equal(decode(&m, frame), 0);
    assert_int_equal(m.data.n, 3);
    assert_int_equal(m.data.data.len, 3);
    assert_memory_equal(m.data.data.at, "abc", 3);
    memset(out, 0xee, sizeof out);
    memcpy(out + wire_data_offset(3), "abc", 3);
    for (unsigned i = 0; i < 3; i++) {
        struct wire_record r = wire_record_at(&m, i);
        assert_int_equal(r.chunk, want[i].chunk);
        assert_int_equal(r.len, want[i].len);
        assert_int_equal(r.kind, want[i].kind);
        assert_int_equal(r.code, want[i].code);
        assert_memory_equal(r.digest, want[i].digest, WIRE_DIGEST_LEN);
        wire_data_record(out, i, &want[i]);
    }
    assert_int_equal(wire_data_end(out, 3, 3, 6), len);
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

static void headers_know_the_maximum_of_their_type(void **state) {
    static const struct {
        uint8_t type;
        uint32_t max;
    } table[] = {
        {WIRE_HELLO, 1024},      {WIRE_AUTH, 256},    {WIRE_AUTHED, 256},
        {WIRE_PING, 64},         {WIRE_PONG, 64},     {WIRE_ERROR, 512},
        {WIRE_BYE, 512},         {WIRE_INFO_GET, 64}, {WIRE_INFO, 256},
        {WIRE_LIST, 8192},       {WIRE_FIND, 8192},   {WIRE_ENTRIES, 65536},
        {WIRE_FOUND, 65536},     {WIRE_OPEN, 8192},   {WIRE_OPENED, 256},
        {WIRE_MANIFEST_GET, 64}, {WIRE_GET, 8192},    {WIRE_MANIFEST, 1048592},
        {WIRE_DATA, 1064968},    {WIRE_CANCEL, 64},   {WIRE_DIGEST_GET, 64},
        {WIRE_DIGEST, 65536},    {0x00, 65536},       {0x30, 65536},
        {0x7f, 65536},           {0x80, 65536},       {0xff, 65536},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t bytes[WIRE_HEADER_LEN];
        struct wire_header in = {table[i].max, table[i].type, 0, 0xbeef}, out;
        wire_header_put(bytes, &in);
        assert_int_equal(wire_header_get(&out, bytes), 0);
        assert_memory_equal(&in, &out, sizeof in);
        in.len++;
        wire_header_put(bytes, &in);
        assert_int_equal(wire_header_get(&out, bytes), broken);
        in.len = UINT32_MAX;
        wire_header_put(bytes, &in);
        assert_int_equal(wire_header_get(&out, bytes), broken);
    }
}

static void unknown_types(void **state) {
    uint8_t payload[8] = {0};
    struct msg m;
    for (unsigned type = 0; type < 256; type++) {
        struct wire_header h = {8, (uint8_t)type, 0, 1};
        bool known = strcmp(wire_type_name(type), "unknown") != 0;
        if (!known)
            assert_int_equal(wire_decode(&m, &h, payload),
                             type >= 0x80 ? 1 : WIRE_ERR(WIRE_UNSUPPORTED));
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

/* One change in a golden frame, offset from its start. Each must be refused. */
static const struct hostile {
    const char *file;
    size_t at, len;
    const char *bytes;
} hostile[] = {
    {"hello", 8, 4, "HTTP"},
    {"hello", 20, 1, "\x00"},                 /* no name: the rest would be software */
    {"hello", 20, 1, "\xff"},                 /* a name beyond the end */
    {"hello", 23, 1, "\xff"},                 /* a name that is not UTF-8 */
    {"hello", 21, 1, "\0"},                   /* a name with a NUL */
    {"hello", 25, 1, "\x0e"},                 /* software one too long */
    {"auth", 9, 1, "\x03"},                   /* proof one too long */
    {"error", 14, 2, "\x00\x0d"},             /* text one too long */
    {"error", 14, 2, "\xff\xff"},             /* far too long */
    {"list", 8, 2, "\x00\x0b"},               /* path one too long */
    {"list", 10, 1, "/"},                     /* absolute */
    {"list", 14, 2, "//"},                    /* empty component */
    {"list", 10, 5, "../.."},                 /* upward */
    {"list", 19, 1, "/"},                     /* slash at the end */
    {"list", 12, 1, "\0"},                    /* NUL */
    {"list", 15, 5, "/././"},                 /* dots */
    {"find", 9, 2, "\0\0"},                   /* no pattern */
    {"find", 12, 1, "\0"},                    /* NUL */
    {"entries", 8, 2, "\x00\x03"},            /* n one too large */
    {"entries", 8, 2, "\xff\xff"},            /* far too large */
    {"entries", 10, 1, "\x00"},               /* no such kind */
    {"entries", 10, 1, "\x04"},               /* no such kind */
    {"entries", 14, 1, "\x80"},               /* size 2^63 */
    {"entries", 14, 8, "\x40\0\0\0\0\0\0\1"}, /* size 2^62 + 1 */
    {"entries", 30, 2, "\x00\x00"},           /* no name */
    {"entries", 30, 2, "\xff\xff"},           /* name beyond the end */
    {"entries", 33, 1, "/"},                  /* a path where a name should be */
    {"entries", 32, 1, "\0"},                 /* NUL */
    {"found", 32, 1, "/"},                    /* absolute */
    {"found", 37, 2, "//"},                   /* empty component */
    {"open", 8, 2, "\0\0"},                   /* nothing */
    {"open", 10, 3, "../"},                   /* upward */
    {"open", 10, 3, "a/."},
    {"opened", 40, 8, "\0\0\0\0\x40\0\0\1"}, /* length 2^30 + 1 */
    {"opened", 40, 8, "\x80\0\0\0\0\0\0\0"}, /* 2^63 */
    {"opened", 40, 8, "\0\0\0\0\0\0\0\x60"}, /* too short for six entries */
    {"opened", 48, 4, "\0\0\0\0"},           /* no entries */
    {"opened", 48, 4, "\x01\0\0\1"},         /* 2^24 + 1 */
    {"opened", 52, 8, "\0\0\0\0\0\0\0\x08"}, /* more chunks than bytes and entries allow */
    {"opened", 52, 8, "\x80\0\0\0\0\0\0\0"},
    {"opened", 60, 1, "\x80"},             /* bytes 2^63 */
    {"opened", 76, 1, "\x15"},             /* another chunk size */
    {"manifest_get", 16, 4, "\0\0\0\0"},   /* nothing */
    {"manifest_get", 16, 4, "\0\x10\0\1"}, /* a page of 1 MiB + 1 */
    {"manifest_get", 8, 8, "\xff\xff\xff\xff\xff\xff\xff\xff"},
    {"manifest_get", 8, 8, "\0\0\0\0\x3f\xff\xff\xff"}, /* ends beyond 2^30 */
    {"manifest", 16, 4, "\0\0\0\x11"},                  /* page one too long */
    {"manifest", 16, 4, "\xff\xff\xff\xff"},
    {"manifest", 8, 1, "\x80"}, /* offset 2^63 */
    {"get", 8, 2, "\x00\x00"},  /* no ranges */
    {"get", 8, 2, "\x00\x03"},  /* one too many */
    {"get", 8, 2, "\xff\xff"},
    {"get", 18, 4, "\0\0\0\0"},         /* an empty range */
    {"get", 30, 4, "\0\0\x10\0"},       /* 4097 chunks together */
    {"get", 18, 4, "\xff\xff\xff\xff"}, /* sums that would wrap in 32 bits */
    {"get", 22, 8, "\xff\xff\xff\xff\xff\xff\xff\xff"},
    {"data", 8, 2, "\0\0"}, /* no records */
    {"data", 8, 2, "\0\2"}, /* too few: the sum is wrong */
    {"data", 8, 2, "\0\4"}, /* more than there is room for */
    {"data", 8, 2, "\xff\xff"},
    {"data", 24, 4, "\0\0\0\2"}, /* sum too small */
    {"data", 24, 4, "\0\0\0\4"}, /* sum too large */
    {"data", 24, 4, "\0\0\0\0"}, /* empty data */
    {"data", 24, 4, "\xff\xff\xff\xff"},
    {"data", 28, 1, "\3"},                 /* no such kind */
    {"data", 28, 1, "\1"},                 /* zeros: then nobody owns the bytes */
    {"data", 56, 4, "\0\0\0\0"},           /* no zeros */
    {"data", 56, 4, "\0\x10\0\1"},         /* zeros of more than a chunk */
    {"data", 88, 4, "\0\0\0\1"},           /* an error with a length */
    {"data", 93, 1, "\0"},                 /* an error that is none */
    {"data", 80, 1, "\x80"},               /* chunk 2^63 */
    {"digest_get", 17, 4, "\0\0\0\0"},     /* none */
    {"digest_get", 17, 4, "\0\0\x0f\xa1"}, /* 4001 */
    {"digest_get", 9, 1, "\x80"},
    {"digest", 8, 1, "\2"},        /* a kind whose length nobody knows */
    {"digest", 17, 4, "\0\0\0\3"}, /* one too many */
    {"digest", 17, 4, "\0\0\0\0"},
    {"digest", 17, 4, "\x10\0\0\0"}, /* n * 16 would wrap in 32 bits */
};

static void hostile_messages_are_refused(void **state) {
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        const struct hostile *x = &hostile[i];
        size_t len;
        struct msg m;
        uint8_t *frame = golden_wire(x->file, &len);
        assert_true(x->at + x->len <= len);
        assert_memory_not_equal(frame + x->at, x->bytes, x->len);
        memcpy(frame + x->at, x->bytes, x->len);
        if (decode(&m, frame) != broken)
            fail_msg("number %zu, %s at %zu, was not refused", i, x->file, x->at);
        free(frame);
    }
}

/* 512 records in one frame are the most, whether they have bytes or not. */
static void too_many_records(void **state) {
    static uint8_t frame[WIRE_FRAME_MAX];
    struct wire_record r = {0, 0, WIRE_RECORD_ERROR, WIRE_GONE, {0}};
    struct msg m;
    for (unsigned i = 0; i <= WIRE_RECORDS_MAX; i++)
        wire_data_record(frame, i, &r);
    wire_data_end(frame, WIRE_RECORDS_MAX, 0, 1);
    assert_int_equal(decode(&m, frame), 0);
    wire_data_end(frame, WIRE_RECORDS_MAX + 1, 0, 1);
    assert_int_equal(decode(&m, frame), broken);
    wire_data_end(frame, WIRE_RECORDS_MAX, 0, 1);
    r = (struct wire_record){0, WIRE_CHUNK_SIZE, WIRE_RECORD_DATA, 0, {0}};
    wire_data_record(frame, 0, &r);
    assert_int_equal(wire_data_end(frame, WIRE_RECORDS_MAX, WIRE_CHUNK_SIZE, 1), WIRE_FRAME_MAX);
    assert_int_equal(decode(&m, frame), 0);
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

static void what_a_peer_would_refuse_is_not_encoded(void **state) {
    static uint8_t out[WIRE_FRAME_MAX], many[70000];
    memset(many, 'a', sizeof many);
    const struct msg bad[] = {
        {WIRE_HELLO, .hello = {1, 0, 0, 0, {many, 0}, {many, 1}}},
        {WIRE_HELLO, .hello = {1, 0, 0, 0, {many, 64}, {many, 1}}},
        {WIRE_HELLO,
         .hello = {1, 0, 0, 0, {many, 256 + 1}, {many, 1}}}, /* a length cut to 8 bits */
        {WIRE_AUTH, .auth = {0, {many, WIRE_PROOF_MAX + 1}}},
        {WIRE_ERROR, .error = {1, 0, {many, WIRE_TEXT_MAX + 1}}},
        {WIRE_ERROR, .error = {1, 0, {many, 65536 + 1}}},
        {WIRE_LIST, 0, 1, .list = {{many, 256}}},
        {WIRE_FIND, 0, 1, .find = {1, {many, 4096}}},
        {WIRE_OPEN, 0, 1, .open = {{many, 0}}},
        {WIRE_ENTRIES, 0, 1, .entries = {0, {many, 65535}}},
        {WIRE_ENTRIES, 0, 1, .entries = {1, {many, 20}}},
        {WIRE_DATA, 0, 1, .data = {0}},
        {.type = 0x30, .req = 1},
        {.type = 0x80, .req = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (wire_encode(&bad[i], out, sizeof out) != -EINVAL)
            fail_msg("number %zu was encoded", i);
    struct msg most = {WIRE_ERROR, .error = {1, 0, {many, WIRE_TEXT_MAX}}};
    assert_int_equal(wire_encode(&most, out, sizeof out), 520);
    most = (struct msg){WIRE_AUTH, .auth = {0, {many, WIRE_PROOF_MAX}}};
    assert_int_equal(wire_encode(&most, out, sizeof out), 264);
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
    struct bytes left = {out, (size_t)n};
    assert_int_equal(wire_entry_next(&left, &back), 1);
    assert_int_equal(back.mode, 0777); /* setuid does not travel */
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
        cmocka_unit_test(headers_know_the_maximum_of_their_type),
        cmocka_unit_test(unknown_types),
        cmocka_unit_test(reserved_flags),
        cmocka_unit_test(hostile_messages_are_refused),
        cmocka_unit_test(too_many_records),
        cmocka_unit_test(future_hello),
        cmocka_unit_test(what_a_peer_would_refuse_is_not_encoded),
        cmocka_unit_test(rows_may_lie_in_place),
        cmocka_unit_test(rows_are_limited),
        cmocka_unit_test(every_code_has_its_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
