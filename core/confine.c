/* SPDX-License-Identifier: MIT */
#include "core/confine.h"

#include "core/sanitized.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What headers older than the kernel lack: the values are the kernel's. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif

/* struct landlock_ruleset_attr of ABI 6; older kernels take it if what they lack is zero. */
struct ruleset {
    uint64_t files, net, scoped;
};

enum {
    ABI_REFER = 2, /* before it, moving a file to another folder is always refused */
    ABI_TRUNCATE = 3,
    ABI_NET = CONFINE_ABI_TCP,
    ABI_IOCTL = 5,
    ABI_SCOPE = 6,
};

enum {
    FILES_OF_ABI_1 = (1 << 13) - 1,
    LOOK = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    KEEP = LOOK | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |
           LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE,
    /* Pipes, sockets and devices that somebody has put where a file of ours belongs are moved out
     * of the way, and who moves needs the right to make (landlock(7)). mknod(2) is forbidden all
     * the same. */
    MOVE_SPECIAL = LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                   LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK,
    RECEIVE = KEEP | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
              LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | MOVE_SPECIAL,
    DEVICE = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
             LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV,
    OF_A_FILE = DEVICE, /* of these rights, those that a file can have */
};

static const uint64_t rights[] = {
    [CONFINE_LOOK] = LOOK,       [CONFINE_PICK] = LANDLOCK_ACCESS_FS_READ_FILE,
    [CONFINE_DEVICE] = DEVICE,   [CONFINE_KEEP] = KEEP,
    [CONFINE_RECEIVE] = RECEIVE,
};

static uint64_t files_of(int abi, unsigned give_up) {
    uint64_t files = FILES_OF_ABI_1;

    if (abi >= ABI_REFER)
        files |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= ABI_TRUNCATE)
        files |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (abi >= ABI_IOCTL)
        files |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
    if (!(give_up & CONFINE_READ) || SANITIZED)
        files &= ~(uint64_t)LOOK;
    if (SANITIZED)
        files &= ~LANDLOCK_ACCESS_FS_EXECUTE;
    return files;
}

static uint64_t net_of(int abi, unsigned give_up) {
    uint64_t net = 0;

    if (abi >= ABI_NET && give_up & CONFINE_CONNECT)
        net |= LANDLOCK_ACCESS_NET_CONNECT_TCP;
    if (abi >= ABI_NET && give_up & CONFINE_LISTEN)
        net |= LANDLOCK_ACCESS_NET_BIND_TCP;
    return net;
}

void confine_init(struct confine *c, unsigned give_up) {
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);

    *c = (struct confine){.abi = (int)abi, .ruleset = -1};
    if (abi < 1) {
        c->err = abi < 0 ? -errno : -ENOSYS;
        c->abi = 0;
        return;
    }
    c->files = files_of(c->abi, give_up);
    const struct ruleset attr = {
        .files = c->files,
        .net = net_of(c->abi, give_up),
        .scoped =
            abi >= ABI_SCOPE ? LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL : 0,
    };
    c->ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0U);
    if (c->ruleset < 0)
        c->err = -errno;
}

void confine_allow_fd(struct confine *c, int fd, enum confine_access access) {
    struct landlock_path_beneath_attr rule = {.parent_fd = fd,
                                              .allowed_access = rights[access] & c->files};
    struct stat st;

    if (c->err)
        return;
    if (access == CONFINE_RECEIVE && c->abi < ABI_REFER) {
        c->err = -EOPNOTSUPP;
        return;
    }
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= OF_A_FILE;
    if (rule.allowed_access &&
        syscall(SYS_landlock_add_rule, c->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) != 0)
        c->err = -errno;
}

void confine_allow(struct confine *c, const char *path, enum confine_access access) {
    int fd = c->err ? -1 : open(path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return;
    confine_allow_fd(c, fd, access);
    close(fd);
}

void confine_allow_system(struct confine *c) {
    /* clang-format off */
    static const char *const read[] = {
        "/etc",
        /* libraries */
        "/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store",
        /* the machine */
        "/proc", "/sys/devices/system/cpu", "/var/lib/dbus",
        /* where /etc/resolv.conf may lead */
        "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager",
    };
    /* clang-format on */
    static const char *const devices[] = {"/dev/null", "/dev/zero",   "/dev/full",
                                          "/dev/tty",  "/dev/random", "/dev/urandom"};

    for (unsigned i = 0; i < sizeof read / sizeof *read; i++)
        confine_allow(c, read[i], CONFINE_LOOK);
    for (unsigned i = 0; i < sizeof devices / sizeof *devices; i++)
        confine_allow(c, devices[i], CONFINE_DEVICE);
}

int confine_apply(struct confine *c) {
    if (!c->err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        c->err = -errno;
    if (!c->err && syscall(SYS_landlock_restrict_self, c->ruleset, 0U) != 0)
        c->err = -errno;
    if (c->ruleset >= 0)
        close(c->ruleset);
    c->ruleset = -1;
    return c->err ? c->err : c->abi;
}
