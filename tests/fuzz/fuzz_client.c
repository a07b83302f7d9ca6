/* SPDX-License-Identifier: MIT */
/*
 * Input: up to three downloads of one name, one after the other; each has how it is asked for, the
 * manifest at its origin, and lies: what happens to the answers, which are true otherwise. The
 * client must end, with an error or with exactly what the manifest lists, write nowhere else, and
 * leave nothing behind.
 */
#include "core/digest.h"
#include "core/err.h"
#include "core/fetch.h"
#include "core/query.h"
#include "proto/be.h"
#include "tests/fuzz/origin.h"
#include "tests/fuzz/peer.h"
#include "tests/fuzz/world.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    STAGES = 3,
    PEERS = 6,    /* connections in one stage */
    BUDGET = 400, /* answers in one stage, and as many chunks */
    /* in the program's time, see fast.c */
    STAGE_MS = 10000,   /* then the download is stopped */
    LONG_MS = 60000000, /* by when it must have ended */
};

/* How a stage asks. */
enum { UPDATE = 1, UNSAFE_LINKS = 2, TWO_SOURCES = 4, STOP_EARLY = 8, KIND = 48 };

/* What becomes of an answer: this many edits, */
enum { EDITS = 3 };
/* one of these deeds, */
enum { SAY, SAY_TOO, SWALLOW, TWICE, REFUSE, OTHER, LEAVE, CUT, DEED = 28, DEED_SHIFT = 2 };
/* and another thing is answered than was asked. */
enum { BESIDE = 32 };

struct stage {
    uint8_t how;
    struct origin origin;
    struct input lies;
    unsigned answers, chunks, n_peers;
    bool lied_about_data; /* so that it may be wrong */
    bool done;
    int why;
    bool committed;
};

static struct peer peers[PEERS];
static struct stage stage;
static struct tls_context *tls;
static uv_tcp_t listener;
static uint16_t port;
static struct pool pool;
static struct conn_env env;
static struct trust trust;
static uint8_t frame[WIRE_FRAME_MAX];

/* ---- lies ---- */

static uint64_t other_value(struct input *lies, unsigned how, uint64_t old, unsigned width) {
    switch (how) {
    case 1:
        return 0;
    case 2:
        return UINT64_MAX;
    case 3:
        return UINT64_C(1) << 62;
    case 4:
        return UINT64_C(1) << 63;
    case 5:
        return old + 1;
    case 6:
        return old - 1;
    default:
        return take_number(lies, width);
    }
}

/* One integer of 1, 2, 4 or 8 bytes, anywhere. */
static void edit(struct input *lies, size_t len) {
    uint8_t how = (uint8_t)take_number(lies, 1);
    unsigned width = 1u << (how & 3);
    size_t at = (size_t)take_number(lies, how & 32 ? 2 : 1);

    if (len < width)
        return;
    at %= len - width + 1;
    be_put(frame + at, other_value(lies, how >> 2 & 7, be_get(frame + at, width), width), width);
}

static void say_other(struct peer *p, struct input *lies, uint16_t req) {
    struct wire_header h = {.type = (uint8_t)take_number(lies, 1), .req = req};
    struct input payload = take_part(lies, 1);

    h.len = (uint32_t)payload.left;
    wire_header_put(frame, &h);
    memcpy(frame + WIRE_HEADER_LEN, payload.at, payload.left);
    peer_say(p, frame, WIRE_HEADER_LEN + payload.left);
}

/* The true answer lies in `frame`: says it, or something else. */
static void answer(struct peer *p, size_t len, uint8_t lie) {
    struct input *lies = &stage.lies;
    uint16_t req = (uint16_t)be_get(frame + 6, 2);
    size_t part;

    for (unsigned i = lie & EDITS; i > 0; i--)
        edit(lies, len);
    switch ((lie & DEED) >> DEED_SHIFT) {
    case SWALLOW:
        return;
    case TWICE:
        peer_say(p, frame, len);
        break;
    case REFUSE:
        peer_say_msg(p, &(struct msg){.type = WIRE_ERROR,
                                      .req = req,
                                      .error.code = (uint16_t)take_number(lies, 1)});
        return;
    case OTHER:
        say_other(p, lies, req);
        return;
    case LEAVE:
        peer_say(p, frame, len);
        peer_end(p);
        return;
    case CUT:
        part = (size_t)take_number(lies, 2);
        peer_say(p, frame, part < len ? part : len);
        peer_leave(p);
        return;
    }
    peer_say(p, frame, len);
}

