/* SPDX-License-Identifier: MIT */
#include "core/here.h"

#include "core/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Numbers of mounts are used again after an unmount, unless the kernel has unique ones (6.8). */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

static const char *boot_id_path = "/proc/sys/kernel/random/boot_id";

void here_set_boot_id(const char *path) {
    boot_id_path = path ? path : "/proc/sys/kernel/random/boot_id";
}

/* 32 hexadecimal digits with hyphens between them. */
static bool read_boot_id(uint8_t out[static 16]) {
    static const char digits[] = "0123456789abcdef";
    char text[64] = "";
    unsigned n = 0;
    FILE *f = fopen(boot_id_path, "re");
    if (!f)
        return false;
    if (!fgets(text, sizeof text, f))
        text[0] = 0;
    fclose(f);
    for (const char *at = text; *at && n < 32; at++) {
        const char *digit = strchr(digits, *at);
        if (digit) {
            out[n / 2] = (uint8_t)(out[n / 2] << 4 | (digit - digits));
            n++;
        }
    }
    return n == 32;
}

void here_read(struct here *h, int folder) {
    struct statx stx;
    struct here now = {.boot_id = {0}};
    const unsigned wanted = STATX_INO | STATX_BTIME | STATX_MNT_ID | STATX_MNT_ID_UNIQUE;
    memset(h, 0, sizeof *h);
    if (fs_is_remote(folder) || !read_boot_id(now.boot_id) ||
        statx(folder, "", AT_EMPTY_PATH, wanted, &stx) < 0)
        return;
    now.dev = (uint64_t)stx.stx_dev_major << 32 | stx.stx_dev_minor;
    if (stx.stx_mask & (STATX_MNT_ID | STATX_MNT_ID_UNIQUE)) /* none before Linux 5.8 */
        now.mnt_id = stx.stx_mnt_id;
    now.ino = stx.stx_ino;
    if (stx.stx_mask & STATX_BTIME) /* numbers of files are used again */
        now.born_ns = (uint64_t)stx.stx_btime.tv_sec * 1000000000 + stx.stx_btime.tv_nsec;
    *h = now;
}

bool here_same(const struct here *a, const struct here *b) {
    static const uint8_t unknown[16];
    return memcmp(a->boot_id, unknown, sizeof unknown) != 0 &&
           memcmp(a->boot_id, b->boot_id, sizeof a->boot_id) == 0 && a->mnt_id == b->mnt_id &&
           a->dev == b->dev && a->ino == b->ino && a->born_ns == b->born_ns;
}

/* umask(2) can only be read by setting it, which other threads notice; so that is the second way
 * (proc(5): Umask, since Linux 4.7). */
mode_t here_umask(void) {
    char line[128];
    unsigned mask = 0;
    bool found = false;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && !found && fgets(line, sizeof line, f))
        found = sscanf(line, "Umask: %o", &mask) == 1;
    if (f)
        fclose(f);
    if (!found) {
        mask = umask(077);
        umask(mask);
    }
    return mask & 0777;
}
