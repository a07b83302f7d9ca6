/* SPDX-License-Identifier: MIT */
/*
 * fs_remove -- fs_remove_tree(): a folder and all below it; where a mount ends
 *
 * Goes down by held folders, so that whoever renames things meanwhile can at the most make it miss
 * them, and only where it is still on the mount where it began.
 */
#include "core/fs.h"

#include "proto/name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH_MAX = 512 }; /* each level holds a descriptor and 32 KiB of names */

/* st_dev tells file systems apart; a bind mount within one only shows in the mount's id (0 before
 * Linux 5.8). */
struct mount {
    unsigned dev_major, dev_minor;
    uint64_t id;
};

static int mount_of(int fd, struct mount *m) {
    struct statx stx;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
        return -errno;
    *m = (struct mount){stx.stx_dev_major, stx.stx_dev_minor,
                        stx.stx_mask & STATX_MNT_ID ? stx.stx_mnt_id : 0};
    return 0;
}

static bool mount_equal(const struct mount *a, const struct mount *b) {
    return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor && a->id == b->id;
}

int fs_same_mount(int a, int b) {
    struct mount of_a, of_b;
    int err = mount_of(a, &of_a);
    if (!err)
        err = mount_of(b, &of_b);
    return err ? err : mount_equal(&of_a, &of_b);
}

static int remove_entry(int dir, const char *name, const struct mount *mount, unsigned depth);

/* One pass over a folder; *removed: entries that are gone. */
static int remove_children(DIR *d, const struct mount *mount, unsigned depth, unsigned *removed) {
    int first = 0;
    *removed = 0;
    rewinddir(d);
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e)
            return first ? first : -errno;
        if (fs_is_dots(e->d_name))
            continue;
        int err = remove_entry(dirfd(d), e->d_name, mount, depth);
        if (!err)
            ++*removed;
        else if (!first)
            first = err;
    }
}

/* Some file systems lose their place when entries go away under readdir(3): look until it is empty
 * or nothing more can be removed. */
static int empty_and_remove(int dir, const char *name, DIR *d, const struct mount *mount,
                            unsigned depth) {
    struct mount here;
    int err = mount_of(dirfd(d), &here);
    if (err)
        return err;
    if (!mount_equal(&here, mount))
        return -EXDEV;
    while (unlinkat(dir, name, AT_REMOVEDIR) < 0) {
        unsigned removed;
        if (errno == ENOENT)
            return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return -errno;
        err = remove_children(d, mount, depth + 1, &removed);
        if (err || !removed)
            return err ? err : -ENOTEMPTY;
    }
    return 0;
}

static int remove_dir(int dir, const char *name, const struct mount *mount, unsigned depth) {
    if (depth == DEPTH_MAX)
        return -ENAMETOOLONG;
    DIR *d;
    int err = fs_list_dir(dir, name, &d);
    if (err)
        return err;
    err = empty_and_remove(dir, name, d, mount, depth);
    closedir(d);
    return err;
}

static int remove_entry(int dir, const char *name, const struct mount *mount, unsigned depth) {
    struct stat st;
    int err = fs_stat(dir, name, &st);
    if (!err && !S_ISDIR(st.st_mode))
        err = fs_unlink(dir, name);
    else if (!err) {
        if ((st.st_mode & S_IRWXU) != S_IRWXU) /* if this fails, the steps that need it say so */
            (void)fs_chmod(dir, name, (st.st_mode & 0777) | S_IRWXU);
        err = remove_dir(dir, name, mount, depth);
    }
    return err == -ENOENT ? 0 : err;
}

int fs_remove_tree(int root, const char *path) {
    const char *slash = strrchr(path, '/');
    struct mount mount;
    int dir = root, err;
    if (!name_path_ok(path, strlen(path)))
        return -EINVAL;
    if (slash) {
        char *parent = strndup(path, (size_t)(slash - path));
        if (!parent)
            return -ENOMEM;
        dir = fs_open_dir(root, parent);
        free(parent);
        if (dir < 0)
            return dir == -ENOENT ? 0 : dir;
    }
    err = mount_of(dir, &mount);
    if (!err)
        err = remove_entry(dir, slash ? slash + 1 : path, &mount, 0);
    if (dir != root)
        close(dir);
    return err;
}
