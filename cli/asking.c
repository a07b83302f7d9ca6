/* SPDX-License-Identifier: MIT */
#include "cli/asking.h"

#include "cli/confined.h"
#include "cli/listing.h"
#include "core/err.h"
#include "proto/name.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

enum { HOST_MS = 2000 };

int asking_open(struct asking *a, struct app *app, struct asking_options *o, unsigned buffers) {
    struct access_code secret;
    char shown[256];
    int code = code_take(&secret, &o->code), err = 0;

    if (!code)
        code = client_open(&a->client, app, buffers);
    if (!code && secret.text[0])
        client_set_code(&a->client, &secret);
    OPENSSL_cleanse(&secret, sizeof secret);
    if (code)
        return code;
    confined_asking(app, o->target, !o->by_address && o->peers.n == 0); /* as the survey does */
    survey_init(&a->survey, &a->client);
    a->nobody_asks = false;
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

/* Who is shown our code, if nobody was named: the only one that asks for one. Without a code here
 * we learn who does. 0: q->only is it; 1: there is none, or more than one. */
static int choose_for_code(struct asking *a, struct survey_question *q) {
    struct survey_question who = {
        .kind = QUERY_INFO, .arg = "", .wait_ms = q->wait_ms, .peer_ms = q->peer_ms};
    struct prover *prover = a->client.env.prover;
    const struct survey_peer *one;
    int err;

    a->client.env.prover = NULL;
    err = survey_ask(&a->survey, &who);
    a->client.env.prover = prover;
    if (err)
        return err;
    a->nobody_asks = survey_asking_code(&a->survey, &one) == 0;
    if (survey_asking_code(&a->survey, &one) != 1)
        return 1;
    a->code_peer = (struct peer_spec){.kind = PEER_NAME};
    snprintf(a->code_peer.name, sizeof a->code_peer.name, "%s", one->name);
    snprintf(a->code_peer.id, sizeof a->code_peer.id, "%s", one->key_text);
    q->only = &a->code_peer;
    return 0;
}

static int ask_peers(struct asking *a, const struct survey_question *q) {
    const struct survey *r = &a->survey;
    struct survey_question meant = *q;
    int err = 0;

    if (a->client.env.prover && !q->only && r->n_added == 0)
        err = choose_for_code(a, &meant);
    if (err)
        return err < 0 ? err : 0;
    err = survey_ask(&a->survey, &meant);
    if (!err && q->only && q->only->kind == PEER_NAME && q->only->host[0] && r->n_added == 0 &&
        !survey_first(r, SURVEY_ANSWERED) && !survey_first(r, SURVEY_REFUSED) &&
        !survey_first(r, SURVEY_FAILED))
        err = ask_host(a, q);
    return err;
}

/* Somebody is there to type the code of the one peer that asks for it. */
static bool get_code(struct asking *a) {
    const struct survey_peer *p;
    struct access_code code;
    bool got;

    if (a->client.env.prover || survey_first(&a->survey, SURVEY_ANSWERED) ||
        survey_asking_code(&a->survey, &p) != 1)
        return false;
    got = code_ask(&code, p->name);
    if (got)
        client_set_code(&a->client, &code);
    OPENSSL_cleanse(&code, sizeof code);
    return got;
}

int asking_try(struct asking *a, const struct survey_question *q) {
    int err = ask_peers(a, q);

    return !err && q->kind != QUERY_INFO && get_code(a) ? ask_peers(a, q) : err;
}

int asking_report(const struct asking *a, const struct survey_question *q, int err) {
    const struct survey *r = &a->survey;
    const struct survey_peer *p;

    if (!err && a->client.env.prover && survey_asking_code(r, &p) > 1)
        return fail(CODE_AMBIGUOUS,
                    "several peers ask for a code; say whose it is: %s:NAME, or another one of "
                    "`lanyard list-peers`",
                    p->name);
    if (!err && a->nobody_asks && survey_first(r, SURVEY_ANSWERED))
        return fail(CODE_NOT_FOUND, "nobody here asks for an access code; without one you may ask "
                                    "those who are here");
    if (err == ERR_STOPPED)
        return fail(CODE_INCOMPLETE, "interrupted");
    if (err)
        return fail(code_of(err), "cannot look for peers: %s", err_text(err));
    if (!survey_first(r, SURVEY_ANSWERED))
        return survey_nobody(r, q->only);
    survey_warn(r, true);
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
    survey_warn_locked(r);
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
