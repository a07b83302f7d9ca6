/* SPDX-License-Identifier: MIT */
/*
 * store -- open and load a staging folder; close it
 *
 * What is in a staging folder is removed only under a journal of ours. Where there is none, `data`
 * may be anything: whoever made it is asked to move it away.
 */
#include "core/store_internal.h"

#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void (*store_step_hook)(const char *name);

const char *const store_files[] = {"data",         "done",        STORE_NEXT, "manifest",
                                   "manifest.new", "journal.new", NULL};

void store_close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = STORE_NONE;
}

static int exists(int dir, const char *name) {
    struct stat st;
    int rc = fs_stat(dir, name, &st);
    return rc == -ENOENT ? 0 : rc ? rc : 1;
}

/* --- what is there -------------------------------------------------------------------------- */

int store_adopt(struct store *s, struct catalog *c) {
    const struct catalog_totals *t = catalog_totals(c);
    struct bits skipped = {0}, settled = {0};
    struct stat st;
    int rc = t->chunks > PLAN_CHUNKS_MAX ? ERR_TOO_LARGE : bits_init(&skipped, t->entries);
    if (!rc)
        rc = bits_init(&settled, t->entries);
    if (!rc && !s->arriving.words) /* nothing was carried over */
        rc = bits_init(&s->arriving, t->chunks);
    if (!rc && fstat(s->journal, &st) < 0)
        rc = -errno;
    if (rc) {
        bits_clear(&skipped);
        bits_clear(&settled);
        return rc;
    }
    store_drop_workers(s);
    bits_clear(&s->skipped);
    bits_clear(&s->settled);
    bits_clear(&s->unchecked);
    bits_clear(&s->arrived);
    s->skipped = skipped;
    s->settled = settled;
    s->arrived = s->arriving;
    s->arriving = (struct bits){0};
    s->n_unchecked = 0;
    s->n_skips = s->n_skipped = 0;
    s->candidates = (uint64_t)st.st_size > journal_slot_at(t->chunks);
    catalog_free(s->catalog);
    s->catalog = c;
    s->chunks = t->chunks;
    return 0;
}

/* ERR_FORMAT: it is not the manifest that the journal belongs to. */
static int load_manifest(struct store *s, const char *name) {
    struct catalog *c = NULL;
    int fd = fs_open_write(s->staging, name);
    if (fd == -ENOENT || fd == -EINVAL || fd == -ELOOP)
        return ERR_FORMAT;
    int rc = fd < 0 ? fd : catalog_load(&c, fd);
    if (rc) {
        store_close_fd(&fd);
        return rc == WIRE_ERR(WIRE_PROTOCOL) || rc == WIRE_ERR(WIRE_LIMIT) ? ERR_FORMAT : rc;
    }
    const struct catalog_totals *t = catalog_totals(c);
    if (memcmp(t->id, s->header.manifest_id, sizeof t->id) != 0 || t->chunks != s->header.chunks)
        rc = ERR_FORMAT;
    else
        rc = store_adopt(s, c);
    if (rc)
        catalog_free(c);
    return rc;
}

/* All that is ours in the staging folder, but for the journal. */
static int remove_all(struct store *s) {
    int rc = 0;
    for (unsigned i = 0; !rc && store_files[i]; i++)
        rc = fs_remove_tree(s->staging, store_files[i]);
    (void)fs_unlink(s->staging, STORE_PROBE); /* left by a crash, if at all */
    return rc;
}

static int begin_anew(struct store *s) {
    int rc = remove_all(s);
    if (!rc && ftruncate(s->journal, 0) < 0)
        rc = -errno;
    memset(&s->header, 0, sizeof s->header);
    s->believed = true; /* nothing is there that could be wrong */
    s->written = 0;
    s->resumed = false;
    s->empty = !rc;
    return rc;
}

