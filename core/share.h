/* SPDX-License-Identifier: MIT */
/*
 * share -- what we offer: a list of held folders, and the way from a peer's path into them
 *
 *     shares_init   shares_add ...          while starting: each share's folder is opened and held
 *     shares_resolve | shares_count         any thread
 *     shares_clear
 *
 *     core/share_rows.h   list and find              core/selection.h   walk, manifest, read chunks
 *
 * Paths from peers are SHARE/dir/file. Files and folders are served in place, opened beneath the
 * held folder by core/fs, never through a symlink. Nothing is read before it is asked for. All
 * calls block; shares do not change after start.
 */
#ifndef CORE_SHARE_H
#define CORE_SHARE_H

#include "core/walk.h"
#include "proto/wire.h"

#include <stdatomic.h>

struct share {
    char name[256]; /* under which it is seen */
    char base[256]; /* "" for a folder; a single file: its name in the held folder */
    int root;       /* the folder itself, or the one that holds the file */
};

struct shares {
    struct share *all;
    unsigned n;
    bool hidden; /* serve entries with a leading dot too */
};

void shares_init(struct shares *s, bool hidden);
void shares_clear(struct shares *s);
/* path: a file or folder the user named, seen under its base name (of realpath(3) where the path
 * ends in "." or ".."; "/" is seen as "root"). -ENOENT, -EACCES, ... ; -EEXIST: another share has
 * this name; -EINVAL: neither file nor folder. */
int shares_add(struct shares *s, const char *path);

/* The share that a path begins with, and where the path leads beneath share->root ("" is the root
 * itself; a part of `path`, or share->base). WIRE_ERR(NOT_FOUND) for a share we do not have, for
 * what is no path, for a folder that was removed, and for hidden entries unless they are served. */
int shares_resolve(const struct shares *s, const char *path, const struct share **share,
                   const char **below);

/* Was it removed? Another folder in its place is not the one that was shared. */
bool share_is_gone(const struct share *sh);

struct share_totals {
    uint64_t files, bytes;
    struct walk_counts left_out;
};
/* Walks all shares. *stop (may be NULL) turned true ends it early with -ECANCELED. */
int shares_count(const struct shares *s, struct share_totals *t, atomic_bool *stop);

/* What of a file, folder or symlink goes on the wire; e->path is left as it is. */
void share_entry(struct wire_entry *e, const struct stat *st);

/* The error for a peer: all ways not to be there are WIRE_ERR(NOT_FOUND). */
int share_error(int err);

#endif
