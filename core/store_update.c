/* SPDX-License-Identifier: MIT */
/*
 * store_update -- an older copy is brought up to date, one entry after the other
 *
 *     every chunk is here -> what differs stands whole in staging (store_stage) -> sync
 *         -> each entry: it changes places with the old one; folders: made when they are missing
 *         -> modes and times of folders -> sync -> remove staging
 *
 * Nothing is deleted. A file that was changed since it was looked at, or is newer than the
 * source's, or is no file, stays as it is and is reported. A crash leaves each entry old or new;
 * the next run finds those that are new already, and goes on.
 */
#include "core/store_internal.h"

#include "core/err.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* --- entries -------------------------------------------------------------------------------- */

/* The folder of the entry at hand is read-only, to us as well: it gets its mode back in the end. */
static int unlock(struct update *u) {
    struct worker *w = u->to;
    struct stat st;
    if (w->cur.index == 0 || u->s->old.folder < 0)
        return -EACCES;
    int rc = catalog_path(&w->up, w->cur.entry.parent, w->path);
    if (!rc)
        rc = fs_stat(u->s->old.folder, w->path, &st);
    if (rc || (st.st_mode & 0300) == 0300)
        return rc ? rc : -EACCES;
    mode_t mode = (st.st_mode & 07777) | 0700;
    if (w->path[0])
        rc = fs_chmod(u->s->old.folder, w->path, mode);
    else
        rc = fchmod(u->s->old.folder, mode) < 0 ? -errno : 0;
    return rc == -EPERM ? -EACCES : rc;
}

/* The entry cannot be changed here, or must not be: no reason to end. */
static bool is_to_leave(int err) {
    return err == -EACCES || err == -EPERM || err == -EROFS || err == ERR_TOUCHED ||
           err == ERR_KIND || err == ERR_MOUNT || store_is_refused(err);
}

/* Does it once more if the folder was in the way. */
static int do_entry(struct update *u, int (*act)(struct update *u)) {
    int rc = act(u);
    if (rc == -EACCES && !unlock(u))
        rc = act(u);
    if (rc == -EEXIST)
        rc = ERR_TOUCHED;
    if (rc == -EXDEV || rc == -EBUSY) /* staging is of another mount */
        rc = ERR_MOUNT;
    return is_to_leave(rc) ? update_leave(u, rc) : rc;
}

/* Somebody may have moved the copy away and put another one there. */
static bool is_held(const struct update *u, const struct stat *st) {
    struct stat held;
    return u->to->cur.index > 0 || (!fstat(u->s->old.folder, &held) && fs_is_same(&held, st));
}

static int make_folder(struct update *u) {
    struct store *s = u->s;
    struct stat st;
    int rc = worker_stat_old(s, u->to, &st);
    if (rc != -ENOENT)
        return rc ? rc : !S_ISDIR(st.st_mode) ? ERR_KIND : is_held(u, &st) ? 0 : ERR_TOUCHED;
    int dir = worker_dir(s, u->to);
    rc = dir < 0 ? dir : fs_mkdir(dir, u->to->name, 0700);
    if (!rc && u->to->cur.index == 0)
        rc = s->old.folder = fs_open_dir(s->dest, s->name);
    if (rc >= 0)
        s->n_changes++;
    return rc < 0 ? rc : 0;
}

/* Is it still what we have compared with? 1; below 0. *there: it exists. */
static int is_untouched(struct update *u, struct stat *st, bool *there) {
    int rc = worker_stat_old(u->s, u->to, st);
    *there = rc != -ENOENT;
    if (rc && *there)
        return rc;
    rc = store_old_is(u->s, u->to->cur.index, *there ? st : NULL);
    return rc ? rc : ERR_TOUCHED;
}

/* Between the last look and the rename somebody may have saved the file: then he gets it back. And
 * if he has saved it once more meanwhile, in the place of ours, it is that one which stays. */
static int give_back(const struct store *s, int to, const char *name, const struct stat *ours) {
    struct stat out;
    int rc = fs_exchange(s->staging, STORE_NEXT, to, name);
    if (!rc)
        rc = fs_stat(s->staging, STORE_NEXT, &out);
    if (!rc && !fs_is_same(&out, ours))
        rc = fs_exchange(s->staging, STORE_NEXT, to, name);
    return rc ? rc : ERR_TOUCHED;
}

/* The two have changed places: what came out tells what was replaced. */
static int look_at_old(const struct store *s, int to, const char *name, const struct stat *ours,
                       const struct stat *old) {
    struct stat out;
    store_step("exchanged");
    int rc = fs_stat(s->staging, STORE_NEXT, &out);
    if (!rc &&
        (!fs_is_same(&out, old) || out.st_size != old->st_size ||
         out.st_mtim.tv_sec != old->st_mtim.tv_sec || out.st_mtim.tv_nsec != old->st_mtim.tv_nsec))
        rc = give_back(s, to, name, ours);
    if (!rc || rc == ERR_TOUCHED)
        (void)fs_unlink(s->staging, STORE_NEXT); /* else it goes with staging */
    return rc;
}

/* Under the name that its slots speak of, nothing but what they mean may ever stand: a crash could
 * leave it there. So it gets another name first. */
static int replace_old(struct update *u, int from, int to, const struct stat *old) {
    const struct store *s = u->s;
    struct stat ours;
    int rc = fs_rename_over(from, u->from->name, s->staging, STORE_NEXT);
    if (rc)
        return rc;
    rc = fs_stat(s->staging, STORE_NEXT, &ours);
    if (!rc)
        rc = fs_exchange(s->staging, STORE_NEXT, to, u->to->name);
    if (!rc)
        return look_at_old(s, to, u->to->name, &ours, old);
    if (rc == -EINVAL || rc == -ENOSYS)
        rc = fs_rename_over(s->staging, STORE_NEXT, to, u->to->name);
    if (rc) /* it may be tried again */
        (void)fs_rename_over(s->staging, STORE_NEXT, from, u->from->name);
    return rc == -ENOENT ? ERR_TOUCHED : rc;
}

