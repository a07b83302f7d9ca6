/* SPDX-License-Identifier: MIT */
/*
 * outq -- what one connection still has to say
 *
 *     outq_small | outq_frame ...    outq_front -> bytes to send    outq_advance
 *
 * Small messages (copied) overtake frames (in buffers of the pool) that have not started; within
 * each kind the order stays. Pure but for memory.
 */
#ifndef CORE_OUTQ_H
#define CORE_OUTQ_H

#include "core/buf.h"

#include <stdbool.h>

struct out;

struct outq {
    struct pool *pool; /* where frames go back to */
    struct out *small, **small_end;
    struct out *frames, **frames_end;
    struct out *current; /* has started */
    size_t at;           /* in current */
    size_t len;          /* bytes that wait, all of them */
    unsigned n_frames;   /* buffers that it holds */
    size_t small_len;    /* of those, in small messages that have not started */
};

void outq_init(struct outq *q, struct pool *pool);
void outq_clear(struct outq *q);
void outq_drop(struct outq *q); /* all that has not started */

int outq_small(struct outq *q, const uint8_t *data, size_t len);  /* 0, -ENOMEM */
int outq_frame(struct outq *q, uint8_t *frame, size_t len);       /* takes frame; 0, -ENOMEM */
bool outq_front(struct outq *q, const uint8_t **at, size_t *len); /* false: empty */
bool outq_in_frame(const struct outq *q);                         /* outq_front gave of one */
void outq_advance(struct outq *q, size_t len);                    /* of what outq_front gave */
const uint8_t *outq_held(const struct outq *q); /* a buffer, NULL: it holds none */

#endif
