/* SPDX-License-Identifier: MIT */
/*
 * progress -- the line that tells how far a download is, at most ten times a second
 *
 *     film.mkv   312 MiB / 1.4 GiB  22%  104 MiB/s  ETA 10s  2 sources
 *
 *     film.mkv   312 MiB / 1.4 GiB  22%  waiting for a source
 *
 * progress_note and progress_line are pure: time comes in. progress_show draws, if stderr is a
 * terminal.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROGRESS_SAMPLES = 16, PROGRESS_LINE_MAX = 2048, PROGRESS_EVERY_MS = 100 };

struct progress {
    const char *name; /* escaped; the caller's */
    bool on;
    uint64_t done, bytes, fetched;
    unsigned sources;
    uint64_t drawn_ms;
    struct {
        uint64_t ms, fetched, done;
    } sample[PROGRESS_SAMPLES]; /* a ring over the last seconds, for the rates */
    unsigned n_samples;
};

void progress_init(struct progress *p, const char *name, bool on);
void progress_note(struct progress *p, uint64_t now_ms); /* after the members were set */
void progress_line(const struct progress *p, unsigned width, char out[static PROGRESS_LINE_MAX]);

void progress_show(struct progress *p, uint64_t now_ms);
/* Nothing comes yet: the peer looks at what was asked for. */
void progress_walk(const struct progress *p, const char *peer, uint64_t entries);
void progress_end(struct progress *p);

#endif
