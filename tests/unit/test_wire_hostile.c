/* SPDX-License-Identifier: MIT */
/* What wire must refuse, to a peer and to ourselves. */
#include "proto/wire.h"

#include "tests/unit/golden.h"

#include <errno.h>

static const int broken = WIRE_ERR(WIRE_PROTOCOL);

static int decode(struct msg *m, const uint8_t *frame) {
    struct wire_header h;
    int r = wire_header_get(&h, frame);
    return r < 0 ? r : wire_decode(m, &h, frame + WIRE_HEADER_LEN);
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
        {WIRE_FOUND, 65536},     {WIRE_OPEN, 8192},   {WIRE_OPENED, 8192},
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

/* A header that did not pass wire_header_get(). */
static void too_long_for_its_type(void **state) {
    uint8_t payload[65] = {0};
    struct wire_header h = {64, WIRE_PING, 0, 0};
    struct msg m;
    assert_int_equal(wire_decode(&m, &h, payload), 0);
    h.len++;
    assert_int_equal(wire_decode(&m, &h, payload), broken);
}

static void largest_manifest(void **state) {
    uint8_t out[128];
    struct msg m = {.type = WIRE_OPENED, .req = 1};
    m.opened.length = 1 << 30;
    m.opened.entries = 1 << 24;
    m.opened.bytes = WIRE_SIZE_MAX;
    m.opened.chunks = (1ULL << 42) + (1 << 24);
    m.opened.chunk_shift = 20;
    assert_true(wire_encode(&m, out, sizeof out) > 0);
    m.opened.chunks++;
    assert_int_equal(wire_encode(&m, out, sizeof out), -EINVAL);
    m.opened.chunks = 0;
    m.opened.entries++;
    assert_int_equal(wire_encode(&m, out, sizeof out), -EINVAL);
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
    {"data", 8, 2, "\0\0"},             /* no records */
    {"data", 8, 2, "\0\2"},             /* too few: the sum is wrong */
    {"data", 8, 2, "\0\3"},             /* one less than there are */
    {"data", 8, 2, "\0\5"},             /* more than there is room for */
    {"data", 30, 2, "\0\1"},            /* bytes that are meant for two chunks */
    {"data", 62, 2, "\0\1"},            /* a hole of chunks that are not whole */
    {"data", 94, 2, "\0\1"},            /* an error of two chunks */
    {"data", 120, 4, "\0\x0f\xff\xff"}, /* a hole of chunks that are not whole */
    {"data", 126, 2, "\x0f\xfd"},       /* more than anybody can have asked for */
    {"data", 126, 2, "\xff\xff"},
    {"auth", 9, 1, "\x1f"}, /* a proof that is too short */
    {"auth", 9, 1, "\0"},
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
    struct wire_record r = {0, 0, WIRE_RECORD_ERROR, WIRE_GONE, 0, {0}};
    struct msg m;
    for (unsigned i = 0; i <= WIRE_RECORDS_MAX; i++)
        wire_data_record(frame, i, &r);
    wire_data_end(frame, WIRE_RECORDS_MAX, 0, 1);
    assert_int_equal(decode(&m, frame), 0);
    wire_data_end(frame, WIRE_RECORDS_MAX + 1, 0, 1);
    assert_int_equal(decode(&m, frame), broken);
    wire_data_end(frame, WIRE_RECORDS_MAX, 0, 1);
    r = (struct wire_record){0, WIRE_CHUNK_SIZE, WIRE_RECORD_DATA, 0, 0, {0}};
    wire_data_record(frame, 0, &r);
    assert_int_equal(wire_data_end(frame, WIRE_RECORDS_MAX, WIRE_CHUNK_SIZE, 1), WIRE_FRAME_MAX);
    assert_int_equal(decode(&m, frame), 0);
}

static void what_a_peer_would_refuse_is_not_encoded(void **state) {
    static uint8_t out[WIRE_FRAME_MAX], many[70000];
    memset(many, 'a', sizeof many);
    const struct msg bad[] = {
        {WIRE_HELLO, .hello = {1, 0, 0, 0, {many, 0}, {many, 1}}},
        {WIRE_HELLO, .hello = {1, 0, 0, 0, {many, 64}, {many, 1}}},
        {WIRE_HELLO,
         .hello = {1, 0, 0, 0, {many, 256 + 1}, {many, 1}}}, /* a length cut to 8 bits */
        {WIRE_AUTH, .auth = {WIRE_AUTH_NONE, {many, WIRE_PROOF_MAX + 1}}},
        {WIRE_AUTH, .auth = {WIRE_AUTH_CODE, {many, WIRE_PROOF_LEN + 1}}},
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
    most = (struct msg){WIRE_AUTH, .auth = {WIRE_AUTH_NONE, {many, WIRE_PROOF_MAX}}};
    assert_int_equal(wire_encode(&most, out, sizeof out), 264);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_know_the_maximum_of_their_type),
        cmocka_unit_test(too_long_for_its_type),
        cmocka_unit_test(largest_manifest),
        cmocka_unit_test(unknown_types),
        cmocka_unit_test(hostile_messages_are_refused),
        cmocka_unit_test(too_many_records),
        cmocka_unit_test(what_a_peer_would_refuse_is_not_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
