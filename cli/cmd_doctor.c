/* SPDX-License-Identifier: MIT */
#include "cli/asking.h"
#include "cli/commands.h"
#include "cli/doctor.h"
#include "cli/host.h"
#include "core/addr.h"
#include "core/err.h"
#include "proto/name.h"

#include <stdio.h>
#include <string.h>

enum { BROWSE_MS = 3000, SEEN_MS = 6000 };

static const struct usage usage = {
    .name = "doctor",
    .args = "",
    .summary = "Find out why others are not seen",
    .details = "Looks at this machine, announces itself for a moment, and asks everybody who is\n"
               "seen. One line for each check: ok, hint (may be the cause), or BAD. The exit code\n"
               "is 1 if something is bad.\n",
};

struct doctor {
    struct findings f;
    struct asking a;
    struct host host;
    uv_timer_t timer;
    bool over, hosting;
};

static void check_key(struct doctor *d, struct app *app) {
    char key[KEY_TEXT_LEN + 1];

    key_text(app->id.key, key);
    finding(&d->f, FINDING_OK, "key", "%s/key.pem, id %.*s; %zu known peers", app->state_dir,
            KEY_SHORT_LEN, key, d->a.client.trust.n);
}

/* ---- peers ---- */

static void check_peer(struct doctor *d, const struct survey_peer *p) {
    char seen[4 * PEER_NAME_LEN + 1], word[4 * sizeof p->name], addr[ADDR_TEXT_LEN] = "no address";

    name_show(p->seen_name, strlen(p->seen_name), seen, sizeof seen);
    if (p->to.n_addrs > 0)
        addr_show((const struct sockaddr *)&p->to.addrs[0], addr);
    if (p->state == SURVEY_ANSWERED && p->trust < 0)
        finding(&d->f, FINDING_BAD, "peer",
                "%s at %s answers, but with another key than the one you know: see "
                "`lanyard list %s`",
                p->name, p->addr, name_quote(p->name, word, sizeof word));
    else if (p->state == SURVEY_ANSWERED)
        finding(&d->f, FINDING_OK, "peer", "%s at %s answers", p->name, p->addr);
    else if (p->state == SURVEY_FAILED)
        finding(&d->f, FINDING_BAD, "peer",
                "%s is seen at %s, but does not answer: %s. A firewall there may block TCP %u, "
                "or it has just left",
                seen, addr, err_text(p->why), p->to.port);
}

static void check_peers(struct doctor *d) {
    const struct survey_question q = {.kind = QUERY_INFO,
                                      .arg = "",
                                      .wait_ms = BROWSE_MS,
                                      .patience_ms = BROWSE_MS,
                                      .peer_ms = BROWSE_MS,
                                      .any_key = true};
    const struct survey *r = &d->a.survey;
    int err = survey_ask(&d->a.survey, &q);

    if (err) {
        finding(&d->f, FINDING_BAD, "mdns", "cannot look for peers: %s", err_text(err));
        return;
    }
    for (unsigned i = 0; i < r->n; i++)
        check_peer(d, r->all[i]);
    if (survey_count(r, SURVEY_ANSWERED) + survey_count(r, SURVEY_FAILED) == 0)
        finding(&d->f, FINDING_HINT, "peer",
                "nobody is seen. If somebody shares: is it the same network (no guest network, "
                "no AP isolation)? `--peer HOST[:PORT]` needs no discovery");
}

/* ---- mDNS ---- */

static void on_event(void *owner, const struct server_event *e) {}
static void on_visible(void *owner, const char *name, bool renamed) {}

static void on_closed(void *owner) {
    struct doctor *d = owner;

    d->hosting = false;
}

static const struct host_handler host_events = {
    .on_event = on_event, .on_visible = on_visible, .on_closed = on_closed};

static void on_over(uv_timer_t *timer) { ((struct doctor *)timer->data)->over = true; }

/* Shares nothing for a moment, to see whether our own announcement comes back. */
static void announce(struct doctor *d, struct app *app) {
    const struct host_options nothing = {.port = -1, .n_paths = -1};
    struct client *c = &d->a.client;

    if (host_open(&d->host, app, c->loop, &nothing, &host_events, d) != 0) {
        finding(&d->f, FINDING_BAD, "port", "%s", say_last());
        return;
    }
    d->hosting = true;
    finding(&d->f, FINDING_OK, "port", "others can connect to TCP %u%s", d->host.port,
            d->host.port == SERVER_PORT ? "" : ", as 5000 is taken by another program");
    while (!d->a.survey.ours_seen && !d->over && c->stops == 0)
        uv_run(c->loop, UV_RUN_ONCE);
    host_close(&d->host);
    while (d->hosting)
        uv_run(c->loop, UV_RUN_ONCE);
}

static void check_mdns(struct doctor *d, struct app *app) {
    const struct survey *r = &d->a.survey;
    const char *backend;

    uv_timer_init(d->a.client.loop, &d->timer);
    d->timer.data = d;
    uv_timer_start(&d->timer, on_over, SEEN_MS, 0);
    if (!r->ours_seen)
        announce(d, app);
    uv_close((uv_handle_t *)&d->timer, NULL);
    backend = r->browse ? browse_backend(r->browse) : "";
    if (!*backend)
        finding(&d->f, FINDING_BAD, "mdns", "no multicast DNS: %s",
                r->problem[0] ? r->problem : "neither avahi-daemon nor our own works");
    else if (!r->ours_seen)
        finding(&d->f, FINDING_BAD, "mdns",
                "(%s) our own announcement does not come back: does a firewall block UDP 5353?",
                backend);
    else
        finding(&d->f, FINDING_OK, "mdns", "(%s) our own announcement is seen", backend);
}

int cmd_doctor(struct app *app, int argc, char **argv) {
    struct doctor d = {0};
    struct asking_options o = {0};
    const struct opt table[] = {OPT_COMMON(&d.f.json), {0}};
    int first, code, parsed = opts_parse(&usage, table, argc, argv, &first);

    if (parsed)
        return opts_code(parsed);
    if (first < argc)
        return opts_misused(&usage, "it takes no operands");
    app->confined = true; /* it looks at everything, and both dials and listens */
    code = asking_open(&d.a, app, &o, ASKING_BUFFERS);
    if (code)
        return code;
    check_key(&d, app);
    doctor_interfaces(&d.f);
    doctor_firewall(&d.f);
    check_peers(&d);
    check_mdns(&d, app);
    code = d.a.client.stops ? fail(CODE_INCOMPLETE, "interrupted")
           : d.f.n_bad      ? CODE_FAILED
                            : CODE_DONE;
    asking_close(&d.a);
    return code;
}
