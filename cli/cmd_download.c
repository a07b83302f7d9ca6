/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/confined.h"
#include "cli/download.h"
#include "cli/follow.h"
#include "cli/json.h"
#include "cli/rate.h"
#include "core/err.h"
#include "proto/name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    BUFFERS = 24,    /* frames that arrive while others are written: 26 MiB at the most */
    ROWS_MAX = 10000 /* things of one name at one peer */
};

static const struct usage usage = {
    .name = "download",
    .args = "WHAT...\nHOST PORT NAME",
    .summary = "Get files and folders by name; run it again to resume",
    .details =
        "WHAT is a NAME, or PEER:PATH. A NAME is a path SHARE/dir/file, a share's name, or the\n"
        "name of a file or folder anywhere in a peer's shares. If several peers have the same\n"
        "file, it comes from one of them, and the others step in when that one goes away. PEER\n"
        "is a name as `list-peers` shows it, NAME#ID when two bear it, or HOST[:PORT]. With HOST\n"
        "and PORT as separate words nobody needs to be discovered. A NAME with a colon in it is\n"
        "tried if no peer is called like what stands before the colon.\n"
        "\n"
        "What has arrived is kept in NAME.lanyard-part until all is here; the final paths are\n"
        "printed. A NAME that is here already is compared: the very same is not fetched again,\n"
        "one that differs is not touched. With --update each file of it that differs is\n"
        "replaced, unless it is newer here. Only chunks that differ are fetched, and nothing is\n"
        "deleted.\n"
        "\n" RATE_HELP
        " TCP and Ethernet come on top, about 6 %. A line `download-limit = RATE` in\n"
        "~/.config/lanyard/config is the default; when it is changed, it counts at once for what\n"
        "runs.\n",
};

struct words {
    struct asking_options ask;
    struct download_options o;
    struct rate_option limit;
    char *const *what;
    int n;
    bool seed; /* HOST PORT NAME */
};

struct looking {
    struct asking a; /* first: its client is the looking */
    const struct words *w;
    struct what what;
    struct hits hits;
    struct follow follow;
    int err;
};

static void on_row(void *owner, const struct survey_peer *p, const struct wire_entry *e) {
    struct looking *l = owner;
    const struct hit about = {.peer = p, .peer_name = p->name};
    int err = hits_add(&l->hits, &about, "", e);

    if (err < 0) /* HITS_FULL: more candidates than anybody wants to see */
        l->err = err;
}

static struct survey_question question(struct looking *l) {
    return (struct survey_question){
        .kind = QUERY_NAME,
        .arg = l->what.path,
        .only = l->what.peer.kind == PEER_ANY ? NULL : &l->what.peer,
        .wait_ms = l->w->ask.wait_ms,
        .patience_ms = SURVEY_PATIENCE_MS,
        .peer_ms = SURVEY_PEER_MS,
        .answer_ms = SURVEY_ANSWER_MS,
        .max_rows = ROWS_MAX,
        .keep = true,
        .on_row = on_row,
        .owner = l,
    };
}

/* `a:b`, and no peer or host is called `a`: then somebody may have a file called `a:b`. But if we
 * know a peer of that name, it is meant, and nobody else's file. */
static bool may_be_name(const struct looking *l) {
    const struct survey *r = &l->a.survey;
    const struct peer_spec *peer = &l->what.peer;
    char shown[4 * WHAT_NAME_MAX];

    name_show(peer->name, strlen(peer->name), shown, sizeof shown);
    return peer->kind == PEER_NAME && !peer->id[0] && r->n_added == 0 &&
           !survey_first(r, SURVEY_ANSWERED) && !survey_first(r, SURVEY_REFUSED) &&
           !trust_knows_name(&l->a.client.trust, shown);
}

static int as_name(struct looking *l, const char *word) {
    struct survey_question q;

    if (!name_path_ok(word, strlen(word)))
        return 0;
    l->what.peer.kind = PEER_ANY;
    snprintf(l->what.path, sizeof l->what.path, "%s", word);
    q = question(l);
    return asking_try(&l->a, &q);
}

/* Asks who has it. CODE_DONE: l->hits holds what was answered. */
static int ask(struct looking *l, const char *word) {
    struct survey_question q = question(l);
    int err = asking_try(&l->a, &q), code;

    if (!err && may_be_name(l))
        err = as_name(l, word);
    q = question(l);
    code = asking_report(&l->a, &q, err);
    if (!code && l->err)
        return fail(CODE_FAILED, "%s", err_text(l->err));
    return code;
}

static int get(struct looking *l, const char *word) {
    int code = ask(l, word);

    if (code)
        return code;
    switch (hits_resolve(&l->hits, l->what.path)) {
    case HITS_NONE:
        return asking_not_found(&l->a, l->what.path); /* refused peers were warned of */
    case HITS_MANY:
        return asking_ambiguous(&l->a, &l->hits, l->what.path);
    case HITS_ONE:
        break;
    }
    return download_run(&l->a, &l->w->o, &l->hits);
}

/* A path of the user's in the sentence may be no UTF-8. */
static void print_failed(int code) {
    json_t *o = json_pack("{s:s, s:i}", "event", "failed", "code", code);

    if (json_put_bytes(o, "message", say_last(), strlen(say_last())) < 0) {
        json_decref(o);
        o = NULL;
    }
    json_tell(o);
}

