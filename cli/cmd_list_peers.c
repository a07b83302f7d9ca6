/* SPDX-License-Identifier: MIT */
#include "cli/asking.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/addr.h"
#include "core/err.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Three peers have answered after 0.5 s with a daemon, 1.3 s with a responder of our own. */
enum { WAIT_MS = 1400, PEER_MS = 1000 };

static const struct usage usage = {
    .name = "list-peers",
    .args = "",
    .summary = "Show who is here",
    .details =
        "Only peers that answered are shown. KEY tells whether you know the peer's key:\n"
        "known, new, or CHANGED: somebody else answers under a name that you know. Of those\n"
        "who ask for a code, or are there for other peers, it is not known what they offer.\n",
};

static int by_name(const void *va, const void *vb) {
    const struct survey_peer *a = *(struct survey_peer *const *)va;
    const struct survey_peer *b = *(struct survey_peer *const *)vb;
    int order = strcmp(a->name, b->name);

    return order ? order : strcmp(a->key_text, b->key_text);
}

static const char *trust_word(const struct survey_peer *p) {
    return p->trust == TRUST_KNOWN ? "known" : p->trust == TRUST_NEW ? "new" : "changed";
}

/* Those that answered: also whoever does not let us in. */
static bool is_here(const struct survey_peer *p) {
    return p->state == SURVEY_ANSWERED || survey_locked(p);
}

static const char *access_word(const struct survey_peer *p) {
    return !survey_locked(p) ? "open" : p->why == WIRE_ERR(WIRE_DENIED) ? "denied" : "code";
}

static json_t *addresses(const struct survey_peer *p) {
    json_t *list = json_array();
    char text[ADDR_TEXT_LEN];

    if (list)
        json_array_append_new(list, json_string(p->addr));
    for (unsigned i = 0; list && i < p->to.n_addrs; i++) {
        addr_show((const struct sockaddr *)&p->to.addrs[i], text);
        if (strcmp(text, p->addr) != 0)
            json_array_append_new(list, json_string(text));
    }
    return list;
}

/* null: it does not tell us */
static json_t *number(const struct survey_peer *p, uint64_t n) {
    return survey_locked(p) ? json_null() : json_integer((json_int_t)n);
}

static int print_json(const struct survey_peer *p) {
    bool counting = !survey_locked(p) && !p->info.complete;

    return json_line(json_pack("{s:s, s:s%, s:o, s:s, s:o, s:o, s:o, s:b, s:s, s:s, s:s}", "name",
                               p->name, "id", p->key_text, (size_t)KEY_SHORT_LEN, "addresses",
                               addresses(p), "version", p->software, "files",
                               number(p, p->info.files), "bytes", number(p, p->info.bytes),
                               "shares", number(p, p->info.shares), "counting", counting, "key",
                               p->key_text, "trust", trust_word(p), "access", access_word(p)));
}

static int add_row(struct table *t, const struct survey_peer *p) {
    char files[TEXT_LEN], size[TEXT_LEN], id[KEY_SHORT_LEN + 1];
    const char *cells[] = {
        p->name, id, p->addr, p->software, files, size, p->trust < 0 ? "CHANGED" : trust_word(p)};

    snprintf(id, sizeof id, "%.*s", KEY_SHORT_LEN, p->key_text);
    /* while it counts, there are at least so many */
    snprintf(files, sizeof files, "%" PRIu64 "%s", p->info.files, p->info.complete ? "" : "+");
    text_size(p->info.bytes, size);
    if (!p->info.complete)
        strcat(size, "+");
    if (survey_locked(p)) {
        strcpy(files, "-");
        strcpy(size, p->why == WIRE_ERR(WIRE_DENIED) ? "not for us" : "with code");
    }
    return table_add(t, cells);
}

static int print_table(struct survey_peer *const *peers, unsigned n) {
    static const struct column columns[] = {
        {.title = "NAME", .cut = true},
        {.title = "ID"},
        {.title = "ADDRESS", .cut = true},
        {.title = "VERSION", .cut = true},
        {.title = "FILES", .right = true},
        {.title = "SIZE", .right = true},
        {.title = "KEY"},
    };
    struct table t;
    int err = 0;

    table_init(&t, columns, sizeof columns / sizeof *columns);
    for (unsigned i = 0; i < n && !err; i++)
        err = add_row(&t, peers[i]);
    if (!err)
        table_print(&t, stdout, say_width(STDOUT_FILENO), say_color(STDOUT_FILENO));
    table_clear(&t);
    return err;
}

