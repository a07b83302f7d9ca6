/* SPDX-License-Identifier: MIT */
/*
 * prompt -- `lanyard` alone: the same commands at a prompt, while a thread shares
 *
 * The main thread reads lines (libedit) and runs commands, each with its own loop; the sharer has
 * a thread with a loop of its own, and nothing in common with them but the identity, which does not
 * change. Lines that do not come from a terminal are run without any decoration.
 */
#ifndef CLI_PROMPT_H
#define CLI_PROMPT_H

#include "cli/app.h"

/* Returns an exit code: that of the last command, when lines do not come from a terminal. */
int prompt(struct app *app);

#endif
