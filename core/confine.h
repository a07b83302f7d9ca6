/* SPDX-License-Identifier: MIT */
/*
 * confine -- gives up for ever what we never need, so that whoever takes the process over has not
 * got it either
 *
 *     confine_calls                                        at the very start
 *     confine_init   confine_allow ...   confine_apply     once it is known which folders matter
 *
 * Calls: no new privileges, no core dump, and a seccomp filter that answers EPERM to what a program
 * that shares files never does: start programs, look into other processes, mount, load modules,
 * make namespaces, change owners. It is a list of what is forbidden, not of what is allowed: the C
 * library, libuv, OpenSSL, D-Bus and the NSS modules choose their calls by version and machine,
 * and a list of those would break with the next release of one of them. What it leaves open, files
 * and ports, Landlock closes.
 *
 * Files and TCP ports: Landlock (landlock(7)), for the calling thread and all that it starts, so
 * before there are others. What is not allowed says EACCES; what is open stays open. chmod(2),
 * stat(2), UDP and Unix sockets with a path are not its matter. With a sanitizer, reading is not
 * given up.
 *
 * Nothing here is needed for the program to work: where the kernel lacks it, the calls say so.
 */
#ifndef CORE_CONFINE_H
#define CORE_CONFINE_H

#include <stdint.h>

/* 0 or a negative errno, then the filter is not in force: -ENOSYS for a machine it does not know,
 * -EOPNOTSUPP with a sanitizer, which needs what it forbids (core/sanitized.h). */
int confine_calls(void);

enum confine_give_up {
    CONFINE_READ = 1,    /* reading files; writing and starting them is always given up */
    CONFINE_CONNECT = 2, /* TCP: to whom we did not connect yet */
    CONFINE_LISTEN = 4,
};

enum confine_access {
    CONFINE_LOOK,    /* read files and folders */
    CONFINE_PICK,    /* read files; the folder's names must be known */
    CONFINE_DEVICE,  /* read and write something that exists */
    CONFINE_KEEP,    /* read, make, change and remove files: our state */
    CONFINE_RECEIVE, /* the same, and folders, symlinks, and moving them: where downloads go */
};

enum { CONFINE_ABI_TCP = 4 }; /* since this version, Linux 6.7, it knows TCP */

struct confine {
    int abi;     /* of Landlock; 0: this kernel has none */
    int ruleset; /* descriptor, or -1 */
    int err;     /* the first one */
    uint64_t files;
};

/* give_up: of enum confine_give_up. Then all of this, in place: errors are kept until the end. */
void confine_init(struct confine *c, unsigned give_up);
/* The file or folder at a path and all below it; what does not exist is left out. */
void confine_allow(struct confine *c, const char *path, enum confine_access access);
void confine_allow_fd(struct confine *c, int fd, enum confine_access access);
/* What the C library, OpenSSL and Avahi read while they run: /etc, /usr, /proc ... */
void confine_allow_system(struct confine *c);
/* The version of Landlock that is in force now, or a negative errno: nothing has changed. -ENOSYS
 * or -EOPNOTSUPP: the kernel has none, or too old a one for moving files. */
int confine_apply(struct confine *c);

#endif
