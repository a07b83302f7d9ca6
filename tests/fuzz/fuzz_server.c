/* SPDX-License-Identifier: MIT */
/*
 * Input: who may come in and how we begin, then steps: frames, true or with a false length, bytes
 * in TLS or below it, pauses. A server of a small share hears them from one peer or two. It must
 * say nothing but well-formed messages, nothing of what lies outside the share or before it has let
 * us in, answer somebody honest meanwhile, and leave nothing behind.
 */
#include "core/query.h"
#include "core/server.h"
#include "proto/be.h"
#include "tests/fuzz/peer.h"
#include "tests/fuzz/world.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "what nobody shares"

enum { STEPS = 64, PEERS = 2, ANSWER_MS = 8, LONG_MS = 600000, REPEATS = 32 };

/* The first byte: one of these, and how we go about it. */
enum { OPEN, CODE, ONLY_HONEST, ONLY_US, RULES = 3, NO_OPENING = 4, WRONG_PROOF = 8, RUDE = 16 };

/* A step: one of these, */
enum { FRAME, FALSE_LENGTH, AGAIN, BYTES, BELOW, END, DEAF, PAUSE, STEP = 7 };
/* and these. */
enum { OTHER_PEER = 8, WAIT = 16 };

struct run {
    struct server *server;
    struct shares shares;
    uint8_t mode;
    bool server_closed, asked;
    unsigned rows;
    int why;
    struct tls_context *tls;
    struct conn_env honest;
    struct prover prover;
};

static struct run run;
static struct peer peers[PEERS];
static struct talk { /* one for each peer */
    bool proved, pong;
    bool torn; /* the server does not see our frames where they are */
    uint8_t last[4096];
    size_t last_len;
} talks[PEERS];
/* However slow this machine is: nobody is given up while we look. */
static const struct patience patience = {.connect = LONG_MS,
                                         .tls = LONG_MS,
                                         .hello = LONG_MS,
                                         .auth = LONG_MS,
                                         .admit = LONG_MS,
                                         .dial = LONG_MS,
                                         .ping = LONG_MS,
                                         .silence = LONG_MS,
                                         .answer = LONG_MS,
                                         .farewell = LONG_MS,
                                         .drain = LONG_MS,
                                         .elsewhere = LONG_MS,
                                         .pace = LONG_MS,
                                         .hope = LONG_MS};
static const struct access_code code = {"k7f3q9zz"};

static struct talk *talk_of(const struct peer *p) { return &talks[p - peers]; }

/* ---- what we hear ---- */

static bool may_answer(const struct peer *p) {
    switch (run.mode & RULES) {
    case CODE:
        return talk_of(p)->proved;
    case ONLY_HONEST:
        return false;
    default:
        return true;
    }
}

static void on_frame(struct peer *p, const struct msg *m) {
    size_t len = WIRE_HEADER_LEN + be_get(p->in, 4);

    must(m->type == WIRE_PONG /* our own words */ ||
         (!memmem(p->in, len, SECRET, strlen(SECRET)) && !memmem(p->in, len, ".hidden", 7)));
    must(m->type <= WIRE_BYE || may_answer(p));
    if (m->type == WIRE_AUTHED)
        must(may_answer(p) || m->authed.result != WIRE_OK);
    talk_of(p)->pong = talk_of(p)->pong || m->type == WIRE_PONG;
}

static void on_ready(struct peer *p) {}

static void wait_for_word(struct peer *p, unsigned heard) {
    UNTIL(p->heard > heard || p->over, ANSWER_MS);
}

/* ---- what we say ---- */

static void say_hello(struct peer *p) {
    struct msg hello = {.type = WIRE_HELLO, .hello.major = WIRE_MAJOR};

    hello.hello.name = (struct bytes){(const uint8_t *)"liar", 4};
    peer_say_msg(p, &hello);
}