static int replace(struct update *u) {
    struct stat st;
    bool there;
    int from = worker_dir(u->s, u->from), to = worker_dir(u->s, u->to);
    if (from < 0 || to < 0)
        return from < 0 ? from : to;
    int rc = is_untouched(u, &st, &there);
    if (rc < 0)
        return rc;
    store_step("replace");
    if (there)
        rc = replace_old(u, from, to, &st);
    else
        rc = fs_rename_new(from, u->from->name, to, u->to->name);
    if (!rc)
        u->s->n_changes++;
    return rc;
}

/* It has the right bytes already. */
static int settle(struct update *u) {
    struct stat st;
    bool there;
    int rc = is_untouched(u, &st, &there);
    if (rc < 0 || !there)
        return rc < 0 ? rc : ERR_TOUCHED;
    if (worker_is_settled(u->s, u->to, &st) || st.st_nlink > 1)
        return 0;
    rc = worker_settle(u->s, u->to, &st);
    if (!rc)
        u->s->n_changes++;
    return rc;
}

static int update_entry(struct update *u, uint32_t index) {
    int rc = update_at(u, index);
    if (rc)
        return rc < 0 ? rc : 0;
    if (u->to->cur.entry.kind == WIRE_DIR)
        return do_entry(u, make_folder);
    return do_entry(u, bits_has(&u->staged, index) ? replace : settle);
}

/* --- folders -------------------------------------------------------------------------------- */

/* The deepest first: a mode may lock us out, and what happens in a folder changes its mtime. */
static int finish_folder(struct update *u, uint32_t index) {
    struct stat st;
    int rc = update_at(u, index);
    if (rc || u->to->cur.entry.kind != WIRE_DIR)
        return rc < 0 ? rc : 0;
    if (u->to->cur.entry.flags & MANIFEST_UNREADABLE)
        store_tell(u->s, index, WIRE_ERR(WIRE_IO));
    rc = worker_stat(u->s, u->to, &st);
    if (rc || !S_ISDIR(st.st_mode))
        return rc ? rc : update_leave(u, ERR_TOUCHED);
    if (worker_is_settled(u->s, u->to, &st))
        return 0;
    rc = worker_settle(u->s, u->to, &st);
    if (!rc)
        u->s->n_changes++;
    return rc == -EROFS ? update_leave(u, rc) : rc;
}

/* --- sync ----------------------------------------------------------------------------------- */

/* Before any old file goes: the new ones must be on disk. */
static int sync_staged(struct update *u) {
    struct store *s = u->s;
    int rc = update_at(u, 0);
    if (rc < 0 || u->to->cur.entry.kind != WIRE_FILE)
        return rc < 0 ? rc : syncfs(s->staging) < 0 ? -errno : 0;
    int file = bits_has(&u->staged, 0) ? worker_file(s, u->from) : STORE_NONE;
    if (file != STORE_NONE && file < 0)
        return file;
    rc = file >= 0 && fsync(file) < 0 ? -errno : 0;
    worker_done(u->from, file);
    return rc;
}

static int sync_done(struct update *u) {
    if (u->s->old.folder >= 0)
        return syncfs(u->s->old.folder) < 0 ? -errno : 0;
    return store_sync_dest(u->s);
}

/* --- all ------------------------------------------------------------------------------------ */

static int replace_all(struct update *u) {
    int rc = sync_staged(u);
    if (rc) {
        (void)store_set_flags(u->s, JOURNAL_VERIFY_ALL, 0);
        return rc;
    }
    worker_forget_dir(u->to); /* it may have been moved away since */
    store_step("staged");
    for (uint32_t i = 0; !rc && i < u->entries; i++)
        rc = store_stopped(u->s) ? ERR_STOPPED : update_entry(u, i);
    for (uint32_t i = u->entries; !rc && i-- > 0;)
        rc = finish_folder(u, i);
    store_step("updated");
    return rc || !u->s->n_changes ? rc : sync_done(u);
}

/* One file that stays because it is newer is an answer; one that could not be had is an error. */
static int why_nothing(const struct store *s) {
    int why = store_why_nothing(s);
    return why == ERR_NEWER || why == ERR_TOUCHED ? 0 : why;
}

int store_update(struct store *s, struct worker *w, const struct store_commit_options *o) {
    struct update u = {.s = s, .from = w, .unsafe_links = o->unsafe_links};
    u.entries = catalog_totals(s->catalog)->entries;
    int rc = catalog_at(&w->cur, 0);
    if (!rc)
        rc = bits_init(&u.staged, u.entries);
    if (!rc)
        rc = worker_get_old(s, &u.to);
    if (!rc)
        rc = store_check_whole(s, w);
    if (!rc)
        rc = why_nothing(s);
    if (!rc)
        rc = store_stage(&u);
    if (!rc)
        rc = replace_all(&u);
    if (!rc)
        rc = why_nothing(s);
    worker_put(s, u.to);
    bits_clear(&u.staged);
    return rc;
}

/* From here on staging is that of a commit that was renamed. */
void store_retire(struct store *s) {
    if (!store_set_flags(s, JOURNAL_COMMITTED, 0) && !fs_remove_tree(s->staging, "done"))
        (void)fs_rename_over(s->staging, "data", s->staging, "done");
}

bool store_is_unchanged(const struct store *s) { return s->task != STORE_CREATES && !s->n_changes; }

uint64_t store_missing(const struct store *s) { return s->missing; }
