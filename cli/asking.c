/* SPDX-License-Identifier: MIT */
#include "cli/asking.h"

#include "cli/listing.h"
#include "core/err.h"
#include "proto/name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HOST_MS = 2000 };

int asking_open(struct asking *a, struct app *app, const struct asking_options *o,
                unsigned buffers) {
    char shown[256];
    int code = client_open(&a->client, app, buffers), err = 0;

    if (code)
        return code;
    survey_init(&a->survey, &a->client);
    for (unsigned i = 0; i < o->peers.n && !err; i++) {
        err = survey_add(&a->survey, o->peers.text[i]);
        name_show(o->peers.text[i], strlen(o->peers.text[i]), shown, sizeof shown);
    }
    if (!err)
        return 0;
    asking_close(a);
    if (err == -EINVAL)
        return fail(CODE_USAGE, "--peer takes HOST or HOST:PORT, not `%s`", shown);
    return fail(CODE_FAILED, "%s", err_text(err));
}

void asking_close(struct asking *a) {
    survey_close(&a->survey);
    client_close(&a->client);
}

/* Nobody bears the name: is there a host of that name? */
static int ask_host(struct asking *a, const struct survey_question *q) {
    struct peer_spec host = *q->only;
    struct survey_question again = *q;

    host.kind = PEER_ADDR;
    again.wait_ms = HOST_MS;
    again.only = &host;
    return survey_ask(&a->survey, &again);
}

int asking_try(struct asking *a, const struct survey_question *q) {
    const struct survey *r = &a->survey;
    int err = survey_ask(&a->survey, q);

    if (!err && q->only && q->only->kind == PEER_NAME && q->only->host[0] && r->n_added == 0 &&
        !survey_first(r, SURVEY_ANSWERED) && !survey_first(r, SURVEY_REFUSED) &&
        !survey_first(r, SURVEY_FAILED))
        err = ask_host(a, q);
    return err;
}

int asking_report(const struct asking *a, const struct survey_question *q, int err) {
    const struct survey *r = &a->survey;

    if (err == ERR_STOPPED)
        return fail(CODE_INCOMPLETE, "interrupted");
    if (err)
        return fail(code_of(err), "cannot look for peers: %s", err_text(err));
    if (!survey_first(r, SURVEY_ANSWERED))
        return survey_nobody(r, q->only);
    survey_warn(r);
    return CODE_DONE;
}

int asking_ask(struct asking *a, const struct survey_question *q) {
    return asking_report(a, q, asking_try(a, q));
}

int asking_not_found(const struct asking *a, const char *name) {
    const struct survey *r = &a->survey;
    unsigned n = survey_count(r, SURVEY_ANSWERED);
    char label[SURVEY_LABEL_LEN], shown[1024];

    name_show(name, strlen(name), shown, sizeof shown);
    if (n != 1)
        return fail(CODE_NOT_FOUND, "nobody has `%s` (peers asked: %u); try `lanyard find`", shown,
                    n);
    survey_label(r, survey_first(r, SURVEY_ANSWERED), label);
    return fail(CODE_NOT_FOUND, "%s has nothing called `%s`; `lanyard list %s` shows what it has",
                label, shown, label);
}

int asking_ambiguous(const struct asking *a, struct hits *candidates, const char *name) {
    char shown[1024];

    name_show(name, strlen(name), shown, sizeof shown);
    fail(CODE_AMBIGUOUS, "there are %zu different things called `%s`:", candidates->n, shown);
    listing_candidates(&a->survey, candidates);
    note("Say which one, as it stands under WHAT.");
    return CODE_AMBIGUOUS;
}
