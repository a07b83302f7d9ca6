/* SPDX-License-Identifier: MIT */
/*
 * store_prepare -- folders, empty files, sizes of large files; free space
 *
 * Files of one chunk are made when it arrives. A large file is made with its whole size, so that
 * what is never written stays a hole.
 */
#include "core/store_internal.h"

#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Is it a file system where two of our names can mean one file (FAT, casefold, normalization)? */
static int probe_names(struct store *s) {
    static const char composed[] = STORE_PROBE, decomposed[] = "e\xcc\x81";
    struct stat st;
    s->folds = !fs_stat(s->staging, "JOURNAL", &st);
    if (s->folds)
        return 0;
    int fd = fs_create(s->staging, composed, 0600);
    if (fd < 0 && fd != -EEXIST) /* it takes no such names: then there is nothing to mix up */
        return store_is_refused(fd) ? 0 : fd;
    if (fd >= 0)
        close(fd);
    s->folds = !fs_stat(s->staging, decomposed, &st);
    return fs_unlink(s->staging, composed);
}

int store_check_space(const struct store *s, uint64_t need, uint64_t *missing) {
    struct statvfs vfs;
    if (fstatvfs(s->staging, &vfs) < 0)
        return -errno;
    uint64_t have = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    *missing = need > have ? need - have : 0;
    return *missing ? ERR_NO_SPACE : 0;
}

static int make_folder(struct store *s, struct worker *w) {
    const struct manifest_entry *e = &w->cur.entry;
    bool works = store_mode_works(s, e);
    int dir = worker_dir(s, w);
    if (dir < 0)
        return dir;
    if (store_is_staging(w->name))
        return ERR_STAGING;
    mode_t mode = works ? e->mode & 0777 : 0700;
    int rc = fs_mkdir(dir, w->name, mode);
    if (rc == -EEXIST) {
        rc = worker_clear(s, w);
        if (rc)
            return rc < 0 ? rc : 0;
        rc = fs_mkdir(dir, w->name, mode);
    }
    if (!rc && w->cur.index == 0)
        rc = store_open_data(s);
    return rc;
}

/* Whole size, holes in it. What an older version had beyond is cut off. */
static int set_size(const struct worker *w, int fd) {
    struct stat st;
    uint64_t size = w->cur.entry.size;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size == size)
        return 0;
    return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static int close_file(int fd, int rc) {
    if (close(fd) < 0 && !rc)
        rc = -errno;
    return rc;
}

/* *made: anew, with this mode; else it is the one of an earlier run. */
static int open_or_make(struct store *s, struct worker *w, mode_t mode, bool *made) {
    int dir = worker_dir(s, w);
    int fd = dir < 0 ? dir : fs_create(dir, w->name, mode);
    *made = true;
    if (fd != -EEXIST)
        return fd;
    int rc = worker_clear(s, w);
    *made = rc == 0;
    if (rc < 0)
        return rc;
    return rc ? worker_file(s, w) : fs_create(dir, w->name, mode);
}

int worker_make_file(struct store *s, struct worker *w) {
    bool made;
    int fd = open_or_make(s, w, 0600, &made);
    if (fd < 0)
        return fd;
    int rc = set_size(w, fd);
    if (fd == w->file)
        return rc;
    return close_file(fd, rc);
}

static int make_empty(struct store *s, struct worker *w) {
    const struct manifest_entry *e = &w->cur.entry;
    bool works = store_mode_works(s, e), made;
    int fd = open_or_make(s, w, works ? e->mode & 0777 : 0600, &made);
    if (fd < 0)
        return fd;
    int rc = made ? 0 : set_size(w, fd);
    if (!rc && works && made) { /* else store_commit looks at mode and mtime */
        rc = store_lenient(fs_touch(fd, e->mtime_ns));
        bits_add(&s->settled, w->cur.index);
    }
    return close_file(fd, rc);
}

/* What is there may be of another version, with another size, or somebody's. */
static int cut(struct store *s, struct worker *w) {
    struct stat st;
    int rc = worker_stat(s, w, &st);
    if (rc ||
        (S_ISREG(st.st_mode) && !store_is_shared(&st) && (uint64_t)st.st_size == w->cur.entry.size))
        return rc == -ENOENT ? 0 : rc;
    rc = worker_clear(s, w); /* -EEXIST: another entry, under a name that means the same */
    if (rc <= 0)
        return rc == -EEXIST ? 0 : rc;
    int fd = worker_file(s, w);
    rc = fd < 0 ? fd : set_size(w, fd);
    worker_done(w, fd);
    return rc;
}

/* An update makes what it needs when it needs it: most files differ in nothing. */
static int make_some(struct store *s, struct worker *w) {
    const struct manifest_entry *e = &w->cur.entry;
    if (e->kind == WIRE_DIR && w->cur.index == 0)
        return make_folder(s, w);
    return e->kind == WIRE_FILE && s->resumed ? cut(s, w) : 0;
}

static int make_entry(struct store *s, struct worker *w) {
    const struct manifest_entry *e = &w->cur.entry;
    if (s->task == STORE_UPDATES)
        return make_some(s, w);
    if (e->kind == WIRE_DIR)
        return make_folder(s, w);
    if (e->kind == WIRE_SYMLINK)
        return 0; /* links are made last */
    if (e->size == 0)
        return make_empty(s, w);
    if (manifest_chunks(e) > 1)
        return worker_make_file(s, w);
    return s->resumed ? cut(s, w) : 0;
}

static int prepare_entry(struct store *s, struct worker *w, uint32_t index) {
    int rc = catalog_at(&w->cur, index);
    if (rc)
        return rc;
    if (index > 0 && bits_has(&s->skipped, w->cur.entry.parent)) {
        bits_add(&s->skipped, index); /* with its folder */
        return 0;
    }
    rc = make_entry(s, w);
    if (!store_is_refused(rc) && rc != ERR_STAGING)
        return rc;
    store_skip(s, index, rc);
    return 0;
}

int store_prepare(struct store *s, uint64_t *missing) {
    uint32_t n = catalog_totals(s->catalog)->entries;
    struct worker *w = NULL;
    *missing = 0;
    if (s->task == STORE_COMPARES)
        return 0;
    int rc = store_check_space(s, s->need, missing);
    if (!rc)
        rc = probe_names(s);
    if (!rc)
        rc = worker_get(s, &w);
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = store_stopped(s) ? ERR_STOPPED : store_error_at(s, w, prepare_entry(s, w, i));
    worker_put(s, w);
    s->resumed = true;
    return store_error(s, rc);
}
