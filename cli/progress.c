/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include "cli/say.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLE_EVERY_MS = 250 };

void progress_init(struct progress *p, const char *name, bool on) {
    *p = (struct progress){.name = name, .on = on};
}

void progress_note(struct progress *p, uint64_t now_ms) {
    unsigned last = (p->n_samples + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES;

    if (p->n_samples > 0 && now_ms < p->sample[last].ms + SAMPLE_EVERY_MS)
        return;
    p->sample[p->n_samples % PROGRESS_SAMPLES].ms = now_ms;
    p->sample[p->n_samples % PROGRESS_SAMPLES].fetched = p->fetched;
    p->sample[p->n_samples % PROGRESS_SAMPLES].done = p->done;
    p->n_samples++;
}

/* Bytes a second that come, and by which the end comes nearer: of holes many more. 0: not known. */
static uint64_t rate_of(const struct progress *p, uint64_t *nearer) {
    unsigned first = p->n_samples > PROGRESS_SAMPLES ? p->n_samples % PROGRESS_SAMPLES : 0;
    unsigned last = (p->n_samples + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES;
    uint64_t ms, was;

    *nearer = 0;
    if (p->n_samples < 2)
        return 0;
    ms = p->sample[last].ms - p->sample[first].ms;
    was = p->sample[first].done;
    if (ms && p->sample[last].done > was)
        *nearer = (p->sample[last].done - was) / ms * 1000;
    return ms ? (p->sample[last].fetched - p->sample[first].fetched) * 1000 / ms : 0;
}

/* How fast it is, or why it is not. */
static void show_pace(const struct progress *p, char *out, size_t cap) {
    char rate_text[TEXT_LEN], eta[TEXT_LEN] = "-";
    uint64_t nearer, rate = rate_of(p, &nearer);

    if (nearer > 0)
        text_duration((p->bytes - p->done) / nearer, eta);
    if (p->sources == 0 && p->done < p->bytes)
        snprintf(out, cap, "waiting for a source");
    else
        snprintf(out, cap, "%s/s  ETA %s  %u source%s", text_size(rate, rate_text), eta, p->sources,
                 p->sources == 1 ? "" : "s");
}

void progress_line(const struct progress *p, unsigned width, char out[static PROGRESS_LINE_MAX]) {
    char done[TEXT_LEN], bytes[TEXT_LEN], pace[128];
    char numbers[256], name[PROGRESS_LINE_MAX], clipped[PROGRESS_LINE_MAX + 4];
    unsigned percent = p->bytes ? (unsigned)((double)p->done * 100 / (double)p->bytes) : 100;

    show_pace(p, pace, sizeof pace);
    snprintf(numbers, sizeof numbers, "%s / %s %3u%%  %s", text_size(p->done, done),
             text_size(p->bytes, bytes), percent, pace);
    snprintf(name, sizeof name, "%s", p->name);
    if (width < text_width(numbers) + 2 + 8) { /* no room for the name */
        text_clip(numbers, width, out);
        return;
    }
    text_clip(name, width - text_width(numbers) - 2, clipped);
    snprintf(out, PROGRESS_LINE_MAX, "%.1500s  %s", clipped, numbers);
}

void progress_show(struct progress *p, uint64_t now_ms) {
    char line[PROGRESS_LINE_MAX];
    unsigned width = p->on ? say_width(STDERR_FILENO) : 0;

    progress_note(p, now_ms);
    if (width == 0 || (p->drawn_ms && now_ms < p->drawn_ms + PROGRESS_EVERY_MS))
        return;
    p->drawn_ms = now_ms;
    progress_line(p, width - 1, line); /* the last column would wrap */
    say_progress(line);
}

void progress_walk(const struct progress *p, const char *peer, uint64_t entries) {
    char text[PROGRESS_LINE_MAX], line[PROGRESS_LINE_MAX];
    unsigned width = p->on ? say_width(STDERR_FILENO) : 0;

    if (width == 0)
        return;
    snprintf(text, sizeof text, "%.200s looks at its files: %" PRIu64 " so far  %.1500s", peer,
             entries, p->name);
    text_clip(text, width - 1, line);
    say_progress(line);
}

void progress_end(struct progress *p) {
    if (p->on)
        say_progress_end();
}
