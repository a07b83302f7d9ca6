/* SPDX-License-Identifier: MIT */
#include "core/selection.h"

#include "core/digest.h"
#include "core/fs.h"
#include "proto/be.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCK = 512, /* what st_blocks counts */
    WALKS = 3,
};

static int64_t time_ns(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

uint64_t selection_version(const struct stat *st) {
    const uint64_t what[] = {
        st->st_dev,
        st->st_ino,
        (uint64_t)st->st_size,
        (uint64_t)st->st_mtim.tv_sec,
        (uint64_t)st->st_mtim.tv_nsec,
        (uint64_t)st->st_ctim.tv_sec,
        (uint64_t)st->st_ctim.tv_nsec,
    };
    uint8_t bytes[sizeof what];
    for (size_t i = 0; i < sizeof what / sizeof *what; i++)
        be_put(bytes + 8 * i, what[i], 8);
    return digest_64(bytes, sizeof bytes);
}

/* The entry as it stands in the manifest, but for a symlink's target. */
static struct manifest_entry describe(const struct walk_entry *e, const char *name) {
    struct wire_entry row;
    share_entry(&row, &e->st);
    struct manifest_entry m = {
        .kind = row.kind,
        .mode = row.mode,
        .parent = e->parent,
        .size = row.size,
        .mtime_ns = row.mtime_ns,
        .name = {(const uint8_t *)name, strlen(name)},
    };
    if (e->unreadable)
        m.flags = MANIFEST_UNREADABLE;
    if (m.kind != WIRE_FILE)
        return m;
    m.version = selection_version(&e->st);
    if ((uint64_t)e->st.st_blocks * BLOCK < m.size)
        m.flags = MANIFEST_SPARSE;
    return m;
}

/* 0; 1: the entry has no place in a manifest; below 0: an error that ends the walk. */
static int append(struct selection *sel, const struct walk_entry *e, const char *name) {
    char target[PATH_MAX_LEN + 1];
    struct manifest_entry m = describe(e, name);
    if (m.size > WIRE_SIZE_MAX)
        return 1;
    if (m.kind == WIRE_SYMLINK) {
        ssize_t len = fs_readlink(sel->root, e->path, target, sizeof target);
        if (len <= 0)
            return 1;
        m.target = (struct bytes){(const uint8_t *)target, (size_t)len};
    }
    return catalog_append_entry(sel->catalog, &m);
}

/* name: of entry 0, as it was asked for. */
static int walk_into_catalog(struct selection *sel, struct walk *w, const char *name) {
    struct walk_entry e;
    int got;
    for (bool first = true; (got = walk_next(w, &e)) > 0; first = false) {
        int err = append(sel, &e, first ? name : e.name);
        if (err < 0)
            return err;
        if (err > 0 && first)
            return WIRE_ERR(WIRE_IO);
        if (err > 0)
            walk_drop(w);
    }
    return got < 0 ? got : catalog_finish(sel->catalog);
}

static int new_catalog(struct catalog **c) {
    int fd = fs_open_temp();
    if (fd < 0)
        return fd;
    int err = catalog_new(c, fd);
    if (err)
        close(fd);
    return err;
}

/* Keeps what the walk could not put into the manifest. */
static int note_left_out(struct selection *sel, const struct walk *w) {
    uint64_t n = walk_counts(w).untold;
    const char *first = walk_untold(w);
    size_t below = strlen(sel->below);
    if (below > 0 && strlen(first) > below)
        first += below + 1;
    free(sel->first);
    sel->left_out = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
    sel->first = strdup(first);
    return sel->first ? 0 : -ENOMEM;
}

/* 1: folders were moved about under the walk. */
static int walk_once(struct selection *sel, bool hidden, const char *name,
                     struct walk_watch *watch) {
    struct timespec now;
    struct walk *w;
    clock_gettime(CLOCK_REALTIME, &now);
    sel->now_ns = time_ns(now);
    int err = share_error(walk_new(&w, sel->root, sel->below, hidden, -1));
    if (err)
        return err;
    walk_watch(w, watch);
    err = new_catalog(&sel->catalog);
    if (!err)
        err = walk_into_catalog(sel, w, name);
    if (!err)
        err = note_left_out(sel, w);
    if (!err)
        err = walk_counts(w).moved > 0;
    walk_free(w);
    return err;
}

/* What was moved could be missing in both places: look again, then tell what was left out. */
static int build(struct selection *sel, bool hidden, const char *name, struct walk_watch *watch) {
    int rc = 1;
    for (int i = 0; rc > 0 && i < WALKS; i++) {
        catalog_free(sel->catalog);
        sel->catalog = NULL;
        rc = walk_once(sel, hidden, name, watch);
    }
    return rc < 0 ? rc : 0;
}

int selection_new(struct selection **out, const struct shares *s, const char *path,
                  struct walk_watch *watch) {
    const struct share *share;
    const char *below, *slash = strrchr(path, '/');
    int err = shares_resolve(s, path, &share, &below);
    if (err)
        return err;
    struct selection *sel = calloc(1, sizeof *sel);
    if (!sel)
        return -ENOMEM;
    sel->root = share->root;
    sel->below = strdup(below);
    err = sel->below ? build(sel, s->hidden, slash ? slash + 1 : path, watch) : -ENOMEM;
    if (err) {
        selection_free(sel);
        return err;
    }
    *out = sel;
    return 0;
}

void selection_free(struct selection *sel) {
    if (!sel)
        return;
    catalog_free(sel->catalog);
    free(sel->first);
    free(sel->below);
    free(sel);
}

const struct catalog *selection_catalog(const struct selection *sel) { return sel->catalog; }

int64_t selection_now_ns(const struct selection *sel) { return sel->now_ns; }

uint32_t selection_left_out(const struct selection *sel, const char **first) {
    *first = sel->first;
    return sel->left_out;
}
