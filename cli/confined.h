/* SPDX-License-Identifier: MIT */
/*
 * confined -- what each command gives up once it is known what it is for (core/confine.h)
 *
 *     confined_calls                                           in main, for all
 *     confined_sharing | confined_asking | confined_prompt     before there are threads; the first
 *                                                              one counts, the others do nothing
 *
 *                 may read                     may write                  TCP
 *     sharing     the system, the shares       our state                  dials nobody
 *     asking      the system, the target       our state, the target      listens nowhere
 *     prompt      everything                   our state, the folder      both
 *                                              where it was started
 *
 * The system: libraries, /etc, /proc, and our settings. `doctor`, which looks at everything, keeps
 * its files and ports; `id` and `trust` begin and end. Nothing of this is needed for a command to
 * work: where the kernel lacks it, -v says so.
 */
#ifndef CLI_CONFINED_H
#define CLI_CONFINED_H

#include "cli/app.h"
#include "core/share.h"

void confined_calls(void);

/* All take a loaded app->state_dir. */
void confined_sharing(struct app *app, const struct shares *shares);
/* target: NULL if nothing is downloaded. discovers: mDNS is going to be used; its libraries may lie
 * anywhere, so they are loaded first. */
void confined_asking(struct app *app, const char *target, bool discovers);
void confined_prompt(struct app *app);

/* Can a download go to this folder? */
bool confined_reaches(const struct app *app, const char *target);

#endif
