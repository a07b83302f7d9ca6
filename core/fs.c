/* SPDX-License-Identifier: MIT */
#include "core/fs.h"

#include "proto/name.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { RETRIES = 16 }; /* openat2 says EAGAIN when a rename elsewhere disturbed its check */

static atomic_bool old_kernel; /* ENOSYS was seen, or a test wants it so */

void fs_force_walk(int on) { old_kernel = on != 0; }

/* --- the gate ------------------------------------------------------------------------------- */

static int openat2_retry(int dir, const char *path, const struct open_how *how) {
    for (int i = 0;; i++) {
        long fd = syscall(SYS_openat2, dir, path, how, sizeof *how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EINTR && (errno != EAGAIN || i == RETRIES))
            return -errno;
    }
}

/* For old kernels: one component at a time, each opened without following it. */
static int open_by_walk(int root, const char *path, int flags, mode_t mode) {
    char name[NAME_MAX_LEN + 1];
    int dir = root, err;
    for (;;) {
        size_t len = strcspn(path, "/");
        memcpy(name, path, len);
        name[len] = 0;
        bool last = !path[len];
        int how = last ? flags : O_PATH | O_DIRECTORY;
        int fd = openat(dir, name, how | O_NOFOLLOW | O_CLOEXEC, mode);
        err = fd < 0 ? -errno : 0;
        if (dir != root)
            close(dir);
        if (err || last)
            return err ? err : fd;
        dir = fd;
        path += len + 1;
    }
}

static bool path_ok(const char *path) { return name_path_ok(path, strlen(path)); }

