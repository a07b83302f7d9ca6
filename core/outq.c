/* SPDX-License-Identifier: MIT */
#include "core/outq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct out {
    struct out *next;
    uint8_t *frame; /* NULL: the bytes are here */
    size_t len;
    uint8_t bytes[];
};

void outq_init(struct outq *q, struct pool *pool) {
    memset(q, 0, sizeof *q);
    q->pool = pool;
    q->small_end = &q->small;
    q->frames_end = &q->frames;
}

static void free_out(struct outq *q, struct out *o) {
    q->n_frames -= o->frame != NULL;
    pool_put(q->pool, o->frame);
    free(o);
}

static void free_list(struct outq *q, struct out *o) {
    while (o) {
        struct out *next = o->next;
        q->len -= o->len;
        free_out(q, o);
        o = next;
    }
}

void outq_drop(struct outq *q) {
    struct out *small = q->small, *frames = q->frames;

    q->small = q->frames = NULL; /* first: a buffer that goes back may wake somebody */
    q->small_end = &q->small;
    q->frames_end = &q->frames;
    q->small_len = 0;
    free_list(q, small);
    free_list(q, frames);
}

void outq_clear(struct outq *q) {
    struct out *current = q->current;

    outq_drop(q);
    q->current = NULL;
    q->len = 0;
    if (current)
        free_out(q, current);
}

int outq_small(struct outq *q, const uint8_t *data, size_t len) {
    struct out *o = malloc(sizeof *o + len);

    if (!o)
        return -ENOMEM;
    *o = (struct out){.len = len};
    memcpy(o->bytes, data, len);
    *q->small_end = o;
    q->small_end = &o->next;
    q->len += len;
    q->small_len += len;
    return 0;
}

int outq_frame(struct outq *q, uint8_t *frame, size_t len) {
    struct out *o = malloc(sizeof *o);

    if (!o) {
        pool_put(q->pool, frame);
        return -ENOMEM;
    }
    *o = (struct out){.frame = frame, .len = len};
    *q->frames_end = o;
    q->frames_end = &o->next;
    q->n_frames++;
    q->len += len;
    return 0;
}

/* Starts the next one if none has: small messages first. */
static void start(struct outq *q) {
    if (q->current)
        return;
    if (q->small) {
        q->current = q->small;
        q->small = q->current->next;
        q->small_len -= q->current->len;
        if (!q->small)
            q->small_end = &q->small;
    } else if (q->frames) {
        q->current = q->frames;
        q->frames = q->current->next;
        if (!q->frames)
            q->frames_end = &q->frames;
    }
    q->at = 0;
}

bool outq_front(struct outq *q, const uint8_t **at, size_t *len) {
    struct out *o;

    start(q);
    o = q->current;
    if (!o)
        return false;
    *at = (o->frame ? o->frame : o->bytes) + q->at;
    *len = o->len - q->at;
    return true;
}

bool outq_in_frame(const struct outq *q) { return q->current && q->current->frame; }

void outq_advance(struct outq *q, size_t len) {
    struct out *o = q->current;

    q->at += len;
    q->len -= len;
    if (q->at < o->len)
        return;
    q->current = NULL;
    free_out(q, o);
}

const uint8_t *outq_held(const struct outq *q) {
    if (q->current && q->current->frame)
        return q->current->frame;
    return q->frames ? q->frames->frame : NULL;
}
