/* SPDX-License-Identifier: MIT */
#include "core/upload.h"

#include "core/asks.h"

#include <errno.h>
#include <stdlib.h>

enum {
    QUEUE_LOW = 2 * 1024 * 1024, /* start no new frame while more than this waits to be sent */
    DIGESTS_PER_FRAME = 64,      /* so that an answer comes while the next ones are still read */
};

/* One frame in the making. */
struct slot {
    uv_work_t work; /* first: the request is the slot */
    struct upload *u;
    struct selection_reader *reader;
    struct ask ask;
    uint64_t chunks[WIRE_RECORDS_MAX];
    unsigned n;
    uint32_t hole, answered; /* chunks that should be one; those of them that are in the frame */
    uint8_t *frame;          /* not NULL: busy */
    size_t len;
    int err;
};

struct upload {
    struct selection *selection;
    struct conn *conn; /* NULL after upload_close */
    const struct conn_env *env;
    void (*on_gone)(void *owner);
    void *owner;
    struct catalog_cursor cursor;
    struct slot slots[UPLOAD_AHEAD];
    struct pool_waiter waiter;

    struct asks asks;
    uint32_t outstanding; /* chunks in the queue, and of holes that are being looked at */
    uint64_t sent;
};

static const struct catalog *catalog_of(const struct upload *u) {
    return selection_catalog(u->selection);
}

/* ---- what is asked for ---- */

static int ask_chunks(struct upload *u, const struct msg *m) {
    uint64_t n_chunks = catalog_totals(catalog_of(u))->chunks;
    int err = 0;

    for (unsigned i = 0; err == 0 && i < m->get.n; i++) {
        struct wire_range range = wire_range_at(m, i);

        if (range.first >= n_chunks || range.count > n_chunks - range.first)
            return WIRE_ERR(WIRE_PROTOCOL);
        if (range.count > WIRE_OUTSTANDING_CHUNKS - u->outstanding)
            return WIRE_ERR(WIRE_LIMIT);
        err = asks_push(&u->asks, (struct ask){ASK_CHUNKS, m->req, range.count, range.first});
        u->outstanding += range.count;
    }
    return err;
}

static int ask_manifest(struct upload *u, const struct msg *m) {
    uint64_t length = catalog_totals(catalog_of(u))->length, offset = m->manifest_get.offset;
    uint32_t count = m->manifest_get.length;

    if (offset > length || count > length - offset)
        return WIRE_ERR(WIRE_PROTOCOL);
    return asks_push(&u->asks, (struct ask){ASK_MANIFEST, m->req, count, offset});
}

static int ask_digests(struct upload *u, const struct msg *m) {
    uint64_t n_chunks = catalog_totals(catalog_of(u))->chunks, first = m->digest_get.first;
    uint32_t n = m->digest_get.n;

    if (m->digest_get.kind != WIRE_DIGEST_XXH3)
        return WIRE_ERR(WIRE_UNSUPPORTED);
    if (first >= n_chunks || n > n_chunks - first)
        return WIRE_ERR(WIRE_PROTOCOL);
    return asks_push(&u->asks, (struct ask){ASK_DIGESTS, m->req, n, first});
}

int upload_ask(struct upload *u, const struct msg *m) {
    switch (m->type) {
    case WIRE_GET:
        return ask_chunks(u, m);
    case WIRE_MANIFEST_GET:
        return ask_manifest(u, m);
    case WIRE_DIGEST_GET:
        return ask_digests(u, m);
    case WIRE_CANCEL:
        asks_cancel(&u->asks, m->req);
        return 0;
    default:
        return WIRE_ERR(WIRE_PROTOCOL);
    }
}

/* ---- a slot takes what fits in one frame ---- */

/* Chunks off the front of the queue, as long as they have the kind and the request of the first. */
static int take_chunks(struct upload *u, struct slot *slot) {
    size_t room = WIRE_CHUNK_SIZE;

    slot->ask = *asks_at(&u->asks, 0);
    for (slot->n = 0; u->asks.n && slot->n < WIRE_RECORDS_MAX; slot->n++) {
        struct ask *ask = asks_at(&u->asks, 0);
        uint32_t len = 0;
        int err;

        if (ask->kind != slot->ask.kind || ask->req != slot->ask.req)
            break;
        if (ask->kind == ASK_CHUNKS) {
            err = catalog_chunk(&u->cursor, ask->first);
            if (err < 0)
                return err;
            len = catalog_chunk_len(&u->cursor, ask->first);
        }
        if (len > room)
            break;
        room -= len;
        slot->chunks[slot->n] = ask->first++;
        u->outstanding--;
        if (--ask->count == 0)
            asks_pop(&u->asks);
    }
    return 0;
}