static void answer_msg(struct peer *p, const struct msg *m, uint8_t lie) {
    int len = wire_encode(m, frame, sizeof frame);

    if (len > 0)
        answer(p, (size_t)len, lie);
    else /* it cannot even be said */
        peer_say_msg(p, &(struct msg){.type = WIRE_ERROR, .req = m->req, .error.code = WIRE_IO});
}

/* ---- true answers ---- */

static void say_opened(struct peer *p, const struct msg *m, uint8_t lie) {
    struct msg a = {.req = m->req};

    origin_opened(&stage.origin, &a);
    answer_msg(p, &a, lie);
}

static void say_page(struct peer *p, const struct msg *m, uint64_t beside, uint8_t lie) {
    struct msg a = {.type = WIRE_MANIFEST, .req = m->req};
    uint8_t *page = frame + WIRE_HEADER_LEN + WIRE_MANIFEST_HEAD;

    a.manifest.offset = m->manifest_get.offset + beside;
    for (uint32_t i = 0; i < m->manifest_get.length; i++)
        page[i] = origin_byte(&stage.origin, a.manifest.offset + i);
    a.manifest.page = (struct bytes){page, m->manifest_get.length};
    answer_msg(p, &a, lie);
}

/* One frame for each chunk. */
static void say_chunk(struct peer *p, uint16_t req, uint64_t number, uint8_t lie) {
    struct wire_record r = {.chunk = number};
    struct chunk c;

    origin_chunk(&stage.origin, number, &c);
    r.len = c.len;
    r.kind = c.len == 0 ? WIRE_RECORD_ERROR : c.zeros ? WIRE_RECORD_ZEROS : WIRE_RECORD_DATA;
    r.code = c.len == 0 ? WIRE_NOT_FOUND : 0;
    memcpy(r.digest, c.digest, sizeof r.digest);
    wire_data_record(frame, 0, &r);
    uint32_t len = r.kind == WIRE_RECORD_DATA ? c.len : 0;
    memcpy(frame + wire_data_offset(1), c.data, len);
    answer(p, wire_data_end(frame, 1, len, req), lie);
}

static void say_chunks(struct peer *p, const struct msg *m, uint64_t beside, uint8_t lie) {
    for (unsigned i = 0; i < m->get.n; i++) {
        struct wire_range r = wire_range_at(m, i);

        for (uint32_t k = 0; k < r.count && !p->over; k++, lie = 0) {
            if (stage.chunks++ >= BUDGET) {
                peer_leave(p);
                return;
            }
            say_chunk(p, m->req, r.first + k + beside, lie);
        }
    }
}

static void say_digests(struct peer *p, const struct msg *m, uint64_t beside, uint8_t lie) {
    struct msg a = {.type = WIRE_DIGEST, .req = m->req, .digest.kind = WIRE_DIGEST_XXH3};
    uint8_t *digests = frame + WIRE_HEADER_LEN + WIRE_DIGEST_HEAD;
    struct chunk c;

    a.digest.first = m->digest_get.first + beside;
    a.digest.n = m->digest_get.n < BUDGET ? m->digest_get.n : BUDGET;
    for (uint32_t i = 0; i < a.digest.n; i++) {
        origin_chunk(&stage.origin, a.digest.first + i, &c);
        memcpy(digests + (size_t)i * WIRE_DIGEST_LEN, c.digest, WIRE_DIGEST_LEN);
    }
    a.digest.digests = (struct bytes){digests, (size_t)a.digest.n * WIRE_DIGEST_LEN};
    stage.lied_about_data = stage.lied_about_data || lie;
    answer_msg(p, &a, lie);
}

/* The rows are what the manifest's bytes are taken for. */
static void say_rows(struct peer *p, const struct msg *m, uint8_t lie) {
    size_t len = stage.origin.len - MANIFEST_HEADER_LEN;
    struct wire_header h = {
        .len = (uint32_t)len, .flags = WIRE_LAST, .type = (uint8_t)(m->type + 1), .req = m->req};

    wire_header_put(frame, &h);
    memcpy(frame + WIRE_HEADER_LEN, stage.origin.manifest + MANIFEST_HEADER_LEN, len);
    answer(p, WIRE_HEADER_LEN + len, lie);
}

