/* SPDX-License-Identifier: MIT */
/*
 * liar -- a peer that speaks the protocol and lies, and a fetch from it
 *
 * make_liar() and drop_liar() for each test; fetch_from() returns how the fetch ended.
 */
#ifndef TESTS_LIAR_H
#define TESTS_LIAR_H

#include "scratch.h"

#include "core/digest.h"
#include "core/err.h"
#include "core/fetch.h"

#include <openssl/sha.h>

enum {
    POOL = 16,
    DEADLINE_MS = 60000,
    TIMEOUT_MS = 700, /* of the fetch, unless a test says otherwise */
    CHUNKS = 3,
    TAIL = 1000,
    FOLDERS = 3000, /* so many take a while to make; to remove, too: 1.5 ms each on a busy disk */
    MANIFEST_CAP = FOLDERS * 64,
    WALKED = 12, /* questions how far a walk is, until it is done */
};

enum lie {
    TRUTH,
    BAD_ONCE,      /* chunk 1 is damaged the first time */
    BAD_ALWAYS,    /* and every time */
    NOT_ASKED,     /* a chunk beyond the end */
    TWICE,         /* chunk 0 again */
    SHORT_CHUNK,   /* shorter than the manifest says */
    OTHER_ID,      /* the manifest is not the one that was opened */
    OTHER_TOTALS,  /* it has one byte less than was said */
    GIANT,         /* a file of 2^62 bytes, all of it holes */
    CLIMBING_NAME, /* an entry called ".." */
    WRONG_PAGE,    /* another offset than was asked for */
    SILENCE,       /* no answer to GET */
    ANSWER_UNASKED,
    CANCELLED,    /* every chunk is answered so, though nobody cancelled */
    BEYOND_CODES, /* OPEN is refused with a number that would be one of our own errors */
    ESCAPES,      /* damaged chunks of a file whose name is an escape sequence */
    SWITCHES,     /* another selection after a reconnect, while the first one is still prepared */
    MUTE,         /* no answer to OPEN, but its loop turns: PONG, INFO */
    WALKS,        /* a long walk, then the truth */
    WALKS_ALWAYS, /* one without end */
    SLOW_DISK,    /* long until the chunks come */
    MUTE_ONCE,    /* the first connection gets no chunk */
    TRICKLES,     /* a row of a listing now and then */
    RELISTS,      /* always another manifest, never a chunk */
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
    unsigned n_conns;

    uint8_t manifest[MANIFEST_CAP];
    size_t manifest_len;
    uint32_t entries;
    uint64_t size; /* of the file */
    uint8_t *content;
    unsigned lied;
    uint16_t open_req, get_req; /* of work that goes on */
    uv_timer_t cut;

    struct fetch *fetch;
    bool twice; /* it has two sources */
    uint64_t timeout_ms;
    bool done;
    int why;
    char text[2048];
};

static uint32_t len_of(uint64_t chunk) { return chunk + 1 == CHUNKS ? TAIL : WIRE_CHUNK_SIZE; }

/* ---- what the liar says ---- */

