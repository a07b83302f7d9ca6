/* SPDX-License-Identifier: MIT */
#include "core/holder.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void read_command(struct holder *h) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)h->pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (!fgets(h->command, sizeof h->command, f))
        h->command[0] = 0;
    fclose(f);
    h->command[strcspn(h->command, "\n")] = 0;
    for (char *at = h->command; *at; at++)
        if (!isprint((unsigned char)*at))
            *at = '?';
}

/* "1: FLOCK  ADVISORY  WRITE 4711 fe:01:1839 0 EOF"; those who wait have "->" before FLOCK. */
static pid_t parse(const char *line, const struct stat *st) {
    int pid;
    unsigned dev_major, dev_minor;
    uint64_t ino;
    if (sscanf(line, "%*[0-9]: FLOCK %*s %*s %d %x:%x:%" SCNu64, &pid, &dev_major, &dev_minor,
               &ino) != 4)
        return 0;
    return pid > 0 && dev_major == major(st->st_dev) && dev_minor == minor(st->st_dev) &&
                   ino == st->st_ino
               ? pid
               : 0;
}

bool holder_find(struct holder *h, int fd) {
    char line[256];
    struct stat st;
    *h = (struct holder){0};
    FILE *f = fstat(fd, &st) < 0 ? NULL : fopen("/proc/locks", "re");
    if (!f)
        return false;
    while (!h->pid && fgets(line, sizeof line, f))
        h->pid = parse(line, &st);
    fclose(f);
    if (h->pid)
        read_command(h);
    return h->pid != 0;
}
