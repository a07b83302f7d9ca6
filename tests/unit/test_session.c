/* SPDX-License-Identifier: MIT */
#include "proto/session.h"

#include "tests/unit/golden.h"

static const int broken = WIRE_ERR(WIRE_PROTOCOL);

/* What one side says, one word per message; some are no golden frames but built here. */
static uint8_t *frame_of(const char *word, size_t *len) {
    static const struct {
        const char *word;
        uint8_t bytes[16];
        size_t len;
    } built[] = {
        {"future", {0, 0, 0, 6, WIRE_HELLO, 0, 0, 0, 'L', 'A', 'N', 'Y', 2, 0}, 14},
        {"refused", {0, 0, 0, 2, WIRE_AUTHED, 0, 0, 0, WIRE_AUTH_FAILED, 0}, 10},
        {"extension", {0, 0, 0, 3, 0x80, 0, 0, 0, 'x', 'y', 'z'}, 11},
        {"reserved", {0, 0, 0, 0, 0x30, 0, 0, 1}, 8},
        {"zero", {0, 0, 0, 0, 0, 0, 0, 1}, 8},
        {"unnumbered", {0, 0, 0, 0, WIRE_INFO_GET, 0, 0, 0}, 8},
        {"long_hello", {0, 0, 4, 1, WIRE_HELLO, 0, 0, 0}, 8},
        {"long_data", {0, 16, 64, 9, WIRE_DATA, 0, 0, 1}, 8},
        {"large_extension", {0, 0, 0xff, 0xff, 0x80, 0, 0, 0}, 8},
    };
    for (size_t i = 0; i < sizeof built / sizeof built[0]; i++)
        if (strcmp(word, built[i].word) == 0) {
            uint8_t *copy = malloc(built[i].len);
            *len = built[i].len;
            return memcpy(copy, built[i].bytes, *len);
        }
    return golden_wire(word, len);
}

/* Gives the session `len` bytes, at most `step` at a time. Counts messages; returns the first
 * error. Memory is lent when asked for. */
static int feed(struct session *s, const uint8_t *in, size_t len, size_t step, unsigned *n) {
    static uint8_t lent[WIRE_FRAME_MAX];
    struct msg m;
    while (len > 0) {
        uint8_t *at;
        size_t room;
        int r = session_space(s, &at, &room);
        if (r == SESSION_LEND) {
            session_lend(s, lent);
            continue;
        }
        if (r < 0)
            return r;
        assert_true(room > 0);
        size_t take = step < len ? step : len;
        take = take < room ? take : room;
        memcpy(at, in, take);
        session_filled(s, take);
        in += take;
        len -= take;
        r = session_next(s, &m);
        if (r < 0)
            return r;
        *n += (unsigned)r;
    }
    return 0;
}

/* Plays words to a fresh session. Returns the first error or 0; *n: messages that came out. */
static int play(enum session_role role, const char *words, size_t step, unsigned *n) {
    struct session s;
    char copy[256], *save;
    int r = 0;
    *n = 0;
    session_init(&s, role);
    strcpy(copy, words);
    for (char *w = strtok_r(copy, " ", &save); w && r == 0; w = strtok_r(NULL, " ", &save)) {
        size_t len;
        uint8_t *frame = frame_of(w, &len);
        r = feed(&s, frame, len, step, n);
        free(frame);
    }
    if (r < 0) {
        struct msg m;
        uint8_t *at;
        size_t room;
        assert_int_equal(session_space(&s, &at, &room), r); /* it stays broken */
        assert_int_equal(session_next(&s, &m), r);
        assert_false(session_open(&s));
    }
    session_clear(&s);
    return r;
}

