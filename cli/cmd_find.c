/* SPDX-License-Identifier: MIT */
#include "cli/asking.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "core/err.h"
#include "proto/name.h"

#include <stdio.h>
#include <string.h>

static const struct usage usage = {
    .name = "find",
    .args = "PATTERN",
    .summary = "Show which peers have a name like this",
    .details = "PATTERN is part of a name, in any case; or, with one of *?[ in it, all of it:\n"
               "'*.flac'. What is shown as WHAT can be given to `download`.\n",
};

struct find {
    struct asking_options o;
    const char *pattern;
    struct asking a;
    struct listing rows;
};

static int act(struct find *f) {
    const struct survey_question q = {.kind = QUERY_FIND,
                                      .arg = f->pattern,
                                      .wait_ms = f->o.wait_ms,
                                      .patience_ms = SURVEY_PATIENCE_MS,
                                      .peer_ms = SURVEY_PEER_MS,
                                      .answer_ms = SURVEY_ANSWER_MS,
                                      .on_row = listing_add,
                                      .owner = &f->rows};
    const struct survey *r = &f->a.survey;
    char shown[1024];
    int code = asking_ask(&f->a, &q);

    if (code)
        return code;
    if (listing_flush(&f->rows))
        return fail(CODE_FAILED, "%s", err_text(f->rows.err));
    if (f->rows.printed > 0)
        return CODE_DONE;
    survey_warn_locked(r);
    name_show(f->pattern, strlen(f->pattern), shown, sizeof shown);
    return fail(CODE_NOT_FOUND, "nobody has a name like `%s` (peers asked: %u)", shown,
                survey_count(r, SURVEY_ANSWERED));
}

int cmd_find(struct app *app, int argc, char **argv) {
    struct find f = {.o.wait_ms = SURVEY_WAIT_MS};
    const struct opt table[] = {OPT_CODE(&f.o.code), OPT_ASKING(&f.o), {0}};
    int first, code, parsed = opts_parse(&usage, table, argc, argv, &first);

    if (parsed)
        return opts_code(parsed);
    if (argc - first != 1)
        return opts_misused(&usage, "it takes one PATTERN");
    f.pattern = argv[first];
    if (f.pattern[0] == '\0' || strlen(f.pattern) > NAME_MAX_LEN)
        return opts_misused(&usage, "a PATTERN has 1 to %d bytes", NAME_MAX_LEN);
    f.rows = (struct listing){.survey = &f.a.survey, .json = f.o.json, .dir = ""};
    code = asking_open(&f.a, app, &f.o, ASKING_BUFFERS);
    if (code)
        return code;
    code = act(&f);
    hits_clear(&f.rows.hits);
    asking_close(&f.a);
    return code;
}
