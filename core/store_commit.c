/* SPDX-License-Identifier: MIT */
/*
 * store_commit -- from a whole staging folder to DEST/NAME
 *
 *     every chunk is here -> files -> links -> folders      modes and times, what is left out goes
 *     sync -> mark the journal -> rename -> sync DEST -> remove staging
 *
 * A crash before the rename leaves staging as it was, but for modes and times. After it, `data` is
 * gone and the journal is marked: store_open then only cleans up.
 */
#include "core/store_internal.h"

#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct commit {
    struct store *s;
    struct worker *w;
    uint32_t entries;
    bool unsafe_links;
    bool locked_folders; /* some folder gets a mode that locks its owner out */
};

/* --- is everything here? -------------------------------------------------------------------- */

/* *chunk: the one to look at; it moves to the last one that is known to need no look. */
static int check_chunk(struct store *s, struct worker *w, struct slots *slots, uint64_t *chunk) {
    const struct catalog_cursor *cur = &w->cur;
    const uint8_t *slot, *old;
    int rc = slots_at(slots, *chunk, &slot, &old);
    if (rc || (slot && !bits_has(&s->unchecked, *chunk)) || bits_has(&s->old.same, *chunk))
        return rc;
    rc = catalog_chunk(&w->cur, *chunk);
    if (rc)
        return rc;
    *chunk = cur->first_chunk + manifest_chunks(&cur->entry) - 1;
    return bits_has(&s->skipped, cur->index) ? 0 : -EINVAL;
}

int store_check_whole(struct store *s, struct worker *w) {
    struct slots slots;
    int rc = slots_init(&slots, s->journal, s->chunks, false);
    for (uint64_t i = 0; !rc && i < s->chunks; i++)
        rc = check_chunk(s, w, &slots, &i);
    slots_clear(&slots);
    return rc;
}

/* --- entries -------------------------------------------------------------------------------- */

/* What is left out must not come along from an earlier run. Below a folder that was left out there
 * is nothing; where two names mean one file, what has this name may be another entry. */
static int remove_entry(struct commit *c) {
    struct worker *w = c->w;
    if (w->cur.index > 0 && bits_has(&c->s->skipped, w->cur.entry.parent))
        return 0;
    int dir = worker_dir(c->s, w);
    int rc = dir < 0 ? dir : worker_name_exists(c->s, w);
    if (rc > 0)
        rc = fs_unlink(dir, w->name);
    return rc == -ENOENT || store_is_refused(rc) ? 0 : rc;
}

static int finish_link(struct commit *c) {
    int rc = c->unsafe_links ? 1 : worker_link_is_safe(c->w);
    if (rc >= 0)
        rc = rc ? worker_make_link(c->s, c->w) : ERR_LINK;
    if (store_link_is_refused(rc)) {
        store_skip(c->s, c->w->cur.index, rc);
        return remove_entry(c);
    }
    return rc;
}

static int finish_file(struct commit *c) {
    struct stat st;
    if (bits_has(&c->s->settled, c->w->cur.index))
        return 0;
    int rc = worker_stat(c->s, c->w, &st);
    if (rc)
        return rc == -ENOENT ? ERR_TAMPERED : rc;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != c->w->cur.entry.size)
        return ERR_TAMPERED;
    return worker_settle(c->s, c->w, &st);
}

static int finish_entry(struct commit *c, uint32_t index) {
    int rc = catalog_at(&c->w->cur, index);
    if (rc)
        return rc;
    uint8_t kind = c->w->cur.entry.kind;
    if (kind == WIRE_DIR)
        return 0;
    if (bits_has(&c->s->skipped, index))
        return remove_entry(c);
    if (index > 0 && bits_has(&c->s->skipped, c->w->cur.entry.parent))
        return 0;
    return kind == WIRE_SYMLINK ? finish_link(c) : finish_file(c);
}

/* --- folders: after all that changes their mtimes -------------------------------------------- */

static int finish_folder(struct commit *c, struct tidy *t, uint32_t index) {
    struct worker *w = c->w;
    struct stat st;
    int rc = catalog_at(&w->cur, index);
    if (rc || w->cur.entry.kind != WIRE_DIR || bits_has(&c->s->skipped, index))
        return rc;
    rc = tidy_folder(t, index, true);
    if (rc)
        return rc;
    if (w->cur.entry.flags & MANIFEST_UNREADABLE) /* it stays, empty: not what was asked for */
        store_tell(c->s, index, WIRE_ERR(WIRE_IO));
    if (!store_mode_works(c->s, &w->cur.entry)) {
        c->locked_folders = true;
        int dir = worker_dir(c->s, w);
        return dir < 0 ? dir : store_lenient(fs_set_mtime(dir, w->name, w->cur.entry.mtime_ns));
    }
    rc = worker_stat(c->s, w, &st);
    return rc ? rc : worker_settle(c->s, w, &st);
}

/* The deepest first: the way to the others must stay open. */
static int lock_folder(struct commit *c, uint32_t index) {
    struct worker *w = c->w;
    int rc = catalog_at(&w->cur, index);
    if (rc || w->cur.entry.kind != WIRE_DIR || bits_has(&c->s->skipped, index) ||
        store_mode_works(c->s, &w->cur.entry))
        return rc;
    int dir = worker_dir(c->s, w);
    return dir < 0 ? dir : store_lenient(fs_chmod(dir, w->name, store_mode(c->s, &w->cur.entry)));
}

