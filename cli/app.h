/* SPDX-License-Identifier: MIT */
/*
 * app -- what all commands share: our key, settings
 *
 * A command is a blocking function: it parses its words into a struct, acts on the struct with a
 * loop of its own (client), prints, and returns an exit code. So the prompt calls the same
 * functions. Keys and files are read when a command first needs them.
 */
#ifndef CLI_APP_H
#define CLI_APP_H

#include "cli/config.h"
#include "cli/say.h"
#include "core/identity.h"

struct app {
    bool at_prompt;
    struct sharer *sharer; /* at the prompt: what shares in the background */
    uint16_t port;         /* where it listens; 0: nowhere */
    char state_dir[4096];
    struct identity id;
    struct config config;
    bool have_id, have_config;
    bool confined;       /* see cli/confined.h */
    char writable[4096]; /* the only folder to download into; "": any */
    bool left_behind;    /* a thread still works for us: end the process without waiting for it */
};

/* Each loads once; 0, or the exit code of a failure that was reported. */
int app_state_dir(struct app *app);
int app_identity(struct app *app);
int app_config(struct app *app);
void app_clear(struct app *app);

/* Display name: `wanted` if not NULL, else the setting, else the host's name. Cut to a whole
 * character at WIRE_NAME_LEN bytes. 0, or the exit code of a failure that was reported. */
int app_name(struct app *app, const char *wanted, char out[static 64]);

#endif
