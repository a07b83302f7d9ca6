/* SPDX-License-Identifier: MIT */
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/opts.h"
#include "cli/table.h"
#include "core/err.h"
#include "proto/name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct usage usage = {
    .name = "trust",
    .args = "[list]\nadd NAME KEY\nforget NAME|KEY",
    .summary = "Known peers: list, pin, forget",
    .details =
        "A peer's key is pinned under its name when something is downloaded from it for the first\n"
        "time. Another key under this name is refused from then on, until you `forget` the name "
        "or\n"
        "`add` the key. `lanyard id` shows a peer's own key.\n",
};

static int print_json(const struct trust_peer *p) {
    char key[KEY_TEXT_LEN + 1];

    key_text(p->key, key);
    return json_line(json_pack("{s:s, s:s%, s:s}", "name", p->name, "id", key,
                               (size_t)KEY_SHORT_LEN, "key", key));
}

static int list_json(const struct trust *t) {
    int err = 0;

    for (size_t i = 0; i < t->n && !err; i++)
        err = print_json(&t->peers[i]);
    return err;
}

static int list_table(const struct trust *t) {
    static const struct column columns[] = {{.title = "NAME", .cut = true}, {.title = "KEY"}};
    struct table table;
    char key[KEY_TEXT_LEN + 1];
    int err = 0;

    table_init(&table, columns, 2);
    for (size_t i = 0; i < t->n && !err; i++) {
        const char *cells[] = {t->peers[i].name, key};

        key_text(t->peers[i].key, key);
        err = table_add(&table, cells);
    }
    if (!err)
        table_print(&table, stdout, say_width(STDOUT_FILENO), say_color(STDOUT_FILENO));
    table_clear(&table);
    return err;
}

static int list(struct trust *t, bool json, char **words, int n) {
    int err;

    if (n != 0)
        return opts_misused(&usage, "list takes no operands");
    if (t->n == 0 && !json) {
        note("No peer is known yet.");
        return CODE_DONE;
    }
    err = json ? list_json(t) : list_table(t);
    return err ? fail(CODE_FAILED, "%s", err_text(err)) : CODE_DONE;
}

static int add(struct trust *t, bool json, char **words, int n) {
    struct trust_peer peer;
    int err;

    if (n != 2)
        return opts_misused(&usage, "add takes a NAME and a KEY");
    if (key_parse(words[1], peer.key) != 0)
        return opts_misused(&usage, "a KEY has %d letters and digits, as `lanyard id` shows it",
                            KEY_TEXT_LEN);
    if (words[0][0] == '\0' || strlen(words[0]) > WIRE_NAME_LEN)
        return opts_misused(&usage, "a NAME has 1 to %d bytes", WIRE_NAME_LEN);
    name_show(words[0], strlen(words[0]), peer.name, sizeof peer.name);
    err = trust_add(t, peer.name, peer.key);
    if (!err && json)
        err = print_json(&peer);
    if (err)
        return fail(CODE_FAILED, "%s: %s", t->path, err_text(err));
    if (!json)
        note("%s is pinned.", peer.name);
    return CODE_DONE;
}

/* The word as typed, or as the file has it. */
static int forget_either(struct trust *t, const char *word, const char *shown) {
    int n = trust_forget(t, word);

    return n == 0 && strcmp(word, shown) != 0 ? trust_forget(t, shown) : n;
}

static int forget(struct trust *t, bool json, char **words, int n) {
    char shown[1024];
    int forgotten;

    if (n != 1)
        return opts_misused(&usage, "forget takes a NAME or a KEY");
    name_show(words[0], strlen(words[0]), shown, sizeof shown);
    forgotten = forget_either(t, words[0], shown);
    if (forgotten < 0)
        return fail(CODE_FAILED, "%s: %s", t->path, err_text(forgotten));
    if (forgotten == 0)
        return fail(CODE_NOT_FOUND, "no known peer is called `%s` or has this key", shown);
    if (json)
        return json_line(json_pack("{s:i}", "forgotten", forgotten)) ? CODE_FAILED : CODE_DONE;
    note("%s is forgotten.", shown);
    return CODE_DONE;
}

static const struct verb {
    const char *name;
    int (*run)(struct trust *t, bool json, char **words, int n);
} verbs[] = {{"list", list}, {"add", add}, {"forget", forget}};

int cmd_trust(struct app *app, int argc, char **argv) {
    bool json = false;
    const struct opt table[] = {OPT_COMMON(&json), {0}};
    const char *word;
    struct trust t = {0};
    int first, code, parsed = opts_parse(&usage, table, argc, argv, &first);

    if (parsed)
        return opts_code(parsed);
    word = first < argc ? argv[first++] : "list";
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(word, verbs[i].name) != 0)
            continue;
        code = client_load_trust(app, &t);
        if (code)
            return code;
        code = verbs[i].run(&t, json, argv + first, argc - first);
        trust_clear(&t);
        return code;
    }
    return opts_misused(&usage, "it is list, add or forget");
}
