/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include "cli/say.h"
#include "cli/text.h"

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
    p->n_samples++;
}

/* Bytes a second; 0: not known yet. */
static uint64_t rate_of(const struct progress *p) {
    unsigned first = p->n_samples > PROGRESS_SAMPLES ? p->n_samples % PROGRESS_SAMPLES : 0;
    unsigned last = (p->n_samples + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES;
    uint64_t ms;

    if (p->n_samples < 2)
        return 0;
    ms = p->sample[last].ms - p->sample[first].ms;
    return ms ? (p->sample[last].fetched - p->sample[first].fetched) * 1000 / ms : 0;
}

void progress_line(const struct progress *p, unsigned width, char out[static PROGRESS_LINE_MAX]) {
    char done[TEXT_LEN], bytes[TEXT_LEN], rate_text[TEXT_LEN], eta[TEXT_LEN] = "-";
    char numbers[256], name[PROGRESS_LINE_MAX], clipped[PROGRESS_LINE_MAX + 4];
    uint64_t rate = rate_of(p);
    unsigned percent = p->bytes ? (unsigned)((double)p->done * 100 / (double)p->bytes) : 100;

    if (rate > 0)
        text_duration((p->bytes - p->done) / rate, eta);
    snprintf(numbers, sizeof numbers, "%s / %s %3u%%  %s/s  ETA %s  %u source%s",
             text_size(p->done, done), text_size(p->bytes, bytes), percent,
             text_size(rate, rate_text), eta, p->sources, p->sources == 1 ? "" : "s");
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

void progress_end(struct progress *p) {
    if (p->on)
        say_progress_end();
}