static void say_info(struct peer *p, const struct msg *m, uint8_t lie) {
    struct msg a = {.type = WIRE_INFO, .req = m->req, .info.files = 1, .info.complete = true};

    a.info.steps = stage.answers;
    answer_msg(p, &a, lie);
}

static void on_frame(struct peer *p, const struct msg *m) {
    uint8_t lie = (uint8_t)take_number(&stage.lies, 1);
    uint64_t beside = lie & BESIDE ? (uint64_t)(int8_t)take_number(&stage.lies, 1) : 0;

    if (stage.answers++ >= BUDGET) {
        peer_leave(p);
        return;
    }
    switch (m->type) {
    case WIRE_AUTH:
        answer_msg(p, &(struct msg){.type = WIRE_AUTHED}, lie);
        break;
    case WIRE_PING:
        answer_msg(p, &(struct msg){.type = WIRE_PONG, .req = m->req, .ping = m->ping}, lie);
        break;
    case WIRE_INFO_GET:
        say_info(p, m, lie);
        break;
    case WIRE_LIST:
    case WIRE_FIND:
        say_rows(p, m, lie);
        break;
    case WIRE_OPEN:
        say_opened(p, m, lie);
        break;
    case WIRE_MANIFEST_GET:
        say_page(p, m, beside, lie);
        break;
    case WIRE_GET:
        say_chunks(p, m, beside, lie);
        break;
    case WIRE_DIGEST_GET:
        say_digests(p, m, beside, lie);
        break;
    }
}

static void on_ready(struct peer *p) {
    struct msg hello = {.type = WIRE_HELLO, .hello.major = WIRE_MAJOR};

    hello.hello.name = (struct bytes){(const uint8_t *)"liar", 4};
    answer_msg(p, &hello, (uint8_t)take_number(&stage.lies, 1));
}

static void on_connection(uv_stream_t *stream, int status) {
    static struct peer none;
    struct peer *p = stage.n_peers < PEERS ? &peers[stage.n_peers++] : &none;

    must(status == 0);
    peer_init(p);
    p->on_ready = on_ready;
    p->on_frame = on_frame;
    peer_accept(p, stream, tls);
    if (p == &none)
        peer_leave(p);
}

/* ---- one stage ---- */

static void on_event(void *owner, const struct fetch_event *e) {
    if (e->text)
        must_be_shown(e->text);
    if (e->peer)
        must_be_shown(e->peer);
}

static void on_fetched(void *owner, const struct fetch_result *r) {
    char text[8192];

    stage.done = true;
    world_look();
    stage.why = r->why;
    stage.committed = r->path != NULL;
    snprintf(text, sizeof text, "%s", r->text);
    for (char *end = strchr(text, '\n'); end; end = strchr(end, '\n'))
        *end = ' ';
    must_be_shown(text);
}

static const struct fetch_handler fetches = {.on_event = on_event, .on_done = on_fetched};

static void fetch(void) {
    static struct fetch_source sources[2];
    struct fetch_request r = {.sources = sources,
                              .n_sources = stage.how & TWO_SOURCES ? 2 : 1,
                              .dir = world_at("out"),
                              .name = "f",
                              .timeout_ms = 3000,
                              .unsafe_links = stage.how & UNSAFE_LINKS,
                              .update = stage.how & UPDATE};
    struct fetch *f;

    memset(sources, 0, sizeof sources);
    sources[0].to.n_addrs = 1;
    uv_ip4_addr("127.0.0.1", port, (struct sockaddr_in *)&sources[0].to.addrs[0]);
    strcpy(sources[0].path, "share/f");
    sources[1] = sources[0];
    must(fetch_start(&f, &env, &trust, &r, &fetches, NULL) == 0);
    UNTIL(stage.done || (stage.how & STOP_EARLY && stage.chunks > 0), STAGE_MS);
    if (!stage.done)
        fetch_stop(f);
    UNTIL(stage.done, LONG_MS);
    must(stage.done);
}

static void on_row(void *owner, const struct query_peer *p, const struct wire_entry *e) {
    must(e->path.len > 0 && !memchr(e->path.at, 0, e->path.len));
}

static void on_answer(void *owner, int why, const char *text, const struct query_peer *p,
                      const struct query_info *info) {
    stage.done = true;
    world_look();
    must_be_shown(text);
    if (p)
        must_be_shown(p->name);
}

