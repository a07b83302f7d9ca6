/* SPDX-License-Identifier: MIT */
#include "core/walk.h"

#include "core/fs.h"
#include "core/grow.h"
#include "core/names.h"
#include "proto/name.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Folders that wait for their turn, first in, first out: the number of the folder's entry, and its
 * path as the difference to the folder before. Neighbours share most of it, so that a record has
 * about the size of a name. */
struct waiting {
    uint32_t entry;
    uint16_t shared, added; /* bytes taken from the path before; bytes that follow this record */
};

struct queue {
    uint8_t *bytes;
    size_t head, tail, cap;
    char last[PATH_MAX_LEN + 1]; /* the path that was pushed last */
};

struct walk {
    int root;
    bool hidden;
    int depth_max;
    unsigned start_depth;
    walk_wanted_fn *wanted; /* NULL: everything is */
    void *arg;
    struct walk_watch *watch; /* NULL: nobody */
    struct walk_counts counts;
    char untold[PATH_MAX_LEN + 1]; /* the first one */
    struct stat start;
    bool started;

    DIR *dir;       /* the current folder, NULL between two */
    uint32_t entry; /* its number */
    unsigned depth; /* components of its path */
    struct names names;

    uint32_t n; /* entries yielded */
    struct queue queue;
    size_t dir_len;              /* bytes of the current folder's path, at the front of: */
    char path[PATH_MAX_LEN + 1]; /* the path of the last entry */
};

/* --- folders that wait ---------------------------------------------------------------------- */

static int queue_push(struct queue *q, const char *path, uint32_t entry) {
    size_t len = strlen(path), shared = 0;
    while (path[shared] && path[shared] == q->last[shared])
        shared++;
    struct waiting w = {entry, (uint16_t)shared, (uint16_t)(len - shared)};
    if (q->head > q->cap / 2) {
        memmove(q->bytes, q->bytes + q->head, q->tail - q->head);
        q->tail -= q->head;
        q->head = 0;
    }
    uint8_t *bytes = grow(q->bytes, &q->cap, q->tail + sizeof w + w.added, 1);
    if (!bytes)
        return -ENOMEM;
    q->bytes = bytes;
    memcpy(bytes + q->tail, &w, sizeof w);
    memcpy(bytes + q->tail + sizeof w, path + shared, w.added);
    q->tail += sizeof w + w.added;
    memcpy(q->last + shared, path + shared, len - shared + 1);
    return 0;
}

/* path: holds what was popped before. 1, or 0 if none waits. */
static int queue_pop(struct queue *q, char *path, size_t *len, uint32_t *entry) {
    struct waiting w;
    if (q->head == q->tail)
        return 0;
    memcpy(&w, q->bytes + q->head, sizeof w);
    memcpy(path + w.shared, q->bytes + q->head + sizeof w, w.added);
    q->head += sizeof w + w.added;
    *len = (size_t)w.shared + w.added;
    path[*len] = 0;
    *entry = w.entry;
    return 1;
}

/* --- the walk ------------------------------------------------------------------------------- */

static bool is_served(mode_t mode) { return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode); }

static unsigned depth_of(const char *path) {
    unsigned depth = *path != 0;
    for (; *path; path++)
        depth += *path == '/';
    return depth;
}

int walk_new(struct walk **w, int root, const char *start, bool hidden, int depth_max) {
    struct stat st;
    int err = fs_stat(root, start, &st);
    if (err)
        return err;
    if (!is_served(st.st_mode))
        return -EINVAL;
    *w = calloc(1, sizeof **w);
    if (!*w)
        return -ENOMEM;
    (*w)->root = root;
    (*w)->hidden = hidden;
    (*w)->depth_max = depth_max;
    (*w)->start_depth = depth_of(start);
    (*w)->start = st;
    names_init(&(*w)->names, NAMES_ROOM);
    strcpy((*w)->path, start); /* fs_stat has checked its length */
    return 0;
}

void walk_free(struct walk *w) {
    if (!w)
        return;
    if (w->dir)
        closedir(w->dir);
    names_clear(&w->names);
    free(w->queue.bytes);
    free(w);
}

void walk_only(struct walk *w, walk_wanted_fn *wanted, void *arg) {
    w->wanted = wanted;
    w->arg = arg;
}

void walk_watch(struct walk *w, struct walk_watch *watch) { w->watch = watch; }

/* One more name was looked at. 0; -ECANCELED: that is enough; -E2BIG: it is too much. */
static int step(struct walk *w) {
    unsigned long long seen;

    if (!w->watch)
        return 0;
    seen = atomic_fetch_add_explicit(&w->watch->seen, 1, memory_order_relaxed) + 1;
    if (w->watch->most && seen > w->watch->most)
        return -E2BIG;
    return atomic_load_explicit(&w->watch->stop, memory_order_relaxed) ? -ECANCELED : 0;
}

/* w->path is where it is, or its folder. */
static void lose(struct walk *w) {
    w->counts.failed++;
    if (w->counts.untold++ == 0)
        strcpy(w->untold, w->path);
}

void walk_drop(struct walk *w) {
    w->n--;
    lose(w);
}

const char *walk_untold(const struct walk *w) { return w->untold; }

struct walk_counts walk_counts(const struct walk *w) {
    return w->counts;
}

