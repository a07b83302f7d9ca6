/* SPDX-License-Identifier: MIT */
/* survey, names and sentences about the peers that were asked. */
#include "cli/survey.h"

#include "core/err.h"
#include "proto/name.h"

#include <stdio.h>
#include <string.h>

enum { WORD_LEN = 4 * sizeof((struct survey_peer *)0)->name };

unsigned survey_count(const struct survey *r, enum survey_state state) {
    unsigned n = 0;

    for (unsigned i = 0; i < r->n; i++)
        n += r->all[i]->state == state;
    return n;
}

const struct survey_peer *survey_first(const struct survey *r, enum survey_state state) {
    for (unsigned i = 0; i < r->n; i++)
        if (r->all[i]->state == state)
            return r->all[i];
    return NULL;
}

bool survey_locked(const struct survey_peer *p) {
    return p->state == SURVEY_FAILED && p->identified &&
           (p->why == WIRE_ERR(WIRE_AUTH_REQUIRED) || p->why == WIRE_ERR(WIRE_AUTH_FAILED) ||
            p->why == WIRE_ERR(WIRE_DENIED));
}

unsigned survey_asking_code(const struct survey *r, const struct survey_peer **one) {
    unsigned n = 0;

    for (unsigned i = 0; i < r->n; i++) {
        if (!survey_locked(r->all[i]) || r->all[i]->why != WIRE_ERR(WIRE_AUTH_REQUIRED))
            continue;
        *one = r->all[i];
        n++;
    }
    return n;
}

/* HOST:PORT, as it can be typed again. */
static void show_address(const char *host, uint16_t port, char out[static SURVEY_LABEL_LEN]) {
    char shown[SURVEY_LABEL_LEN - 16];

    name_show(host, strlen(host), shown, sizeof shown);
    snprintf(out, SURVEY_LABEL_LEN, strchr(host, ':') ? "[%s]:%u" : "%s:%u", shown, port);
}

void survey_label(const struct survey *r, const struct survey_peer *p,
                  char out[static SURVEY_LABEL_LEN]) {
    unsigned n = 0;

    if (p->origin != SURVEY_BROWSED) {
        show_address(p->to.host, p->to.port, out);
        return;
    }
    if (strchr(p->name, ':')) { /* NAME:PATH would be cut in the wrong place */
        snprintf(out, SURVEY_LABEL_LEN, "%s", p->addr);
        return;
    }
    for (unsigned i = 0; i < r->n; i++)
        n += r->all[i]->state == SURVEY_ANSWERED && strcmp(r->all[i]->name, p->name) == 0;
    if (n > 1)
        snprintf(out, SURVEY_LABEL_LEN, "%s#%.*s", p->name, KEY_SHORT_LEN, p->key_text);
    else
        snprintf(out, SURVEY_LABEL_LEN, "%s", p->name);
}

/* Why it did not answer. Static. */
static const char *reason(const struct survey_peer *p) {
    static char text[512];

    snprintf(text, sizeof text, "%s%s%s%s", err_text(p->why), p->text[0] ? " (" : "", p->text,
             p->text[0] ? ")" : "");
    return text;
}

void survey_warn(const struct survey *r, bool locked) {
    char label[SURVEY_LABEL_LEN], word[WORD_LEN];

    for (unsigned i = 0; i < r->n; i++) {
        const struct survey_peer *p = r->all[i];

        if (!locked && survey_locked(p))
            continue;
        if (p->state == SURVEY_REFUSED) {
            warn("%s at %s is left out: its key is not the one known under this name. "
                 "`lanyard list %s` tells more",
                 p->name, p->addr, name_quote(p->name, word, sizeof word));
        } else if (p->state == SURVEY_FAILED && p->identified) {
            warn("%s is left out: %s", p->name, reason(p));
        } else if (p->state == SURVEY_FAILED && p->origin == SURVEY_ADDED) {
            show_address(p->to.host, p->to.port, label);
            warn("%s: %s", label, reason(p));
        }
    }
}

void survey_warn_locked(const struct survey *r) {
    for (unsigned i = 0; i < r->n; i++) {
        const struct survey_peer *p = r->all[i];

        if (!survey_locked(p))
            continue;
        if (p->why == WIRE_ERR(WIRE_AUTH_REQUIRED))
            note("%s asks for an access code (--code); what it has is not known.", p->name);
        else
            note("%s does not let us in; what it has is not known.", p->name);
    }
}