static const struct conversation {
    enum session_role role; /* ours; the words are the peer's */
    const char *words;
    unsigned n; /* messages that come out before the end or the error */
    int result;
} conversations[] = {
    {SESSION_LISTENER, "hello auth", 2, 0},
    {SESSION_LISTENER, "hello auth info_get list find open manifest_get get cancel digest_get", 10,
     0},
    {SESSION_LISTENER, "hello auth ping pong error bye", 6, 0},
    {SESSION_LISTENER, "hello auth extension info_get", 3, 0},
    {SESSION_LISTENER, "hello extension auth", 2, 0},
    {SESSION_LISTENER, "hello auth large_extension", 2, 0},
    {SESSION_LISTENER, "bye", 1, 0},
    {SESSION_LISTENER, "error hello auth", 3, 0},
    {SESSION_DIALLER, "hello authed", 2, 0},
    {SESSION_DIALLER, "hello authed info entries found opened manifest data digest", 9, 0},
    {SESSION_DIALLER, "hello authed ping pong error bye", 6, 0},
    {SESSION_DIALLER, "hello refused bye", 3, 0},

    {SESSION_LISTENER, "future", 0, WIRE_ERR(WIRE_VERSION)},
    {SESSION_DIALLER, "future", 0, WIRE_ERR(WIRE_VERSION)},
    {SESSION_DIALLER, "long_hello", 0, broken},
    {SESSION_LISTENER, "auth", 0, broken},
    {SESSION_LISTENER, "ping", 0, broken},
    {SESSION_LISTENER, "extension", 0, broken},
    {SESSION_LISTENER, "info_get", 0, broken},
    {SESSION_LISTENER, "hello hello", 1, broken},
    {SESSION_LISTENER, "hello ping", 1, broken},
    {SESSION_LISTENER, "hello list", 1, broken},
    {SESSION_LISTENER, "hello authed", 1, broken},
    {SESSION_LISTENER, "hello large_extension", 1, broken},
    {SESSION_LISTENER, "hello auth hello", 2, broken},
    {SESSION_LISTENER, "hello auth auth", 2, broken},
    {SESSION_LISTENER, "hello auth authed", 2, broken},
    {SESSION_LISTENER, "hello auth unnumbered", 2, broken},
    {SESSION_LISTENER, "hello auth zero", 2, broken},
    {SESSION_LISTENER, "hello auth reserved", 2, WIRE_ERR(WIRE_UNSUPPORTED)},
    {SESSION_LISTENER, "hello auth data", 2, broken},
    {SESSION_LISTENER, "hello auth long_data", 2, broken}, /* no memory is asked for */
    {SESSION_LISTENER, "hello auth info", 2, broken},
    {SESSION_LISTENER, "hello auth entries", 2, broken},
    {SESSION_LISTENER, "hello auth found", 2, broken},
    {SESSION_LISTENER, "hello auth opened", 2, broken},
    {SESSION_LISTENER, "hello auth manifest", 2, broken},
    {SESSION_LISTENER, "hello auth digest", 2, broken},
    {SESSION_DIALLER, "hello auth", 1, broken},
    {SESSION_DIALLER, "hello data", 1, broken},
    {SESSION_DIALLER, "hello ping", 1, broken},
    {SESSION_DIALLER, "hello authed authed", 2, broken},
    {SESSION_DIALLER, "hello authed hello", 2, broken},
    {SESSION_DIALLER, "hello refused authed", 2, broken},
    {SESSION_DIALLER, "hello refused data", 2, broken},
    {SESSION_DIALLER, "hello refused extension", 2, broken},
    {SESSION_DIALLER, "hello authed info_get", 2, broken},
    {SESSION_DIALLER, "hello authed list", 2, broken},
    {SESSION_DIALLER, "hello authed find", 2, broken},
    {SESSION_DIALLER, "hello authed open", 2, broken},
    {SESSION_DIALLER, "hello authed manifest_get", 2, broken},
    {SESSION_DIALLER, "hello authed get", 2, broken},
    {SESSION_DIALLER, "hello authed cancel", 2, broken},
    {SESSION_DIALLER, "hello authed digest_get", 2, broken},
    {SESSION_DIALLER, "hello authed reserved", 2, WIRE_ERR(WIRE_UNSUPPORTED)},
};