static bool is_special(unsigned char d_type) {
    return d_type == DT_FIFO || d_type == DT_SOCK || d_type == DT_CHR || d_type == DT_BLK;
}

static bool is_wanted(const struct walk *w, const char *name) {
    return !w->wanted || w->wanted(w->arg, name);
}

/* What is no folder need not be looked at if its name is not wanted. */
static bool is_passed_over(const struct walk *w, const struct dirent *e) {
    return (e->d_type == DT_REG || e->d_type == DT_LNK) && !is_wanted(w, e->d_name);
}

static int read_names(struct walk *w) {
    int err = 0;
    names_empty(&w->names);
    while (!err) {
        errno = 0;
        const struct dirent *e = readdir(w->dir);
        if (!e && errno)
            lose(w); /* what it gave until then is used */
        if (!e)
            break;
        if (fs_is_dots(e->d_name))
            continue;
        err = step(w);
        if (!w->hidden && e->d_name[0] == '.')
            w->counts.hidden++;
        else if (is_special(e->d_type))
            w->counts.special++;
        else if (!err && !is_passed_over(w, e))
            err = names_add(&w->names, e->d_name);
    }
    return err ? err : names_sort(&w->names);
}

/* 1: the next folder is open and its names are sorted; 0: there is none; below 0: an error. */
static int next_folder(struct walk *w) {
    while (queue_pop(&w->queue, w->path, &w->dir_len, &w->entry)) {
        int err = fs_list_dir(w->root, w->path, &w->dir);
        if (err == -ENOMEM)
            return err;
        if (err) { /* it could be opened when it was yielded */
            w->counts.moved++;
            lose(w);
            continue;
        }
        w->depth = depth_of(w->path);
        err = read_names(w);
        return err ? err : 1;
    }
    return 0;
}

/* Puts the name behind the folder's path. False if that gets too long, then the path is that of the
 * folder, or too deep. */
static bool enter_name(struct walk *w, const char *name) {
    size_t at = w->dir_len + (w->dir_len > 0), len = strlen(name);
    w->path[w->dir_len] = 0;
    if (at + len > PATH_MAX_LEN)
        return false;
    if (w->dir_len)
        w->path[w->dir_len] = '/';
    memcpy(w->path + at, name, len + 1);
    return w->depth < PATH_MAX_DEPTH;
}

/* The folder that w->path names waits for its turn. */
static int enter_later(struct walk *w, unsigned depth) {
    if (w->depth_max >= 0 && depth - w->start_depth >= (unsigned)w->depth_max)
        return 0;
    return queue_push(&w->queue, w->path, w->n);
}

/* Whether a folder can be read, and what is in it reached, is part of its entry, so that is tried
 * now. */
static int yield_folder(struct walk *w, struct walk_entry *e, int dir, const char *name,
                        unsigned depth) {
    int fd = fs_open_dir(dir, name);
    if (fd < 0 || !fs_may_enter(fd)) {
        e->unreadable = true;
        w->counts.failed++;
        w->counts.moved += fd == -ENOENT;
    }
    if (fd >= 0)
        close(fd);
    return e->unreadable ? 0 : enter_later(w, depth);
}

static int yield_start(struct walk *w, struct walk_entry *e) {
    const char *slash = strrchr(w->path, '/');
    int err = 0;
    *e = (struct walk_entry){.path = w->path, .name = slash ? slash + 1 : w->path, .st = w->start};
    w->started = true;
    if (S_ISDIR(e->st.st_mode))
        err = yield_folder(w, e, w->root, w->path, w->start_depth);
    w->n++;
    return err ? err : 1;
}

/* 1: *e is the entry of this name; 0: it is left out. */
static int yield_name(struct walk *w, struct walk_entry *e, const char *name) {
    int dir = dirfd(w->dir), err = 0;
    *e = (struct walk_entry){.path = w->path, .parent = w->entry};
    err = enter_name(w, name) ? fs_stat(dir, name, &e->st) : -ENAMETOOLONG;
    if (err) {
        w->counts.moved += err == -ENOENT;
        lose(w);
        return 0;
    }
    if (!is_served(e->st.st_mode)) {
        w->counts.special++;
        return 0;
    }
    e->name = w->path + w->dir_len + (w->dir_len > 0);
    if (!is_wanted(w, e->name))
        return S_ISDIR(e->st.st_mode) ? enter_later(w, w->depth + 1) : 0;
    if (S_ISDIR(e->st.st_mode))
        err = yield_folder(w, e, dir, e->name, w->depth + 1);
    w->n++;
    return err ? err : 1;
}

static bool pauses(const struct walk *w) {
    return w->watch && w->watch->pause &&
           atomic_load_explicit(&w->watch->seen, memory_order_relaxed) >= w->watch->pause;
}

int walk_next(struct walk *w, struct walk_entry *e) {
    if (!w->started)
        return yield_start(w, e);
    for (;;) {
        if (pauses(w))
            return -EAGAIN;
        const char *name;
        int got = w->dir ? names_next(&w->names, &name) : 0;
        if (got > 0) {
            got = step(w);
            if (got == 0)
                got = yield_name(w, e, name);
            if (got)
                return got;
            continue;
        }
        if (got < 0)
            return got;
        if (w->dir)
            closedir(w->dir);
        w->dir = NULL;
        got = next_folder(w);
        if (got <= 0)
            return got;
    }
}
