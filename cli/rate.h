/* SPDX-License-Identifier: MIT */
/*
 * rate -- a limit on how fast it goes, as people write it: 800K, 1.5M, off
 *
 * Bytes a second. K, M, G (also KiB, MiB, GiB) count in 1024s, KB, MB, GB in 1000s, as for rsync;
 * upper or lower case. Pure.
 */
#ifndef CLI_RATE_H
#define CLI_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* What a --limit takes, for its help; goes on in the same line. */
#define RATE_HELP                                                                                  \
    "RATE is a number of bytes a second: 800K and 1.5M count in 1024s, 2MB in 1000s; at least\n"   \
    "4K, or off."
#define RATE_WANTED "bytes a second, at least 4K (800K, 1.5M, 2MB), or off"

struct rate_option {
    bool given;
    uint64_t rate; /* 0: off */
};

/* 0 and *rate; -EINVAL: it is not RATE_WANTED. */
int rate_parse(const char *text, uint64_t *rate);

#endif
