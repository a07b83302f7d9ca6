/* SPDX-License-Identifier: MIT */
#include "core/drain.h"

static void begin_span(struct drain *d, bool wanted, uint64_t now) {
    *d = (struct drain){.on = true, .wanted = wanted, .since = now};
}

void drain_begin(struct drain *d, bool wanted, uint64_t now) {
    if (!d->on)
        begin_span(d, wanted, now);
}

void drain_took(struct drain *d, size_t len) { d->took += len; }

void drain_end(struct drain *d) { d->on = false; }

enum drain_step drain_check(struct drain *d, bool wanted, unsigned span, uint64_t now,
                            uint64_t *next) {
    uint64_t gone = now - d->since;
    bool drags;

    *next = UINT64_MAX;
    if (!d->on || span == 0)
        return DRAIN_FINE;
    if (gone < span) {
        *next = d->since + span;
        return DRAIN_FINE;
    }
    /* much later than it was to be: we slept, not the peer */
    drags = d->wanted && wanted && gone < 2 * (uint64_t)span && d->took < gone * DRAIN_RATE;
    begin_span(d, wanted, now);
    *next = now + span;
    return drags ? DRAIN_DRAGS : DRAIN_FINE;
}
