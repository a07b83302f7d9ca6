/* SPDX-License-Identifier: MIT */
#include "cli/rate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Slower than this, a peer would take us for silent: it waits so long for 16 KiB. And no network is
 * as fast as the other one. */
static const double rate_min = 4096, rate_max = 1e12;

static const struct unit {
    const char *name;
    double bytes;
} units[] = {
    {"", 1},     {"K", 0x1p10}, {"KiB", 0x1p10}, {"KB", 1e3},     {"M", 0x1p20},
    {"MB", 1e6}, {"G", 0x1p30}, {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"GB", 1e9},
};

int rate_parse(const char *text, uint64_t *rate) {
    size_t len = strspn(text, "0123456789."); /* no sign, no exponent, no "inf" */
    char *end;
    double n;

    if (strcasecmp(text, "off") == 0) {
        *rate = 0;
        return 0;
    }
    n = strtod(text, &end);
    if (len == 0 || end != text + len)
        return -EINVAL;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcasecmp(end, units[i].name) != 0)
            continue;
        n *= units[i].bytes;
        if (!(n >= rate_min && n <= rate_max))
            return -EINVAL;
        *rate = (uint64_t)n;
        return 0;
    }
    return -EINVAL;
}
