/* SPDX-License-Identifier: MIT */
/*
 * holder -- which process has a file locked with flock(2)
 *
 * Asked of the kernel (proc(5): /proc/locks), not of the file: a number that somebody wrote into it
 * could be of a process that ended long ago. Blocking; any thread.
 */
#ifndef CORE_HOLDER_H
#define CORE_HOLDER_H

#include <stdbool.h>
#include <sys/types.h>

struct holder {
    pid_t pid;
    char command[32]; /* its name, printable; "" if it is not known */
};

/* False, and *h all zeros: nobody has it any more, or it is not to be known: a process on another
 * machine or of another pid namespace; a file system whose numbers of devices are not stat(2)'s. */
bool holder_find(struct holder *h, int fd);

#endif