static void say_auth(struct peer *p) {
    struct msg auth = {.type = WIRE_AUTH};
    uint8_t key[ACCESS_KEY_LEN], proof[WIRE_PROOF_LEN];
    struct access_bond bond;

    if ((run.mode & RULES) == CODE) {
        memcpy(bond.dialler, world.liar.key, KEY_LEN);
        memcpy(bond.listener, world.honest.key, KEY_LEN);
        must(tls_export(p->tls, bond.exported) == 0);
        must(access_key(&code, world.honest.key, key) == 0);
        must(access_proof(key, ACCESS_DIALLER, &bond, proof) == 0);
        proof[0] ^= run.mode & WRONG_PROOF ? 1 : 0;
        talk_of(p)->proved = !(run.mode & WRONG_PROOF);
        auth.auth.method = WIRE_AUTH_CODE;
        auth.auth.proof = (struct bytes){proof, sizeof proof};
    }
    peer_say_msg(p, &auth);
}

static void begin(struct peer *p) {
    p->on_ready = on_ready;
    p->on_frame = on_frame;
    peer_dial(p, &world.loop, run.tls, server_port(run.server));
    UNTIL(p->ready || p->over, LONG_MS);
    if (run.mode & NO_OPENING || p->over)
        return;
    say_hello(p);
    wait_for_word(p, 0);
    say_auth(p);
    wait_for_word(p, 1);
}

static void say_frame(struct peer *p, struct input *in, bool false_length) {
    struct talk *t = talk_of(p);
    struct wire_header h = {.type = (uint8_t)take_number(in, 1),
                            .flags = (uint8_t)take_number(in, 1),
                            .req = (uint16_t)take_number(in, 2)};
    uint32_t said = false_length ? (uint32_t)take_number(in, 4) : 0;
    struct input payload = take_part(in, 2);
    uint8_t frame[WIRE_HEADER_LEN];

    h.len = false_length ? said : (uint32_t)payload.left;
    t->torn = t->torn || h.len != payload.left;
    wire_header_put(frame, &h);
    peer_say(p, frame, sizeof frame);
    peer_say(p, payload.at, payload.left);
    t->last_len = 0;
    if (payload.left > sizeof t->last - WIRE_HEADER_LEN)
        return;
    memcpy(t->last, frame, WIRE_HEADER_LEN);
    memcpy(t->last + WIRE_HEADER_LEN, payload.at, payload.left);
    t->last_len = WIRE_HEADER_LEN + payload.left;
}

static void step(struct input *in) {
    uint8_t what = (uint8_t)take_number(in, 1);
    struct peer *p = &peers[what & OTHER_PEER ? 1 : 0];
    struct input part;
    unsigned heard;

    if (!p->used)
        begin(p);
    heard = p->heard;
    switch (what & STEP) {
    case FRAME:
    case FALSE_LENGTH:
        say_frame(p, in, (what & STEP) == FALSE_LENGTH);
        break;
    case AGAIN:
        for (unsigned n = take_number(in, 1) % REPEATS; n > 0; n--)
            peer_say(p, talk_of(p)->last, talk_of(p)->last_len);
        break;
    case BYTES:
    case BELOW:
        part = take_part(in, 2);
        ((what & STEP) == BYTES ? peer_say : peer_say_below)(p, part.at, part.left);
        talk_of(p)->torn = true;
        break;
    case END:
        peer_end(p);
        break;
    case DEAF:
        if (!p->over)
            peer_listen(p, what & WAIT);
        return;
    case PAUSE:
        UNTIL(p->over, 1);
        return;
    }
    if (what & WAIT)
        wait_for_word(p, heard);
}

/* ---- somebody honest ---- */

static void on_row(void *owner, const struct query_peer *p, const struct wire_entry *e) {
    run.rows++;
}

static void on_answer(void *owner, int why, const char *text, const struct query_peer *p,
                      const struct query_info *info) {
    run.asked = true;
    world_look();
    run.why = why;
    must_be_shown(text);
}

static const struct query_handler asks = {.on_row = on_row, .on_done = on_answer};

static void ask_honestly(void) {
    static struct query_request q = {.kind = QUERY_LIST, .timeout_ms = LONG_MS, .to.n_addrs = 1};
    struct query *query;

    uv_ip4_addr("127.0.0.1", server_port(run.server), (struct sockaddr_in *)&q.to.addrs[0]);
    run.honest.prover = (run.mode & RULES) == CODE ? &run.prover : NULL;
    must(query_start(&query, &run.honest, &q, &asks, NULL) == 0);
    UNTIL(run.asked, LONG_MS);
    must(run.asked && run.why == 0 && run.rows == 2);
}

