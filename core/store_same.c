/* SPDX-License-Identifier: MIT */
/*
 * store_same -- is DEST/NAME the very selection that a manifest lists?
 *
 *     every entry: there, of this kind, size, target -> nothing else is there
 *         -> modes, mtimes -> bytes
 *
 * What differs shows mostly in names and sizes, long before any byte is read. A mode or a time is
 * told only if there is nothing worse. A staging folder beside it that is of the same list is of no
 * use any more.
 */
#include "core/store_internal.h"

#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int store_differs(struct store *s, uint32_t entry, const char *why) {
    pthread_mutex_lock(&s->lock);
    s->differs = entry;
    s->difference = why;
    pthread_mutex_unlock(&s->lock);
    return ERR_EXISTS;
}

/* --- entries -------------------------------------------------------------------------------- */

/* A link that we would not make is missing rightly. */
static int missing(struct store *s, struct worker *w) {
    bool may_be = w->cur.entry.kind == WIRE_SYMLINK && !s->unsafe_links;
    int rc = may_be ? worker_link_is_safe(w) : 1;
    if (rc)
        return rc < 0 ? rc : store_differs(s, w->cur.index, "is not here");
    store_skip(s, w->cur.index, ERR_LINK);
    return 1;
}

static const char *difference(struct store *s, struct worker *w, const struct stat *st) {
    const struct manifest_entry *e = &w->cur.entry;
    if (!store_same_kind(st->st_mode, e->kind))
        return "is of another kind";
    if (e->kind == WIRE_FILE && (uint64_t)st->st_size != e->size)
        return "has another size";
    if (e->kind == WIRE_SYMLINK && worker_link_is(s, w) != 1)
        return "leads elsewhere";
    return NULL;
}

int store_same_entry(struct store *s, struct worker *w, const struct stat *st) {
    if (!st)
        return missing(s, w);
    if (w->cur.entry.flags & MANIFEST_UNREADABLE)
        store_tell(s, w->cur.index, WIRE_ERR(WIRE_IO));
    const char *why = difference(s, w, st);
    if (why)
        return store_differs(s, w->cur.index, why);
    if (!s->difference && !worker_is_settled(s, w, st))
        (void)store_differs(s, w->cur.index, "has another mode or mtime");
    return 0;
}

/* --- extras --------------------------------------------------------------------------------- */

struct extras {
    struct store *s;
    struct disk_tree disk;
    struct manifest_tree listed;
};

static int see(void *arg, bool matched) {
    struct extras *x = arg;
    if (matched)
        return 0;
    x->s->extra = strdup(x->disk.entry.path);
    return !x->s->extra ? -ENOMEM : store_differs(x->s, 0, "is here, but not there");
}

static int look_for_extras(struct store *s) {
    struct extras x = {.s = s};
    int rc = disk_tree_init(&x.disk, s->old.folder);
    if (rc)
        return rc;
    manifest_tree_init(&x.listed, s->catalog);
    rc = store_merge(&x.disk.tree, &x.listed.tree, see, &x);
    struct walk_counts counts = walk_counts(x.disk.walk);
    if (!rc && counts.special)
        rc = store_differs(s, 0, "has a socket, a FIFO or a device in it");
    if (!rc && counts.failed)
        rc = store_differs(s, 0, "cannot be read here in all its parts");
    catalog_cursor_clear(&x.listed.cur);
    walk_free(x.disk.walk);
    return rc;
}

int store_same_rest(struct store *s) {
    int rc = s->old.folder < 0 ? 0 : look_for_extras(s);
    return rc || !s->difference ? rc : ERR_EXISTS;
}

/* --- what is left of an earlier run ---------------------------------------------------------- */

/* Of the same list: each byte of it is in DEST/NAME, too. */
static bool is_of_same_list(const struct store *left, const struct store *s) {
    return !left->catalog || memcmp(left->header.manifest_id, s->header.manifest_id,
                                    sizeof s->header.manifest_id) == 0;
}

bool store_drop_left(struct store *s, const char *dir) {
    const struct store_target t = {.dir = dir, .name = s->name, .path = s->path, .update = true};
    struct store *left;
    struct stat st;
    if (s->task != STORE_COMPARES || fs_stat(s->dest, s->staging_name, &st))
        return false;
    if (store_open(&left, &t)) /* not ours, or somebody is at work there */
        return false;
    bool same = is_of_same_list(left, s);
    if (same && left->catalog && !store_tidy(left)) {
        store_drop_workers(left);
        store_retire(left);
        (void)store_remove_staging(left);
    }
    store_close(left);
    return !same;
}

/* --- bytes ---------------------------------------------------------------------------------- */

int store_same_record(struct store *s, const struct wire_record *r) {
    enum store_verdict verdict;
    int rc = 0;
    for (uint32_t i = 0; !rc && i <= r->more; i++)
        rc = store_old_compare(s, r->chunk + i, r->digest, &verdict);
    return rc;
}

const char *store_difference(struct store *s, char *path) {
    struct worker *w;
    *path = 0;
    if (!s->difference)
        return NULL;
    if (s->extra)
        strcpy(path, s->extra);
    else if (!worker_get(s, &w)) {
        (void)catalog_path(&w->up, s->differs, path);
        worker_put(s, w);
    }
    return s->difference;
}
