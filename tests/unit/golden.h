/* SPDX-License-Identifier: MIT */
/*
 * golden -- bytes that were written down by hand: tests/data/NAME.hex
 *
 * Hex digits; a '#' starts a comment to the end of the line. GOLDEN_DIR comes from the build.
 */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GOLDEN_MAX = 4096 };

/* Returns memory of exactly *len bytes (so that checkers see one byte too far), to be freed. */
static inline uint8_t *golden(const char *name, size_t *len) {
    char path[512], line[512];
    uint8_t all[GOLDEN_MAX];
    *len = 0;
    snprintf(path, sizeof path, "%s/%s.hex", GOLDEN_DIR, name);
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s is missing", path);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "#\n")] = 0;
        unsigned byte;
        int used;
        for (const char *at = line; sscanf(at, "%2x%n", &byte, &used) == 1; at += used) {
            assert_true(*len < GOLDEN_MAX);
            all[(*len)++] = (uint8_t)byte;
        }
    }
    fclose(f);
    uint8_t *out = malloc(*len + (*len == 0));
    assert_non_null(out);
    memcpy(out, all, *len);
    return out;
}

/* The frame tests/data/wire/NAME.hex. */
static inline uint8_t *golden_wire(const char *name, size_t *len) {
    char path[64];
    snprintf(path, sizeof path, "wire/%s", name);
    return golden(path, len);
}

#endif