static void make_manifest(struct liar *l) {
    struct manifest_entry e = {.kind = WIRE_FILE, .mode = 0644, .name = {(const uint8_t *)"f", 1}};
    struct manifest_entry root = {
        .kind = WIRE_DIR, .mode = 0755, .name = {(const uint8_t *)"f", 1}};

    if (l->lie == RELISTS)
        e.mtime_ns = ++l->lied;
    if (l->lie == GIANT)
        e.flags = MANIFEST_SPARSE;
    l->size = l->lie == GIANT ? WIRE_SIZE_MAX : (CHUNKS - 1) * (uint64_t)WIRE_CHUNK_SIZE + TAIL;
    e.size = l->size;
    l->entries = 1;
    manifest_header_put(l->manifest);
    l->manifest_len = MANIFEST_HEADER_LEN;
    if (l->lie == CLIMBING_NAME || l->lie == ESCAPES) {
        const char *name = l->lie == ESCAPES ? "\033[2J" : "..";
        l->manifest_len += manifest_entry_put(&root, l->manifest + l->manifest_len);
        l->entries++;
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
    e.size = l->size = (CHUNKS - 1) * (uint64_t)WIRE_CHUNK_SIZE + TAIL;
    l->entries = FOLDERS + 1;
    e.name.len = (size_t)snprintf(name, sizeof name, "z");
    l->manifest_len += manifest_entry_put(&e, l->manifest + l->manifest_len);
}

static int say_opened(struct liar *l, uint16_t req) {
    struct msg a = {.type = WIRE_OPENED, .req = req};

    SHA256(l->manifest, l->manifest_len, a.opened.id);
    if (l->lie == OTHER_ID)
        a.opened.id[0] ^= 1;
    a.opened.length = l->manifest_len;
    a.opened.entries = l->entries;
    a.opened.chunks = (l->size + WIRE_CHUNK_SIZE - 1) / WIRE_CHUNK_SIZE;
    a.opened.bytes = l->size + (l->lie == OTHER_TOTALS);
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

static int on_open(struct liar *l, const struct msg *m) {
    l->open_req = m->req;
    switch (l->lie) {
    case BEYOND_CODES:
        return refuse(l, m);
    case MUTE:
    case WALKS:
    case WALKS_ALWAYS:
        return 0;
    case RELISTS:
        make_manifest(l);
        return say_opened(l, m->req);
    default:
        return say_opened(l, m->req);
    }
}

/* One row of the answer to request 1. */
static void say_row(struct liar *l) {
    struct msg a = {.type = WIRE_FOUND, .req = 1, .entries.n = 1};
    struct wire_entry row = {.kind = WIRE_FILE, .path = {(const uint8_t *)"f", 1}};
    uint8_t rows[64];

    a.entries.rows = (struct bytes){rows, (size_t)wire_entry_put(&row, rows, sizeof rows)};
    assert_int_equal(conn_send(l->conn, &a), 0);
    l->lied++;
}

static int say_walked(struct liar *l, const struct msg *m) {
    struct msg a = {.type = WIRE_INFO, .req = m->req};

    if (l->lie == TRICKLES)
        say_row(l);
    else if (l->lie == WALKS || l->lie == WALKS_ALWAYS || l->lie == SLOW_DISK)
        a.info.steps = ++l->lied;
    if (l->lie == WALKS && l->lied == WALKED)
        return say_opened(l, l->open_req);
    if (l->lie == SLOW_DISK && l->lied == WALKED)
        for (unsigned i = 0; i < CHUNKS; i++)
            say_chunk(l, l->get_req, i);
    return conn_send(l->conn, &a);
}

/* No chunk to be had from it. */
static bool withholds(const struct liar *l) {
    return uv_is_active((uv_handle_t *)&l->cut) /* the first selection is never given */
           || l->lie == SILENCE || l->lie == SLOW_DISK || (l->lie == MUTE_ONCE && l->n_conns == 1);
}

static int on_message(struct conn *c, const struct msg *m) {
    struct liar *l = conn_owner(c);

    switch (m->type) {
    case WIRE_OPEN:
        return on_open(l, m);
    case WIRE_INFO_GET:
        return say_walked(l, m);
    case WIRE_MANIFEST_GET:
        return say_page(l, m);
    case WIRE_GET:
        l->get_req = m->req;
        if (l->lie == RELISTS)
            return -ECONNRESET;
        for (unsigned i = 0; !withholds(l) && i < m->get.n; i++)
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

    if (l->conn == c)
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

    l->n_conns++;
    assert_int_equal(conn_accept(&l->conn, &l->env, listener, &conn_events, l), 0);
}

/* ---- the set-up ---- */

static int make_liar(void **state) {
    struct liar *l = calloc(1, sizeof *l);
    struct sockaddr_in any;

    assert_non_null(l);
    l->timeout_ms = TIMEOUT_MS;
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
    static struct fetch_source sources[2]; /* both are the liar */
    char dir[128];
    struct fetch_request r = {.sources = sources,
                              .n_sources = l->twice ? 2 : 1,
                              .dir = dir,
                              .name = "f",
                              .timeout_ms = l->timeout_ms};
    int len = sizeof sources[0].to.addrs[0];

    snprintf(dir, sizeof dir, "%s/out", l->at.path);
    memset(sources, 0, sizeof sources);
    sources[0].to.n_addrs = 1;
    uv_tcp_getsockname(&l->listener, (struct sockaddr *)&sources[0].to.addrs[0], &len);
    strcpy(sources[0].path, "f");
    sources[1] = sources[0];
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

#endif