static int open_beneath(int root, const char *path, int flags, mode_t mode) {
    if (!path_ok(path))
        return -EINVAL;
    if (!old_kernel) {
        const struct open_how how = {
            .flags = (uint64_t)(flags | O_CLOEXEC),
            .mode = flags & O_CREAT ? mode & 07777 : 0,
            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        int fd = openat2_retry(root, path, &how);
        if (fd == -ENOSYS)
            old_kernel = true;
        else if (fd != -EPERM) /* a seccomp filter that is older than openat2 says EPERM */
            return fd;
    }
    return open_by_walk(root, path, flags, mode);
}

/* Where a call on a name (mkdirat(2) and its kin) acts: those never follow the last component, and
 * the folder before it was opened beneath the root. */
struct place {
    int dir;
    bool opened; /* by us; otherwise it is the root */
    const char *name;
};

static int place_open(struct place *p, int root, const char *path) {
    char parent[PATH_MAX_LEN + 1];
    if (!path_ok(path))
        return -EINVAL;
    const char *slash = strrchr(path, '/');
    *p = (struct place){.dir = root, .name = path};
    if (!slash)
        return 0;
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = 0;
    *p = (struct place){open_beneath(root, parent, O_PATH | O_DIRECTORY, 0), true, slash + 1};
    return p->dir < 0 ? p->dir : 0;
}

/* Takes the result of the call that acted, keeps its errno, closes. */
static int place_close(struct place *p, long result) {
    int err = result < 0 ? -errno : 0;
    if (p->opened)
        close(p->dir);
    return err;
}

/* --- open ----------------------------------------------------------------------------------- */

int fs_open_root(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES) /* one may pass through it, though not list it */
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int fs_open_dir(int root, const char *path) {
    const int flags = O_RDONLY | O_DIRECTORY;
    if (*path)
        return open_beneath(root, path, flags, 0);
    int fd = openat(root, ".", flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

bool fs_may_enter(int dir) {
    struct stat st;
    return !fstatat(dir, ".", &st, 0);
}

int fs_list_dir(int root, const char *path, DIR **d) {
    int fd = fs_open_dir(root, path);
    if (fd < 0)
        return fd;
    *d = fdopendir(fd);
    if (*d)
        return 0;
    close(fd);
    return -ENOMEM;
}

/* O_NONBLOCK: a FIFO must not hang us before we see what it is. */
static int open_regular(int root, const char *path, int flags, struct stat *st) {
    int fd = open_beneath(root, path, flags | O_NONBLOCK | O_NOCTTY, 0);
    if (fd == -ENXIO || fd == -EISDIR) /* a socket; a folder for writing */
        return -EINVAL;
    if (fd < 0)
        return fd;
    int err = fstat(fd, st) < 0 ? -errno : S_ISREG(st->st_mode) ? 0 : -EINVAL;
    if (!err)
        return fd;
    close(fd);
    return err;
}

int fs_open_file_stat(int root, const char *path, struct stat *st) {
    return open_regular(root, path, O_RDONLY, st);
}

int fs_open_file(int root, const char *path) {
    struct stat st;
    return fs_open_file_stat(root, path, &st);
}

int fs_open_write(int root, const char *path) {
    struct stat st;
    return open_regular(root, path, O_RDWR, &st);
}

int fs_create(int root, const char *path, mode_t mode) {
    return open_beneath(root, path, O_RDWR | O_CREAT | O_EXCL, mode);
}

/* Without O_TMPFILE (NFS, old overlayfs) the file has a name for a moment. */
static int open_temp_in(const char *dir) {
    char name[PATH_MAX_LEN + 1];
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (snprintf(name, sizeof name, "%s/lanyard-XXXXXX", dir) >= (int)sizeof name)
        return -ENAMETOOLONG;
    fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(name);
    return fd;
}

static const char *temp_dir;

void fs_set_temp(const char *dir) { temp_dir = dir; }

int fs_open_temp(void) {
    const char *dirs[] = {temp_dir, getenv("TMPDIR"), "/var/tmp", "/tmp"};
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        int fd = dirs[i] && *dirs[i] ? open_temp_in(dirs[i]) : -ENOENT;
        if (fd >= 0)
            return fd;
    }
    int fd = memfd_create("lanyard", MFD_CLOEXEC); /* nothing here is writable: then in memory */
    return fd < 0 ? -errno : fd;
}

/* --- names ---------------------------------------------------------------------------------- */

int fs_stat(int root, const char *path, struct stat *st) {
    struct place p;
    if (!*path)
        return fstat(root, st) < 0 ? -errno : 0;
    int err = place_open(&p, root, path);
    if (err)
        return err;
    return place_close(&p, fstatat(p.dir, p.name, st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT));
}

int fs_mkdir(int root, const char *path, mode_t mode) {
    struct place p;
    int err = place_open(&p, root, path);
    return err ? err : place_close(&p, mkdirat(p.dir, p.name, mode));
}

int fs_symlink(int root, const char *path, const char *target) {
    struct place p;
    int err = place_open(&p, root, path);
    return err ? err : place_close(&p, symlinkat(target, p.dir, p.name));
}

ssize_t fs_readlink(int root, const char *path, char *out, size_t cap) {
    struct place p;
    int err = place_open(&p, root, path);
    if (err)
        return err;
    ssize_t len = readlinkat(p.dir, p.name, out, cap);
    err = place_close(&p, len);
    if (err)
        return err;
    if ((size_t)len == cap) /* it may have been cut */
        return -ENAMETOOLONG;
    out[len] = 0;
    return len;
}

int fs_unlink(int root, const char *path) {
    struct place p;
    int err = place_open(&p, root, path);
    return err ? err : place_close(&p, unlinkat(p.dir, p.name, 0));
}

int fs_rmdir(int root, const char *path) {
    struct place p;
    int err = place_open(&p, root, path);
    return err ? err : place_close(&p, unlinkat(p.dir, p.name, AT_REMOVEDIR));
}

/* The C library calls fchmodat2(2), or goes through O_PATH and /proc/self/fd before Linux 6.6, and
 * says EOPNOTSUPP for a symlink or when there is no /proc. */
static int chmod_at(int dir, const char *name, mode_t mode) {
    if (!fchmodat(dir, name, mode, AT_SYMLINK_NOFOLLOW))
        return 0;
    if (errno != EOPNOTSUPP)
        return -1;
    int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = fchmod(fd, mode), saved = errno;
    close(fd);
    errno = saved;
    return result;
}

int fs_chmod(int root, const char *path, mode_t mode) {
    struct place p;
    int err = place_open(&p, root, path);
    return err ? err : place_close(&p, chmod_at(p.dir, p.name, mode));
}

struct timespec fs_timespec(int64_t ns) {
    const int64_t second = 1000000000;
    struct timespec t = {.tv_sec = ns / second, .tv_nsec = ns % second};
    if (t.tv_nsec < 0) { /* before 1970: the nanoseconds still count upwards */
        t.tv_sec--;
        t.tv_nsec += second;
    }
    return t;
}

int fs_set_mtime(int root, const char *path, int64_t mtime_ns) {
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, fs_timespec(mtime_ns)};
    struct place p;
    int err = place_open(&p, root, path);
    return err ? err : place_close(&p, utimensat(p.dir, p.name, times, AT_SYMLINK_NOFOLLOW));
}

int fs_touch(int fd, int64_t mtime_ns) {
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, fs_timespec(mtime_ns)};
    return futimens(fd, times) < 0 ? -errno : 0;
}