/* Up to `most` units of the first ask. */
static int take_part(struct upload *u, struct slot *slot, uint32_t most) {
    struct ask *ask = asks_at(&u->asks, 0);

    slot->ask = *ask;
    if (slot->ask.count > most)
        slot->ask.count = most;
    ask->first += slot->ask.count;
    ask->count -= slot->ask.count;
    if (ask->count == 0)
        asks_pop(&u->asks);
    return 0;
}

/* A hole is one record, alone in its frame. The reader saw it when it read a chunk before; whether
 * it still is one, only the job can tell. */
static bool is_at_hole(struct upload *u, struct slot *slot) {
    const struct ask *ask = asks_at(&u->asks, 0);

    slot->hole = slot->answered = 0;
    if (ask->kind == ASK_CHUNKS && ask->count > 1)
        slot->hole = selection_hole(slot->reader, ask->first, ask->count);
    return slot->hole > 0;
}

static int take(struct upload *u, struct slot *slot) {
    if (is_at_hole(u, slot))
        return take_part(u, slot, slot->hole);
    switch (asks_at(&u->asks, 0)->kind) {
    case ASK_MANIFEST:
        return take_part(u, slot, WIRE_PAGE_MAX);
    case ASK_DIGESTS:
        return take_part(u, slot, DIGESTS_PER_FRAME);
    default:
        return take_chunks(u, slot);
    }
}

/* What turned out not to be a hole any more is read like everything else. */
static int give_back(struct upload *u, const struct slot *slot) {
    struct ask rest = slot->ask;

    rest.first += slot->answered;
    rest.count -= slot->answered;
    return asks_push_front(&u->asks, rest);
}

/* ---- the job: fill the frame ---- */

static void fill_chunks(struct slot *slot) {
    if (slot->hole)
        slot->answered = selection_read_hole(slot->reader, slot->ask.first, slot->hole,
                                             slot->ask.req, slot->frame, &slot->len);
    else
        selection_read(slot->reader, slot->chunks, slot->n, slot->ask.req, slot->frame, &slot->len);
}

static void fill_cancelled(struct slot *slot) {
    for (unsigned i = 0; i < slot->n; i++) {
        struct wire_record record = {
            .chunk = slot->chunks[i], .kind = WIRE_RECORD_ERROR, .code = WIRE_CANCELLED};

        wire_data_record(slot->frame, i, &record);
    }
    slot->len = wire_data_end(slot->frame, slot->n, 0, slot->ask.req);
}

static int encode(struct slot *slot, const struct msg *m) {
    int len = wire_encode(m, slot->frame, WIRE_FRAME_MAX);

    slot->len = len < 0 ? 0 : (size_t)len;
    return len < 0 ? len : 0;
}

static int fill_manifest(struct slot *slot) {
    struct msg m = {.type = WIRE_MANIFEST, .req = slot->ask.req};
    uint8_t *page = malloc(slot->ask.count);
    int err;

    if (!page)
        return -ENOMEM;
    err = catalog_read(catalog_of(slot->u), slot->ask.first, page, slot->ask.count);
    m.manifest.offset = slot->ask.first;
    m.manifest.page = (struct bytes){page, slot->ask.count};
    if (err == 0)
        err = encode(slot, &m);
    free(page);
    return err;
}

static int fill_digests(struct slot *slot) {
    uint8_t digests[DIGESTS_PER_FRAME * WIRE_DIGEST_LEN];
    struct msg m = {.type = WIRE_DIGEST, .req = slot->ask.req};

    selection_digests(slot->reader, slot->ask.first, slot->ask.count, digests);
    m.digest.kind = WIRE_DIGEST_XXH3;
    m.digest.first = slot->ask.first;
    m.digest.n = slot->ask.count;
    m.digest.digests = (struct bytes){digests, (size_t)slot->ask.count * WIRE_DIGEST_LEN};
    return encode(slot, &m);
}

static void run_slot(uv_work_t *work) {
    struct slot *slot = (struct slot *)work;

    slot->err = 0;
    switch (slot->ask.kind) {
    case ASK_CHUNKS:
        fill_chunks(slot);
        break;
    case ASK_CANCELLED:
        fill_cancelled(slot);
        break;
    case ASK_MANIFEST:
        slot->err = fill_manifest(slot);
        break;
    case ASK_DIGESTS:
        slot->err = fill_digests(slot);
        break;
    }
}

