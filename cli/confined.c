/* SPDX-License-Identifier: MIT */
#include "cli/confined.h"

#include "core/confine.h"
#include "core/err.h"
#include "core/fs.h"
#include "discovery/mdns.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MODULE "confined"
#include "core/log.h"

void confined_calls(void) {
    int err = confine_calls();

    if (err)
        log_info("system calls are not filtered: %s", err_text(err));
    else
        log_info("starts no programs, looks into no others, mounts nothing");
}

/* False: it is done already. */
static bool begin(struct confine *c, struct app *app, unsigned give_up, bool discovers) {
    char settings[4096];

    if (app->confined)
        return false;
    app->confined = true;
    if (discovers)
        mdns_load();
    confine_init(c, give_up);
    confine_allow_system(c);
    confine_allow(c, app->state_dir, CONFINE_KEEP);
    if (config_dir(settings) == 0) /* they are followed while we run */
        confine_allow(c, settings, CONFINE_LOOK);
    return true;
}

static bool end(struct confine *c, const char *what) {
    int abi = confine_apply(c);

    if (abi < 0)
        log_info("files and ports are not confined (Landlock): %s", err_text(abi));
    else
        log_info("confined by Landlock %d: %s%s", abi, what,
                 abi >= CONFINE_ABI_TCP ? "" : "; this kernel's leaves TCP open");
    return abi >= 0;
}

void confined_sharing(struct app *app, const struct shares *shares) {
    struct confine c;

    if (!begin(&c, app, CONFINE_READ | CONFINE_CONNECT, true))
        return;
    fs_set_temp(app->state_dir); /* no other folder is writable from here on */
    for (unsigned i = 0; i < shares->n; i++)
        confine_allow_fd(&c, shares->all[i].root,
                         shares->all[i].base[0] ? CONFINE_PICK : CONFINE_LOOK);
    end(&c, "reads what is shared, writes its state, dials nobody");
}

void confined_asking(struct app *app, const char *target, bool discovers) {
    struct confine c;

    if (!begin(&c, app, CONFINE_READ | CONFINE_LISTEN, discovers))
        return;
    if (target)
        confine_allow(&c, target, CONFINE_RECEIVE);
    end(&c, target ? "reads and writes the target and its state, listens nowhere"
                   : "writes its state, listens nowhere");
}

void confined_prompt(struct app *app) {
    struct confine c;

    if (!begin(&c, app, 0, true))
        return;
    confine_allow(&c, ".", CONFINE_RECEIVE);
    fs_set_temp(app->state_dir);
    if (end(&c, "writes the current folder and its state") &&
        !getcwd(app->writable, sizeof app->writable))
        app->writable[0] = '\0';
}

bool confined_reaches(const struct app *app, const char *target) {
    size_t len = strlen(app->writable);
    char *real = len > 1 ? realpath(target, NULL) : NULL; /* "/" reaches everything */
    bool reaches = !real || (strncmp(real, app->writable, len) == 0 &&
                             (real[len] == '/' || real[len] == '\0'));

    free(real);
    return reaches;
}
