/* SPDX-License-Identifier: MIT */
/*
 * follow -- a limit that may change while a command runs: settings are read again when their
 * file is saved
 *
 *     follow_start -> on_limit ...   follow_stop, then the loop must run once more
 *
 * What was said last counts: a setting that is saved later, over an option at the start. Nothing is
 * done and no CPU is used while the file stays as it is. The folder of the file must exist. Loop
 * thread.
 */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "cli/config.h"

#include <uv.h>

struct follow {
    uv_fs_event_t event; /* first: the handle is the follow */
    uv_timer_t settle;   /* an editor writes in several steps */
    enum config_limit which;
    uint64_t seen; /* the setting as it was read last */
    void (*on_limit)(void *owner, uint64_t rate);
    void *owner;
};

/* now: the settings as they are. In place. Not to be able to follow is no failure. */
void follow_start(struct follow *f, uv_loop_t *loop, const struct config *now,
                  enum config_limit which);
void follow_stop(struct follow *f);

/* Tells the user what counts from now on. */
void follow_tell(uint64_t rate);

#endif
