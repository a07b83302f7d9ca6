/* SPDX-License-Identifier: MIT */
/*
 * sharer -- the host of the prompt: a thread with a loop of its own
 *
 * It shares nothing with the main thread but the identity, which does not change.
 */
#ifndef CLI_SHARER_H
#define CLI_SHARER_H

#include "cli/host.h"

/* Serves in a thread until sharer_stop. 0, or the exit code of a failure that was reported. */
int sharer_start(struct app *app, const struct host_options *o);
void sharer_stop(struct app *app); /* takes an app without one */

/* `share` at the prompt: without options tells what is shared; with a limit alone sets that; else
 * shares what they say instead. */
int sharer_change(struct app *app, const struct host_options *o);

void sharer_print(const struct app *app); /* what it shares, on stderr */

/* What was opened, for people, on stderr. name: under which we are seen, raw. */
void share_print(const struct host *h, const char *name);
void share_print_code(const struct host *h); /* if it has one */

#endif