/* A new manifest becomes current by two renames, the journal's first (store_manifest.c). */
static int load_current(struct store *s) {
    int rc = load_manifest(s, "manifest");
    if (rc == ERR_FORMAT) {
        rc = load_manifest(s, "manifest.new");
        if (!rc)
            rc = fs_rename_over(s->staging, "manifest.new", s->staging, "manifest");
    }
    if (!rc)
        rc = fs_remove_tree(s->staging, "manifest.new");
    if (!rc)
        rc = fs_remove_tree(s->staging, "journal.new");
    return rc;
}

static int load_journal(struct store *s) {
    struct here here;
    struct stat st;
    if (fstat(s->journal, &st) < 0)
        return -errno;
    s->written = st.st_mtim.tv_sec;
    int rc = load_current(s);
    if (rc)
        return rc;
    here_read(&here, s->staging);
    s->unclean = s->header.flags & JOURNAL_VERIFY_ALL;
    s->believed = !s->unclean && here_same(&here, &s->header.here);
    if (s->header.flags & JOURNAL_COMMITTED) /* ended before its rename: it can change again */
        rc = store_set_flags(s, 0, JOURNAL_COMMITTED);
    if (!rc && s->header.flags & JOURNAL_SWEEP)
        rc = store_sweep(s);
    else if (!rc && !s->believed) /* a power cut takes a sweep back, but not all is of that */
        rc = store_tidy(s);
    return rc;
}

/* The target is there already. Without `data`, what is left of the staging folder goes. */
static int clean_up(struct store *s, int journal) {
    if (s->resumed || (journal && journal != ERR_FORMAT && journal != JOURNAL_NONE))
        return ERR_EXISTS;
    bool committed = !journal && s->header.flags & JOURNAL_COMMITTED;
    int rc = 0;
    if (committed) {
        rc = load_manifest(s, "manifest"); /* it goes first: then all else was done */
        if (!rc)
            rc = store_lock_result(s);
    }
    if (!rc || rc == ERR_FORMAT)
        rc = store_remove_staging(s);
    return rc ? rc : ERR_EXISTS;
}

/* Without `data` nothing has arrived yet, or it has become DEST/NAME: nothing is kept. */
static int load_staging(struct store *s) {
    int data = exists(s->staging, "data"), target = exists(s->dest, s->name);
    if (data < 0 || target < 0)
        return data < 0 ? data : target;
    s->resumed = data;
    int rc = journal_read_header(s->journal, &s->header);
    if (target && s->task == STORE_CREATES)
        return clean_up(s, rc);
    if (rc == JOURNAL_NONE && data)
        return ERR_FOREIGN;
    if (!rc)
        rc = load_journal(s);
    return rc == ERR_FORMAT || rc == JOURNAL_NONE ? begin_anew(s) : rc;
}

static bool is_in_the_way(int err) {
    return err == ERR_FOREIGN || err == ERR_OWNER || err == ERR_MOUNT || err == ERR_LOCKED;
}

/* --- life ----------------------------------------------------------------------------------- */

static int make_store(struct store **out, const struct store_target *t) {
    *out = NULL;
    if (!name_ok(t->name, strlen(t->name)))
        return -EINVAL;
    if (store_is_staging(t->name))
        return ERR_STAGING;
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    pthread_mutex_init(&s->lock, NULL);
    s->staging = s->journal = s->data = s->old.folder = s->old.notes = STORE_NONE;
    strcpy(s->name, t->name);
    store_staging_name(t->name, s->staging_name);
    snprintf(s->path, sizeof s->path, "%s", t->path);
    s->umask = here_umask();
    s->dest = fs_open_root(t->dir);
    *out = s;
    return s->dest < 0 ? s->dest : 0;
}

static int close_if(struct store **s, int rc) {
    if (!rc)
        return 0;
    rc = store_error(*s, rc);
    store_close(*s);
    *s = NULL;
    return rc;
}

