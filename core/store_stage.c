/* SPDX-License-Identifier: MIT */
/*
 * store_stage -- an update: whatever differs from the old copy, whole in staging
 *
 *     weigh     how much is to be copied from old files, and is there room for it?
 *     stage     files: the chunks that did not arrive are copied and checked; modes, times; links
 *
 * A file that the old copy has as the source has it takes no part in this.
 */
#include "core/store_internal.h"

#include "core/err.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* --- helpers -------------------------------------------------------------------------------- */

int update_at(struct update *u, uint32_t index) {
    int rc = catalog_at(&u->from->cur, index);
    if (!rc)
        rc = catalog_at(&u->to->cur, index);
    if (rc)
        return rc;
    if (index > 0 && bits_has(&u->s->skipped, u->to->cur.entry.parent))
        bits_add(&u->s->skipped, index); /* with its folder */
    return bits_has(&u->s->skipped, index);
}

int update_leave(struct update *u, int why) {
    store_skip(u->s, u->to->cur.index, why);
    return 0;
}

static int make_folders(int root, char *path) {
    for (char *at = path; at; at = *at ? at + 1 : NULL) {
        at += strcspn(at, "/");
        char cut = *at;
        *at = 0;
        int rc = fs_mkdir(root, path, 0700);
        *at = cut;
        if (rc && rc != -EEXIST)
            return rc;
        if (!cut)
            return 0;
    }
    return 0;
}

int store_make_way(struct store *s, struct worker *w) {
    int dir = worker_dir(s, w);
    if (dir != -ENOENT || s->data < 0)
        return dir < 0 ? dir : 0;
    int rc = catalog_path(&w->up, w->cur.entry.parent, w->path);
    return rc ? rc : make_folders(s->data, w->path);
}

/* --- what is to be replaced ----------------------------------------------------------------- */

/* Has the old file every byte of the source's? */
static bool is_same(const struct store *s, const struct catalog_cursor *cur,
                    const struct stat *st) {
    uint64_t n = manifest_chunks(&cur->entry);
    bool same = (uint64_t)st->st_size == cur->entry.size;
    for (uint64_t i = 0; same && i < n; i++)
        same = bits_has(&s->old.same, cur->first_chunk + i);
    return same;
}

/* 1: the file at hand takes the place of the old one; 0: it does not. */
static int replaces_file(struct update *u, const struct stat *st) {
    const struct manifest_entry *e = &u->to->cur.entry;
    if (!S_ISREG(st->st_mode))
        return update_leave(u, ERR_KIND);
    /* with another name of its own it keeps mode and mtime: they are the other name's, too */
    if (is_same(u->s, &u->to->cur, st))
        return st->st_nlink > 1 && !worker_is_settled(u->s, u->to, st);
    return store_is_newer(st, e) ? update_leave(u, ERR_NEWER) : 1;
}

static int replaces_link(struct update *u, const struct stat *st) {
    if (!S_ISLNK(st->st_mode))
        return update_leave(u, ERR_KIND);
    int rc = worker_link_is(u->s, u->to);
    if (rc)
        return rc < 0 ? rc : 0;
    return store_is_newer(st, &u->to->cur.entry) ? update_leave(u, ERR_NEWER) : 1;
}

/* The entry at hand, a file or a link. */
static int replaces(struct update *u) {
    struct stat st;
    int rc = worker_stat_old(u->s, u->to, &st);
    if (rc == -ENOENT)
        return 1;
    if (rc)
        return rc;
    rc = worker_name_exists(u->s, u->to);
    if (rc <= 0) /* another name, that means the same here */
        return rc ? rc : update_leave(u, -EEXIST);
    return u->to->cur.entry.kind == WIRE_FILE ? replaces_file(u, &st) : replaces_link(u, &st);
}

/* --- files ---------------------------------------------------------------------------------- */

/* 1: the chunk has to be copied from the old file; 0: it has arrived. */
static int is_to_copy(const struct store *s, uint64_t chunk) {
    uint8_t slot[WIRE_DIGEST_LEN];
    if (!bits_has(&s->old.same, chunk))
        return 0;
    int rc = journal_get(s->journal, chunk, 1, slot);
    return rc ? rc : slot_is_absent(slot);
}

/* Holes stay holes, also those of a part of the chunk. */
static int copy_bytes(struct update *u, int in, int out, uint64_t chunk) {
    uint64_t at = (chunk - u->to->cur.first_chunk) << WIRE_CHUNK_SHIFT;
    uint64_t end = at + catalog_chunk_len(&u->to->cur, chunk), next;
    int rc = 0;
    for (bool hole; !rc && at < end; at = next) {
        next = store_extent(in, at, end, &hole);
        rc = hole ? store_put_zeros(u->s, out, at, next - at) : fs_copy(in, out, at, next - at);
    }
    return rc;
}