static int print(const struct survey *r, bool json) {
    unsigned n = 0;
    int err = 0;
    struct survey_peer **peers = calloc(r->n + 1, sizeof *peers);

    if (!peers)
        return -ENOMEM;
    for (unsigned i = 0; i < r->n; i++)
        if (is_here(r->all[i]))
            peers[n++] = r->all[i];
    qsort(peers, n, sizeof *peers, by_name);
    if (json)
        for (unsigned i = 0; i < n && !err; i++)
            err = print_json(peers[i]);
    else
        err = print_table(peers, n);
    free(peers);
    return err;
}

/* ---- --watch ---- */

static int tell_change(const struct survey_peer *p, bool json) {
    if (!json) {
        printf("%s  %s  %.*s  %s\n", p->shown ? "here" : "gone", p->name, KEY_SHORT_LEN,
               p->key_text, p->addr);
        return 0;
    }
    if (p->shown)
        return print_json(p);
    return json_line(json_pack("{s:s, s:s%, s:b}", "name", p->name, "id", p->key_text,
                               (size_t)KEY_SHORT_LEN, "gone", 1));
}

static int tell_changes(struct survey *r, bool json) {
    int err = 0;

    for (unsigned i = 0; i < r->n && !err; i++) {
        struct survey_peer *p = r->all[i];
        bool here = is_here(p);

        if (here == p->shown)
            continue;
        p->shown = here;
        err = tell_change(p, json);
    }
    return err ? err : fflush(stdout) == 0 ? 0 : -errno;
}

static void on_seen(void *owner, const struct survey_peer *p) { *(bool *)owner = true; }

/* Asks everybody again whenever discovery has something to tell. Ends with a signal, or when nobody
 * reads any more. */
static int watch(struct asking *a, const struct survey_question *q, bool json) {
    bool changed = false;
    int err = 0;

    a->survey.on_seen = on_seen;
    a->survey.owner = &changed;
    while (!err) {
        err = client_run(&a->client, &changed);
        changed = false;
        if (!err)
            err = survey_ask(&a->survey, q);
        if (!err)
            err = tell_changes(&a->survey, json);
    }
    a->survey.on_seen = NULL;
    a->survey.owner = NULL;
    if (err == ERR_STOPPED)
        return CODE_DONE;
    return err == -EPIPE ? CODE_FAILED : fail(CODE_FAILED, "%s", err_text(err));
}

static void mark_shown(struct survey *r) {
    for (unsigned i = 0; i < r->n; i++)
        r->all[i]->shown = is_here(r->all[i]);
}

static bool anybody_here(const struct survey *r) {
    for (unsigned i = 0; i < r->n; i++)
        if (is_here(r->all[i]))
            return true;
    return false;
}

static int act(struct asking *a, const struct asking_options *o, bool watching) {
    const struct survey_question q = {
        .kind = QUERY_INFO, .arg = "", .wait_ms = o->wait_ms, .peer_ms = PEER_MS, .any_key = true};
    int err = survey_ask(&a->survey, &q), code = CODE_DONE;

    if (err || (!watching && !anybody_here(&a->survey)))
        code = asking_report(a, &q, err);
    if (code)
        return code;
    survey_warn(&a->survey, false); /* they are in the table */
    err = print(&a->survey, o->json);
    if (err)
        return fail(CODE_FAILED, "%s", err_text(err));
    if (!watching)
        return CODE_DONE;
    fflush(stdout);
    mark_shown(&a->survey);
    a->client.stop_code = CODE_DONE;
    return watch(a, &q, o->json);
}

int cmd_list_peers(struct app *app, int argc, char **argv) {
    struct asking_options o = {.wait_ms = WAIT_MS};
    bool watching = false;
    const struct opt table[] = {
        {"watch", 0, NULL, "go on until Ctrl-C: tell who comes and goes", OPT_FLAG, &watching},
        OPT_ASKING(&o),
        {0},
    };
    struct asking a;
    int first, code, parsed = opts_parse(&usage, table, argc, argv, &first);

    if (parsed)
        return opts_code(parsed);
    if (first < argc)
        return opts_misused(&usage, "it takes no operands");
    if (watching && o.peers.n > 0)
        return opts_misused(&usage, "--watch needs discovery, --peer does without it");
    code = asking_open(&a, app, &o, ASKING_BUFFERS);
    if (code)
        return code;
    code = act(&a, &o, watching);
    asking_close(&a);
    return code;
}
