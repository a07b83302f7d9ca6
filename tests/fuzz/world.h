/* SPDX-License-Identifier: MIT */
/*
 * world -- what the fuzz targets for whole conversations stand on
 *
 *     world_open     once: a scratch folder in memory, a loop with one worker, keys
 *       UNTIL(...)
 *       world_rest   nothing is left to do on the loop
 *
 * Two functions of the program are replaced: access_key, which takes a fifth of a second, by a
 * quick one; log_line by one that only checks that what would be said is printable.
 */
#ifndef TESTS_FUZZ_WORLD_H
#define TESTS_FUZZ_WORLD_H

#include "core/access.h"
#include "core/tls.h"
#include "tests/fuzz/fuzz.h"

#include <uv.h>

struct world {
    char path[64];
    int fd; /* the folder */
    uv_loop_t loop;
    uv_timer_t guard;
    bool late;
    struct identity liar, honest;
};

extern struct world world;

/* Makes these folders in it, the last is NULL. False: it is there already. */
bool world_open(const char *const *folders);
const char *world_at(const char *path); /* good for eight more calls */
void world_file(const char *path, const char *text);
void world_rest(void);

void world_patience(unsigned ms);
/* From a callback: what UNTIL waits for may be so now. After a timer the loop would wait on. */
void world_look(void);

#define UNTIL(what, ms)                                                                            \
    for (world_patience(ms); !(what) && !world.late;)                                              \
    uv_run(&world.loop, UV_RUN_ONCE)

/* Printable UTF-8: nothing that moves the cursor or turns text. */
void must_be_shown(const char *text);

#endif
