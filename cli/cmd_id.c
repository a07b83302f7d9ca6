/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/opts.h"
#include "proto/name.h"

#include <stdio.h>
#include <string.h>

static const struct usage usage = {
    .name = "id",
    .args = "",
    .summary = "Show our name and key",
    .details = "The key is made at first use and kept in $XDG_STATE_HOME/lanyard/key.pem.\n"
               "Others pin it at first sight: they can compare it with what you see here.\n",
};

static int print_json(const char *name, const char *key) {
    json_t *o =
        json_pack("{s:s, s:s%, s:s}", "name", name, "id", key, (size_t)KEY_SHORT_LEN, "key", key);

    return json_line(o) ? fail(CODE_FAILED, "out of memory") : CODE_DONE;
}

int cmd_id(struct app *app, int argc, char **argv) {
    bool json = false;
    const struct opt table[] = {OPT_COMMON(&json), {0}};
    char name[64], shown[4 * 64], key[KEY_TEXT_LEN + 1];
    int first, code, parsed = opts_parse(&usage, table, argc, argv, &first);

    if (parsed)
        return opts_code(parsed);
    if (first < argc)
        return opts_misused(&usage, "it takes no operands");
    code = app_identity(app);
    if (code)
        return code;
    code = app_name(app, NULL, name);
    if (code)
        return code;
    key_text(app->id.key, key);
    if (json)
        return print_json(name, key);
    name_show(name, strlen(name), shown, sizeof shown);
    printf("name  %s\nid    %.*s\nkey   %s\n", shown, KEY_SHORT_LEN, key, key);
    return CODE_DONE;
}