/* What arrived is looked at: the old file may have changed since it was compared. */
static int copy_checked(struct update *u, int in, int out, uint64_t chunk) {
    uint8_t want[WIRE_DIGEST_LEN], found[WIRE_DIGEST_LEN];
    int rc = copy_bytes(u, in, out, chunk);
    if (!rc)
        rc = store_old_digest(u->s, chunk, want);
    if (!rc)
        rc = worker_digest(u->s, u->from, out, chunk, found);
    if (rc == -ENODATA || (!rc && memcmp(want, found, sizeof want) != 0))
        return update_leave(u, ERR_TOUCHED);
    store_step("copied");
    return rc ? rc : journal_put(u->s->journal, chunk, 1, want);
}

static int copy_chunk(struct update *u, uint64_t chunk) {
    int rc = store_forget(u->s, chunk, 1);
    int in = rc ? rc : worker_file(u->s, u->to);
    int out = in < 0 ? in : worker_file(u->s, u->from);
    if (out >= 0)
        rc = copy_checked(u, in, out, chunk);
    else
        rc = store_is_unreadable(in) ? update_leave(u, ERR_TOUCHED) : out;
    worker_done(u->from, out);
    worker_done(u->to, in);
    return rc;
}

static int stage_file(struct update *u) {
    const struct catalog_cursor *cur = &u->to->cur;
    uint64_t end = cur->first_chunk + manifest_chunks(&cur->entry);
    struct stat st;
    int rc = store_make_way(u->s, u->from);
    if (!rc)
        rc = worker_make_file(u->s, u->from);
    for (uint64_t i = cur->first_chunk; !rc && i < end; i++) {
        rc = store_stopped(u->s) ? ERR_STOPPED : is_to_copy(u->s, i);
        if (rc > 0)
            rc = copy_chunk(u, i);
        if (!rc && bits_has(&u->s->skipped, cur->index))
            return 0;
    }
    if (!rc && !bits_has(&u->s->settled, cur->index))
        rc = worker_stat(u->s, u->from, &st);
    else
        return rc;
    return rc ? rc : worker_settle(u->s, u->from, &st);
}

static int stage_link(struct update *u) {
    int rc = u->unsafe_links ? 1 : worker_link_is_safe(u->from);
    if (rc > 0)
        rc = store_make_way(u->s, u->from);
    else if (rc == 0)
        rc = ERR_LINK;
    if (!rc)
        rc = worker_make_link(u->s, u->from);
    return store_link_is_refused(rc) ? update_leave(u, rc) : rc;
}

static int stage_entry(struct update *u, uint32_t index) {
    int rc = update_at(u, index);
    if (rc || u->to->cur.entry.kind == WIRE_DIR)
        return rc < 0 ? rc : 0;
    rc = replaces(u);
    if (rc <= 0)
        return rc;
    rc = u->to->cur.entry.kind == WIRE_FILE ? stage_file(u) : stage_link(u);
    if (store_is_refused(rc))
        return update_leave(u, rc);
    if (!rc && !bits_has(&u->s->skipped, index))
        bits_add(&u->staged, index);
    return rc;
}

/* --- weigh ---------------------------------------------------------------------------------- */

static int weigh_entry(struct update *u, uint32_t index, uint64_t *need) {
    const struct catalog_cursor *cur = &u->to->cur;
    int rc = update_at(u, index);
    if (rc || cur->entry.kind != WIRE_FILE)
        return rc < 0 ? rc : 0;
    if (cur->entry.flags & MANIFEST_SPARSE) /* how much of it is holes, nobody knows */
        return 0;
    rc = replaces(u);
    if (rc <= 0)
        return rc;
    uint64_t n = manifest_chunks(&cur->entry);
    for (uint64_t i = 0; rc >= 0 && i < n; i++) {
        rc = is_to_copy(u->s, cur->first_chunk + i);
        if (rc > 0)
            *need += catalog_chunk_len(cur, cur->first_chunk + i);
    }
    return rc < 0 ? rc : 0;
}

/* Where blocks can be shared a copy takes no room. */
static int weigh(struct update *u) {
    uint64_t need = 0;
    int rc = 0;
    if (fs_may_share(u->s->staging))
        return 0;
    for (uint32_t i = 0; !rc && i < u->entries; i++)
        rc = store_stopped(u->s) ? ERR_STOPPED : weigh_entry(u, i, &need);
    return rc ? rc : store_check_space(u->s, need, &u->s->missing);
}

int store_stage(struct update *u) {
    int rc = weigh(u);
    for (uint32_t i = 0; !rc && i < u->entries; i++)
        rc = store_stopped(u->s) ? ERR_STOPPED : stage_entry(u, i);
    return rc;
}
