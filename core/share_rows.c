/* SPDX-License-Identifier: MIT */
#include "core/share_rows.h"

#include "core/fs.h"
#include "core/glob.h"
#include "proto/name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_MAX_LEN = 1024 }; /* more than any name can need */

struct share_rows {
    const struct shares *s;
    int (*next)(struct share_rows *r); /* 1: `row` is the next one; 0: the end; below 0: an error */
    unsigned n_shares;                 /* that were taken */
    struct walk *walk;
    struct walk_watch *watch;

    bool (*matches)(const char *pattern, const char *name);
    char pattern[PATTERN_MAX_LEN + 1];

    bool waiting; /* the row did not fit into the last page, or was made before the first */
    struct wire_entry row;
    char path[NAME_MAX_LEN + 1 + PATH_MAX_LEN + 1]; /* where the row has its path, unless in walk */
};

static int no_more(struct share_rows *r) { return 0; }

static struct share_rows *rows_new(const struct shares *s, int (*next)(struct share_rows *r)) {
    struct share_rows *r = calloc(1, sizeof *r);
    if (r) {
        r->s = s;
        r->next = next;
    }
    return r;
}

void share_rows_free(struct share_rows *r) {
    if (!r)
        return;
    walk_free(r->walk);
    free(r);
}

void share_rows_watch(struct share_rows *r, struct walk_watch *watch) {
    r->watch = watch;
    if (r->walk)
        walk_watch(r->walk, watch);
}

static void set_row(struct share_rows *r, const struct stat *st, const char *path) {
    share_entry(&r->row, st);
    r->row.path = (struct bytes){(const uint8_t *)path, strlen(path)};
}

/* The answer is this one row. */
static void set_only_row(struct share_rows *r, const struct stat *st, const char *path) {
    snprintf(r->path, sizeof r->path, "%s", path);
    set_row(r, st, r->path);
    r->waiting = true;
    r->next = no_more;
}

/* --- list ----------------------------------------------------------------------------------- */

static int next_share(struct share_rows *r) {
    while (r->n_shares < r->s->n) {
        const struct share *sh = &r->s->all[r->n_shares++];
        struct stat st;
        if (share_is_gone(sh) || fs_stat(sh->root, sh->base, &st) < 0)
            continue;
        set_row(r, &st, sh->name);
        return 1;
    }
    return 0;
}

static int next_child(struct share_rows *r) {
    struct walk_entry e;
    int got = walk_next(r->walk, &e);
    if (got > 0)
        set_row(r, &e.st, e.name);
    return got;
}

static int begin_list(struct share_rows *r, const char *path) {
    const struct share *share;
    const char *below;
    struct walk_entry e;
    int err = shares_resolve(r->s, path, &share, &below);
    if (!err)
        err = share_error(walk_new(&r->walk, share->root, below, r->s->hidden, 1));
    if (err)
        return err;
    int got = walk_next(r->walk, &e);
    if (got < 0)
        return got;
    if (e.unreadable)
        return -EACCES;
    if (!S_ISDIR(e.st.st_mode)) {
        const char *slash = strrchr(path, '/');
        set_only_row(r, &e.st, slash ? slash + 1 : path);
    }
    return 0;
}

int share_rows_list(struct share_rows **out, const struct shares *s, const char *path) {
    struct share_rows *r = rows_new(s, *path ? next_child : next_share);
    if (!r)
        return -ENOMEM;
    int err = *path ? begin_list(r, path) : 0;
    if (err) {
        share_rows_free(r);
        return err;
    }
    *out = r;
    return 0;
}

/* --- find ----------------------------------------------------------------------------------- */

static bool is_equal(const char *pattern, const char *name) { return !strcmp(pattern, name); }

static bool is_part(const char *pattern, const char *name) { return strcasestr(name, pattern); }

static bool is_wanted(void *arg, const char *name) {
    const struct share_rows *r = arg;
    return r->matches(r->pattern, name);
}

/* The next share that is there: its walk has begun. 0: no more. */
static int begin_share(struct share_rows *r) {
    while (r->n_shares < r->s->n) {
        const struct share *sh = &r->s->all[r->n_shares++];
        int err =
            share_is_gone(sh) ? -ENOENT : walk_new(&r->walk, sh->root, sh->base, r->s->hidden, -1);
        if (err == -ENOMEM)
            return err;
        if (err)
            continue;
        walk_only(r->walk, is_wanted, r);
        walk_watch(r->walk, r->watch);
        return 1;
    }
    return 0;
}

static int next_found(struct share_rows *r) {
    for (;;) {
        struct walk_entry e;
        int got = r->walk ? 1 : begin_share(r);
        if (got <= 0)
            return got;
        const struct share *sh = &r->s->all[r->n_shares - 1];
        got = walk_next(r->walk, &e);
        if (got < 0)
            return got;
        if (got == 0) {
            walk_free(r->walk);
            r->walk = NULL;
            continue;
        }
        bool is_share = !strcmp(e.path, sh->base); /* the start: matched by the share's name */
        if (is_share && !is_wanted(r, sh->name))
            continue;
        snprintf(r->path, sizeof r->path, is_share ? "%s" : "%s/%s", sh->name, e.path);
        set_row(r, &e.st, r->path);
        return 1;
    }
}

/* What the path itself names, a share or something in it, if that is there. */
static bool find_path(struct share_rows *r, const char *path) {
    const struct share *share;
    const char *below;
    struct stat st;
    if (shares_resolve(r->s, path, &share, &below) || fs_stat(share->root, below, &st))
        return false;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return false;
    set_only_row(r, &st, path);
    return true;
}

int share_rows_find(struct share_rows **out, const struct shares *s, enum wire_find_mode mode,
                    const char *pattern) {
    struct share_rows *r = rows_new(s, next_found);
    if (!r)
        return -ENOMEM;
    *out = r;
    r->matches = mode == WIRE_FIND_NAME     ? is_equal
                 : glob_is_pattern(pattern) ? glob_match
                                            : is_part;
    if (mode == WIRE_FIND_NAME && find_path(r, pattern))
        return 0;
    if (strlen(pattern) > PATTERN_MAX_LEN || (mode == WIRE_FIND_NAME && strchr(pattern, '/')))
        r->next = no_more; /* it can be no name's */
    else
        strcpy(r->pattern, pattern);
    return 0;
}

/* --- pages ---------------------------------------------------------------------------------- */

int share_rows_page(struct share_rows *r, uint8_t *out, size_t cap, size_t *len, uint16_t *n) {
    *len = 0;
    *n = 0;
    while (*n < UINT16_MAX) {
        int got = r->waiting ? 1 : r->next(r);
        if (got == -EAGAIN)
            return 1;
        if (got <= 0)
            return got;
        int put = wire_entry_put(&r->row, out + *len, cap - *len);
        r->waiting = put == -ENOBUFS;
        if (r->waiting)
            return *n > 0 ? 1 : -ENOBUFS;
        if (put < 0) /* a path that is too long with the share's name before it */
            continue;
        *len += (size_t)put;
        ++*n;
    }
    return 1;
}