static int choose_task(struct store *s, const struct store_target *t) {
    int rc = t->update ? exists(s->dest, s->name) : 0;
    s->task = rc > 0 ? STORE_UPDATES : STORE_CREATES;
    return rc < 0 ? rc : 0;
}

int store_open(struct store **s, const struct store_target *t) {
    int rc = make_store(s, t);
    if (!rc)
        rc = choose_task(*s, t);
    if (!rc)
        rc = store_lock_staging(*s);
    if (!rc)
        rc = load_staging(*s);
    if ((rc == -EACCES || rc == -EPERM) && (*s)->staging != STORE_NONE)
        rc = ERR_LOCKED; /* not DEST, but the folder in it, or what is in that */
    if (is_in_the_way(rc) && !t->update && exists((*s)->dest, (*s)->name) == 1)
        rc = ERR_EXISTS; /* that matters more */
    return close_if(s, rc);
}

int store_open_same(struct store **s, const struct store_target *t) {
    int rc = make_store(s, t);
    if (rc)
        return close_if(s, rc);
    (*s)->task = STORE_COMPARES;
    (*s)->unsafe_links = t->unsafe_links;
    (*s)->believed = true;
    (*s)->journal = fs_open_temp();
    return close_if(s, (*s)->journal < 0 ? (*s)->journal : 0);
}

void store_close(struct store *s) {
    if (!s)
        return;
    store_drop_workers(s);
    store_old_close(s);
    if (s->empty)
        (void)store_remove_staging(s);
    catalog_free(s->incoming);
    catalog_free(s->catalog);
    bits_clear(&s->skipped);
    bits_clear(&s->settled);
    bits_clear(&s->unchecked);
    bits_clear(&s->arrived);
    bits_clear(&s->arriving);
    free(s->skips);
    free(s->extra);
    store_close_fd(&s->data);
    store_close_fd(&s->journal);
    store_close_fd(&s->staging);
    store_close_fd(&s->dest);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* What is not ours in the folder stays, and the folder with it. Once the journal is gone another
 * download may begin there: so the folder is only removed if it is empty. */
int store_remove_staging(struct store *s) {
    int rc = remove_all(s);
    if (!rc)
        rc = fs_unlink(s->staging, "journal");
    if (!rc)
        rc = fs_rmdir(s->dest, s->staging_name);
    return rc == -ENOTEMPTY || rc == -EEXIST || rc == -ENOENT ? 0 : rc;
}

const struct catalog *store_catalog(const struct store *s) { return s->catalog; }

const uint8_t *store_origin(const struct store *s) { return s->header.origin; }

int64_t store_listed_ns(const struct store *s) { return s->header.listed_ns; }

bool store_arrived(const struct store *s, uint64_t chunk) { return bits_has(&s->arrived, chunk); }

void store_set_stop(struct store *s, atomic_bool *stop) { s->stop = stop; }

/* --- the journal's header, errors ----------------------------------------------------------- */

int store_set_flags(struct store *s, unsigned set, unsigned clear) {
    pthread_mutex_lock(&s->lock);
    s->header.flags = (uint8_t)((s->header.flags & ~clear) | set);
    s->failed |= (set & JOURNAL_VERIFY_ALL) != 0;
    int rc = journal_write_header(s->journal, &s->header);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int store_error_at(struct store *s, const struct worker *w, int err) {
    if (err >= 0)
        return err;
    pthread_mutex_lock(&s->lock);
    s->failed_at_entry = true;
    s->failed_entry = w->cur.index;
    pthread_mutex_unlock(&s->lock);
    return store_error(s, err);
}

int store_error(struct store *s, int err) {
    if (err == -ENOSPC || err == -EDQUOT)
        return ERR_NO_SPACE;
    if (err == -EIO && s->catalog) /* if this fails too: the first error is the one to tell */
        (void)store_set_flags(s, JOURNAL_VERIFY_ALL, 0);
    return err;
}
