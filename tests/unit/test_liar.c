/* SPDX-License-Identifier: MIT */
/* A peer that speaks the protocol and lies: a fetch must not believe it, and must not hang. */
#include "scratch.h"

#include "core/digest.h"
#include "core/err.h"
#include "core/fetch.h"

#include <openssl/sha.h>

enum {
    POOL = 16,
    DEADLINE_MS = 60000,
    CHUNKS = 3,
    TAIL = 1000,
    FOLDERS = 3000, /* so many take a while to make; to remove, too: 1.5 ms each on a busy disk */
    MANIFEST_CAP = FOLDERS * 64,
};

enum lie {
    TRUTH,
    BAD_ONCE,      /* chunk 1 is damaged the first time */
    BAD_ALWAYS,    /* and every time */
    NOT_ASKED,     /* a chunk beyond the end */
    TWICE,         /* chunk 0 again */
    SHORT_CHUNK,   /* shorter than the manifest says */
    OTHER_ID,      /* the manifest is not the one that was opened */
    CLIMBING_NAME, /* an entry called ".." */
    WRONG_PAGE,    /* another offset than was asked for */
    SILENCE,       /* no answer to GET */
    ANSWER_UNASKED,
    CANCELLED,    /* every chunk is answered so, though nobody cancelled */
    BEYOND_CODES, /* OPEN is refused with a number that would be one of our own errors */
    ESCAPES,      /* damaged chunks of a file whose name is an escape sequence */
    SWITCHES,     /* another selection after a reconnect, while the first one is still prepared */
};

struct liar {
    enum lie lie;
    struct scratch at;
    uv_loop_t loop;
    uv_tcp_t listener;
    struct identity me, victim;
    struct pool pool, victim_pool;
    struct conn_env env, victim_env;
    struct trust trust;
    uv_timer_t deadline;
    struct conn *conn;

    uint8_t manifest[MANIFEST_CAP];
    size_t manifest_len;
    uint8_t *content;
    unsigned lied;
    uv_timer_t cut;

    struct fetch *fetch;
    bool done;
    int why;
    char text[2048];
};

static uint32_t len_of(uint64_t chunk) { return chunk + 1 == CHUNKS ? TAIL : WIRE_CHUNK_SIZE; }

/* ---- what the liar says ---- */

static void make_manifest(struct liar *l) {
    struct manifest_entry e = {.kind = WIRE_FILE,
                               .mode = 0644,
                               .size = (CHUNKS - 1) * (uint64_t)WIRE_CHUNK_SIZE + TAIL,
                               .name = {(const uint8_t *)"f", 1}};
    struct manifest_entry root = {
        .kind = WIRE_DIR, .mode = 0755, .name = {(const uint8_t *)"f", 1}};

    manifest_header_put(l->manifest);
    l->manifest_len = MANIFEST_HEADER_LEN;
    if (l->lie == CLIMBING_NAME || l->lie == ESCAPES) {
        const char *name = l->lie == ESCAPES ? "\033[2J" : "..";
        l->manifest_len += manifest_entry_put(&root, l->manifest + l->manifest_len);
        e.name = (struct bytes){(const uint8_t *)name, strlen(name)};
    }
    l->manifest_len += manifest_entry_put(&e, l->manifest + l->manifest_len);
}

/* A folder with very many folders in it, and a file of the size of ours behind them. */
static void make_wide_manifest(struct liar *l) {
    char name[16] = "f";
    struct manifest_entry e = {.kind = WIRE_DIR, .mode = 0755, .name = {(const uint8_t *)name, 1}};

    manifest_header_put(l->manifest);
    l->manifest_len = MANIFEST_HEADER_LEN;
    for (unsigned i = 0; i < FOLDERS; i++) {
        l->manifest_len += manifest_entry_put(&e, l->manifest + l->manifest_len);
        e.name.len = (size_t)snprintf(name, sizeof name, "%08u", i);
    }
    e.kind = WIRE_FILE;
    e.size = (CHUNKS - 1) * (uint64_t)WIRE_CHUNK_SIZE + TAIL;
    e.name.len = (size_t)snprintf(name, sizeof name, "z");
    l->manifest_len += manifest_entry_put(&e, l->manifest + l->manifest_len);
}