static void last_words(struct client *c) {
    const struct looking *l = (const struct looking *)c;

    fail(c->stop_code, "stopped; run the same command again to go on");
    if (l->w->o.json)
        print_failed(c->stop_code);
}

/* One WHAT. With --json its last line says how it ended. */
static int get_one(struct looking *l, const char *word) {
    int code;

    hits_init(&l->hits);
    l->err = 0;
    code = get(l, word);
    hits_clear(&l->hits);
    if (l->w->o.json && code != CODE_DONE && code != CODE_SKIPPED)
        print_failed(code);
    return code;
}

static int misnamed(const char *word) {
    char shown[1024];

    name_show(word, strlen(word), shown, sizeof shown);
    return opts_misused(&usage, "`%s` is neither NAME nor PEER:PATH", shown);
}

static int get_seed(struct looking *l) {
    char *const *word = l->w->what;

    if (what_parse_path(&l->what, word[2]) != 0)
        return misnamed(word[2]);
    if (what_parse_address(&l->what.peer, word[0], word[1]) != 0)
        return opts_misused(&usage, "HOST is a name or an address");
    return get_one(l, word[2]);
}

/* The first failure is the exit code, but all are tried. */
static int get_all(struct looking *l) {
    int first = CODE_DONE;

    for (int i = 0; i < l->w->n && l->a.client.stops == 0; i++) {
        const char *word = l->w->what[i];
        int code;

        if (what_parse(&l->what, word) != 0 || !l->what.path[0])
            return misnamed(word);
        code = get_one(l, word);
        if (first == CODE_DONE)
            first = code;
    }
    return first;
}

static int check_dir(const struct app *app, const char *dir) {
    char shown[1024];
    struct stat st;
    int err = stat(dir, &st) == 0 ? 0 : -errno;

    name_show(dir, strlen(dir), shown, sizeof shown);
    if (!err && S_ISDIR(st.st_mode) && !confined_reaches(app, dir))
        return fail(CODE_FAILED,
                    "%s: the prompt writes only below the folder where it was started; "
                    "`lanyard download` outside of it writes anywhere",
                    shown);
    if (!err && S_ISDIR(st.st_mode))
        return 0;
    return fail(CODE_FAILED, "%s: %s; --output takes a folder that exists", shown,
                err ? err_text(err) : "it is no folder");
}

static int parse(struct words *w, int argc, char **argv) {
    const struct opt table[] = {
        {"output", 'o', "DIR", "put it there (default: the current folder)", OPT_TEXT, &w->o.dir},
        {"timeout", 't', "S", "give up when nothing arrived for S seconds (default: 60)",
         OPT_SECONDS, &w->o.timeout_ms},
        {"update", 'u', NULL, "bring an older copy that is here up to date", OPT_FLAG,
         &w->o.update},
        {"limit", 'l', "RATE", "receive at most RATE (bytes a second)", OPT_RATE, &w->limit},
        {"unsafe-links", 0, NULL, "keep symlinks that lead out of what is downloaded", OPT_FLAG,
         &w->o.unsafe_links},
        OPT_CODE(&w->ask.code),
        OPT_ASKING(&w->ask),
        {0},
    };
    struct peer_spec p;
    int first, parsed = opts_parse(&usage, table, argc, argv, &first);

    if (parsed)
        return parsed;
    w->what = argv + first;
    w->n = argc - first;
    w->o.json = w->ask.json;
    w->seed = w->n == 3 && what_parse_address(&p, w->what[0], w->what[1]) == 0;
    if (w->n > 0)
        return 0;
    opts_misused(&usage, "what?");
    return -EINVAL;
}

static void on_limit(void *owner, uint64_t rate) {
    struct looking *l = owner;

    client_set_limit(&l->a.client, rate);
}

static void start_limit(struct looking *l, const struct app *app) {
    const struct rate_option *o = &l->w->limit;

    on_limit(l, o->given ? o->rate : app->config.limits[CONFIG_DOWNLOAD_LIMIT]);
    l->follow.on_limit = on_limit;
    l->follow.owner = l;
    follow_start(&l->follow, l->a.client.loop, &app->config, CONFIG_DOWNLOAD_LIMIT);
}

int cmd_download(struct app *app, int argc, char **argv) {
    struct words w = {.ask.wait_ms = SURVEY_WAIT_MS,
                      .o = {.dir = ".", .timeout_ms = FETCH_TIMEOUT_MS}};
    struct looking l = {.w = &w};
    int code, parsed = parse(&w, argc, argv);

    if (parsed)
        return opts_code(parsed);
    code = check_dir(app, w.o.dir);
    if (code)
        return code;
    w.ask.target = w.o.dir;
    w.ask.by_address = w.seed;
    code = asking_open(&l.a, app, &w.ask, BUFFERS);
    if (code)
        return code;
    l.a.client.last_words = last_words;
    start_limit(&l, app);
    code = w.seed ? get_seed(&l) : get_all(&l);
    l.a.client.last_words = NULL; /* all is said */
    l.a.client.stop_code = code;
    follow_stop(&l.follow);
    asking_close(&l.a);
    return code;
}
