/* SPDX-License-Identifier: MIT */
#include "core/conn_internal.h"

#include <stddef.h>

uint64_t conn_env_now_ns(const struct conn_env *env) { return uv_now(env->loop) * 1000000; }

static uint64_t now_ns(const struct conn *c) { return conn_env_now_ns(c->env); }

static void on_turn(uv_timer_t *timer) {
    struct conn *c = (struct conn *)((char *)timer - offsetof(struct conn, turn_timer));

    if (c->state != DEAD)
        conn_on_turn(c);
}

/* The loop's clock has whole milliseconds: it is late by one at most, which the next slot makes up
 * for. */
static void wait_for_turn(struct conn *c) {
    uint64_t at_ms = (c->turn.at_ns + 999999) / 1000000, now = uv_now(c->env->loop);

    uv_timer_start(&c->turn_timer, on_turn, at_ms > now ? at_ms - now : 0, 0);
}

/* Last words do not wait: they have a moment only. */
static size_t ask(struct conn *c, size_t want) {
    size_t n = c->state < FAREWELL ? pacer_ask(c->env->pacer, &c->turn, want, now_ns(c)) : want;

    if (n == 0)
        wait_for_turn(c);
    return n;
}

size_t conn_may_send(struct conn *c, size_t want) {
    return c->dialled || !outq_in_frame(&c->out) ? want : ask(c, want);
}

size_t conn_may_read(struct conn *c, size_t want) { return c->dialled ? ask(c, want) : want; }

void conn_sent(struct conn *c, size_t n) {
    if (c->dialled)
        return;
    if (n == 0)
        pacer_idle(&c->turn);
    else if (outq_in_frame(&c->out))
        pacer_moved(&c->turn, n);
    else
        pacer_charge(c->env->pacer, n, now_ns(c));
}

void conn_read(struct conn *c, size_t n, bool all) {
    if (!c->dialled)
        return;
    pacer_moved(&c->turn, n);
    if (!all)
        pacer_idle(&c->turn);
}

bool conn_is_held(const struct conn *c) { return uv_is_active((uv_handle_t *)&c->turn_timer); }

bool conn_is_limited(const struct conn *c) { return c->env->pacer && c->env->pacer->rate; }

/* The peer may have sent all that we asked for, and we read it for longer than its patience without
 * a word; its own PING lies behind that. */
void conn_say_alive(struct conn *c) {
    struct msg ping = {.type = WIRE_PING};
    uint64_t now = uv_now(c->env->loop);

    if (!c->dialled || !conn_is_held(c) || now - c->life.pinged < c->env->patience->ping)
        return;
    c->life.pinged = now;
    conn_send(c, &ping); /* if memory is out, the next one tells */
}