static void conversations_end_as_they_should(void **state) {
    static const size_t steps[] = {SIZE_MAX, 1, 2, 7, 9};
    for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
        const struct conversation *c = &conversations[i];
        for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
            unsigned n;
            int r = play(c->role, c->words, steps[k], &n);
            if (r != c->result || n != c->n)
                fail_msg("\"%s\" to %s: %d after %u messages", c->words,
                         c->role == SESSION_LISTENER ? "a listener" : "a dialler", r, n);
        }
    }
}

/* A conversation that stops anywhere is neither an error nor a message too many. */
static void cut_at_every_position(void **state) {
    static const char *const words[] = {"hello", "authed", "entries", "data", "manifest"};
    uint8_t all[1024];
    size_t len = 0, ends[5];
    for (unsigned i = 0; i < 5; i++) {
        size_t n;
        uint8_t *frame = frame_of(words[i], &n);
        memcpy(all + len, frame, n);
        ends[i] = len += n;
        free(frame);
    }
    for (size_t cut = 0; cut <= len; cut++) {
        struct session s;
        unsigned n = 0, want = 0;
        session_init(&s, SESSION_DIALLER);
        while (want < 5 && ends[want] <= cut)
            want++;
        assert_int_equal(feed(&s, all, cut, SIZE_MAX, &n), 0);
        assert_int_equal(feed(&s, all + cut, len - cut, SIZE_MAX, &n), 0);
        assert_int_equal(n, 5);
        session_init(&s, SESSION_DIALLER);
        n = 0;
        assert_int_equal(feed(&s, all, cut, 3, &n), 0);
        assert_int_equal(n, want);
        assert_int_equal(session_open(&s), want >= 2);
    }
}

static void open_after_auth_only(void **state) {
    struct session s;
    unsigned n = 0;
    size_t len;
    session_init(&s, SESSION_DIALLER);
    uint8_t *frame = frame_of("hello", &len);
    assert_int_equal(feed(&s, frame, len, len, &n), 0);
    assert_false(session_open(&s));
    free(frame);
    frame = frame_of("refused", &len);
    assert_int_equal(feed(&s, frame, len, len, &n), 0);
    assert_false(session_open(&s));
    free(frame);
}

/* A session that has heard HELLO and AUTHED. */
static void begin(struct session *s) {
    static const char *const words[] = {"hello", "authed"};
    session_init(s, SESSION_DIALLER);
    for (unsigned i = 0; i < 2; i++) {
        unsigned n = 0;
        size_t len;
        uint8_t *frame = frame_of(words[i], &len);
        assert_int_equal(feed(s, frame, len, len, &n), 0);
        free(frame);
    }
    assert_true(session_open(s));
}

/* Puts bytes where session_space says, all that fit. */
static size_t put(struct session *s, const uint8_t *in, size_t len) {
    uint8_t *at;
    size_t room;
    assert_int_equal(session_space(s, &at, &room), 0);
    room = room < len ? room : len;
    memcpy(at, in, room);
    session_filled(s, room);
    return room;
}

