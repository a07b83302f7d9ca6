/* SPDX-License-Identifier: MIT */
#include "core/pacer.h"

#define SECOND_NS 1000000000ULL

enum {
    PORTIONS = 100, /* in a second: longer than a tick of the clock, so nobody takes two in one */
    PORTION_MIN = 2 * 1448 - 22, /* two packets of Ethernet, with what TLS adds */
    PORTION_MAX = 16 * 1024 * 1024
};

/* How much of the past may be made up for. Little after a pause, because two seconds with it must
 * stay within the rate; more where the wait was ours: the loop came late to a slot. */
static const uint64_t pause_ns = SECOND_NS / 40, late_ns = SECOND_NS / 2;

static uint64_t duration(const struct pacer *p, size_t n) {
    return (uint64_t)n * SECOND_NS / p->rate;
}

static size_t portion(const struct pacer *p) {
    uint64_t n = p->rate / PORTIONS;

    if (n < PORTION_MIN)
        return PORTION_MIN;
    return n < PORTION_MAX ? (size_t)n : PORTION_MAX;
}

void pacer_set_rate(struct pacer *p, uint64_t rate, uint64_t now) {
    p->rate = rate;
    p->free_ns = now; /* what was given out at another rate says nothing about this one */
}

static void take_slot(struct pacer *p, struct pacer_turn *t, uint64_t now) {
    uint64_t back = t->hungry ? late_ns : pause_ns;

    if (now > back && p->free_ns < now - back)
        p->free_ns = now - back;
    t->at_ns = p->free_ns;
    t->left = portion(p);
    p->free_ns += duration(p, t->left);
}

size_t pacer_ask(struct pacer *p, struct pacer_turn *t, size_t want, uint64_t now) {
    if (!p || !p->rate)
        return want;
    if (t->left == 0)
        take_slot(p, t, now);
    if (now < t->at_ns) {
        t->hungry = true;
        return 0;
    }
    return want < t->left ? want : t->left;
}

void pacer_moved(struct pacer_turn *t, size_t n) { t->left = n < t->left ? t->left - n : 0; }

void pacer_idle(struct pacer_turn *t) { t->hungry = false; }

void pacer_charge(struct pacer *p, size_t n, uint64_t now) {
    if (!p || !p->rate || p->free_ns > now + SECOND_NS)
        return;
    if (now > pause_ns && p->free_ns < now - pause_ns)
        p->free_ns = now - pause_ns;
    p->free_ns += duration(p, n);
}

bool pacer_is_ahead(const struct pacer *p, uint64_t now) {
    return p && p->rate && p->free_ns > now;
}
