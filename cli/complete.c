/* SPDX-License-Identifier: MIT */
#include "cli/complete.h"

#include "cli/asking.h"
#include "cli/commands.h"
#include "proto/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct finding {
    struct completions *c;
    const char *word;   /* what all of them begin with */
    const char *prefix; /* what stands before the names of rows */
};

/* Names of peers go into the command line as they are: one that is shown in another form there, or
 * would be read as an option, is not offered. */
static bool can_be_typed(const char *text) {
    char shown[4 * WHAT_PATH_MAX];

    name_show(text, strlen(text), shown, sizeof shown);
    return strcmp(shown, text) == 0 && text[0] != '-';
}

/* Takes `text` if it begins with the word. */
static void offer(const struct finding *f, const char *text) {
    if (f->c->n < COMPLETE_MAX && can_be_typed(text) &&
        strncmp(text, f->word, strlen(f->word)) == 0) {
        f->c->all[f->c->n] = strdup(text);
        f->c->n += f->c->all[f->c->n] != NULL;
    }
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct completions *c) {
    size_t kept = 0;

    qsort(c->all, c->n, sizeof *c->all, by_text);
    for (size_t i = 0; i < c->n; i++) {
        if (kept > 0 && strcmp(c->all[kept - 1], c->all[i]) == 0)
            free(c->all[i]);
        else
            c->all[kept++] = c->all[i];
    }
    c->n = kept;
}

void completions_clear(struct completions *c) {
    while (c->n > 0)
        free(c->all[--c->n]);
}

size_t completions_common(const struct completions *c) {
    size_t len = c->n ? strlen(c->all[0]) : 0;

    for (size_t i = 1; i < c->n; i++) {
        size_t k = 0;

        while (k < len && c->all[0][k] == c->all[i][k])
            k++;
        len = k;
    }
    while (c->n > 1 && len > 0 && ((unsigned char)c->all[0][len] & 0xc0) == 0x80)
        len--; /* in the middle of a character */
    return len;
}

static void offer_commands(const struct finding *f) {
    for (const struct command *c = commands; c->name; c++)
        offer(f, c->name);
    offer(f, "help");
    offer(f, "exit");
}

static void on_row(void *owner, const struct survey_peer *p, const struct wire_entry *e) {
    const struct finding *f = owner;
    char text[WHAT_PATH_MAX + 600];
    int n = snprintf(text, sizeof text, "%s%.*s%s", f->prefix, (int)e->path.len,
                     (const char *)e->path.at, e->kind == WIRE_DIR ? "/" : "");

    if (n > 0 && (size_t)n < sizeof text)
        offer(f, text);
}

/* Asks `only`, or everybody, for the rows of a folder. colon: offer the peers as well, with it. */
static void offer_rows(struct app *app, struct finding *f, const struct what *what, bool rows,
                       const char *after_peer) {
    struct asking_options o = {0};
    const struct survey_question q = {.kind = QUERY_LIST,
                                      .arg = what->path,
                                      .only = what->peer.kind == PEER_ANY ? NULL : &what->peer,
                                      .wait_ms = COMPLETE_MS,
                                      .peer_ms = COMPLETE_MS,
                                      .on_row = rows ? on_row : NULL,
                                      .owner = f};
    char text[SURVEY_LABEL_LEN + 2], label[SURVEY_LABEL_LEN];
    struct asking a;

    if (asking_open(&a, app, &o, ASKING_BUFFERS) != 0)
        return;
    survey_ask(&a.survey, &q);
    for (unsigned i = 0; i < a.survey.n && after_peer; i++) {
        if (a.survey.all[i]->state != SURVEY_ANSWERED)
            continue;
        survey_label(&a.survey, a.survey.all[i], label);
        snprintf(text, sizeof text, "%s%s", label, after_peer);
        offer(f, text);
    }
    asking_close(&a);
}

/* PEER:dir/na -> the rows of dir at PEER. */
static void offer_paths(struct app *app, struct finding *f) {
    const char *colon = strrchr(f->word, ':'), *slash = strrchr(f->word, '/');
    const char *end = slash && slash > colon ? slash : colon;
    char prefix[WHAT_PATH_MAX + 512];
    struct what what;

    if ((size_t)(end - f->word) + 2 > sizeof prefix)
        return;
    snprintf(prefix, sizeof prefix, "%.*s", (int)(end + 1 - f->word), f->word);
    f->prefix = prefix;
    if (what_parse(&what, prefix) == 0 && what.peer.kind != PEER_ANY)
        offer_rows(app, f, &what, true, NULL);
}

static void offer_known(struct app *app, const struct finding *f) {
    struct trust t = {0};

    if (client_load_trust(app, &t) != 0)
        return;
    for (size_t i = 0; i < t.n; i++)
        offer(f, t.peers[i].name);
    trust_clear(&t);
}

void complete(struct app *app, const char *const *words, int n, const char *word,
              struct completions *c) {
    const struct command *command = n > 0 ? command_find(words[0]) : NULL;
    struct finding f = {.c = c, .word = word, .prefix = ""};
    const struct what everything = {.peer.kind = PEER_ANY};

    c->n = 0;
    if (n == 0)
        offer_commands(&f);
    else if (!command)
        return;
    else if (command->run == cmd_trust && n == 1)
        for (const char *const *v = (const char *const[]){"list", "add", "forget", NULL}; *v; v++)
            offer(&f, *v);
    else if (command->run == cmd_trust)
        offer_known(app, &f);
    else if ((command->run == cmd_download || command->run == cmd_list) && strchr(word, ':'))
        offer_paths(app, &f);
    else if (command->run == cmd_download)
        offer_rows(app, &f, &everything, true, ":");
    else if (command->run == cmd_list)
        offer_rows(app, &f, &everything, false, "");
    sort(c);
}
