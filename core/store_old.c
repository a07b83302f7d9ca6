/* SPDX-License-Identifier: MIT */
/*
 * store_old -- the copy that DEST/NAME is already: what it has of the selection
 *
 * Nothing is written to it here, and no symlink followed. What its files are is noted when they are
 * looked at first: whoever changes one meanwhile keeps it. A chunk counts only after its digest was
 * that of the source; the digest is noted, so that a copy of the chunk can be checked again.
 */
#include "core/store_internal.h"

#include "core/digest.h"
#include "core/err.h"
#include "core/fs.h"
#include "core/selection.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { VERSION_LEN = sizeof(uint64_t) };

/* --- life ----------------------------------------------------------------------------------- */

void store_old_close(struct store *s) {
    bits_clear(&s->old.same);
    if (s->old.folder >= 0)
        close(s->old.folder);
    if (s->old.notes >= 0)
        close(s->old.notes);
    s->old.folder = s->old.notes = STORE_NONE;
}

int store_old_open(struct store *s) {
    store_drop_workers(s);
    store_old_close(s);
    int rc = bits_init(&s->old.same, s->chunks);
    if (rc)
        return rc;
    s->old.notes = fs_open_temp();
    if (s->old.notes < 0)
        return s->old.notes;
    int fd = fs_open_dir(s->dest, s->name);
    if (fd == -EACCES && s->task == STORE_UPDATES && !fs_chmod(s->dest, s->name, 0700))
        fd = fs_open_dir(s->dest, s->name);
    if (fd >= 0)
        s->old.folder = fd;
    return fd >= 0 || fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? 0 : fd;
}

/* --- notes ---------------------------------------------------------------------------------- */

static uint64_t digest_at(const struct store *s, uint64_t chunk) {
    return (uint64_t)catalog_totals(s->catalog)->entries * VERSION_LEN + chunk * WIRE_DIGEST_LEN;
}

int store_old_digest(const struct store *s, uint64_t chunk, uint8_t *digest) {
    return fs_pread_all(s->old.notes, digest, WIRE_DIGEST_LEN, digest_at(s, chunk));
}

static int note_same(struct store *s, uint64_t chunk, const uint8_t *digest) {
    int rc = fs_pwrite_all(s->old.notes, digest, WIRE_DIGEST_LEN, digest_at(s, chunk));
    if (!rc)
        bits_add(&s->old.same, chunk);
    return rc;
}

/* 0: not there. Another name of the same file that we replace changes its ctime: so that does not
 * count for files with several names. */
static uint64_t version_of(const struct stat *st, bool several_names) {
    struct stat seen;
    if (!st)
        return 0;
    seen = *st;
    if (several_names)
        seen.st_ctim = (struct timespec){0};
    return selection_version(&seen);
}

static int note_version(struct store *s, uint32_t entry, const struct stat *st) {
    uint64_t version = version_of(st, st && st->st_nlink > 1);
    return fs_pwrite_all(s->old.notes, &version, sizeof version, (uint64_t)entry * VERSION_LEN);
}

int store_old_is(const struct store *s, uint32_t entry, const struct stat *st) {
    uint64_t version;
    int rc = fs_pread_all(s->old.notes, &version, sizeof version, (uint64_t)entry * VERSION_LEN);
    if (rc)
        return rc;
    return version == version_of(st, false) || version == version_of(st, true);
}

/* --- look ----------------------------------------------------------------------------------- */

int worker_link_is(struct store *s, struct worker *w) {
    const struct bytes want = w->cur.entry.target;
    char target[PATH_MAX_LEN + 2];
    int dir = worker_dir(s, w);
    ssize_t len = dir < 0 ? dir : fs_readlink(dir, w->name, target, sizeof target - 1);
    if (len < 0)
        return len == -ENAMETOOLONG ? 0 : (int)len;
    return (size_t)len == want.len && memcmp(target, want.at, want.len) == 0;
}