/* Large frames wait for memory, lie in it, and leave with it. */
static void lent_memory(void **state) {
    static uint8_t frame[WIRE_FRAME_MAX], first[WIRE_FRAME_MAX], second[WIRE_FRAME_MAX];
    struct session s;
    struct msg m;
    uint8_t *at;
    size_t room, len;
    struct wire_record rec = {7, WIRE_CHUNK_SIZE, WIRE_RECORD_DATA, 0, 0, {0}};
    wire_data_record(frame, 0, &rec);
    memset(frame + wire_data_offset(1), 0x5a, WIRE_CHUNK_SIZE);
    len = wire_data_end(frame, 1, WIRE_CHUNK_SIZE, 1);

    begin(&s);
    assert_null(session_take(&s));
    for (unsigned round = 0; round < 2; round++) {
        size_t used = put(&s, frame, len);
        assert_int_equal(used, WIRE_HEADER_LEN);
        assert_int_equal(session_next(&s, &m), 0);
        if (round == 0) {
            assert_int_equal(session_space(&s, &at, &room), SESSION_LEND);
            assert_int_equal(session_space(&s, &at, &room), SESSION_LEND); /* still */
            session_lend(&s, first);
        }
        used += put(&s, frame + used, 1000);
        assert_int_equal(session_next(&s, &m), 0);
        assert_null(session_take(&s)); /* not in the middle */
        used += put(&s, frame + used, len - used);
        assert_int_equal(used, len);
        assert_int_equal(session_next(&s, &m), 1);
        assert_int_equal(m.type, WIRE_DATA);
        assert_ptr_equal(m.data.data.at, first + wire_data_offset(1));
        assert_memory_equal(m.data.data.at, frame + wire_data_offset(1), WIRE_CHUNK_SIZE);
        /* Round 0 does not take it: round 1 uses it again. */
    }
    assert_ptr_equal(session_take(&s), first);
    assert_null(session_take(&s));
    assert_null(session_clear(&s));
    memcpy(second, first, len); /* what was taken is ours, whatever the session does */

    uint8_t *small = frame_of("ping", &len);
    put(&s, small, 8);
    assert_int_equal(session_next(&s, &m), 0);
    put(&s, small + 8, len - 8);
    assert_int_equal(session_next(&s, &m), 1);
    assert_int_equal(m.type, WIRE_PING);
    assert_null(session_take(&s)); /* it lies in the session */
    assert_memory_equal(first, second, wire_data_offset(1) + WIRE_CHUNK_SIZE);
    free(small);

    put(&s, frame, WIRE_HEADER_LEN);
    assert_int_equal(session_next(&s, &m), 0);
    session_lend(&s, second);
    assert_ptr_equal(session_clear(&s), second); /* a connection that ends in the middle */
}

/* The largest frame that needs no lent memory, and one byte more. */
static void inline_limit(void **state) {
    for (unsigned more = 0; more < 2; more++) {
        static uint8_t lent[WIRE_FRAME_MAX];
        const uint32_t len = SESSION_INLINE - WIRE_HEADER_LEN + more;
        uint8_t header[WIRE_HEADER_LEN], *at;
        struct wire_header h = {len, WIRE_ENTRIES, 0, 1};
        struct session s;
        struct msg m;
        size_t room;
        begin(&s);
        wire_header_put(header, &h);
        put(&s, header, sizeof header);
        assert_int_equal(session_next(&s, &m), 0);
        assert_int_equal(session_space(&s, &at, &room), more ? SESSION_LEND : 0);
        session_lend(&s, lent);
        assert_int_equal(session_space(&s, &at, &room), 0);
        assert_int_equal(room, len);
        session_clear(&s);
    }
}

/* A message of a later version costs no memory, however long it is: a peer that sends many of them
 * slowly would else hold all buffers. */
static void extensions_take_no_memory(void **state) {
    const struct wire_header h = {WIRE_CONTROL_MAX, 0xff, 0, 0};
    size_t sent = WIRE_HEADER_LEN, room, len;
    uint8_t header[WIRE_HEADER_LEN], *at, *ping = frame_of("ping", &len);
    struct session s;
    struct msg m;
    begin(&s);
    wire_header_put(header, &h);
    put(&s, header, sizeof header);
    assert_int_equal(session_next(&s, &m), 0);
    while (sent < WIRE_HEADER_LEN + WIRE_CONTROL_MAX) {
        assert_int_equal(session_space(&s, &at, &room), 0);
        assert_true(at >= s.small && at + room <= s.small + sizeof s.small);
        memset(at, 0x55, room);
        session_filled(&s, room);
        sent += room;
        assert_int_equal(session_next(&s, &m), 0);
    }
    assert_int_equal(sent, WIRE_HEADER_LEN + WIRE_CONTROL_MAX);
    for (size_t at_byte = 0; at_byte < len; at_byte++) {
        put(&s, ping + at_byte, 1);
        assert_int_equal(session_next(&s, &m), at_byte + 1 == len);
    }
    assert_int_equal(m.type, WIRE_PING);
    free(ping);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversations_end_as_they_should),
        cmocka_unit_test(cut_at_every_position),
        cmocka_unit_test(open_after_auth_only),
        cmocka_unit_test(lent_memory),
        cmocka_unit_test(inline_limit),
        cmocka_unit_test(extensions_take_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
