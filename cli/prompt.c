/* SPDX-License-Identifier: MIT */
#include "cli/prompt.h"

#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/confined.h"
#include "cli/sharer.h"
#include "cli/text.h"
#include "core/log.h"

#include <errno.h>
#include <histedit.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 256, HISTORY_MAX = 1000 };

struct terminal {
    struct app *app;
    EditLine *edit;
    History *history;
    char history_path[4096 + 16];
};

static volatile sig_atomic_t interrupted, dismissed;

static void on_interrupt(int signum) { interrupted = 1; }

/* SIGTERM, or the terminal is gone: as `exit`. */
static void on_dismiss(int signum) { dismissed = 1; }

/* ---- one line ---- */

/* Runs one line. Returns its exit code; *leave is set by `exit`. */
static int run_words(struct app *app, int argc, char **argv, bool *leave) {
    enum log_level kept = log_level();
    int code;

    if (argc > 0 && strcmp(argv[0], "lanyard") == 0) { /* out of habit */
        argc--;
        argv++;
    }
    if (argc == 0)
        return CODE_DONE;
    *leave = strcmp(argv[0], "exit") == 0 || strcmp(argv[0], "quit") == 0;
    if (*leave)
        return CODE_DONE;
    code = command_run(app, argc, argv);
    log_set_level(kept);
    return code;
}

static int run_line(struct app *app, const char *line, bool *leave) {
    Tokenizer *tok = tok_init(NULL);
    const char **words;
    char *argv[WORDS_MAX + 1];
    int argc, code;

    if (!tok)
        return fail(CODE_FAILED, "out of memory");
    if (tok_str(tok, line, &argc, &words) != 0)
        code = fail(CODE_USAGE, "a quote is not closed");
    else if (argc > WORDS_MAX)
        code = fail(CODE_USAGE, "too many words");
    else {
        memcpy(argv, words, sizeof *argv * (size_t)argc);
        argv[argc] = NULL;
        code = run_words(app, argc, argv, leave);
    }
    tok_end(tok);
    return code;
}

/* ---- a file or pipe ---- */

static int run_pipe(struct app *app) {
    char *line = NULL;
    size_t cap = 0;
    bool leave = false;
    int code = CODE_DONE;

    while (!leave && getline(&line, &cap, stdin) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        code = run_line(app, line, &leave);
        OPENSSL_cleanse(line, cap); /* there may be a code in it */
    }
    free(line);
    return code;
}

/* ---- a terminal ---- */

static char *prompt_text(EditLine *el) {
    static char text[] = "lanyard> ";

    return text;
}

/* Inserts text as the tokenizer will read it. quote: the one that is open, or 0. */
static void insert(EditLine *el, const char *text, size_t len, char quote) {
    char one[3] = "\\?";

    for (size_t i = 0; i < len; i++) {
        one[1] = text[i];
        el_insertstr(el, !quote && strchr(" \t'\"\\", text[i]) ? one : one + 1);
    }
}

static void list_choices(const struct completions *c) {
    char *shown;

    putchar('\n');
    for (size_t i = 0; i < c->n; i++) {
        shown = text_shown(c->all[i], strlen(c->all[i]));
        printf("  %s\n", shown ? shown : "?");
        free(shown);
    }
}

static unsigned char apply(EditLine *el, const struct completions *c, const char *word,
                           char quote) {
    size_t have = strlen(word), common = completions_common(c);
    const char *first = c->all[0];

    if (c->n == 0)
        return CC_ERROR;
    if (common > have)
        insert(el, first + have, common - have, quote);
    if (c->n == 1) {
        if (!strchr(":/", first[common - 1]))
            el_insertstr(el, quote == '\'' ? "' " : quote ? "\" " : " ");
        return CC_REFRESH;
    }
    if (common > have)
        return CC_REFRESH;
    list_choices(c);
    return CC_REDISPLAY;
}

