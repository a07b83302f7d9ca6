/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/host.h"
#include "cli/json.h"
#include "cli/loop.h"
#include "cli/opts.h"
#include "cli/rate.h"
#include "cli/sharer.h"
#include "cli/stop.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/err.h"
#include "proto/name.h"

#include <inttypes.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MODULE "share"
#include "core/log.h"

enum { CLOSE_MS = 900 };

static const struct usage usage = {
    .name = "share",
    .args = "[PATH...]",
    .summary = "Offer files and folders until Ctrl-C",
    .details =
        "Without PATH: the current folder. Each is seen under its base name. Nothing is copied or\n"
        "read before somebody asks for it. Symlinks are never followed. Others may read what is\n"
        "shared; nobody can change it. A folder is held: moved elsewhere it is still shared, and\n"
        "another one that takes its place is not.\n"
        "\n"
        "Every machine of the same link may read it, unless --code or --to say otherwise. A PEER\n"
        "is a name that `lanyard trust list` shows, NAME#ID, or a KEY. --code makes a new code\n"
        "for this run; tell it to those who may come in. After 5 wrong ones it is void.\n"
        "\n" RATE_HELP
        " Who takes at the same time gets an equal part. TCP and Ethernet come on top,\n"
        "about 6 %. A line `share-limit = RATE` in ~/.config/lanyard/config is the default; when\n"
        "it is changed, it counts at once for what runs. At the prompt `share --limit RATE` does\n"
        "the same.\n",
};

struct sharing {
    struct app *app;
    struct host_options o;
    bool json;
    uv_loop_t loop;
    uv_signal_t signals[STOP_SIGNALS];
    uv_timer_t guard; /* for a disk that does not answer while we close */
    struct host host;
    bool closing, closed;
    int code;
};

static void on_guard(uv_timer_t *timer) {
    fflush(stdout);
    _exit(((struct sharing *)timer->data)->code);
}

static void stop(struct sharing *s, int code) {
    if (s->closing)
        return;
    s->closing = true;
    s->code = code;
    s->guard.data = s;
    uv_timer_start(&s->guard, on_guard, CLOSE_MS, 0);
    host_close(&s->host);
}

static void on_signal(uv_signal_t *handle, int signum) {
    struct sharing *s = handle->data;

    if (s->closing)
        _exit(CODE_DONE);
    stop(s, CODE_DONE);
}

/* ---- what is told ---- */

static void print_event(struct sharing *s, json_t *o) {
    if (!json_tell(o))
        stop(s, CODE_FAILED); /* nobody listens any more */
}

static void tell_counted(struct sharing *s, const struct share_totals *t) {
    char size[TEXT_LEN];

    if (s->json) {
        print_event(s, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "event", "counted", "files",
                                 (json_int_t)t->files, "bytes", (json_int_t)t->bytes, "hidden",
                                 (json_int_t)t->left_out.hidden, "special",
                                 (json_int_t)t->left_out.special, "failed",
                                 (json_int_t)t->left_out.failed));
        return;
    }
    note("%" PRIu64 " file%s, %s", t->files, t->files == 1 ? "" : "s", text_size(t->bytes, size));
    if (t->left_out.hidden)
        note("left out, hidden: %" PRIu64 " (--hidden shares them too)", t->left_out.hidden);
    if (t->left_out.special)
        note("left out, sockets, pipes and devices: %" PRIu64, t->left_out.special);
    if (t->left_out.failed)
        note("left out, not readable: %" PRIu64, t->left_out.failed);
}

static void on_event(void *owner, const struct server_event *e) {
    struct sharing *s = owner;
    char size[TEXT_LEN];

    switch (e->kind) {
    case SERVER_COUNTED:
        tell_counted(s, e->totals);
        break;
    case SERVER_REQUEST:
        log_info("%s (%s) asks for %s", e->peer, e->key, e->path);
        if (s->json)
            print_event(s, json_pack("{s:s, s:s, s:s, s:s}", "event", "request", "peer", e->peer,
                                     "id", e->key, "path", e->path));
        break;
    case SERVER_SENT:
        log_info("%s (%s) got %s of %s", e->peer, e->key, text_size(e->bytes, size), e->path);
        if (s->json)
            print_event(s, json_pack("{s:s, s:s, s:s, s:s, s:I}", "event", "sent", "peer", e->peer,
                                     "id", e->key, "path", e->path, "bytes", (json_int_t)e->bytes));
        break;
    case SERVER_FAULT:
        log_info("%s: %s", e->peer, e->text);
        break;
    case SERVER_WRONG_CODE:
        host_warn_of_code(e);
        if (s->json)
            print_event(s, json_pack("{s:s, s:s, s:i}", "event", "wrong-code", "address", e->addr,
                                     "left", (int)e->left));
        break;
    }
}

static void on_visible(void *owner, const char *name, bool renamed) {
    struct sharing *s = owner;
    char shown[4 * 64];

    name_show(name, strlen(name), shown, sizeof shown);
    log_info("visible as %s (%s)", shown, announce_backend(s->host.announce));
    if (s->json)
        print_event(s, json_pack("{s:s, s:s}", "event", "visible", "name", shown));
    else if (renamed)
        note("Somebody here has our name already: others see us as %s.", shown);
}