static int locked_out(const struct survey_peer *p) {
    const char *more = strstr(p->text, ": "); /* what it said, behind its address */

    if (p->why == WIRE_ERR(WIRE_AUTH_REQUIRED))
        return fail(CODE_REFUSED,
                    "%s asks for an access code. Whoever shares there can tell it; give it with "
                    "--code",
                    p->name);
    if (p->why == WIRE_ERR(WIRE_AUTH_FAILED))
        return fail(CODE_REFUSED, "%s did not accept the access code%s", p->name, more ? more : "");
    return fail(CODE_REFUSED, "%s does not let us in: what it shares is for other peers", p->name);
}

/* The first that answered no: one that said who it is, if there is one. */
static const struct survey_peer *first_that_refused(const struct survey *r) {
    const struct survey_peer *found = NULL;

    for (unsigned i = 0; i < r->n; i++) {
        const struct survey_peer *p = r->all[i];

        if (survey_locked(p))
            return p;
        if (p->state == SURVEY_FAILED && code_of(p->why) == CODE_REFUSED)
            found = p;
    }
    return found;
}

int survey_refuse(const struct survey_peer *p) {
    char known[KEY_TEXT_LEN + 1], word[WORD_LEN];

    key_text(p->known_key, known);
    return fail(CODE_REFUSED,
                "the key of %s has changed. Whoever answers at %s is not the peer that you know "
                "by this name: a new installation, or somebody else.\n"
                "  known  %s\n"
                "  now    %s\n"
                "If you are sure that it is the right one: lanyard trust forget %s",
                p->name, p->addr, known, p->key_text, name_quote(p->name, word, sizeof word));
}

static int nobody_at_all(const struct survey *r) {
    const struct survey_peer *p = survey_first(r, SURVEY_FAILED);

    if (p)
        fail(CODE_NOT_FOUND, "none of those that were seen (%u) answered: %s",
             survey_count(r, SURVEY_FAILED), reason(p));
    else
        fail(CODE_NOT_FOUND, "no peers found. Does anybody share in this network?");
    if (r->problem[0])
        note("Discovery says: %s.", r->problem);
    note("If somebody does: an access point may keep its guests apart, a firewall may block\n"
         "UDP 5353 or TCP %d, or a VPN may be in the way. `lanyard doctor` looks at this machine;\n"
         "`--peer HOST[:PORT]` needs no discovery.",
         WHAT_PORT);
    return CODE_NOT_FOUND;
}

/* One peer was meant, and it did not answer. */
static int failed(const struct survey_peer *p) {
    char label[SURVEY_LABEL_LEN];
    enum exit_code code = code_of(p->why);

    if (p->origin == SURVEY_BROWSED)
        name_show(p->seen_name, strlen(p->seen_name), label, sizeof label);
    else
        show_address(p->to.host, p->to.port, label);
    if (p->identified)
        return fail(code, "%s: %s", p->name, reason(p));
    if (code == CODE_REFUSED)
        return fail(code, "%s: %s", label, reason(p));
    return fail(CODE_NOT_FOUND, "no answer from %s: %s%s", label, reason(p),
                p->why == UV_ECONNREFUSED ? ". Does `lanyard share` run there?" : "");
}

int survey_nobody(const struct survey *r, const struct peer_spec *only) {
    const struct survey_peer *p = survey_first(r, SURVEY_REFUSED);
    char shown[4 * WHAT_NAME_MAX];

    if (p)
        return survey_refuse(p);
    p = first_that_refused(r);
    if (p && survey_locked(p))
        return locked_out(p);
    /* another key where nobody was named: it may be an announcement of old */
    if (p && (only || r->n_added > 0 || p->why == WIRE_ERR(WIRE_DENIED)))
        return failed(p);
    if (r->n_added > 0) {
        survey_warn(r, true);
        return fail(CODE_NOT_FOUND, survey_first(r, SURVEY_LEFT_OUT)
                                        ? "the peers given with --peer have other names"
                                        : "none of the peers given with --peer answered");
    }
    p = survey_first(r, SURVEY_FAILED);
    if (!only || r->n == 0)
        return nobody_at_all(r);
    name_show(only->name, strlen(only->name), shown, sizeof shown);
    if (p && p->origin == SURVEY_SPELT && only->kind == PEER_NAME)
        return fail(CODE_NOT_FOUND,
                    "there is no peer %s here, and no host of that name answers (%s); "
                    "`lanyard list-peers` shows who is here",
                    shown, reason(p));
    if (p)
        return failed(p);
    return fail(CODE_NOT_FOUND, "there is no peer %s%s%s; `lanyard list-peers` shows who is here",
                shown, only->id[0] ? "#" : "", only->id);
}