static unsigned char on_tab(EditLine *el, int ch) {
    struct terminal *t;
    struct completions c;
    LineInfo line = *el_line(el);
    Tokenizer *tok = tok_init(NULL);
    const char **words;
    char *word = NULL;
    unsigned char answer = CC_ERROR;
    int argc, at, offset, quote;

    el_get(el, EL_CLIENTDATA, &t);
    line.lastchar = line.cursor; /* what stands behind the cursor does not count */
    quote = tok ? tok_line(tok, &line, &argc, &words, &at, &offset) : -1;
    if (quote >= 0 && quote <= 2)
        word = strndup(at < argc ? words[at] : "", (size_t)offset);
    if (word) {
        complete(t->app, words, at, word, &c);
        answer = apply(el, &c, word, quote == 1 ? '\'' : quote == 2 ? '"' : '\0');
        completions_clear(&c);
        free(word);
    }
    if (tok)
        tok_end(tok);
    return answer;
}

static void open_history(struct terminal *t) {
    HistEvent e;

    t->history = history_init();
    if (!t->history)
        return;
    history(t->history, &e, H_SETSIZE, HISTORY_MAX);
    history(t->history, &e, H_SETUNIQUE, 1);
    if (app_state_dir(t->app) == 0) {
        snprintf(t->history_path, sizeof t->history_path, "%s/history", t->app->state_dir);
        history(t->history, &e, H_LOAD, t->history_path);
    }
    el_set(t->edit, EL_HIST, history, t->history);
}

static void close_history(struct terminal *t) {
    HistEvent e;

    if (!t->history)
        return;
    if (t->history_path[0])
        history(t->history, &e, H_SAVE, t->history_path);
    history_end(t->history);
}

static int open_terminal(struct terminal *t) {
    t->edit = el_init("lanyard", stdin, stdout, stderr);
    if (!t->edit)
        return fail(CODE_FAILED, "cannot use this terminal");
    el_set(t->edit, EL_CLIENTDATA, t);
    el_set(t->edit, EL_PROMPT, prompt_text);
    el_set(t->edit, EL_EDITOR, "emacs");
    /* the narrow variant leaks copies of both strings (libedit 3.1, eln.c) */
    el_wset(t->edit, EL_ADDFN, L"lanyard-complete", L"complete a word", on_tab);
    el_set(t->edit, EL_BIND, "^I", "lanyard-complete", NULL);
    open_history(t);
    el_source(t->edit, NULL);
    return CODE_DONE;
}

/* The next line, NULL at the end. Ctrl-C takes back what was typed. The handler is set anew each
 * time: libuv puts the default back when a command's loop ends. */
static const char *read_line(struct terminal *t) {
    const struct sigaction act = {.sa_handler = on_interrupt};
    const struct sigaction end = {.sa_handler = on_dismiss};
    const char *line;
    int n;

    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGHUP, &end, NULL);
    while (!dismissed) {
        interrupted = 0;
        line = el_gets(t->edit, &n);
        if (dismissed)
            break;
        if (line && n > 0 && !interrupted)
            return line;
        if (!interrupted)
            return NULL;
        putchar('\n');
        el_reset(t->edit);
    }
    return NULL;
}

/* --code in any form: such a line is not for the file of the history. */
static bool has_code(const char *line) { return strstr(line, " -c") || strstr(line, " --c"); }

static void run_terminal(struct app *app) {
    struct terminal t = {.app = app};
    bool leave = false;
    const char *line;
    HistEvent e;

    if (open_terminal(&t) != CODE_DONE)
        return;
    while (!leave && (line = read_line(&t)) != NULL) {
        if (t.history && line[strspn(line, " \t\n")] && !has_code(line))
            history(t.history, &e, H_ENTER, line);
        run_line(app, line, &leave);
    }
    if (!leave)
        putchar('\n');
    close_history(&t);
    el_end(t.edit);
}

int prompt(struct app *app) {
    const struct host_options everything_here = {.port = -1};
    bool terminal = isatty(STDIN_FILENO);
    int code = CODE_DONE;

    app->at_prompt = true;
    if (app_state_dir(app) == 0)
        confined_prompt(app);
    if (sharer_start(app, &everything_here) == 0 && terminal)
        sharer_print(app);
    if (terminal) {
        puts("`help` lists the commands, TAB completes, `exit` leaves.");
        run_terminal(app);
    } else {
        code = run_pipe(app);
    }
    sharer_stop(app);
    return code;
}
