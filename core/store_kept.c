/* SPDX-License-Identifier: MIT */
/*
 * store_kept -- what is not of the download moves out of the way, into `kept` beside `data`
 *
 * Whoever works in a staging folder while a download is on its way (an editor, a file manager, a
 * careless hand) loses nothing, and nothing of it appears in the result. To find it costs one
 * readdir(3) per folder and one digest per name: a folder is only looked at name by name where the
 * digests do not add up to what the manifest lists.
 */
#include "core/store_internal.h"

#include "core/digest.h"
#include "core/err.h"
#include "core/fs.h"
#include "core/grow.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char kept[] = "kept";

/* --- out of the way ------------------------------------------------------------------------- */

static void remember(struct store *s, const char *name) {
    pthread_mutex_lock(&s->lock);
    if (s->n_kept++ == 0)
        snprintf(s->kept, sizeof s->kept, "%s", name);
    pthread_mutex_unlock(&s->lock);
}

/* Under its own name, or the first of 1, 2, 3, ... that is free. */
static int move_to(int to, int dir, const char *name) {
    enum { NUMBERS = 10000 };
    char number[16];
    int rc = fs_rename_new(dir, name, to, name);
    for (int i = 1; rc == -EEXIST && i <= NUMBERS; i++) {
        snprintf(number, sizeof number, "%d", i);
        rc = fs_rename_new(dir, name, to, number);
    }
    return rc;
}

static int keep(struct store *s, int dir, const char *name) {
    int rc = fs_mkdir(s->staging, kept, 0700);
    if (rc && rc != -EEXIST)
        return rc;
    int to = fs_open_dir(s->staging, kept);
    if (to < 0)
        return to;
    rc = move_to(to, dir, name);
    close(to);
    if (!rc)
        remember(s, name);
    return rc;
}

/* What is written to a file with a second name would be written to that one as well. */
bool store_is_shared(const struct stat *st) { return S_ISREG(st->st_mode) && st->st_nlink > 1; }

int worker_clear(struct store *s, struct worker *w) {
    const struct manifest_entry *e = &w->cur.entry;
    struct stat st;
    int rc = worker_name_exists(s, w);
    if (rc <= 0)
        return rc ? rc : -EEXIST;
    rc = worker_stat(s, w, &st);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    bool ours = store_same_kind(st.st_mode, e->kind);
    if (ours && !store_is_shared(&st))
        return 1;
    int dir = worker_dir(s, w);
    if (dir < 0)
        return dir;
    return ours ? fs_unlink(dir, w->name) : keep(s, dir, w->name);
}

uint32_t store_kept(const struct store *s, const char **first) {
    *first = s->kept;
    return s->n_kept;
}

/* --- is there anything else in a folder? ----------------------------------------------------- */

struct tally {
    uint64_t n, sum;
};

static void count(struct tally *t, uint64_t digest) {
    t->n++;
    t->sum += digest;
}

void tidy_init(struct tidy *t, struct store *s, struct worker *w) {
    *t = (struct tidy){.s = s, .w = w, .next = 1};
    catalog_cursor_init(&t->kids, s->catalog);
}

void tidy_clear(struct tidy *t) {
    catalog_cursor_clear(&t->kids);
    free(t->digests);
}

static int add_name(struct tidy *t, struct bytes name) {
    uint64_t *grown = grow(t->digests, &t->cap, t->n + 1, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    t->digests = grown;
    t->digests[t->n++] = digest_64(name.at, name.len);
    return 0;
}

/* The digests of the names that the manifest lists in the folder: they follow each other, in the
 * order of their folders. */
static int list_names(struct tidy *t, uint32_t folder, bool whole) {
    uint32_t entries = catalog_totals(t->s->catalog)->entries;
    const struct manifest_entry *e = &t->kids.entry;
    int rc = 0;
    for (t->n = 0; !rc && t->next < entries; t->next++) {
        rc = catalog_at(&t->kids, t->next);
        if (rc || e->parent > folder)
            break;
        if (e->parent < folder || (whole && bits_has(&t->s->skipped, t->next)))
            continue;
        rc = add_name(t, e->name);
    }
    return rc;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int tally_found(DIR *d, struct tally *found) {
    const struct dirent *e;
    *found = (struct tally){0};
    rewinddir(d);
    for (errno = 0; (e = readdir(d)) != NULL; errno = 0)
        if (!fs_is_dots(e->d_name))
            count(found, digest_64(e->d_name, strlen(e->d_name)));
    return -errno;
}

/* The digests are sorted. */
static int keep_unlisted(struct tidy *t, DIR *d) {
    const struct dirent *e;
    int rc = 0;
    rewinddir(d);
    for (errno = 0; !rc && (e = readdir(d)) != NULL; errno = 0) {
        uint64_t digest = digest_64(e->d_name, strlen(e->d_name));
        if (!fs_is_dots(e->d_name) && !bsearch(&digest, t->digests, t->n, sizeof digest, by_value))
            rc = keep(t->s, dirfd(d), e->d_name);
    }
    return rc ? rc : -errno;
}

/* whole: all that is listed must be there, too. */
static int tidy_open(struct tidy *t, DIR *d, bool whole) {
    struct tally want = {0}, found;
    for (size_t i = 0; i < t->n; i++)
        count(&want, t->digests[i]);
    int rc = tally_found(d, &found);
    if (rc || (want.n == found.n && want.sum == found.sum))
        return rc;
    if (t->s->folds) /* its names may come back in another form than they were given */
        return whole && want.n != found.n ? ERR_TAMPERED : 0;
    qsort(t->digests, t->n, sizeof *t->digests, by_value);
    rc = keep_unlisted(t, d);
    if (!rc && whole)
        rc = tally_found(d, &found);
    return rc || !whole || (want.n == found.n && want.sum == found.sum) ? rc : ERR_TAMPERED;
}

int tidy_folder(struct tidy *t, uint32_t folder, bool whole) {
    int rc = list_names(t, folder, whole);
    if (rc)
        return rc;
    int fd = store_open_folder(t->s, t->w, folder);
    if (fd < 0)
        return !whole && (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP) ? 0 : fd;
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    rc = tidy_open(t, d, whole);
    closedir(d);
    return rc;
}

/* `data` itself, then all folders in it. */
static int tidy_all(struct tidy *t) {
    struct worker *w = t->w;
    uint32_t entries = catalog_totals(t->s->catalog)->entries;
    int rc = catalog_at(&w->cur, 0);
    if (!rc)
        rc = worker_clear(t->s, w);
    for (uint32_t i = 0; rc >= 0 && i < entries; i++) {
        rc = catalog_at(&w->cur, i);
        if (!rc && w->cur.entry.kind == WIRE_DIR && t->s->data >= 0)
            rc = tidy_folder(t, i, false);
        if (!rc && store_stopped(t->s))
            rc = ERR_STOPPED;
    }
    return rc < 0 ? rc : 0;
}

int store_tidy(struct store *s) {
    struct worker *w;
    struct tidy t;
    int rc = store_open_data(s);
    if (!rc)
        rc = worker_get(s, &w);
    if (rc)
        return rc;
    tidy_init(&t, s, w);
    rc = tidy_all(&t);
    tidy_clear(&t);
    worker_put(s, w);
    return rc;
}
