/* SPDX-License-Identifier: MIT */
/*
 * asks -- what a peer asked for and nobody has begun, in order
 */
#ifndef CORE_ASKS_H
#define CORE_ASKS_H

#include <stdint.h>

struct ask {
    enum { ASK_CHUNKS, ASK_CANCELLED, ASK_MANIFEST, ASK_DIGESTS } kind;
    uint16_t req;
    uint32_t count; /* chunks, or bytes of the manifest */
    uint64_t first; /* chunk, or offset in the manifest */
};

struct asks {
    struct ask *all; /* a ring of cap: n from head on */
    unsigned head, n, cap;
};

/* Zero it first. 0, -ENOMEM, or WIRE_ERR(LIMIT): nobody may ask for so many things at once. */
int asks_push(struct asks *a, struct ask ask);
int asks_push_front(struct asks *a, struct ask ask);
struct ask *asks_at(struct asks *a, unsigned i); /* i < n, the first is 0; good until asks_push */
void asks_pop(struct asks *a);
/* Chunks of this request: nobody has begun them, so error records answer them instead. */
void asks_cancel(struct asks *a, uint16_t req);
void asks_clear(struct asks *a);

#endif
