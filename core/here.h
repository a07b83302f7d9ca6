/* SPDX-License-Identifier: MIT */
/*
 * here -- which boot, mount and device a file lies on; the umask
 *
 * If all three are as they were in an earlier run, what that run wrote is still in the page cache,
 * and can be believed without reading it again. Blocking; any thread.
 */
#ifndef CORE_HERE_H
#define CORE_HERE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct here {
    uint8_t boot_id[16]; /* all-zero: not known */
    uint64_t mnt_id, dev;
};

/* All-zero where other machines can change the pages, or if something cannot be read. */
void here_read(struct here *h, int fd);
bool here_same(const struct here *a, const struct here *b); /* false if not known */

mode_t here_umask(void);

/* For tests: a file to read in place of /proc/sys/kernel/random/boot_id; NULL: that one. */
void here_set_boot_id(const char *path);

#endif
