/* SPDX-License-Identifier: MIT */
#include "cli/app.h"

#include "core/err.h"
#include "discovery/peer.h"
#include "proto/name.h"
#include "proto/wire.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int app_state_dir(struct app *app) {
    int err;

    if (app->state_dir[0])
        return 0;
    err = identity_state_dir(app->state_dir, sizeof app->state_dir);
    if (!err)
        return 0;
    app->state_dir[0] = '\0';
    return fail(CODE_FAILED,
                "cannot make the folder for our key ($XDG_STATE_HOME/lanyard, else "
                "~/.local/state/lanyard): %s",
                err_text(err));
}

int app_identity(struct app *app) {
    int code, err;

    if (app->have_id)
        return 0;
    code = app_state_dir(app);
    if (code)
        return code;
    err = identity_load(&app->id, app->state_dir);
    if (err == ERR_KEY_FILE)
        return fail(CODE_FAILED,
                    "%s/key.pem is not usable: it must be an Ed25519 key that only you can read. "
                    "chmod 600 it, or move it away and a new one is made (others then see a "
                    "changed key)",
                    app->state_dir);
    if (err)
        return fail(CODE_FAILED, "%s/key.pem: %s", app->state_dir, err_text(err));
    app->have_id = true;
    return 0;
}

int app_config(struct app *app) {
    char path[4096];
    struct config_error e;
    int err;

    if (app->have_config)
        return 0;
    config_init(&app->config);
    err = config_load(&app->config, path, &e);
    if (err == -EINVAL && e.text)
        return fail(CODE_FAILED, "%s, line %u: %s", path, e.line, e.text);
    if (err)
        return fail(CODE_FAILED, "%s: %s", path, err_text(err));
    app->have_config = true;
    return 0;
}

void app_clear(struct app *app) {
    if (app->have_id)
        identity_clear(&app->id);
    *app = (struct app){0};
}

/* The host's name up to its first dot; a host name need not be UTF-8. */
static void host_name(char out[static 64]) {
    char full[256];

    if (gethostname(full, sizeof full) != 0)
        full[0] = '\0';
    full[sizeof full - 1] = '\0';
    full[strcspn(full, ".")] = '\0';
    full[WIRE_NAME_LEN] = '\0';
    while (full[0] && !peer_name_ok(full)) /* perhaps cut in the middle of a character */
        full[strlen(full) - 1] = '\0';
    if (full[0] == '\0')
        strcpy(full, "lanyard");
    memcpy(out, full, WIRE_NAME_LEN + 1);
}

int app_name(struct app *app, const char *wanted, char out[static 64]) {
    int code = app_config(app);

    if (code)
        return code;
    if (wanted) {
        char shown[1024];

        name_show(wanted, strlen(wanted), shown, sizeof shown);
        if (!peer_name_ok(wanted))
            return fail(CODE_USAGE,
                        "--name: a display name is UTF-8 of 1 to %d bytes without control "
                        "characters, not `%s`",
                        WIRE_NAME_LEN, shown);
        strcpy(out, wanted);
    } else if (app->config.name[0]) {
        memcpy(out, app->config.name, sizeof app->config.name);
    } else {
        host_name(out);
    }
    return 0;
}
