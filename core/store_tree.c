/* SPDX-License-Identifier: MIT */
/*
 * store_tree -- from a chunk or an entry to a held folder and a file in it; entries left out
 *
 * Entries of one folder follow each other in a manifest, and so do the chunks of one file: a worker
 * keeps the last folder and the last large file open.
 */
#include "core/store_internal.h"

#include "core/err.h"
#include "core/fs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- workers -------------------------------------------------------------------------------- */

static struct worker **workers_of(struct store *s, bool old) {
    return old ? &s->old.workers : &s->workers;
}

static int get_worker(struct store *s, bool old, struct worker **out) {
    struct worker **free_ones = workers_of(s, old);
    pthread_mutex_lock(&s->lock);
    struct worker *w = *free_ones;
    if (w)
        *free_ones = w->next;
    pthread_mutex_unlock(&s->lock);
    if (!w) {
        w = calloc(1, sizeof *w);
        if (!w)
            return -ENOMEM;
        catalog_cursor_init(&w->cur, s->catalog);
        catalog_cursor_init(&w->up, s->catalog);
        w->dir = w->file = STORE_NONE;
        w->old = old;
    }
    *out = w;
    return 0;
}

int worker_get(struct store *s, struct worker **w) { return get_worker(s, false, w); }

int worker_get_old(struct store *s, struct worker **w) { return get_worker(s, true, w); }

void worker_put(struct store *s, struct worker *w) {
    if (!w)
        return;
    struct worker **free_ones = workers_of(s, w->old);
    pthread_mutex_lock(&s->lock);
    w->next = *free_ones;
    *free_ones = w;
    pthread_mutex_unlock(&s->lock);
}

static void worker_free(struct worker *w) {
    if (w->dir >= 0)
        close(w->dir);
    if (w->file >= 0)
        close(w->file);
    catalog_cursor_clear(&w->cur);
    catalog_cursor_clear(&w->up);
    free(w->chunk);
    free(w);
}

static void drop(struct worker **free_ones) {
    while (*free_ones) {
        struct worker *w = *free_ones;
        *free_ones = w->next;
        worker_free(w);
    }
}

void store_drop_workers(struct store *s) {
    drop(&s->workers);
    drop(&s->old.workers);
}

int worker_buffer(struct worker *w) {
    if (!w->chunk)
        w->chunk = malloc(WIRE_CHUNK_SIZE);
    return w->chunk ? 0 : -ENOMEM;
}

/* --- folders -------------------------------------------------------------------------------- */

static bool is_locked(mode_t mode) { return S_ISDIR(mode) && (mode & 0700) != 0700; }

/* A commit, of this or an earlier run, may have set modes that lock us out: take them back on the
 * way to `path`. The next commit sets them again. */
static void thaw(int root, char *path) {
    struct stat st;
    for (char *at = path; at; at = *at ? at + 1 : NULL) {
        at += strcspn(at, "/");
        char cut = *at;
        *at = 0;
        if (!fs_stat(root, path, &st) && is_locked(st.st_mode))
            (void)fs_chmod(root, path, (st.st_mode & 07777) | 0700);
        *at = cut;
    }
}

/* The same for a folder that can be opened, but perhaps not written to. */
static int unlock(int dir) {
    struct stat st;
    if (dir < 0)
        return dir;
    if (!fstat(dir, &st) && is_locked(st.st_mode))
        (void)fchmod(dir, 0700); /* if this fails, the steps that need it say so */
    return dir;
}

int store_open_data(struct store *s) {
    if (s->data >= 0 || s->task == STORE_COMPARES)
        return 0;
    int fd = fs_open_dir(s->staging, "data");
    if (fd == -EACCES && !fs_chmod(s->staging, "data", 0700))
        fd = fs_open_dir(s->staging, "data");
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP) /* not there yet, or no folder */
        return 0;
    if (fd < 0)
        return fd;
    s->data = unlock(fd);
    return 0;
}

static int top_folder(const struct store *s, const struct worker *w) {
    return w->old ? s->old.folder : s->data;
}

int store_open_folder(struct store *s, struct worker *w, uint32_t index) {
    int rc = catalog_path(&w->up, index, w->path);
    if (rc)
        return rc;
    int root = top_folder(s, w), fd = fs_open_dir(root, w->path);
    if (fd == -EACCES && s->task != STORE_COMPARES) {
        thaw(root, w->path);
        fd = fs_open_dir(root, w->path);
    }
    return w->old ? fd : unlock(fd);
}

int worker_dir(struct store *s, struct worker *w) {
    const struct manifest_entry *e = &w->cur.entry;
    if (w->cur.index == 0) {
        strcpy(w->name, w->old ? s->name : "data");
        return w->old ? s->dest : s->staging;
    }
    memcpy(w->name, e->name.at, e->name.len);
    w->name[e->name.len] = 0;
    if (top_folder(s, w) < 0)
        return -ENOENT;
    if (e->parent == 0)
        return top_folder(s, w);
    if (w->dir >= 0 && w->dir_index == e->parent)
        return w->dir;
    int fd = store_open_folder(s, w, e->parent);
    if (fd < 0)
        return fd;
    if (w->dir >= 0)
        close(w->dir);
    w->dir = fd;
    w->dir_index = e->parent;
    return fd;
}

void worker_forget_dir(struct worker *w) {
    if (w->dir >= 0)
        close(w->dir);
    w->dir = STORE_NONE;
}

/* --- files ---------------------------------------------------------------------------------- */

