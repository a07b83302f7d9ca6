/* SPDX-License-Identifier: MIT */
#include "cli/asking.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "core/err.h"

#include <stdio.h>

static const struct usage usage = {
    .name = "list",
    .args = "[PEER[:PATH]]",
    .summary = "Show what peers offer",
    .details = "Without PEER: the shares of everybody. PEER is a name as `list-peers` shows it,\n"
               "NAME#ID when two bear it, or HOST[:PORT]. PATH is SHARE/dir, or a name in there.\n"
               "What is shown as WHAT can be given to `download`.\n",
};

struct list {
    struct asking_options o;
    struct what what;
    struct asking a;
    struct listing rows;
};

static int ask(struct list *l, enum query_kind kind, const char *arg) {
    const struct survey_question q = {.kind = kind,
                                      .arg = arg,
                                      .only = l->what.peer.kind == PEER_ANY ? NULL : &l->what.peer,
                                      .wait_ms = l->o.wait_ms,
                                      .patience_ms = SURVEY_PATIENCE_MS,
                                      .peer_ms = SURVEY_PEER_MS,
                                      .answer_ms = SURVEY_ANSWER_MS,
                                      .on_row = listing_add,
                                      .owner = &l->rows};
    int code = asking_ask(&l->a, &q);

    if (!code && l->rows.err)
        return fail(CODE_FAILED, "%s", err_text(l->rows.err));
    return code;
}

static int list_folder(struct list *l, const char *path) {
    int code;

    l->rows.dir = path;
    code = ask(l, QUERY_LIST, path);
    if (code)
        return code;
    if (listing_flush(&l->rows))
        return fail(CODE_FAILED, "%s", err_text(l->rows.err));
    if (l->what.peer.kind == PEER_ANY)
        survey_warn_locked(&l->a.survey);
    if (l->rows.printed == 0 && l->what.peer.kind == PEER_ANY)
        note("Nobody offers anything.");
    return CODE_DONE;
}

/* PATH is resolved first: is it a folder or a file, and where is it? */
static int list_path(struct list *l) {
    struct hits *hits = &l->rows.hits;
    char path[WHAT_PATH_MAX];
    int code = ask(l, QUERY_NAME, l->what.path);

    if (code)
        return code;
    switch (hits_resolve(hits, l->what.path)) {
    case HITS_NONE:
        return asking_not_found(&l->a, l->what.path);
    case HITS_MANY:
        return asking_ambiguous(&l->a, hits, l->what.path);
    case HITS_ONE:
        break;
    }
    if (hits->all[0].kind != WIRE_DIR)
        return listing_flush(&l->rows) ? fail(CODE_FAILED, "%s", err_text(l->rows.err)) : CODE_DONE;
    snprintf(path, sizeof path, "%s", hits->all[0].path);
    hits_clear(hits);
    return list_folder(l, path);
}

int cmd_list(struct app *app, int argc, char **argv) {
    struct list l = {.o.wait_ms = SURVEY_WAIT_MS};
    const struct opt table[] = {OPT_CODE(&l.o.code), OPT_ASKING(&l.o), {0}};
    int first, code, parsed = opts_parse(&usage, table, argc, argv, &first);

    if (parsed)
        return opts_code(parsed);
    if (argc - first > 1)
        return opts_misused(&usage, "it takes one PEER or PEER:PATH");
    if (first < argc && what_parse_listed(&l.what, argv[first]) != 0)
        return opts_misused(&usage, "this is neither PEER nor PEER:PATH");
    l.rows = (struct listing){.survey = &l.a.survey, .json = l.o.json, .dir = ""};
    code = asking_open(&l.a, app, &l.o, ASKING_BUFFERS);
    if (code)
        return code;
    code = l.what.path[0] ? list_path(&l) : list_folder(&l, "");
    hits_clear(&l.rows.hits);
    asking_close(&l.a);
    return code;
}
