/* SPDX-License-Identifier: MIT */
#include "core/share.h"

#include "core/fs.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void shares_init(struct shares *s, bool hidden) { *s = (struct shares){.hidden = hidden}; }

void shares_clear(struct shares *s) {
    for (unsigned i = 0; i < s->n; i++)
        close(s->all[i].root);
    free(s->all);
    shares_init(s, s->hidden);
}

/* --- add ------------------------------------------------------------------------------------ */

static bool has_own_name(const char *base) {
    return *base && strcmp(base, ".") != 0 && strcmp(base, "..") != 0;
}

/* The name under which the user gave it, or else where that leads. */
static int take_name(struct share *sh, const char *path, const char *real) {
    size_t len = strlen(path);
    while (len > 0 && path[len - 1] == '/')
        len--;
    size_t at = len;
    while (at > 0 && path[at - 1] != '/')
        at--;
    if (len - at >= sizeof sh->name)
        return -ENAMETOOLONG;
    memcpy(sh->name, path + at, len - at);
    sh->name[len - at] = 0;
    if (has_own_name(sh->name))
        return 0;
    const char *base = strrchr(real, '/') + 1;
    if (strlen(base) >= sizeof sh->name)
        return -ENAMETOOLONG;
    strcpy(sh->name, *base ? base : "root");
    return 0;
}

static int hold_folder(struct share *sh, const char *real) {
    int fd = fs_open_root(real);
    if (fd < 0)
        return fd;
    sh->root = fs_open_dir(fd, ""); /* what is shared must be readable now, not just later */
    close(fd);
    return sh->root < 0 ? sh->root : 0;
}

static int hold_file(struct share *sh, char *real) {
    char *slash = strrchr(real, '/');
    if (strlen(slash + 1) >= sizeof sh->base)
        return -ENAMETOOLONG;
    strcpy(sh->base, slash + 1);
    slash[slash == real] = 0; /* "/file" lies in "/" */
    sh->root = fs_open_root(real);
    if (sh->root < 0)
        return sh->root;
    int fd = fs_open_file(sh->root, sh->base);
    if (fd >= 0)
        close(fd);
    else
        close(sh->root);
    return fd < 0 ? fd : 0;
}

static int hold(struct share *sh, const char *path) {
    struct stat st;
    char *real = realpath(path, NULL);
    if (!real)
        return -errno;
    int err = take_name(sh, path, real);
    if (!err && stat(real, &st) < 0)
        err = -errno;
    if (!err && S_ISDIR(st.st_mode))
        err = hold_folder(sh, real);
    else if (!err)
        err = S_ISREG(st.st_mode) ? hold_file(sh, real) : -EINVAL;
    free(real);
    return err;
}

static const struct share *find_share(const struct shares *s, const char *name, size_t len) {
    for (unsigned i = 0; i < s->n; i++)
        if (strlen(s->all[i].name) == len && !memcmp(s->all[i].name, name, len))
            return &s->all[i];
    return NULL;
}

int shares_add(struct shares *s, const char *path) {
    struct share sh = {.root = -1};
    struct share *all = realloc(s->all, (s->n + 1) * sizeof *all);
    if (!all)
        return -ENOMEM;
    s->all = all;
    int err = hold(&sh, path);
    if (err)
        return err;
    if (find_share(s, sh.name, strlen(sh.name))) {
        close(sh.root);
        return -EEXIST;
    }
    all[s->n++] = sh;
    return 0;
}

/* --- resolve -------------------------------------------------------------------------------- */

static bool has_hidden(const char *path) {
    for (; path; path = strchr(path, '/')) {
        path += *path == '/';
        if (*path == '.')
            return true;
    }
    return false;
}

bool share_is_gone(const struct share *sh) {
    struct stat st;
    return fs_stat(sh->root, sh->base, &st) < 0 || st.st_nlink == 0;
}

int shares_resolve(const struct shares *s, const char *path, const struct share **share,
                   const char **below) {
    size_t len = strcspn(path, "/");
    const char *rest = path + len + (path[len] == '/');
    if (!name_path_ok(path, strlen(path)))
        return WIRE_ERR(WIRE_NOT_FOUND);
    const struct share *sh = find_share(s, path, len);
    if (!sh || (*rest && *sh->base) || (!s->hidden && has_hidden(rest)) ||
        (!*sh->base && share_is_gone(sh)))
        return WIRE_ERR(WIRE_NOT_FOUND);
    *share = sh;
    *below = *rest ? rest : sh->base;
    return 0;
}

int share_error(int err) {
    switch (err) {
    case -ENOENT:
    case -ENOTDIR:
    case -ELOOP:        /* a symlink in the middle */
    case -EINVAL:       /* a socket, FIFO or device */
    case -ENAMETOOLONG: /* for this file system */
        return WIRE_ERR(WIRE_NOT_FOUND);
    default:
        return err;
    }
}

/* --- what is in it -------------------------------------------------------------------------- */

void share_entry(struct wire_entry *e, const struct stat *st) {
    e->kind = S_ISDIR(st->st_mode) ? WIRE_DIR : S_ISREG(st->st_mode) ? WIRE_FILE : WIRE_SYMLINK;
    e->mode = st->st_mode & 0777;
    e->size = e->kind == WIRE_FILE ? (uint64_t)st->st_size : 0;
    if (__builtin_mul_overflow((int64_t)st->st_mtim.tv_sec, 1000000000, &e->mtime_ns) ||
        __builtin_add_overflow(e->mtime_ns, st->st_mtim.tv_nsec, &e->mtime_ns))
        e->mtime_ns = st->st_mtim.tv_sec < 0 ? INT64_MIN : INT64_MAX; /* not in 1677 .. 2262 */
}

static int count_walk(struct walk *w, struct share_totals *t, atomic_bool *stop) {
    struct walk_entry e;
    int got;
    while ((got = walk_next(w, &e)) > 0) {
        if (stop && *stop)
            return -ECANCELED;
        if (S_ISREG(e.st.st_mode)) {
            t->files++;
            t->bytes += (uint64_t)e.st.st_size;
        }
    }
    struct walk_counts c = walk_counts(w);
    t->left_out.hidden += c.hidden;
    t->left_out.special += c.special;
    t->left_out.failed += c.failed;
    return got;
}

int shares_count(const struct shares *s, struct share_totals *t, atomic_bool *stop) {
    *t = (struct share_totals){0};
    for (unsigned i = 0; i < s->n; i++) {
        struct walk *w;
        int err = share_is_gone(&s->all[i])
                      ? -ENOENT
                      : walk_new(&w, s->all[i].root, s->all[i].base, s->hidden, -1);
        if (err == -ENOMEM)
            return err;
        if (err) { /* it has gone meanwhile */
            t->left_out.failed++;
            continue;
        }
        err = count_walk(w, t, stop);
        walk_free(w);
        if (err)
            return err;
    }
    return 0;
}
