/* SPDX-License-Identifier: MIT */
/*
 * store -- open, lock and load a staging folder; close it
 *
 * The lock is held on the file that is named `journal`, and nothing below the staging folder is
 * read or changed before it is. Whoever replaces or removes that file holds its lock; so one looks
 * again after locking whether it is still the one with that name.
 */
#include "core/store_internal.h"

#include "core/digest.h"
#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <unistd.h>

enum { AGAIN = 1, TRIES = 100 };

void (*store_step_hook)(const char *name);

/* --- names --------------------------------------------------------------------------- */

static const char suffix[] = ".lanyard-part";

bool store_is_staging(const char *name) {
    size_t len = strlen(name), cut = strlen(suffix);
    return len >= cut && strcasecmp(name + len - cut, suffix) == 0; /* FAT knows no case */
}

static void name_staging(const char *name, char out[static NAME_MAX_LEN + 1]) {
    size_t len = strlen(name), room = NAME_MAX_LEN - strlen(suffix);
    if (len <= room) {
        snprintf(out, NAME_MAX_LEN + 1, "%s%s", name, suffix);
        return;
    }
    size_t cut = room - 1 - 16;
    for (int i = 0; i < 3 && ((uint8_t)name[cut] & 0xc0) == 0x80; i++)
        cut--; /* not in the middle of a UTF-8 character */
    snprintf(out, NAME_MAX_LEN + 1, "%.*s~%016" PRIx64 "%s", (int)cut, name, digest_64(name, len),
             suffix);
}

/* --- the lock ------------------------------------------------------------------------------- */

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = STORE_NONE;
}

int store_lock(int fd) {
    if (!flock(fd, LOCK_EX | LOCK_NB))
        return 0;
    return errno == EWOULDBLOCK ? ERR_HELD : -errno;
}

static int exists(int dir, const char *name) {
    struct stat st;
    int rc = fs_stat(dir, name, &st);
    return rc == -ENOENT ? 0 : rc ? rc : 1;
}

