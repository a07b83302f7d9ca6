/* SPDX-License-Identifier: MIT */
#include "core/liveness.h"

const struct patience patience_default = {
    .connect = 5000,
    .tls = 10000,
    .hello = 10000,
    .auth = 30000,
    .admit = 10000,
    .drain = 2000,
    .dial = 10000,
    .ping = 15000,
    .silence = 45000,
    .answer = 20000,
    .farewell = 1000,
    .elsewhere = 10000,
    .pace = 20000,
    .hope = 3600000,
    .look = 2000,
};

static uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

enum liveness_step liveness_check(const struct liveness *l, const struct patience *p, uint64_t now,
                                  uint64_t *next) {
    uint64_t dead = l->heard + p->silence, ping = later(l->heard, l->pinged) + p->ping;

    if (l->expected)
        dead = sooner(dead, later(l->heard, l->expected) + p->answer);
    if (now >= dead)
        return LIVENESS_DEAD;
    *next = sooner(dead, now >= ping ? now + p->ping : ping);
    return now >= ping ? LIVENESS_PING : LIVENESS_WAIT;
}
