/* SPDX-License-Identifier: MIT */
#include "cli/listing.h"

#include "cli/json.h"
#include "cli/text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BEFORE_WHAT = 28, CANDIDATES_SHOWN = 50 };

static const char *kind_name(uint8_t kind) {
    return kind == WIRE_DIR ? "dir" : kind == WIRE_SYMLINK ? "symlink" : "file";
}

static int print_json(const struct hit *hit) {
    json_t *o = json_pack("{s:s, s:s%}", "peer", hit->peer_name, "id", hit->peer->key_text,
                          (size_t)KEY_SHORT_LEN);
    json_t *rest = json_pack("{s:s, s:I, s:f, s:I, s:i}", "type", kind_name(hit->kind), "size",
                             (json_int_t)hit->size, "mtime", (double)hit->mtime_ns / 1e9,
                             "mtime_ns", (json_int_t)hit->mtime_ns, "mode", (int)hit->mode);

    if (json_put_bytes(o, "path", hit->path, strlen(hit->path)) != 0 || !rest ||
        json_object_update(o, rest) != 0) {
        json_decref(o);
        json_decref(rest);
        return -ENOMEM;
    }
    json_decref(rest);
    return json_line(o);
}

static int print_row(const struct survey *r, const struct hit *hit, unsigned width, FILE *out) {
    char label[SURVEY_LABEL_LEN], size[TEXT_LEN], when[TEXT_LEN], *path, *what, *clipped;
    size_t cap;

    survey_label(r, hit->peer, label);
    path = text_shown(hit->path, strlen(hit->path));
    if (!path)
        return -ENOMEM;
    cap = strlen(label) + strlen(path) + 3;
    what = malloc(2 * cap + 4);
    if (!what) {
        free(path);
        return -ENOMEM;
    }
    snprintf(what, cap, "%s:%s%s", label, path, hit->kind == WIRE_DIR ? "/" : "");
    clipped = what + cap;
    text_clip(what, width, clipped);
    if (hit->kind == WIRE_FILE)
        text_size(hit->size, size);
    else
        snprintf(size, sizeof size, "%s", hit->kind == WIRE_DIR ? "dir" : "link");
    fprintf(out, "%8s  %-16s  %s\n", size, text_time(hit->mtime_ns, when), clipped);
    free(what);
    free(path);
    return 0;
}

static void print_heading(FILE *out, bool bold) {
    fprintf(out, "%s%8s  %-16s  %s%s\n", bold ? "\033[1m" : "", "SIZE", "MODIFIED", "WHAT",
            bold ? "\033[0m" : "");
}

/* Columns for WHAT; without a terminal all that it needs. */
static unsigned what_width(int fd) {
    unsigned width = say_width(fd);

    return width == 0 ? UINT_MAX : width > BEFORE_WHAT + 20 ? width - BEFORE_WHAT : 20;
}

int listing_flush(struct listing *l) {
    unsigned width = what_width(STDOUT_FILENO);
    struct hits *h = &l->hits;

    hits_sort(h);
    if (l->printed == 0 && !l->json && h->n > 0)
        print_heading(stdout, say_color(STDOUT_FILENO));
    for (size_t i = 0; i < h->n && !l->err; i++)
        l->err = l->json ? print_json(&h->all[i]) : print_row(l->survey, &h->all[i], width, stdout);
    l->printed += h->n;
    hits_clear(h);
    return l->err;
}

void listing_add(void *listing, const struct survey_peer *p, const struct wire_entry *e) {
    struct listing *l = listing;
    const struct hit about = {.peer = p, .peer_name = p->name};
    int err = hits_add(&l->hits, &about, l->dir, e);

    if (err == HITS_FULL) { /* so many that we cannot sort all of them */
        listing_flush(l);
        err = hits_add(&l->hits, &about, l->dir, e);
    }
    if (err < 0)
        l->err = err;
}

void listing_candidates(const struct survey *r, struct hits *h) {
    size_t n = h->n < CANDIDATES_SHOWN ? h->n : CANDIDATES_SHOWN;

    hits_sort(h);
    print_heading(stderr, false);
    for (size_t i = 0; i < n; i++)
        print_row(r, &h->all[i], UINT_MAX, stderr);
    if (n < h->n)
        note("  ... and %zu more", h->n - n);
}
