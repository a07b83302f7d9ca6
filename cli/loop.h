/* SPDX-License-Identifier: MIT */
/*
 * loop -- the event loop of a command, or the reason why there cannot be one
 */
#ifndef CLI_LOOP_H
#define CLI_LOOP_H

#include <uv.h>

/* Like uv_loop_init, which aborts the process where it cannot have a pipe (a low limit of open
 * files); so does the first job where there cannot be enough threads (limits of memory or of
 * processes). Both are tried before. */
int loop_init(uv_loop_t *loop);

#endif