static const struct query_handler queries = {.on_row = on_row, .on_done = on_answer};

static void ask(enum query_kind kind) {
    static struct query_request q = {.timeout_ms = 3000, .to.n_addrs = 1, .arg = "share"};
    struct query *query;

    q.kind = kind;
    uv_ip4_addr("127.0.0.1", port, (struct sockaddr_in *)&q.to.addrs[0]);
    must(query_start(&query, &env, &q, &queries, NULL) == 0);
    UNTIL(stage.done, STAGE_MS);
    if (!stage.done)
        query_stop(query);
}

/* ---- what must hold ---- */

static unsigned names_in(const char *path, const char *const *allowed) {
    DIR *dir = opendir(world_at(path));
    unsigned n = 0;

    must(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        bool known = e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.');

        for (const char *const *name = allowed; *name && !known; name++)
            known = strcmp(*name, e->d_name) == 0;
        must(known);
        n++;
    }
    closedir(dir);
    return n;
}

static void look(bool was_there) {
    static const char *const none[] = {NULL}, *const out[] = {"f", "f.lanyard-part", NULL};
    static const char *const all[] = {"out", "outside", "liar", "honest", NULL};
    bool there = access(world_at("out/f"), F_OK) == 0;
    unsigned expected = was_there ? ORIGIN_MORE : 0;

    must(names_in("outside", none) == 2);
    names_in("out", out);
    names_in("", all);
    if (!stage.committed) {
        must(was_there || faccessat(AT_FDCWD, world_at("out/f"), F_OK, AT_SYMLINK_NOFOLLOW) != 0);
        return;
    }
    must(stage.why >= 0 && (there || stage.origin.all[0].kind == WIRE_SYMLINK));
    expected |= stage.why == 0 ? ORIGIN_ALL : 0;
    expected |= stage.lied_about_data ? 0 : ORIGIN_DATA_TRUE;
    if (stage.why == 0 || !was_there)
        origin_compare(&stage.origin, world_at("out/f"), expected);
}

/* ---- the set-up ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return ftw->level > 0 ? remove(path) : 0;
}

static void clean(void) {
    nftw(world_at("out"), remove_one, 16, FTW_DEPTH | FTW_PHYS);
    unlink(world_at("honest/known_peers"));
}

static void make_client(void) {
    static const char *const folders[] = {"out", "outside", NULL};

    if (!world_open(folders))
        return;
    must(tls_context_new(&tls, &world.liar, TLS_LISTENER) == 0);
    must(pool_init(&pool, 8) == 0);
    must(conn_env_init(&env, &world.loop, TLS_DIALLER, &world.honest, &pool) == 0);
}

static void start_listening(void) {
    struct sockaddr_in any;
    int len = sizeof any;

    uv_ip4_addr("127.0.0.1", 0, &any);
    must(uv_tcp_init(&world.loop, &listener) == 0);
    must(uv_tcp_bind(&listener, (struct sockaddr *)&any, 0) == 0);
    must(uv_listen((uv_stream_t *)&listener, 8, on_connection) == 0);
    must(uv_tcp_getsockname(&listener, (struct sockaddr *)&any, &len) == 0);
    port = ntohs(any.sin_port);
}

static void run_stage(struct input *in) {
    struct stat st;
    bool was_there = lstat(world_at("out/f"), &st) == 0;
    bool lied = stage.lied_about_data;

    memset(&stage, 0, sizeof stage);
    stage.how = (uint8_t)take_number(in, 1);
    origin_init(&stage.origin, take_part(in, 2));
    stage.lies = take_part(in, 1);
    stage.lied_about_data = lied;
    must(trust_load(&trust, world_at("honest")) == 0);
    start_listening();
    if (stage.how & KIND)
        ask((enum query_kind)((stage.how & KIND) >> 4));
    else
        fetch();
    for (unsigned i = 0; i < stage.n_peers; i++)
        peer_leave(&peers[i]);
    uv_close((uv_handle_t *)&listener, NULL);
    world_rest();
    trust_clear(&trust);
    look(was_there);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};

    make_client();
    stage.lied_about_data = false;
    for (unsigned i = 0; i < STAGES && in.left; i++)
        run_stage(&in);
    clean();
    return 0;
}
