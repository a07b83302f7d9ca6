/* SPDX-License-Identifier: MIT */
/*
 * drain -- does a peer take what it asked for, while others wait for the buffers that hold it?
 *
 *     drain_begin   a frame waits to be sent   drain_took   some of it was   drain_end   none waits
 *     drain_check   DRAIN_DRAGS: who waits is to have its buffers
 *
 * A slow line is no fault: only when others wait at the beginning and at the end of a span, and
 * the peer took less than DRAIN_RATE in it, it drags. Times in milliseconds, now is a parameter.
 * Pure.
 */
#ifndef CORE_DRAIN_H
#define CORE_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DRAIN_RATE = 64 }; /* bytes in a millisecond */

struct drain {
    bool on;     /* a frame waits */
    bool wanted; /* others waited when the span began */
    uint64_t since;
    uint64_t took; /* bytes in this span */
};

enum drain_step { DRAIN_FINE, DRAIN_DRAGS };

void drain_begin(struct drain *d, bool wanted, uint64_t now); /* no-op if it is on */
void drain_took(struct drain *d, size_t len);
void drain_end(struct drain *d);

/* span: at the end of which it is judged; 0: never. Call it at *next at the latest, UINT64_MAX:
 * there is nothing to judge. */
enum drain_step drain_check(struct drain *d, bool wanted, unsigned span, uint64_t now,
                            uint64_t *next);

#endif
