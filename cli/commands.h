/* SPDX-License-Identifier: MIT */
/*
 * commands -- the table of commands, and how one is found and run
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/app.h"

struct command {
    const char *name, *alias; /* alias: NULL if it has none */
    const char *args;
    const char *summary;                                /* without a full stop */
    int (*run)(struct app *app, int argc, char **argv); /* returns an enum exit_code */
};

extern const struct command commands[]; /* ends with a NULL name */

/* NULL: there is no such command. */
const struct command *command_find(const char *word);

/* Finds and runs argv[0]; complains and returns CODE_USAGE if there is no such command. Checks that
 * all output was written. */
int command_run(struct app *app, int argc, char **argv);

/* The table for people. */
void commands_help(void);

int cmd_doctor(struct app *app, int argc, char **argv);
int cmd_download(struct app *app, int argc, char **argv);
int cmd_find(struct app *app, int argc, char **argv);
int cmd_id(struct app *app, int argc, char **argv);
int cmd_list(struct app *app, int argc, char **argv);
int cmd_list_peers(struct app *app, int argc, char **argv);
int cmd_share(struct app *app, int argc, char **argv);
int cmd_trust(struct app *app, int argc, char **argv);

#endif
