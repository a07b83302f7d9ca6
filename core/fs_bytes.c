/* SPDX-License-Identifier: MIT */
/* fs_bytes -- the part of fs that reads, writes and copies bytes of files that are open */
#include "core/fs.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

ssize_t fs_pread_some(int fd, void *buf, size_t len, uint64_t offset) {
    char *at = buf;
    size_t have = 0;
    while (have < len) {
        ssize_t n = pread(fd, at + have, len - have, (off_t)(offset + have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

int fs_pread_all(int fd, void *buf, size_t len, uint64_t offset) {
    ssize_t n = fs_pread_some(fd, buf, len, offset);
    if (n < 0)
        return (int)n;
    return (size_t)n == len ? 0 : -ENODATA;
}

int fs_pwrite_all(int fd, const void *buf, size_t len, uint64_t offset) {
    const char *at = buf;
    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EIO;
        at += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* --- copy ----------------------------------------------------------------------------------- */

static int copy_slowly(int from, int to, uint64_t offset, size_t len) {
    char buf[64 * 1024];
    int err = 0;
    while (!err && len > 0) {
        size_t some = len < sizeof buf ? len : sizeof buf;
        err = fs_pread_all(from, buf, some, offset);
        if (!err)
            err = fs_pwrite_all(to, buf, some, offset);
        offset += some;
        len -= some;
    }
    return err;
}

/* Not between file systems, not on this one, not in this sandbox. */
static bool is_lacking(int err) {
    return err == EXDEV || err == ENOSYS || err == EOPNOTSUPP || err == EINVAL || err == EPERM;
}

/* copy_file_range(2) shares the blocks itself where that is possible (btrfs, XFS; NFS does it at
 * the server), and copies within the page cache elsewhere. */
int fs_copy(int from, int to, uint64_t offset, size_t len) {
    off_t in = (off_t)offset, out = (off_t)offset;
    while (len > 0) {
        ssize_t n = copy_file_range(from, &in, to, &out, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return is_lacking(errno) ? copy_slowly(from, to, (uint64_t)in, len) : -errno;
        if (n == 0) /* the end, or a file system that says so of all its files */
            return copy_slowly(from, to, (uint64_t)in, len);
        len -= (size_t)n;
    }
    return 0;
}

bool fs_may_share(int fd) {
    static const uint32_t bcachefs = 0xca451a4e; /* in no header of the system */
    struct statfs sf;
    if (fstatfs(fd, &sf) < 0)
        return false;
    uint32_t type = (uint32_t)sf.f_type;
    return type == BTRFS_SUPER_MAGIC || type == XFS_SUPER_MAGIC || type == bcachefs;
}