/* ---- the set-up ---- */

static void make_share(void) {
    static const char *const folders[] = {"share", "share/dir", "share/dir/deep", "outside", NULL};

    if (!world_open(folders))
        return;
    world_file("outside/secret", SECRET);
    world_file("share/a.txt", "hello\n");
    world_file("share/.hidden", SECRET);
    world_file("share/dir/b", "");
    world_file("share/dir/deep/c", "c");
    world_file("one", "1");
    must(symlinkat("../outside/secret", world.fd, "share/link") == 0);
    must(symlinkat("../outside", world.fd, "share/dir/away") == 0);
    int fd = openat(world.fd, "share/hole", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    must(fd >= 0 && pwrite(fd, "x", 1, 2 * WIRE_CHUNK_SIZE + 5) == 1);
    must(ftruncate(fd, 5 * WIRE_CHUNK_SIZE + 9) == 0);
    close(fd);
    shares_init(&run.shares, false);
    must(shares_add(&run.shares, world_at("share")) == 0);
    must(shares_add(&run.shares, world_at("one")) == 0);
    must(tls_context_new(&run.tls, &world.liar, TLS_DIALLER) == 0);
    must(conn_env_init(&run.honest, &world.loop, TLS_DIALLER, &world.honest, NULL) == 0);
    run.honest.patience = &patience;
    prover_init(&run.prover, &world.loop, &code);
}

static void on_event(void *owner, const struct server_event *e) {
    const char *said[] = {e->peer, e->key, e->path, e->text, e->addr};

    for (unsigned i = 0; i < sizeof said / sizeof *said; i++)
        if (said[i])
            must_be_shown(said[i]);
}

static void on_closed(void *owner) { run.server_closed = true; }

static void start(void) {
    static uint8_t keys[2][KEY_LEN];
    struct server_options o = {.loop = &world.loop,
                               .id = &world.honest,
                               .shares = &run.shares,
                               .name = "server",
                               .patience = &patience,
                               .on_event = on_event,
                               .on_closed = on_closed};

    memcpy(keys[0], world.honest.key, KEY_LEN);
    memcpy(keys[1], world.liar.key, KEY_LEN);
    o.rules.code = (run.mode & RULES) == CODE ? &code : NULL;
    if ((run.mode & RULES) >= ONLY_HONEST)
        o.rules.only = keys;
    o.rules.n_only = !o.rules.only ? 0 : (run.mode & RULES) == ONLY_US ? 2 : 1;
    run.server_closed = run.asked = false;
    run.rows = 0;
    must(server_new(&run.server, &o) == 0);
    for (unsigned i = 0; i < PEERS; i++) {
        peer_init(&peers[i]);
        memset(&talks[i], 0, sizeof talks[i]);
    }
}

/* All that was said has been heard, where that can be known. */
static void settle(struct peer *p) {
    struct talk *t = talk_of(p);

    if (!p->used || p->over || p->ending || t->torn || !may_answer(p) || run.mode & NO_OPENING)
        return;
    t->pong = false;
    peer_listen(p, true);
    peer_say_msg(p, &(struct msg){.type = WIRE_PING});
    UNTIL(t->pong || p->over, LONG_MS);
    must(!world.late);
}

static void finish(void) {
    for (unsigned i = 0; i < PEERS; i++) {
        if (peers[i].used && !peers[i].over && !talks[i].torn && !(run.mode & RUDE)) {
            peer_say_msg(&peers[i], &(struct msg){.type = WIRE_BYE});
            UNTIL(peers[i].over, ANSWER_MS);
        }
        peer_leave(&peers[i]);
    }
    server_close(run.server);
    UNTIL(run.server_closed, LONG_MS);
    must(run.server_closed);
    world_rest();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};

    make_share();
    run.mode = (uint8_t)take_number(&in, 1);
    start();
    for (unsigned i = 0; i < STEPS && in.left; i++)
        step(&in);
    for (unsigned i = 0; i < PEERS; i++)
        settle(&peers[i]);
    ask_honestly();
    finish();
    return 0;
}