static int finish_folders(struct commit *c) {
    struct tidy t;
    int rc = 0;
    tidy_init(&t, c->s, c->w);
    for (uint32_t i = 0; !rc && i < c->entries; i++)
        rc = store_stopped(c->s) ? ERR_STOPPED : finish_folder(c, &t, i);
    tidy_clear(&t);
    return rc;
}

static int finish_tree(struct commit *c) {
    int rc = 0;
    for (uint32_t i = 0; !rc && i < c->entries; i++)
        rc = store_stopped(c->s) ? ERR_STOPPED : finish_entry(c, i);
    if (!rc)
        rc = finish_folders(c);
    for (uint32_t i = c->locked_folders ? c->entries : 0; !rc && i-- > 1;)
        rc = lock_folder(c, i);
    return store_error_at(c->s, c->w, rc);
}

/* --- sync, rename, clean up ----------------------------------------------------------------- */

/* A tree: everything on its file system at once. 20 000 files take 1.5 s so, and 15 ms each with
 * one fsync(2) per file. An error is final: asked again, the kernel says that all is well. */
static int sync_all(struct commit *c, int file) {
    int rc = store_set_flags(c->s, JOURNAL_COMMITTED, 0);
    if (rc)
        return rc;
    if (file >= 0)
        rc = fsync(file) < 0 || fdatasync(c->s->journal) < 0 ? -errno : 0;
    else
        rc = syncfs(c->s->staging) < 0 ? -errno : 0;
    if (rc)
        (void)store_set_flags(c->s, JOURNAL_VERIFY_ALL, JOURNAL_COMMITTED);
    return rc;
}

/* A folder can only be moved while its owner may write to it. */
static int lock_top(struct commit *c) {
    int rc = catalog_at(&c->w->cur, 0);
    if (rc || c->s->data < 0 || store_mode_works(c->s, &c->w->cur.entry))
        return rc;
    rc = fchmod(c->s->data, store_mode(c->s, &c->w->cur.entry)) < 0 ? -errno : 0;
    if (!rc && fsync(c->s->data) < 0)
        rc = -errno;
    return store_lenient(rc);
}

/* Somebody may have put another folder there since: ours still is as it was moved. */
int store_lock_result(struct store *s) {
    struct catalog_cursor cur;
    struct stat st;
    catalog_cursor_init(&cur, s->catalog);
    int rc = catalog_at(&cur, 0);
    if (!rc)
        rc = fs_stat(s->dest, s->name, &st);
    if (!rc && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0700 && st.st_uid == geteuid() &&
        cur.entry.kind == WIRE_DIR && store_has_mtime(&st, cur.entry.mtime_ns))
        rc = store_lenient(fs_chmod(s->dest, s->name, store_mode(s, &cur.entry)));
    catalog_cursor_clear(&cur);
    return rc;
}

int store_sync_dest(const struct store *s) {
    if (fsync(s->dest) < 0 && errno != EBADF && errno != EINVAL) /* it may not be readable to us */
        return -errno;
    return 0;
}

static int move(struct commit *c) {
    struct store *s = c->s;
    store_step("rename");
    int rc = fs_rename_new(s->staging, "data", s->dest, s->name);
    if (rc) {
        (void)store_set_flags(s, 0, JOURNAL_COMMITTED);
        return rc == -EEXIST ? ERR_EXISTS : rc;
    }
    store_step("renamed");
    rc = lock_top(c);
    return rc ? rc : store_sync_dest(s);
}

int store_why_nothing(const struct store *s) {
    for (uint32_t i = 0; i < s->n_skips; i++)
        if (s->skips[i].entry == 0)
            return s->skips[i].why;
    return 0;
}

static int commit(struct commit *c) {
    int file = STORE_NONE;
    int rc = catalog_at(&c->w->cur, 0);
    if (!rc)
        rc = store_check_whole(c->s, c->w);
    if (!rc)
        rc = catalog_at(&c->w->cur, 0);
    if (!rc)
        rc = store_why_nothing(c->s);
    if (!rc && c->w->cur.entry.kind == WIRE_FILE) { /* while its mode still lets us */
        file = worker_file(c->s, c->w);
        rc = file < 0 ? file : 0;
    }
    if (!rc)
        rc = finish_tree(c);
    if (!rc)
        rc = store_why_nothing(c->s);
    if (!rc)
        rc = sync_all(c, file);
    worker_done(c->w, file);
    return rc ? rc : move(c);
}

int store_commit(struct store *s, const struct store_commit_options *o) {
    struct commit c = {.s = s, .unsafe_links = o->unsafe_links};
    c.entries = catalog_totals(s->catalog)->entries;
    if (s->task == STORE_COMPARES)
        return 0;
    int rc = worker_get(s, &c.w);
    if (rc)
        return rc;
    rc = s->task == STORE_UPDATES ? store_update(s, c.w, o) : commit(&c);
    worker_put(s, c.w);
    if (rc)
        return store_error(s, rc);
    store_step("clean up");
    store_drop_workers(s);
    if (s->task == STORE_UPDATES) {
        if (store_tidy(s)) /* what is not of the download must not go with it */
            return 0;
        store_retire(s);
    }
    (void)store_remove_staging(s); /* what stays is removed when somebody looks next */
    return 0;
}