int worker_file(struct store *s, struct worker *w) {
    if (w->file >= 0 && w->file_index == w->cur.index)
        return w->file;
    int dir = worker_dir(s, w);
    if (dir < 0)
        return dir;
    int fd = w->old ? fs_open_file(dir, w->name) : fs_open_write(dir, w->name);
    if (fd == -EACCES && !w->old && !fs_chmod(dir, w->name, 0600)) { /* as in thaw() */
        (void)bits_remove(&s->settled, w->cur.index);
        fd = fs_open_write(dir, w->name);
    }
    if (fd < 0 || manifest_chunks(&w->cur.entry) < 2)
        return fd;
    if (w->file >= 0)
        close(w->file);
    w->file = fd;
    w->file_index = w->cur.index;
    w->unsynced = 0;
    return fd;
}

void worker_done(struct worker *w, int file) {
    if (file >= 0 && file != w->file)
        close(file);
}

int worker_stat(struct store *s, struct worker *w, struct stat *st) {
    int dir = worker_dir(s, w);
    return dir < 0 ? dir : fs_stat(dir, w->name, st);
}

int store_lenient(int err) {
    return err == -EPERM || err == -EOPNOTSUPP || err == -ENOSYS ? 0 : err;
}

bool store_has_mtime(const struct stat *st, int64_t mtime_ns) {
    struct timespec t = fs_timespec(mtime_ns);
    return st->st_mtim.tv_sec == t.tv_sec && st->st_mtim.tv_nsec == t.tv_nsec;
}

/* The mode that st is to have. A folder keeps what the one around it gave on; a link has none. */
static mode_t settled_mode(const struct store *s, const struct worker *w, const struct stat *st) {
    if (S_ISLNK(st->st_mode))
        return st->st_mode & 07777;
    return store_mode(s, &w->cur.entry) | (S_ISDIR(st->st_mode) ? st->st_mode & S_ISGID : 0);
}

bool worker_is_settled(const struct store *s, const struct worker *w, const struct stat *st) {
    return (st->st_mode & 07777) == settled_mode(s, w, st) &&
           store_has_mtime(st, w->cur.entry.mtime_ns);
}

int worker_settle(struct store *s, struct worker *w, const struct stat *st) {
    const struct manifest_entry *e = &w->cur.entry;
    mode_t mode = settled_mode(s, w, st);
    int rc = 0, dir = worker_dir(s, w);
    if (dir < 0)
        return dir;
    if ((st->st_mode & 07777) != mode)
        rc = store_lenient(fs_chmod(dir, w->name, mode));
    if (!rc && !store_has_mtime(st, e->mtime_ns))
        rc = store_lenient(fs_set_mtime(dir, w->name, e->mtime_ns));
    return rc;
}

/* --- names ---------------------------------------------------------------------------------- */

bool store_is_refused(int err) {
    return err == -EILSEQ || err == -EINVAL || err == -ENAMETOOLONG || err == -EEXIST;
}

int worker_name_exists(struct store *s, struct worker *w) {
    if (!s->folds)
        return 1;
    int dir = worker_dir(s, w);
    DIR *d;
    int rc = dir < 0 ? dir : fs_list_dir(dir, "", &d);
    if (rc)
        return rc;
    const struct dirent *e;
    while ((e = readdir(d)) && strcmp(e->d_name, w->name) != 0)
        ;
    closedir(d);
    return e != NULL;
}

/* --- entries left out ----------------------------------------------------------------------- */

static void remember_skip(struct store *s, struct store_skip skip) {
    enum { STEP = 256 };
    s->n_skipped++;
    if (s->n_skips == STORE_SKIPS_MAX)
        return;
    if (s->n_skips % STEP == 0) {
        void *grown = realloc(s->skips, (s->n_skips + STEP) * sizeof *s->skips);
        if (!grown)
            return; /* it is still counted */
        s->skips = grown;
    }
    s->skips[s->n_skips++] = skip;
}

void store_skip(struct store *s, uint32_t entry, int why) {
    pthread_mutex_lock(&s->lock);
    if (!bits_has(&s->skipped, entry)) {
        bits_add(&s->skipped, entry);
        remember_skip(s, (struct store_skip){entry, why});
    }
    pthread_mutex_unlock(&s->lock);
}

void store_tell(struct store *s, uint32_t entry, int why) {
    pthread_mutex_lock(&s->lock);
    remember_skip(s, (struct store_skip){entry, why});
    pthread_mutex_unlock(&s->lock);
}

void store_skip_chunk(struct store *s, uint64_t chunk, int why) {
    struct worker *w;
    if (worker_get(s, &w))
        return;
    if (!catalog_chunk(&w->cur, chunk))
        store_skip(s, w->cur.index, why);
    worker_put(s, w);
}

void store_chunk_path(struct store *s, uint64_t chunk, char *out) {
    struct worker *w;
    strcpy(out, "?");
    if (worker_get(s, &w))
        return;
    if (catalog_chunk(&w->cur, chunk) || catalog_path(&w->up, w->cur.index, out))
        strcpy(out, "?");
    worker_put(s, w);
}

void store_failed_path(struct store *s, char *out) {
    struct worker *w;
    out[0] = 0;
    if (!s->failed_at_entry || worker_get(s, &w))
        return;
    if (catalog_path(&w->up, s->failed_entry, out))
        out[0] = 0;
    worker_put(s, w);
}

uint32_t store_skipped(struct store *s, void (*fn)(void *arg, const char *path, int why),
                       void *arg) {
    struct worker *w;
    if (!s->n_skipped || worker_get(s, &w))
        return s->n_skipped;
    for (uint32_t i = 0; i < s->n_skips; i++)
        if (!catalog_path(&w->up, s->skips[i].entry, w->path))
            fn(arg, w->path, s->skips[i].why);
    worker_put(s, w);
    return s->n_skipped;
}