static bool reading(const struct upload *u) {
    for (unsigned i = 0; i < UPLOAD_AHEAD; i++)
        if (u->slots[i].frame)
            return true;
    return false;
}

static void free_if_down(struct upload *u) {
    void (*on_gone)(void *owner) = u->on_gone;
    void *owner = u->owner;

    if (u->conn || reading(u))
        return;
    for (unsigned i = 0; i < UPLOAD_AHEAD; i++)
        selection_reader_free(u->slots[i].reader);
    catalog_cursor_clear(&u->cursor);
    selection_free(u->selection);
    asks_clear(&u->asks);
    pool_leave(u->waiter.share);
    free(u);
    if (on_gone)
        on_gone(owner);
}

static void on_filled(uv_work_t *work, int status) {
    struct slot *slot = (struct slot *)work;
    struct upload *u = slot->u;
    uint8_t *frame = slot->frame;
    int err = slot->err;

    slot->frame = NULL;
    if (!u->conn) {
        pool_put(u->env->pool, frame);
        free_if_down(u);
        return;
    }
    u->outstanding -= slot->answered;
    if (err < 0) {
        pool_put(u->env->pool, frame);
    } else {
        u->sent += slot->len;
        err = conn_send_frame(u->conn, frame, slot->len);
    }
    if (err == 0 && slot->hole > slot->answered)
        err = give_back(u, slot);
    if (err == 0)
        err = upload_pump(u);
    if (err < 0)
        conn_close(u->conn, err);
}

static int start(struct upload *u, struct slot *slot) {
    int err = take(u, slot);

    return err < 0 ? err : uv_queue_work(u->env->loop, &slot->work, run_slot, on_filled);
}

static uint8_t *get_buffer(struct upload *u) {
    uint8_t *frame;

    u->waiter.more = reading(u) || conn_frames(u->conn) > 0;
    frame = pool_take(u->env->pool, u->waiter.share, u->waiter.more);
    if (!frame)
        pool_wait(u->env->pool, &u->waiter);
    return frame;
}

int upload_pump(struct upload *u) {
    int err = 0;

    for (unsigned i = 0; err == 0 && i < UPLOAD_AHEAD; i++) {
        struct slot *slot = &u->slots[i];

        if (slot->frame || u->asks.n == 0 || conn_queued(u->conn) > QUEUE_LOW)
            continue;
        slot->frame = get_buffer(u);
        if (!slot->frame)
            return 0;
        err = start(u, slot);
        if (err < 0) {
            pool_put(u->env->pool, slot->frame);
            slot->frame = NULL;
        }
    }
    return err;
}

static void on_buffer(struct pool_waiter *w) {
    struct upload *u = (struct upload *)(void *)((char *)w - offsetof(struct upload, waiter));
    int err = upload_pump(u);

    if (err < 0)
        conn_close(u->conn, err);
}

/* ---- life ---- */

int upload_new(struct upload **out, struct selection *selection, struct conn *conn,
               const struct conn_env *env, void (*on_gone)(void *owner), void *owner) {
    struct upload *u = calloc(1, sizeof *u);
    int err = 0;

    if (!u) {
        selection_free(selection);
        return -ENOMEM;
    }
    u->selection = selection;
    u->env = env;
    u->waiter.ready = on_buffer;
    u->waiter.share = pool_join(env->pool, conn_key(conn));
    if (!u->waiter.share)
        err = -ENOMEM;
    catalog_cursor_init(&u->cursor, selection_catalog(selection));
    for (unsigned i = 0; err == 0 && i < UPLOAD_AHEAD; i++) {
        u->slots[i].u = u;
        err = selection_reader_new(&u->slots[i].reader, selection);
    }
    if (err < 0) {
        free_if_down(u);
        return err;
    }
    u->conn = conn;
    u->on_gone = on_gone;
    u->owner = owner;
    *out = u;
    return 0;
}

void upload_close(struct upload *u) {
    pool_unwait(u->env->pool, &u->waiter);
    u->conn = NULL;
    free_if_down(u);
}

bool upload_busy(const struct upload *u) { return u->asks.n || reading(u); }

uint64_t upload_read(const struct upload *u) {
    return selection_reader_count(u->slots[0].reader) + selection_reader_count(u->slots[1].reader);
}

uint64_t upload_sent(const struct upload *u) { return u->sent; }
