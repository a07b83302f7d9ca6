/* SPDX-License-Identifier: MIT */
#include "core/asks.h"

#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>

struct ask *asks_at(struct asks *a, unsigned i) {
    return &a->all[(a->head + i) % a->cap];
}

void asks_pop(struct asks *a) {
    a->head = (a->head + 1) % a->cap;
    a->n--;
}

static int grow(struct asks *a) {
    unsigned cap = a->cap ? 2 * a->cap : 16;
    struct ask *all;

    if (cap > WIRE_OUTSTANDING_CHUNKS)
        return WIRE_ERR(WIRE_LIMIT);
    all = malloc(cap * sizeof *all);
    if (!all)
        return -ENOMEM;
    for (unsigned i = 0; i < a->n; i++)
        all[i] = *asks_at(a, i);
    free(a->all);
    a->all = all;
    a->head = 0;
    a->cap = cap;
    return 0;
}

int asks_push(struct asks *a, struct ask ask) {
    int err = a->n == a->cap ? grow(a) : 0;

    if (err < 0)
        return err;
    a->n++;
    *asks_at(a, a->n - 1) = ask;
    return 0;
}

int asks_push_front(struct asks *a, struct ask ask) {
    int err = a->n == a->cap ? grow(a) : 0;

    if (err < 0)
        return err;
    a->head = (a->head + a->cap - 1) % a->cap;
    a->n++;
    *asks_at(a, 0) = ask;
    return 0;
}

void asks_cancel(struct asks *a, uint16_t req) {
    for (unsigned i = 0; i < a->n; i++) {
        struct ask *ask = asks_at(a, i);

        if (ask->req == req && ask->kind == ASK_CHUNKS)
            ask->kind = ASK_CANCELLED;
    }
}

void asks_clear(struct asks *a) {
    free(a->all);
    *a = (struct asks){0};
}
