/* SPDX-License-Identifier: MIT */
/*
 * fs -- the only file that opens anything beneath a root
 *
 * Every call takes a held folder (O_PATH or O_DIRECTORY descriptor) and a path that is relative to
 * it; what name_path_ok() refuses is -EINVAL. The kernel refuses to leave the root or to follow any
 * symlink (openat2(2): RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS); where
 * openat2 is missing (ENOSYS, or EPERM from an old container's seccomp filter) a walk over the
 * components with O_NOFOLLOW does the same. Descriptors are O_CLOEXEC and the caller's. Errors are
 * negative errno. Blocking; any thread.
 */
#ifndef CORE_FS_H
#define CORE_FS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A folder that the user named: symlinks are followed here, and only here. */
int fs_open_root(const char *path);

/* A readable folder; "" is the root itself, opened anew. */
int fs_open_dir(int root, const char *path);
/* The same, for readdir(3). 0, and *d is the caller's. */
int fs_list_dir(int root, const char *path, DIR **d);
/* What readdir(3) gives of each folder beside its entries. */
static inline bool fs_is_dots(const char *name) {
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}
/* May what has a name in this folder be reached (permission to search)? */
bool fs_may_enter(int dir);

/* O_RDONLY | O_NONBLOCK; -EINVAL if it is not a regular file. Never waits for a FIFO's writer. */
int fs_open_file(int root, const char *path);
int fs_open_file_stat(int root, const char *path, struct stat *st); /* and what it is like */

/* O_RDWR | O_CREAT | O_EXCL (mode is subject to umask), or O_RDWR for an existing regular file. */
int fs_create(int root, const char *path, mode_t mode);
int fs_open_write(int root, const char *path);

int fs_stat(int root, const char *path, struct stat *st); /* of a symlink itself; "" is the root */
/* Two looks at one file or folder? */
static inline bool fs_is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}
int fs_mkdir(int root, const char *path, mode_t mode);
int fs_symlink(int root, const char *path, const char *target);
ssize_t fs_readlink(int root, const char *path, char *out, size_t cap); /* -ENAMETOOLONG if cut */
int fs_unlink(int root, const char *path);
int fs_rmdir(int root, const char *path); /* -ENOTEMPTY or -EEXIST if it is not empty */
int fs_chmod(int root, const char *path, mode_t mode);          /* never through a symlink */
int fs_set_mtime(int root, const char *path, int64_t mtime_ns); /* of a symlink itself */
int fs_touch(int fd, int64_t mtime_ns);  /* the same of an open file, which no name leads to anew */
struct timespec fs_timespec(int64_t ns); /* as st_mtim has it */

/* Removes path and all below it (core/fs_remove.c), whatever the modes of its folders. Stays
 * beneath root, never follows a symlink, crosses no mount (-EXDEV). Goes on after an error and
 * returns the first one. 0 also when it is not there. */
int fs_remove_tree(int root, const char *path);

/* Can names move from the one folder to the other? 1, or 0: they are of two mounts. */
int fs_same_mount(int a, int b);

/* renameat2(RENAME_NOREPLACE); where the file system lacks it, link and unlink, or a rename over an
 * empty file or folder made for it. -EEXIST if the target exists. Names are single components. */
int fs_rename_new(int from_dir, const char *from, int to_dir, const char *to);
/* Atomic replacement. */
int fs_rename_over(int from_dir, const char *from, int to_dir, const char *to);
/* Each gets the other's name. -EINVAL, -ENOSYS: this file system cannot do it. */
int fs_exchange(int dir_a, const char *a, int dir_b, const char *b);

/* How many bytes there were before the end of the file, at most len. */
ssize_t fs_pread_some(int fd, void *buf, size_t len, uint64_t offset);
int fs_pread_all(int fd, void *buf, size_t len, uint64_t offset); /* 0; -ENODATA at end of file */
int fs_pwrite_all(int fd, const void *buf, size_t len, uint64_t offset);

/* Bytes from one file to the same place in another (core/fs_bytes.c); shared on disk where the file
 * system can do that. -ENODATA at the end of `from`. */
int fs_copy(int from, int to, uint64_t offset, size_t len);
bool fs_may_share(int fd); /* is it a file system that can? */

/* Is it a file system whose pages other machines can change (NFS, CIFS, 9p, FUSE, ...)? */
bool fs_is_remote(int fd);

/* An unlinked file for reading and writing, in the folder of fs_set_temp, $TMPDIR, /var/tmp or
 * /tmp; in memory if none is writable. */
int fs_open_temp(void);
/* Where to try first; dir must stay, NULL takes it back. Before there are threads. */
void fs_set_temp(const char *dir);

/* For tests: 1 behaves as on an old kernel, without openat2 and renameat2. */
void fs_force_walk(int on);

#endif
