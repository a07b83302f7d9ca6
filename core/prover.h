/* SPDX-License-Identifier: MIT */
/*
 * prover -- makes the keys of an access code for those who dial, off the loop
 *
 *     prover_init    prover_want -> ready(key)    prover_forget    prover_clear
 *
 * One key per listener: the last few are kept. One at a time is made, by a job on the worker pool,
 * however many connections want one: each takes 16 MiB and a fifth of a second. Loop thread.
 */
#ifndef CORE_PROVER_H
#define CORE_PROVER_H

#include "core/access.h"

#include <uv.h>

enum { PROVER_KEPT = 16 };

struct prover_want { /* embedded in whoever waits; zero it first */
    /* key: NULL, memory is out. Never from inside prover_want. */
    void (*ready)(struct prover_want *w, const uint8_t *key);
    uint8_t listener[KEY_LEN];
    struct prover_want *next, *prev;
};

struct prover {
    uv_work_t work; /* first: the request is the prover */
    uv_loop_t *loop;
    struct access_code code;
    struct prover_want wants; /* a ring */
    bool running;
    struct prover_key {
        bool made;
        uint8_t listener[KEY_LEN], key[ACCESS_KEY_LEN];
    } kept[PROVER_KEPT], making;
    unsigned next_kept;
    int err;
};

/* code is copied. p must not move, and outlive the loop's work. */
void prover_init(struct prover *p, uv_loop_t *loop, const struct access_code *code);
/* Nobody may wait, and nothing run. Wipes everything; takes a zeroed one. */
void prover_clear(struct prover *p);

/* The key at once if it is kept: good until the next call of a prover. Else NULL, and w->ready is
 * called later; *err below 0: it will not be. */
const uint8_t *prover_want(struct prover *p, struct prover_want *w, int *err);
void prover_forget(struct prover_want *w); /* no-op if it does not wait */

#endif
