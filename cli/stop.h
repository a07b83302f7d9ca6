/* SPDX-License-Identifier: MIT */
/*
 * stop -- the signals that ask a command to end: SIGINT, SIGTERM, SIGHUP
 */
#ifndef CLI_STOP_H
#define CLI_STOP_H

#include <stdbool.h>

enum { STOP_SIGNALS = 3 };
extern const int stop_signals[STOP_SIGNALS];

/* Not a SIGHUP that whoever started us has told us to ignore (nohup(1)). Before it is watched. */
bool stop_is_heeded(int signum);

/* A command is over: a late Ctrl-C must not turn it into a killed one (libuv puts the default
 * back). */
void stop_ignore_late(void);

#endif