/* --- rename --------------------------------------------------------------------------------- */

/* Takes the target's name by making something empty of the same kind there, which fails if it is
 * taken; the rename then replaces only that. */
static int rename_onto_reserved(int from_dir, const char *from, int to_dir, const char *to,
                                bool is_dir) {
    if (is_dir) {
        if (mkdirat(to_dir, to, 0700) < 0)
            return -errno;
    } else {
        int fd = openat(to_dir, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
            return -errno;
        close(fd);
    }
    if (!renameat(from_dir, from, to_dir, to))
        return 0;
    int err = errno == ENOTEMPTY ? -EEXIST : -errno;
    unlinkat(to_dir, to, is_dir ? AT_REMOVEDIR : 0); /* removes no folder that has been filled */
    return err;
}

static int rename_new_slowly(int from_dir, const char *from, int to_dir, const char *to) {
    struct stat st;
    if (fstatat(from_dir, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode)) {
        if (!linkat(from_dir, from, to_dir, to, 0))
            return unlinkat(from_dir, from, 0) < 0 ? -errno : 0;
        if (errno == EEXIST)
            return -EEXIST;
    }
    return rename_onto_reserved(from_dir, from, to_dir, to, S_ISDIR(st.st_mode));
}

static bool names_ok(const char *from, const char *to) {
    return name_ok(from, strlen(from)) && name_ok(to, strlen(to));
}

int fs_rename_new(int from_dir, const char *from, int to_dir, const char *to) {
    if (!names_ok(from, to))
        return -EINVAL;
    if (!old_kernel) {
        if (!renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE))
            return 0;
        if (errno != ENOSYS && errno != EINVAL)
            return -errno;
    }
    return rename_new_slowly(from_dir, from, to_dir, to);
}

int fs_rename_over(int from_dir, const char *from, int to_dir, const char *to) {
    if (!names_ok(from, to))
        return -EINVAL;
    return renameat(from_dir, from, to_dir, to) < 0 ? -errno : 0;
}

int fs_exchange(int dir_a, const char *a, int dir_b, const char *b) {
    if (!names_ok(a, b) || old_kernel)
        return -EINVAL;
    return renameat2(dir_a, a, dir_b, b, RENAME_EXCHANGE) < 0 ? -errno : 0;
}

/* --- file systems ------------------------------------------------------------------------- */

bool fs_is_remote(int fd) {
    enum { GFS2 = 0x01161970, LUSTRE = 0x0bd00bd0 }; /* in no header of the system */
    static const uint32_t remote[] = {
        NFS_SUPER_MAGIC,
        SMB_SUPER_MAGIC,
        CIFS_SUPER_MAGIC,
        SMB2_SUPER_MAGIC,
        V9FS_MAGIC,
        FUSE_SUPER_MAGIC,
        AFS_SUPER_MAGIC,
        AFS_FS_MAGIC,
        CEPH_SUPER_MAGIC,
        CODA_SUPER_MAGIC,
        NCP_SUPER_MAGIC,
        OCFS2_SUPER_MAGIC,
        GFS2,
        LUSTRE,
    };
    struct statfs sf;
    if (fstatfs(fd, &sf) < 0)
        return true; /* the careful answer */
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
        if ((uint32_t)sf.f_type == remote[i])
            return true;
    return false;
}
