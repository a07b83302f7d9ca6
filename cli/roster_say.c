/* SPDX-License-Identifier: MIT */
/* roster, second half: names and sentences about the peers that were asked. */
#include "cli/roster.h"

#include "core/err.h"
#include "proto/name.h"

#include <stdio.h>
#include <string.h>

unsigned roster_count(const struct roster *r, enum roster_state state) {
    unsigned n = 0;

    for (unsigned i = 0; i < r->n; i++)
        n += r->all[i]->state == state;
    return n;
}

const struct roster_peer *roster_first(const struct roster *r, enum roster_state state) {
    for (unsigned i = 0; i < r->n; i++)
        if (r->all[i]->state == state)
            return r->all[i];
    return NULL;
}

/* HOST:PORT, as it can be typed again. */
static void show_address(const char *host, uint16_t port, char out[static ROSTER_LABEL_LEN]) {
    char shown[ROSTER_LABEL_LEN - 16];

    name_show(host, strlen(host), shown, sizeof shown);
    snprintf(out, ROSTER_LABEL_LEN, strchr(host, ':') ? "[%s]:%u" : "%s:%u", shown, port);
}

void roster_label(const struct roster *r, const struct roster_peer *p,
                  char out[static ROSTER_LABEL_LEN]) {
    unsigned n = 0;

    if (p->origin != ROSTER_BROWSED) {
        show_address(p->to.host, p->to.port, out);
        return;
    }
    if (strchr(p->name, ':')) { /* NAME:PATH would be cut in the wrong place */
        snprintf(out, ROSTER_LABEL_LEN, "%s", p->addr);
        return;
    }
    for (unsigned i = 0; i < r->n; i++)
        n += r->all[i]->state == ROSTER_ANSWERED && strcmp(r->all[i]->name, p->name) == 0;
    if (n > 1)
        snprintf(out, ROSTER_LABEL_LEN, "%s#%.*s", p->name, KEY_SHORT_LEN, p->key_text);
    else
        snprintf(out, ROSTER_LABEL_LEN, "%s", p->name);
}

static const char *reason(const struct roster_peer *p) {
    return p->text[0] ? p->text : err_text(p->why);
}

void roster_warn(const struct roster *r) {
    char label[ROSTER_LABEL_LEN];

    for (unsigned i = 0; i < r->n; i++) {
        const struct roster_peer *p = r->all[i];

        if (p->state == ROSTER_REFUSED) {
            warn("%s at %s is left out: its key is not the one known under this name. "
                 "`lanyard list '%s'` tells more",
                 p->name, p->addr, p->name);
        } else if (p->state == ROSTER_FAILED && p->origin == ROSTER_ADDED) {
            show_address(p->to.host, p->to.port, label);
            warn("%s: %s", label, reason(p));
        }
    }
}

int roster_refuse(const struct roster_peer *p) {
    char known[KEY_TEXT_LEN + 1];

    key_text(p->known_key, known);
    return fail(CODE_REFUSED,
                "the key of %s has changed. Whoever answers at %s is not the peer that you know "
                "by this name: a new installation, or somebody else.\n"
                "  known  %s\n"
                "  now    %s\n"
                "If you are sure that it is the right one: lanyard trust forget '%s'",
                p->name, p->addr, known, p->key_text, p->name);
}

static int nobody_at_all(const struct roster *r) {
    const struct roster_peer *p = roster_first(r, ROSTER_FAILED);

    if (p)
        fail(CODE_NOT_FOUND, "of %u peers that were seen none answered: %s",
             roster_count(r, ROSTER_FAILED), reason(p));
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
static int failed(const struct roster_peer *p) {
    char label[ROSTER_LABEL_LEN];
    enum exit_code code = code_of(p->why);

    if (p->origin == ROSTER_BROWSED)
        name_show(p->seen_name, strlen(p->seen_name), label, sizeof label);
    else
        show_address(p->to.host, p->to.port, label);
    return fail(code == CODE_REFUSED ? code : CODE_NOT_FOUND, "no answer from %s: %s%s", label,
                reason(p), p->why == UV_ECONNREFUSED ? ". Does `lanyard share` run there?" : "");
}

int roster_nobody(const struct roster *r, const struct peer_spec *only) {
    const struct roster_peer *p = roster_first(r, ROSTER_REFUSED);
    char shown[4 * WHAT_NAME_MAX];

    if (p)
        return roster_refuse(p);
    if (r->n_added > 0) {
        roster_warn(r);
        return fail(CODE_NOT_FOUND, "none of the peers given with --peer answered");
    }
    p = roster_first(r, ROSTER_FAILED);
    if (only && p)
        return failed(p);
    if (!only || r->n == 0)
        return nobody_at_all(r);
    name_show(only->name, strlen(only->name), shown, sizeof shown);
    return fail(CODE_NOT_FOUND, "there is no peer %s%s%s; `lanyard list-peers` shows who is here",
                shown, only->id[0] ? "#" : "", only->id);
}
