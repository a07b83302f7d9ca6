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
    struct hits hits;
    const char *dir; /* what the rows are below */
    bool heading;
    size_t printed;
    int err;
};

static void flush(struct list *l) {
    int err = listing_print(&l->a.survey, &l->hits, l->o.json, &l->heading);

    if (err)
        l->err = err;
    l->printed += l->hits.n;
    hits_clear(&l->hits);
}

static void on_row(void *owner, const struct survey_peer *p, const struct wire_entry *e) {
    struct list *l = owner;
    const struct hit about = {.peer = p, .peer_name = p->name};
    int err = hits_add(&l->hits, &about, l->dir, e);

    if (err == HITS_FULL) { /* so many that we cannot sort all of them */
        flush(l);
        err = hits_add(&l->hits, &about, l->dir, e);
    }
    if (err < 0)
        l->err = err;
}

static int ask(struct list *l, enum query_kind kind, const char *arg) {
    const struct survey_question q = {.kind = kind,
                                      .arg = arg,
                                      .only = l->what.peer.kind == PEER_ANY ? NULL : &l->what.peer,
                                      .wait_ms = l->o.wait_ms,
                                      .patience_ms = SURVEY_PATIENCE_MS,
                                      .peer_ms = SURVEY_PEER_MS,
                                      .answer_ms = SURVEY_ANSWER_MS,
                                      .on_row = on_row,
                                      .owner = l};
    int code = asking_ask(&l->a, &q);

    if (!code && l->err)
        return fail(CODE_FAILED, "%s", err_text(l->err));
    return code;
}

static int list_folder(struct list *l, const char *path) {
    int code;

    l->dir = path;
    code = ask(l, QUERY_LIST, path);
    if (code)
        return code;
    flush(l);
    if (l->err)
        return fail(CODE_FAILED, "%s", err_text(l->err));
    if (l->printed == 0 && l->what.peer.kind == PEER_ANY)
        note("Nobody offers anything.");
    return CODE_DONE;
}

/* PATH is resolved first: is it a folder or a file, and where is it? */
static int list_path(struct list *l) {
    char path[WHAT_PATH_MAX];
    int code = ask(l, QUERY_NAME, l->what.path);

    if (code)
        return code;
    switch (hits_resolve(&l->hits, l->what.path)) {
    case HITS_NONE:
        return asking_not_found(&l->a, l->what.path);
    case HITS_MANY:
        return asking_ambiguous(&l->a, &l->hits, l->what.path);
    case HITS_ONE:
        break;
    }
    if (l->hits.all[0].kind != WIRE_DIR) {
        flush(l);
        return l->err ? fail(CODE_FAILED, "%s", err_text(l->err)) : CODE_DONE;
    }
    snprintf(path, sizeof path, "%s", l->hits.all[0].path);
    hits_clear(&l->hits);
    return list_folder(l, path);
}

int cmd_list(struct app *app, int argc, char **argv) {
    struct list l = {.o.wait_ms = SURVEY_WAIT_MS, .dir = "", .heading = true};
    const struct opt table[] = {OPT_ASKING(&l.o), {0}};
    int first, code, parsed = opts_parse(&usage, table, argc, argv, &first);

    if (parsed)
        return opts_code(parsed);
    if (argc - first > 1)
        return opts_misused(&usage, "it takes one PEER or PEER:PATH");
    if (first < argc && what_parse_listed(&l.what, argv[first]) != 0)
        return opts_misused(&usage, "this is neither PEER nor PEER:PATH");
    hits_init(&l.hits);
    code = asking_open(&l.a, app, &l.o, ASKING_BUFFERS);
    if (code)
        return code;
    code = l.what.path[0] ? list_path(&l) : list_folder(&l, "");
    hits_clear(&l.hits);
    asking_close(&l.a);
    return code;
}