static int leave_out(struct store *s, uint32_t entry, int why) {
    store_skip(s, entry, why);
    return 1;
}

int worker_stat_old(struct store *s, struct worker *w, struct stat *st) {
    int rc = worker_stat(s, w, st);
    return rc == -ENOTDIR || rc == -ELOOP ? -ENOENT : rc;
}

static int look(struct store *s, struct worker *w, const struct stat *st, uint64_t *size) {
    const struct manifest_entry *e = &w->cur.entry;
    uint32_t index = w->cur.index;
    if (!store_same_kind(st->st_mode, e->kind)) {
        if (index > 0)
            return leave_out(s, index, ERR_KIND);
        s->empty = !s->resumed; /* the one thing that was asked for: no way on */
        return ERR_KIND;
    }
    int rc = note_version(s, index, st);
    if (rc || e->kind != WIRE_FILE)
        return rc;
    if ((uint64_t)st->st_size != e->size && store_is_newer(st, e))
        return leave_out(s, index, ERR_NEWER);
    *size = (uint64_t)st->st_size;
    return 0;
}

int store_old_look(struct store *s, struct worker *w, uint64_t *size) {
    uint32_t index = w->cur.index;
    struct stat st;
    *size = 0;
    if (index > 0 && bits_has(&s->skipped, w->cur.entry.parent))
        bits_add(&s->skipped, index); /* with its folder */
    if (bits_has(&s->skipped, index))
        return 1;
    int rc = worker_stat_old(s, w, &st);
    if (s->task == STORE_COMPARES) {
        if (rc && rc != -ENOENT)
            return rc == -EACCES ? store_differs(s, index, "cannot be read here") : rc;
        rc = store_same_entry(s, w, rc ? NULL : &st);
        *size = !rc && w->cur.entry.kind == WIRE_FILE ? w->cur.entry.size : 0;
        return rc;
    }
    if (rc == -EACCES && index > 0)
        return leave_out(s, index, rc);
    if (rc == -ENOENT)
        return note_version(s, index, NULL);
    return rc ? rc : look(s, w, &st, size);
}

/* --- compare -------------------------------------------------------------------------------- */

/* The copy has other bytes there, or bytes that nobody can read. */
static int differs(struct store *s, struct worker *w, int why, enum store_verdict *verdict) {
    struct stat st;
    if (s->task == STORE_COMPARES)
        return store_differs(s, w->cur.index, why ? "cannot be read here" : "has other bytes");
    int rc = worker_stat(s, w, &st);
    *verdict = STORE_OTHER;
    if (rc || !store_is_newer(&st, &w->cur.entry))
        return 0;
    store_skip(s, w->cur.index, ERR_NEWER);
    *verdict = STORE_LEFT_OUT;
    return 0;
}

static int compare(struct store *s, struct worker *w, uint64_t chunk, const uint8_t *digest,
                   enum store_verdict *verdict) {
    uint8_t found[WIRE_DIGEST_LEN];
    int rc = catalog_chunk(&w->cur, chunk);
    if (rc)
        return rc;
    if (bits_has(&s->skipped, w->cur.index)) {
        *verdict = STORE_LEFT_OUT;
        return 0;
    }
    int fd = worker_file(s, w);
    rc = fd < 0 ? fd : worker_digest(s, w, fd, chunk, found);
    worker_done(w, fd);
    if (rc && !store_is_unreadable(rc) && rc != -EACCES)
        return rc;
    if (rc || memcmp(found, digest, sizeof found) != 0)
        return differs(s, w, rc, verdict);
    *verdict = STORE_SAME;
    return note_same(s, chunk, digest);
}

int store_old_compare(struct store *s, uint64_t chunk, const uint8_t *digest,
                      enum store_verdict *verdict) {
    struct worker *w;
    int rc = worker_get_old(s, &w);
    if (rc)
        return rc;
    bits_remove(&s->old.same, chunk);
    rc = compare(s, w, chunk, digest, verdict);
    worker_put(s, w);
    return rc;
}
