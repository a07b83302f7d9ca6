/* SPDX-License-Identifier: MIT */
#include "cli/hits.h"

#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void hits_init(struct hits *h) { *h = (struct hits){0}; }

void hits_clear(struct hits *h) {
    for (size_t i = 0; i < h->n; i++)
        free(h->all[i].path);
    free(h->all);
    hits_init(h);
}

static int grow(struct hits *h) {
    size_t cap = h->cap ? 2 * h->cap : 64;
    struct hit *all = reallocarray(h->all, cap, sizeof *all);

    if (!all)
        return -ENOMEM;
    h->all = all;
    h->cap = cap;
    return 0;
}

static char *join(const char *dir, struct bytes name) {
    size_t dir_len = strlen(dir), at = dir_len ? dir_len + 1 : 0;
    char *path = malloc(at + name.len + 1);

    if (!path)
        return NULL;
    memcpy(path, dir, dir_len);
    if (at)
        path[dir_len] = '/';
    memcpy(path + at, name.at, name.len);
    path[at + name.len] = '\0';
    return path;
}

int hits_add(struct hits *h, const struct hit *about, const char *dir, const struct wire_entry *e) {
    size_t bytes = sizeof(struct hit) + strlen(dir) + e->path.len + 2;
    struct hit *hit;

    if (h->bytes + bytes > HITS_BYTES_MAX)
        return HITS_FULL;
    if (h->n == h->cap && grow(h) != 0)
        return -ENOMEM;
    hit = &h->all[h->n];
    *hit = *about;
    hit->path = join(dir, e->path);
    if (!hit->path)
        return -ENOMEM;
    hit->size = e->size;
    hit->mtime_ns = e->mtime_ns;
    hit->mode = e->mode;
    hit->kind = e->kind;
    h->n++;
    h->bytes += bytes;
    return 0;
}

static int by_peer_and_path(const void *va, const void *vb) {
    const struct hit *a = va, *b = vb;
    int order = strcmp(a->peer_name, b->peer_name);

    if (order == 0 && a->peer != b->peer)
        order = (uintptr_t)a->peer < (uintptr_t)b->peer ? -1 : 1;
    return order ? order : strcmp(a->path, b->path);
}

void hits_sort(struct hits *h) {
    if (h->n > 1)
        qsort(h->all, h->n, sizeof *h->all, by_peer_and_path);
}

const char *hit_base(const struct hit *hit) {
    const char *slash = strrchr(hit->path, '/');

    return slash ? slash + 1 : hit->path;
}

/* The same file, as far as its name, size and time of change tell? */
static bool is_same(const struct hit *a, const struct hit *b) {
    return a->kind == WIRE_FILE && b->kind == WIRE_FILE && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && strcmp(hit_base(a), hit_base(b)) == 0;
}

enum rank { RANK_PATH, RANK_SHARE, RANK_BASE, RANKS };

static enum rank rank_of(const struct hit *hit, const char *name) {
    if (strcmp(hit->path, name) == 0)
        return strchr(name, '/') ? RANK_PATH : RANK_SHARE;
    return strcmp(hit_base(hit), name) == 0 ? RANK_BASE : RANKS;
}

static void swap(struct hit *a, struct hit *b) {
    struct hit kept = *a;

    *a = *b;
    *b = kept;
}

static void drop_from(struct hits *h, size_t first) {
    while (h->n > first)
        free(h->all[--h->n].path);
}

/* Moves what `keep` wants to the front, in order. Returns how many there are. */
static size_t gather(struct hits *h, size_t from, const char *name, enum rank rank) {
    for (size_t i = from; i < h->n; i++)
        if (rank_of(&h->all[i], name) == rank)
            swap(&h->all[from++], &h->all[i]);
    return from;
}

/* Keeps the first path of each peer. All hits are the same file. */
static void one_of_each_peer(struct hits *h) {
    size_t kept = 0;

    for (size_t i = 0; i < h->n; i++) {
        size_t k = 0;

        while (k < kept && h->all[k].peer != h->all[i].peer)
            k++;
        if (k == kept)
            swap(&h->all[kept++], &h->all[i]);
    }
    drop_from(h, kept);
}

/* The best rank has one meaning: what lower ranks have of the same file are further sources. */
static void add_same_of_lower_ranks(struct hits *h, size_t best) {
    size_t end = best;

    for (size_t i = best; i < h->n; i++)
        if (is_same(&h->all[0], &h->all[i]))
            swap(&h->all[end++], &h->all[i]);
    drop_from(h, end);
    one_of_each_peer(h);
}

enum hits_meaning hits_resolve(struct hits *h, const char *name) {
    size_t best = 0, known = 0;

    hits_sort(h);
    for (enum rank rank = RANK_PATH; rank < RANKS; rank++) {
        known = gather(h, known, name, rank);
        if (best == 0)
            best = known;
    }
    drop_from(h, known);
    if (best == 0)
        return HITS_NONE;
    for (size_t i = 1; i < best; i++) {
        if (!is_same(&h->all[0], &h->all[i])) {
            drop_from(h, best);
            return HITS_MANY;
        }
    }
    add_same_of_lower_ranks(h, best);
    return HITS_ONE;
}