static bool is_named(int fd, int dir, const char *name) {
    struct stat a, b;
    return !fstat(fd, &a) && !fs_stat(dir, name, &b) && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* In a folder that everybody may write to, somebody else may have made it. */
static int check_owner(const struct store *s) {
    struct stat staging, dest;
    if (fstat(s->staging, &staging) < 0 || fstat(s->dest, &dest) < 0)
        return -errno;
    return staging.st_uid == geteuid() || staging.st_uid == dest.st_uid ? 0 : -EACCES;
}

static int open_journal(const struct store *s) {
    int fd = fs_open_write(s->staging, "journal");
    return fd == -ENOENT ? fs_create(s->staging, "journal", 0600) : fd;
}

/* 0: it is ours; AGAIN: it went away or was replaced under our hands. */
static int lock_staging(struct store *s) {
    s->staging = fs_open_dir(s->dest, s->staging_name);
    if (s->staging == -ENOENT) {
        int rc = exists(s->dest, s->name);
        if (rc)
            return rc < 0 ? rc : ERR_EXISTS;
        rc = fs_mkdir(s->dest, s->staging_name, 0700);
        return rc && rc != -EEXIST ? rc : AGAIN;
    }
    if (s->staging < 0)
        return s->staging;
    int rc = check_owner(s);
    if (rc)
        return rc;
    s->journal = open_journal(s);
    if (s->journal == -ENOENT || s->journal == -EEXIST)
        return AGAIN;
    rc = s->journal < 0 ? s->journal : store_lock(s->journal);
    if (rc)
        return rc;
    return is_named(s->journal, s->staging, "journal") &&
                   is_named(s->staging, s->dest, s->staging_name)
               ? 0
               : AGAIN;
}

static int open_staging(struct store *s) {
    int rc = AGAIN;
    for (int i = 0; i < TRIES && rc == AGAIN; i++) {
        close_fd(&s->journal);
        close_fd(&s->staging);
        rc = lock_staging(s);
    }
    return rc == AGAIN ? ERR_HELD : rc;
}

/* --- what is there -------------------------------------------------------------------------- */

int store_adopt(struct store *s, struct catalog *c) {
    const struct catalog_totals *t = catalog_totals(c);
    struct bits skipped = {0}, settled = {0};
    struct stat st;
    int rc = bits_init(&skipped, t->entries);
    if (!rc)
        rc = bits_init(&settled, t->entries);
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
    s->skipped = skipped;
    s->settled = settled;
    s->n_unchecked = 0;
    s->n_skips = s->n_skipped = 0;
    s->candidates =
        (uint64_t)st.st_size > JOURNAL_HEADER_LEN + t->chunks * (uint64_t)WIRE_DIGEST_LEN;
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
        close_fd(&fd);
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
    static const char *const names[] = {"data", "manifest", "manifest.new", "journal.new"};
    int rc = 0;
    for (unsigned i = 0; !rc && i < sizeof names / sizeof *names; i++)
        rc = fs_remove_tree(s->staging, names[i]);
    (void)fs_unlink(s->staging, STORE_PROBE); /* left by a crash, if at all */
    return rc;
}

static int begin_anew(struct store *s) {
    int rc = remove_all(s);
    if (!rc && ftruncate(s->journal, 0) < 0)
        rc = -errno;
    memset(&s->header, 0, sizeof s->header);
    s->believed = true; /* nothing is there that could be wrong */
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
    int rc = journal_read_header(s->journal, &s->header);
    if (!rc)
        rc = load_current(s);
    if (rc)
        return rc == ERR_FORMAT ? begin_anew(s) : rc;
    here_read(&here, s->staging);
    s->unclean = s->header.flags & JOURNAL_VERIFY_ALL;
    s->believed = !s->unclean && here_same(&here, &s->header.here);
    if (s->header.flags & JOURNAL_COMMITTED) /* ended before its rename: it can change again */
        rc = store_set_flags(s, 0, JOURNAL_COMMITTED);
    if (!rc && s->header.flags & JOURNAL_SWEEP)
        rc = store_sweep(s);
    return rc;
}

/* Without `data` nothing has arrived yet, or it has become DEST/NAME: nothing is kept. */
static int load_staging(struct store *s) {
    int data = exists(s->staging, "data"), target = exists(s->dest, s->name);
    if (data < 0 || target < 0)
        return data < 0 ? data : target;
    s->resumed = data;
    if (!target)
        return load_journal(s);
    if (data)
        return ERR_EXISTS;
    int rc = journal_read_header(s->journal, &s->header);
    bool committed = !rc && s->header.flags & JOURNAL_COMMITTED;
    if (committed) {
        rc = load_manifest(s, "manifest"); /* it goes first: then all else was done */
        if (!rc)
            rc = store_lock_result(s);
    }
    if (!rc || rc == ERR_FORMAT)
        rc = store_remove_staging(s);
    return rc ? rc : committed ? STORE_FINISHED : ERR_EXISTS;
}

/* --- life ----------------------------------------------------------------------------------- */

int store_open(struct store **out, const struct store_target *t) {
    *out = NULL;
    if (!name_ok(t->name, strlen(t->name)))
        return -EINVAL;
    if (store_is_staging(t->name))
        return ERR_STAGING;
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    pthread_mutex_init(&s->lock, NULL);
    s->staging = s->journal = s->data = STORE_NONE;
    strcpy(s->name, t->name);
    name_staging(t->name, s->staging_name);
    snprintf(s->path, sizeof s->path, "%s", t->path);
    s->umask = here_umask();
    s->dest = fs_open_root(t->dir);
    int rc = s->dest < 0 ? s->dest : open_staging(s);
    if (!rc)
        rc = load_staging(s);
    if (rc)
        store_close(s);
    else
        *out = s;
    return rc;
}

void store_close(struct store *s) {
    if (!s)
        return;
    store_drop_workers(s);
    if (s->empty)
        (void)store_remove_staging(s);
    catalog_free(s->incoming);
    catalog_free(s->catalog);
    bits_clear(&s->skipped);
    bits_clear(&s->settled);
    bits_clear(&s->unchecked);
    free(s->skips);
    close_fd(&s->data);
    close_fd(&s->journal);
    close_fd(&s->staging);
    close_fd(&s->dest);
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

int store_error(struct store *s, int err) {
    if (err == -ENOSPC || err == -EDQUOT)
        return ERR_NO_SPACE;
    if (err == -EIO && s->catalog) /* if this fails too: the first error is the one to tell */
        (void)store_set_flags(s, JOURNAL_VERIFY_ALL, 0);
    return err;
}
