/* SPDX-License-Identifier: MIT */
/*
 * walk -- one folder tree, entry by entry, breadth first, each folder sorted bytewise
 *
 *     walk_new -> walk_next ... -> walk_free
 *
 * Exactly the order of a manifest: entry 0 is the start itself, children of one folder follow each
 * other. Yields regular files, folders and symlinks; counts what it leaves out. Memory: a few MiB
 * for the names of one folder (core/names), and one record per folder that still waits. Blocking;
 * one thread at a time.
 */
#ifndef CORE_WALK_H
#define CORE_WALK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct walk_entry {
    const char *path; /* below the root given to walk_new, NUL-terminated; good until walk_next */
    const char *name; /* its last component, inside path */
    uint32_t parent;  /* number of its folder's entry, counted from 0 in the order yielded */
    struct stat st;   /* S_ISREG, S_ISDIR or S_ISLNK */
    bool unreadable;  /* a folder that cannot be read: nothing below it follows */
};

struct walk_counts {
    uint64_t hidden;  /* entries with a leading dot that were left out (not what lies below them) */
    uint64_t special; /* sockets, FIFOs, devices left out */
    uint64_t failed;  /* vanished or unreadable entries, too deep or too long paths */
    uint64_t untold;  /* of these: all but folders that were yielded as unreadable */
    uint64_t moved;   /* of the failed ones: what had vanished when its turn came */
};

struct walk;

/* root: a held folder, borrowed until walk_free. start: path beneath it, "" for root itself.
 * depth_max: 0 yields the start alone, 1 also its children, -1 everything.
 * -ENOENT etc. if the start is not there; -EINVAL if it is neither file, folder nor symlink. */
int walk_new(struct walk **w, int root, const char *start, bool hidden, int depth_max);
void walk_free(struct walk *w);

/* Before the first walk_next: yields only the start and names for which wanted() is true. The
 * others cost no stat where the file system tells folders apart, are not counted, and are entered
 * all the same if they are folders. walk_entry.parent means nothing then. */
typedef bool walk_wanted_fn(void *arg, const char *name);
void walk_only(struct walk *w, walk_wanted_fn *wanted, void *arg);

/* What other threads see of a walk that goes on, and how they end it. */
struct walk_watch {
    atomic_ullong seen; /* names looked at */
    atomic_bool stop;   /* makes walk_next return -ECANCELED */
    /* The walk's thread: when so many were seen, walk_next returns -EAGAIN, and goes on when this
     * is more; a folder is read as a whole. 0: it never pauses. */
    unsigned long long pause;
    /* The same thread: when more than so many were seen, walk_next returns -E2BIG, also in the
     * middle of a folder; the walk is of no more use. 0: no limit. */
    unsigned long long most;
};
void walk_watch(struct walk *w, struct walk_watch *watch); /* outlives the walk; may be NULL */

/* 1: *e is the next one; 0: the end; below 0: an error (out of memory, stopped, as of names), or
 * -EAGAIN or -E2BIG for whoever watches. */
int walk_next(struct walk *w, struct walk_entry *e);
/* Takes back the entry that was just yielded, not a folder: it counts as failed and the next one
 * has its number. */
void walk_drop(struct walk *w);

struct walk_counts walk_counts(const struct walk *w);
/* The first of those that are untold, as walk_entry.path, cut if it is too long; "" if none is. */
const char *walk_untold(const struct walk *w);

#endif
