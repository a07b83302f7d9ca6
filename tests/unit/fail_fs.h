/* SPDX-License-Identifier: MIT */
/*
 * fail_fs -- a disk on which one call fails: the n-th one after it was armed
 *
 *     fault = -EIO, countdown = n, failed = NULL, armed = true; ...; armed = false
 *
 * failed says then which call it was, NULL: there were fewer. For programs that are linked with the
 * list of the same name in meson.build. Each program has its own copy.
 */
#ifndef TESTS_FAIL_FS_H
#define TESTS_FAIL_FS_H

#include "core/fs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool armed;
static unsigned countdown; /* the call that takes it to 0 fails */
static int fault;
static const char *failed;    /* which call it was */
static const char *only_call; /* only calls of this name are counted; NULL: all */

static inline bool fails(const char *call) {
    if (!armed || (only_call && strcmp(call, only_call) != 0) || --countdown != 0)
        return false;
    failed = call;
    return true;
}

#define WRAP(type, name, params, args)                                                             \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params { return fails(#name) ? fault : __real_##name args; }

/* Nothing is really brought to disk: that takes time, and this is about what follows. */
#define WRAP_SYNC(name)                                                                            \
    int __wrap_##name(int fd);                                                                     \
    int __wrap_##name(int fd) {                                                                    \
        errno = -fault;                                                                            \
        return fails(#name) ? -1 : 0;                                                              \
    }

WRAP(int, fs_open_dir, (int root, const char *path), (root, path))
WRAP(int, fs_open_file, (int root, const char *path), (root, path))
WRAP(int, fs_open_write, (int root, const char *path), (root, path))
WRAP(int, fs_create, (int root, const char *path, mode_t mode), (root, path, mode))
WRAP(int, fs_stat, (int root, const char *path, struct stat *st), (root, path, st))
WRAP(int, fs_mkdir, (int root, const char *path, mode_t mode), (root, path, mode))
WRAP(int, fs_symlink, (int root, const char *path, const char *to), (root, path, to))
WRAP(int, fs_unlink, (int root, const char *path), (root, path))
WRAP(int, fs_rmdir, (int root, const char *path), (root, path))
WRAP(int, fs_chmod, (int root, const char *path, mode_t mode), (root, path, mode))
WRAP(int, fs_set_mtime, (int root, const char *path, int64_t ns), (root, path, ns))
WRAP(int, fs_touch, (int fd, int64_t ns), (fd, ns))
WRAP(int, fs_remove_tree, (int root, const char *path), (root, path))
WRAP(int, fs_rename_new, (int a, const char *b, int c, const char *d), (a, b, c, d))
WRAP(int, fs_exchange, (int a, const char *b, int c, const char *d), (a, b, c, d))
WRAP(int, fs_rename_over, (int a, const char *b, int c, const char *d), (a, b, c, d))
WRAP(ssize_t, fs_pread_some, (int fd, void *buf, size_t len, uint64_t at), (fd, buf, len, at))
WRAP(int, fs_pread_all, (int fd, void *buf, size_t len, uint64_t at), (fd, buf, len, at))
WRAP(int, fs_pwrite_all, (int fd, const void *buf, size_t len, uint64_t at), (fd, buf, len, at))
WRAP(int, fs_copy, (int from, int to, uint64_t at, size_t len), (from, to, at, len))
WRAP_SYNC(fsync)
WRAP_SYNC(fdatasync)
WRAP_SYNC(syncfs)

int __real_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len) {
    errno = -fault;
    return fails("ftruncate") ? -1 : __real_ftruncate(fd, len);
}

#undef WRAP
#undef WRAP_SYNC

#endif
