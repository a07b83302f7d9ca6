/* SPDX-License-Identifier: MIT */
#include "core/names.h"

#include "core/fs.h"
#include "core/grow.h"
#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WINDOW = 1 << 12, /* bytes of a run in memory: more than its longest name */
    GATHER = 1 << 14, /* bytes for one write */
};

struct name {
    uint64_t head; /* the first 8 bytes, so that most comparisons do not look at the text */
    size_t at;     /* in the text, NUL-terminated */
};

struct run {          /* names one behind the other, NUL-terminated */
    uint64_t at, end; /* in the file: what is not in the window yet */
    char *window;     /* NULL before names_sort */
    size_t len, pos;  /* bytes in the window; where its current name begins */
};

void names_init(struct names *s, size_t room) { *s = (struct names){.room = room}; }

/* Bytewise: strcmp(3) compares unsigned bytes. */
static int order(const void *a, const void *b, void *text) {
    const struct name *x = a, *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    return strcmp((char *)text + x->at, (char *)text + y->at);
}

static void sort_room(struct names *s) {
    if (s->n > 1)
        qsort_r(s->all, s->n, sizeof *s->all, order, s->text);
}

/* --- writing runs --------------------------------------------------------------------------- */

static int add_run(struct names *s) {
    if (s->n_runs == NAMES_RUNS_MAX)
        return WIRE_ERR(WIRE_LIMIT);
    struct run *runs = grow(s->runs, &s->runs_cap, s->n_runs + 1, sizeof *runs);
    if (!runs)
        return -ENOMEM;
    s->runs = runs;
    if (s->n_runs == 0) {
        int fd = fs_open_temp();
        if (fd < 0)
            return fd;
        s->fd = fd;
        s->written = 0;
    }
    runs[s->n_runs++] = (struct run){.at = s->written, .end = s->written + s->text_len};
    return 0;
}

static int write_room(struct names *s) {
    char out[GATHER];
    size_t have = 0;
    int err = 0;
    for (size_t i = 0; i < s->n && !err; i++) {
        const char *name = s->text + s->all[i].at;
        size_t len = strlen(name) + 1;
        if (have + len > sizeof out) {
            err = fs_pwrite_all(s->fd, out, have, s->written);
            s->written += have;
            have = 0;
        }
        memcpy(out + have, name, len);
        have += len;
    }
    if (!err)
        err = fs_pwrite_all(s->fd, out, have, s->written);
    s->written += have;
    return err;
}

/* What is in memory becomes a run. */
static int spill(struct names *s) {
    int err = add_run(s);
    if (err)
        return err;
    sort_room(s);
    err = write_room(s);
    s->n = s->text_len = 0;
    return err;
}

int names_add(struct names *s, const char *name) {
    size_t len = strlen(name) + 1;
    if ((s->n + 1) * sizeof *s->all + s->text_len + len > s->room) {
        int err = spill(s);
        if (err)
            return err;
    }
    struct name *all = grow(s->all, &s->cap, s->n + 1, sizeof *all);
    if (!all)
        return -ENOMEM;
    s->all = all;
    char *text = grow(s->text, &s->text_cap, s->text_len + len, 1);
    if (!text)
        return -ENOMEM;
    s->text = text;
    struct name *n = &all[s->n++];
    *n = (struct name){.at = s->text_len};
    for (size_t i = 0; i < sizeof n->head; i++)
        n->head = n->head << 8 | (i < len ? (uint8_t)name[i] : 0);
    memcpy(text + s->text_len, name, len);
    s->text_len += len;
    return 0;
}

/* --- merging them --------------------------------------------------------------------------- */

static const char *current(const struct run *r) { return r->window + r->pos; }

/* 1: a whole name begins at r->pos; 0: the run is over. */
static int load(const struct names *s, struct run *r) {
    size_t left = r->len - r->pos, more = WINDOW - left;
    if (memchr(current(r), 0, left))
        return 1;
    if (more > r->end - r->at)
        more = (size_t)(r->end - r->at);
    if (more == 0)
        return 0;
    memmove(r->window, current(r), left);
    r->pos = 0;
    r->len = left + more;
    int err = fs_pread_all(s->fd, r->window + left, more, r->at);
    r->at += more;
    /* Nobody else knows the file. */
    return err ? err : memchr(r->window, 0, r->len) ? 1 : -EIO;
}

/* The run at i may be larger than those below it: lets it sink. */
static void sink(struct names *s, size_t i) {
    struct run *all = s->runs, moved = all[i];
    for (size_t child; (child = 2 * i + 1) < s->n_runs; i = child) {
        if (child + 1 < s->n_runs && strcmp(current(&all[child + 1]), current(&all[child])) < 0)
            child++;
        if (strcmp(current(&moved), current(&all[child])) <= 0)
            break;
        all[i] = all[child];
    }
    all[i] = moved;
}

int names_sort(struct names *s) {
    if (s->n_runs == 0) {
        sort_room(s);
        return 0;
    }
    int err = s->n > 0 ? spill(s) : 0;
    for (size_t i = 0; i < s->n_runs && !err; i++) {
        struct run *r = &s->runs[i];
        r->window = malloc(WINDOW);
        err = r->window ? load(s, r) : -ENOMEM;
        if (err > 0)
            err = 0;
    }
    for (size_t i = s->n_runs / 2; i-- > 0 && !err;)
        sink(s, i);
    return err;
}

static int next_of_runs(struct names *s, const char **name) {
    struct run *first = s->runs;
    if (s->next++ > 0) { /* the name that was given out stayed where it was until now */
        first->pos += strlen(current(first)) + 1;
        int got = load(s, first);
        if (got < 0)
            return got;
        if (got == 0 && s->n_runs == 1) {
            names_empty(s);
            return 0;
        }
        if (got == 0) {
            free(first->window);
            *first = s->runs[--s->n_runs];
        }
        sink(s, 0);
    }
    *name = current(first);
    return 1;
}

int names_next(struct names *s, const char **name) {
    if (s->n_runs > 0)
        return next_of_runs(s, name);
    if (s->next == s->n)
        return 0;
    *name = s->text + s->all[s->next++].at;
    return 1;
}

void names_empty(struct names *s) {
    if (s->n_runs > 0)
        close(s->fd);
    for (size_t i = 0; i < s->n_runs; i++)
        free(s->runs[i].window);
    s->n = s->n_runs = s->next = s->text_len = 0;
}

void names_clear(struct names *s) {
    names_empty(s);
    free(s->all);
    free(s->text);
    free(s->runs);
    names_init(s, s->room);
}