static int say_opened(struct liar *l, const struct msg *m) {
    struct msg a = {.type = WIRE_OPENED, .req = m->req};

    SHA256(l->manifest, l->manifest_len, a.opened.id);
    if (l->lie == OTHER_ID)
        a.opened.id[0] ^= 1;
    a.opened.length = l->manifest_len;
    a.opened.entries = 1;
    a.opened.chunks = CHUNKS;
    a.opened.bytes = (CHUNKS - 1) * (uint64_t)WIRE_CHUNK_SIZE + TAIL;
    a.opened.now_ns = INT64_C(2000000000000000000);
    a.opened.chunk_shift = WIRE_CHUNK_SHIFT;
    return conn_send(l->conn, &a);
}

static int say_page(struct liar *l, const struct msg *m) {
    struct msg a = {.type = WIRE_MANIFEST, .req = m->req};

    a.manifest.offset = m->manifest_get.offset + (l->lie == WRONG_PAGE);
    a.manifest.page = (struct bytes){l->manifest + m->manifest_get.offset, m->manifest_get.length};
    uint8_t *frame = pool_get(&l->pool);
    return conn_send_frame(l->conn, frame, (size_t)wire_encode(&a, frame, WIRE_FRAME_MAX));
}

static int say_chunk(struct liar *l, uint16_t req, uint64_t chunk) {
    uint8_t *frame = pool_get(&l->pool);
    uint32_t len = len_of(chunk) - (l->lie == SHORT_CHUNK);
    struct wire_record r = {.chunk = chunk, .len = len, .kind = WIRE_RECORD_DATA};
    uint8_t *at = frame + wire_data_offset(1);

    memcpy(at, l->content + chunk * WIRE_CHUNK_SIZE, len);
    digest_chunk(at, len, r.digest);
    if (chunk == 1 &&
        (l->lie == BAD_ALWAYS || l->lie == ESCAPES || (l->lie == BAD_ONCE && !l->lied))) {
        at[500] ^= 0x10;
        l->lied++;
    }
    if (l->lie == NOT_ASKED)
        r.chunk = CHUNKS;
    if (l->lie == TWICE)
        r.chunk = 0;
    if (l->lie == CANCELLED) {
        r = (struct wire_record){.chunk = chunk, .kind = WIRE_RECORD_ERROR, .code = WIRE_CANCELLED};
        len = 0;
    }
    wire_data_record(frame, 0, &r);
    return conn_send_frame(l->conn, frame, wire_data_end(frame, 1, len, req));
}

static int refuse(struct liar *l, const struct msg *m) {
    const struct msg no = {
        .type = WIRE_ERROR, .req = m->req, .error.code = WIRE_ERR(0) - ERR_KEY_CHANGED};

    return conn_send(l->conn, &no);
}

static int on_message(struct conn *c, const struct msg *m) {
    struct liar *l = conn_owner(c);

    switch (m->type) {
    case WIRE_OPEN:
        return l->lie == BEYOND_CODES ? refuse(l, m) : say_opened(l, m);
    case WIRE_MANIFEST_GET:
        return say_page(l, m);
    case WIRE_GET:
        if (uv_is_active((uv_handle_t *)&l->cut))
            return 0; /* the first selection is never given */
        for (unsigned i = 0; l->lie != SILENCE && i < m->get.n; i++)
            for (uint32_t k = 0; k < wire_range_at(m, i).count; k++)
                say_chunk(l, (uint16_t)(m->req + (l->lie == ANSWER_UNASKED)),
                          wire_range_at(m, i).first + k);
        return 0;
    default:
        return 0;
    }
}

static void on_closed(struct conn *c, int why, const char *text) {
    struct liar *l = conn_owner(c);

    l->conn = NULL;
}

/* The victim makes its folders: the connection goes, and the next one finds something else. */
static void cut_while_preparing(uv_timer_t *timer) {
    struct liar *l = timer->data;

    if (!l->conn || !scratch_has(&l->at, "out/f.lanyard-part/data/00000100"))
        return;
    uv_timer_stop(timer);
    make_manifest(l);
    conn_close(l->conn, 0);
}

