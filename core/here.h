/* SPDX-License-Identifier: MIT */
/*
 * here -- which boot, mount, device and folder we write in; the umask
 *
 * If all are as they were in an earlier run, what that run wrote is still in the page cache, and
 * can be believed without reading it again. Of a folder that was copied nobody knows whether its
 * files are of one moment: it is another folder. Blocking; any thread.
 */
#ifndef CORE_HERE_H
#define CORE_HERE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct here {
    uint8_t boot_id[16]; /* all-zero: not known */
    uint64_t mnt_id, dev;
    uint64_t ino, born_ns; /* of the folder; born_ns: 0 where the file system does not know */
};

/* All-zero where other machines can change the pages, or if something cannot be read. */
void here_read(struct here *h, int folder);
bool here_same(const struct here *a, const struct here *b); /* false if not known */

mode_t here_umask(void);

/* For tests: a file to read in place of /proc/sys/kernel/random/boot_id; NULL: that one. */
void here_set_boot_id(const char *path);

#endif