static void on_closed(void *owner) {
    struct sharing *s = owner;

    s->closed = true;
}

static const struct host_handler host_events = {
    .on_event = on_event, .on_visible = on_visible, .on_closed = on_closed};

/* ---- ready ---- */

/* 0; -ENOMEM, or an error of writing. Who waits for this line would wait for ever. */
static int print_ready_json(struct sharing *s) {
    json_t *shares = json_array(), *o;
    char name[4 * 64], id[KEY_TEXT_LEN + 1], *shown;
    int err = 0;

    for (unsigned i = 0; err == 0 && i < s->host.shares.n; i++) {
        const char *share = s->host.shares.all[i].name;

        shown = text_shown(share, strlen(share));
        err = json_array_append_new(shares, shown ? json_string(shown) : NULL);
        free(shown);
    }
    name_show(s->host.name, strlen(s->host.name), name, sizeof name);
    key_text(s->host.app->id.key, id);
    o = json_pack("{s:s, s:s, s:s%, s:i, s:o}", "event", "ready", "name", name, "id", id,
                  (size_t)KEY_SHORT_LEN, "port", (int)s->host.port, "shares", shares);
    if (err == 0)
        return json_event(o);
    json_decref(o);
    return -ENOMEM;
}

void share_print_code(const struct host *h) {
    char code[ACCESS_SHOWN_LEN + 1];

    if (!h->code.text[0])
        return;
    access_show(&h->code, code);
    note("Who wants to come in is asked for this code:  %s", code);
    OPENSSL_cleanse(code, sizeof code);
}

void share_print(const struct host *h, const char *raw_name) {
    char name[4 * 64], id[KEY_TEXT_LEN + 1], share[4 * 256], first[4 * 256] = "NAME", address[64];
    char word[4 * 256];

    name_show(raw_name, strlen(raw_name), name, sizeof name);
    key_text(h->app->id.key, id);
    note("Sharing as %s (id %.*s), port %u:", name, KEY_SHORT_LEN, id, h->port);
    for (unsigned i = 0; i < h->shares.n; i++) {
        name_show(h->shares.all[i].name, strlen(h->shares.all[i].name), share, sizeof share);
        note("  %s%s", share, h->shares.all[i].base[0] ? "" : "/");
        if (i == 0)
            memcpy(first, share, sizeof first);
    }
    name_quote(first, word, sizeof word);
    note("Others get it with\n  lanyard download %s", word);
    host_address(address);
    if (address[0])
        note("or, where they do not see us,\n  lanyard download %s %u %s", address, h->port, word);
    share_print_code(h);
    if (h->limit)
        follow_tell(h->limit);
    if (h->only)
        note("Only those named with --to are answered.");
}

static int start(struct sharing *s) {
    int code, err;

    for (unsigned i = 0; i < STOP_SIGNALS; i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        if (stop_is_heeded(stop_signals[i]))
            uv_signal_start(&s->signals[i], on_signal, stop_signals[i]);
    }
    uv_timer_init(&s->loop, &s->guard);
    code = host_open(&s->host, s->app, &s->loop, &s->o, &host_events, s);
    if (code)
        return code;
    if (s->json) {
        share_print_code(&s->host);
        err = print_ready_json(s);
        if (err)
            stop(s, fail(CODE_FAILED, "cannot say that we are ready: %s", err_text(err)));
    } else {
        share_print(&s->host, s->host.name);
        note("ready (Ctrl-C ends it)");
    }
    return 0;
}

static int act(struct sharing *s) {
    int err = loop_init(&s->loop);

    if (err)
        return fail(CODE_FAILED, "cannot start: %s", err_text(err));
    err = start(s);
    if (err) {
        s->code = err;
        s->closed = true;
    }
    while (!s->closed)
        uv_run(&s->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&s->guard, NULL);
    for (unsigned i = 0; i < STOP_SIGNALS; i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    stop_ignore_late();
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    return s->code;
}

int cmd_share(struct app *app, int argc, char **argv) {
    struct sharing s = {.app = app, .o.port = -1};
    struct opt_texts to = {0};
    const struct opt table[] = {
        {"name", 'n', "NAME", "be seen under this name (default: the host's)", OPT_TEXT, &s.o.name},
        {"port", 'p', "P", "listen there (default: 5000, or the next free one)", OPT_PORT,
         &s.o.port},
        {"hidden", 0, NULL, "offer entries with a leading dot too", OPT_FLAG, &s.o.hidden},
        {"routed", 0, NULL, "answer machines of other links too", OPT_FLAG, &s.o.routed},
        {"code", 'c', NULL, "answer only those who know a code, and tell it", OPT_FLAG, &s.o.code},
        {"limit", 'l', "RATE", "send at most RATE to all together (bytes a second)", OPT_RATE,
         &s.o.limit},
        {"to", 't', "PEER", "answer only this known peer; may be repeated", OPT_TEXTS, &to},
        OPT_COMMON(&s.json),
        {0},
    };
    int first, parsed = opts_parse(&usage, table, argc, argv, &first);

    if (parsed)
        return opts_code(parsed);
    s.o.paths = argv + first;
    s.o.n_paths = argc - first;
    s.o.to = to.text;
    s.o.n_to = to.n;
    if (app->sharer)
        return sharer_change(app, &s.o);
    return act(&s);
}