static const struct conn_handler conn_events = {.on_message = on_message, .on_closed = on_closed};

static void on_connection(uv_stream_t *listener, int status) {
    struct liar *l = listener->data;

    assert_int_equal(conn_accept(&l->conn, &l->env, listener, &conn_events, l), 0);
}

/* ---- the set-up ---- */

static int make_liar(void **state) {
    struct liar *l = calloc(1, sizeof *l);
    struct sockaddr_in any;

    assert_non_null(l);
    scratch_make(&l->at);
    scratch_dir(&l->at, "me");
    scratch_dir(&l->at, "victim");
    scratch_dir(&l->at, "out");
    assert_int_equal(uv_loop_init(&l->loop), 0);
    char path[128];
    snprintf(path, sizeof path, "%s/me", l->at.path);
    assert_int_equal(identity_load(&l->me, path), 0);
    snprintf(path, sizeof path, "%s/victim", l->at.path);
    assert_int_equal(identity_load(&l->victim, path), 0);
    assert_int_equal(trust_load(&l->trust, path), 0);
    assert_int_equal(pool_init(&l->pool, POOL), 0);
    assert_int_equal(pool_init(&l->victim_pool, POOL), 0);
    assert_int_equal(conn_env_init(&l->env, &l->loop, TLS_LISTENER, &l->me, &l->pool), 0);
    assert_int_equal(
        conn_env_init(&l->victim_env, &l->loop, TLS_DIALLER, &l->victim, &l->victim_pool), 0);
    conn_env_set_name(&l->env, "liar");
    conn_env_set_name(&l->victim_env, "victim");
    uv_timer_init(&l->loop, &l->deadline);
    uv_timer_init(&l->loop, &l->cut);
    l->cut.data = l;
    uv_tcp_init(&l->loop, &l->listener);
    l->listener.data = l;
    uv_ip4_addr("127.0.0.1", 0, &any);
    assert_int_equal(uv_tcp_bind(&l->listener, (struct sockaddr *)&any, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&l->listener, 8, on_connection), 0);
    l->content = malloc((size_t)CHUNKS * WIRE_CHUNK_SIZE);
    assert_non_null(l->content);
    for (size_t i = 0; i < (size_t)CHUNKS * WIRE_CHUNK_SIZE; i++)
        l->content[i] = (uint8_t)(i * 2654435761u >> 13);
    *state = l;
    return 0;
}

static int drop_liar(void **state) {
    struct liar *l = *state;

    if (l->conn)
        conn_close(l->conn, 0);
    uv_close((uv_handle_t *)&l->listener, NULL);
    uv_close((uv_handle_t *)&l->deadline, NULL);
    uv_close((uv_handle_t *)&l->cut, NULL);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&l->loop), 0);
    conn_env_clear(&l->env);
    conn_env_clear(&l->victim_env);
    pool_clear(&l->pool);
    pool_clear(&l->victim_pool);
    trust_clear(&l->trust);
    identity_clear(&l->me);
    identity_clear(&l->victim);
    scratch_remove(&l->at);
    free(l->content);
    free(l);
    return 0;
}

static void on_event(void *owner, const struct fetch_event *e) {}

static void on_done(void *owner, const struct fetch_result *r) {
    struct liar *l = owner;

    l->done = true;
    l->why = r->why;
    snprintf(l->text, sizeof l->text, "%s", r->text);
    uv_stop(&l->loop);
}

static const struct fetch_handler events = {.on_event = on_event, .on_done = on_done};

static void on_deadline(uv_timer_t *timer) { fail_msg("the fetch hangs"); }

