/* SPDX-License-Identifier: MIT */
/*
 * store_merge -- two trees side by side, entry by entry: manifests, and folders on disk
 *
 * Both come breadth first, each folder sorted bytewise. Folders that both have are expanded in the
 * same order on both sides (by depth, then by the order of their parents, then by name), so that a
 * queue of such pairs is all there is to remember: what stands below any other folder is passed
 * over when its turn comes.
 */
#include "core/store_internal.h"

#include "core/grow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- trees ---------------------------------------------------------------------------------- */

static int next_in_manifest(struct tree *t) {
    struct catalog_cursor *cur = &((struct manifest_tree *)t)->cur;
    int rc = catalog_next(cur);
    if (rc > 0) {
        t->index = cur->index;
        t->parent = cur->entry.parent;
        t->is_dir = cur->entry.kind == WIRE_DIR;
        t->name = cur->entry.name;
    }
    return rc;
}

void manifest_tree_init(struct manifest_tree *t, const struct catalog *c) {
    *t = (struct manifest_tree){.tree.next = next_in_manifest};
    catalog_cursor_init(&t->cur, c);
}

static int next_on_disk(struct tree *t) {
    struct disk_tree *d = (struct disk_tree *)t;
    int rc = walk_next(d->walk, &d->entry);
    if (rc > 0) {
        t->index = d->n++;
        t->parent = d->entry.parent;
        t->is_dir = S_ISDIR(d->entry.st.st_mode);
        t->name = (struct bytes){(const uint8_t *)d->entry.name, strlen(d->entry.name)};
    }
    return rc;
}

int disk_tree_init(struct disk_tree *t, int folder) {
    *t = (struct disk_tree){.tree.next = next_on_disk};
    return walk_new(&t->walk, folder, "", true, -1);
}

/* --- side by side --------------------------------------------------------------------------- */

struct pair {
    uint32_t a, b; /* numbers of the same folder on both sides */
};

struct merge {
    struct tree *a, *b;
    int (*seen)(void *arg, bool matched);
    void *arg;
    struct pair *queue; /* queue[head .. tail) */
    size_t head, tail, cap;
};

static int push(struct merge *m, struct pair p) {
    if (m->tail == m->cap && m->head > m->cap / 2) {
        memmove(m->queue, m->queue + m->head, (m->tail - m->head) * sizeof *m->queue);
        m->tail -= m->head;
        m->head = 0;
    }
    struct pair *grown = grow(m->queue, &m->cap, m->tail + 1, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    m->queue = grown;
    m->queue[m->tail++] = p;
    return 0;
}

static int advance(struct tree *t) {
    int rc = t->next(t);
    t->end = rc <= 0;
    return rc < 0 ? rc : 0;
}

/* To the first entry whose folder is `parent`, or comes after it. */
static int skip_to(struct tree *t, uint32_t parent) {
    int rc = 0;
    while (!rc && !t->end && t->parent < parent)
        rc = advance(t);
    return rc;
}

static bool stands_in(const struct tree *t, uint32_t parent) {
    return !t->end && t->parent == parent;
}

static int match(struct merge *m) {
    struct pair p = {m->a->index, m->b->index};
    bool folder = m->a->is_dir && m->b->is_dir;
    int rc = m->seen(m->arg, true);
    if (!rc && folder)
        rc = push(m, p);
    if (!rc)
        rc = advance(m->a);
    return rc ? rc : advance(m->b);
}

static int miss(struct merge *m) {
    int rc = m->seen(m->arg, false);
    return rc ? rc : advance(m->a);
}

static int merge_folder(struct merge *m, struct pair p) {
    int rc = skip_to(m->a, p.a);
    if (!rc)
        rc = skip_to(m->b, p.b);
    while (!rc && stands_in(m->a, p.a)) {
        int first = stands_in(m->b, p.b) ? manifest_name_order(m->a->name, m->b->name) : -1;
        if (first == 0)
            rc = match(m);
        else
            rc = first < 0 ? miss(m) : advance(m->b);
    }
    return rc;
}

int store_merge(struct tree *a, struct tree *b, int (*seen)(void *arg, bool matched), void *arg) {
    struct merge m = {.a = a, .b = b, .seen = seen, .arg = arg};
    int rc = advance(a);
    if (!rc)
        rc = advance(b);
    if (!rc && !a->end && !b->end)
        rc = match(&m); /* what was asked for, whatever its name */
    while (!rc && m.head < m.tail)
        rc = merge_folder(&m, m.queue[m.head++]);
    free(m.queue);
    return rc;
}