static int fetch_from(struct liar *l, enum lie lie) {
    static struct fetch_source source;
    char dir[128];
    struct fetch_request r = {
        .sources = &source, .n_sources = 1, .dir = dir, .name = "f", .timeout_ms = 700};
    int len = sizeof source.to.addrs[0];

    snprintf(dir, sizeof dir, "%s/out", l->at.path);
    memset(&source, 0, sizeof source);
    source.to.n_addrs = 1;
    uv_tcp_getsockname(&l->listener, (struct sockaddr *)&source.to.addrs[0], &len);
    strcpy(source.path, "f");
    l->lie = lie;
    if (lie == SWITCHES) {
        make_wide_manifest(l);
        uv_timer_start(&l->cut, cut_while_preparing, 1, 1);
    } else {
        make_manifest(l);
    }
    assert_int_equal(fetch_start(&l->fetch, &l->victim_env, &l->trust, &r, &events, l), 0);
    uv_timer_start(&l->deadline, on_deadline, DEADLINE_MS, 0);
    while (!l->done)
        uv_run(&l->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&l->deadline);
    return l->why;
}

/* ---- the tests ---- */

static void truth_arrives(void **state) {
    struct liar *l = *state;

    assert_int_equal(fetch_from(l, TRUTH), 0);
    assert_true(scratch_has(&l->at, "out/f"));
}

static void damage_is_fetched_again(void **state) {
    struct liar *l = *state;
    char command[256];

    assert_int_equal(fetch_from(l, BAD_ONCE), 0);
    assert_int_equal(l->lied, 1);
    snprintf(command, sizeof command, "%s/good", l->at.path);
    scratch_bytes(&l->at, "good", l->content, (CHUNKS - 1) * (size_t)WIRE_CHUNK_SIZE + TAIL);
    snprintf(command, sizeof command, "cmp %s/good %s/out/f", l->at.path, l->at.path);
    assert_int_equal(system(command), 0);
}

/* Three times damaged: an error that names file, chunk and peer. */
static void damage_without_end_is_an_error(void **state) {
    struct liar *l = *state;

    assert_int_equal(fetch_from(l, BAD_ALWAYS), ERR_CORRUPT);
    assert_int_equal(l->lied, 3);
    assert_non_null(strstr(l->text, "liar"));
    assert_non_null(strstr(l->text, "chunk 1 of f"));
    assert_false(scratch_has(&l->at, "out/f"));
}

/* Each of these ends the connection, again and again until the time is up, and nothing appears. */
static void lies_are_not_believed(void **state) {
    struct liar *l = *state;
    /* those about the manifest first: one that is here already is not asked for again */
    enum lie lies[] = {WRONG_PAGE, CLIMBING_NAME, OTHER_ID, NOT_ASKED,
                       TWICE,      SHORT_CHUNK,   SILENCE,  ANSWER_UNASKED};

    for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++) {
        l->done = false;
        assert_true(fetch_from(l, lies[i]) < 0);
        assert_false(scratch_has(&l->at, "out/f"));
        assert_false(scratch_has(&l->at, "f"));
    }
}

/* The chunks of one selection never get into the files of another. */
static void selections_are_not_mixed(void **state) {
    struct liar *l = *state;
    struct stat st;

    assert_int_equal(fetch_from(l, SWITCHES), 0);
    assert_int_equal(fstatat(l->at.fd, "out/f", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISREG(st.st_mode));
}

/* Asked again, it would say the same for ever. */
static void nobody_cancelled(void **state) {
    assert_int_equal(fetch_from(*state, CANCELLED), WIRE_ERR(WIRE_PROTOCOL));
}

/* Its refusal must not pass for what only we can know: that a key has changed. */
static void a_code_is_no_error_of_ours(void **state) {
    assert_int_equal(fetch_from(*state, BEYOND_CODES), WIRE_ERR(WIRE_INTERNAL));
}

static void names_are_told_escaped(void **state) {
    struct liar *l = *state;

    assert_int_equal(fetch_from(l, ESCAPES), ERR_CORRUPT);
    assert_null(strchr(l->text, '\033'));
    assert_non_null(strstr(l->text, "\\x1b[2J"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(truth_arrives, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(damage_is_fetched_again, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(damage_without_end_is_an_error, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(selections_are_not_mixed, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(lies_are_not_believed, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(nobody_cancelled, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(a_code_is_no_error_of_ours, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(names_are_told_escaped, make_liar, drop_liar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
