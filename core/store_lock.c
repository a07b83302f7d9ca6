/* SPDX-License-Identifier: MIT */
/*
 * store_lock -- the staging folder: its name, is it one of ours, one downloader at a time
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
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <unistd.h>

enum { AGAIN = 1, TRIES = 100 };

/* --- names ---------------------------------------------------------------------------------- */

static const char suffix[] = ".lanyard-part";

bool store_is_staging(const char *name) {
    size_t len = strlen(name), cut = strlen(suffix);
    return len >= cut && strcasecmp(name + len - cut, suffix) == 0; /* FAT knows no case */
}

void store_staging_name(const char *name, char out[static NAME_MAX_LEN + 1]) {
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

/* --- is it one of ours? --------------------------------------------------------------------- */

static bool is_named(int fd, int dir, const char *name) {
    struct stat a, b;
    return !fstat(fd, &a) && !fs_stat(dir, name, &b) && fs_is_same(&a, &b);
}

/* In a folder that everybody may write to, somebody else may have made it. */
static int check_owner(const struct store *s, int fd) {
    struct stat st, dest;
    if (fstat(fd, &st) < 0 || fstat(s->dest, &dest) < 0)
        return -errno;
    return st.st_uid == geteuid() || st.st_uid == dest.st_uid ? 0 : ERR_OWNER;
}

/* Nothing could be renamed out of a mount: better said now than when all has arrived. */
static int check_mount(const struct store *s) {
    int same = fs_same_mount(s->dest, s->staging);
    return same < 0 ? same : same ? 0 : ERR_MOUNT;
}

/* Open to others, it could be filled by them. */
static int close_to_others(const struct store *s) {
    struct stat st;
    if (fstat(s->staging, &st) < 0)
        return -errno;
    if (!(st.st_mode & 022) || st.st_uid != geteuid())
        return 0;
    return store_lenient(fchmod(s->staging, 0700) < 0 ? -errno : 0);
}

static int check_staging(const struct store *s) {
    int rc = check_owner(s, s->staging);
    if (!rc)
        rc = check_mount(s);
    if (!rc && faccessat(s->staging, ".", W_OK | X_OK, AT_EACCESS) < 0)
        rc = -errno;
    return rc ? rc : close_to_others(s);
}

/* --- the lock ------------------------------------------------------------------------------- */

int store_lock(int fd) {
    if (!flock(fd, LOCK_EX | LOCK_NB))
        return 0;
    return errno == EWOULDBLOCK ? ERR_HELD : -errno;
}

/* Without a journal: is there anything of what we would write or remove? A crash of ours leaves the
 * folder empty, since the journal comes first and goes last. */
static int check_empty(const struct store *s) {
    struct stat st;
    for (unsigned i = 0; store_files[i]; i++) {
        int rc = fs_stat(s->staging, store_files[i], &st);
        if (!rc) /* unless another one has just begun here */
            return fs_stat(s->staging, "journal", &st) == -ENOENT ? ERR_FOREIGN : AGAIN;
        if (rc != -ENOENT)
            return rc;
    }
    return 0;
}

static int open_journal(const struct store *s) {
    int fd = fs_open_write(s->staging, "journal");
    if (fd == -EINVAL || fd == -ELOOP) /* no file, or a symlink: what it leads to is not ours */
        return ERR_FOREIGN;
    if (fd != -ENOENT)
        return fd;
    int rc = check_empty(s);
    return rc ? rc : fs_create(s->staging, "journal", 0600);
}

static int make_staging(const struct store *s) {
    struct stat st;
    int rc = s->task == STORE_UPDATES ? -ENOENT : fs_stat(s->dest, s->name, &st);
    if (rc != -ENOENT)
        return rc ? rc : ERR_EXISTS;
    rc = fs_mkdir(s->dest, s->staging_name, 0700);
    return rc && rc != -EEXIST ? rc : AGAIN;
}

static int lock_journal(struct store *s) {
    int fd = open_journal(s);
    if (fd == AGAIN || fd == -ENOENT || fd == -EEXIST)
        return AGAIN;
    if (fd < 0)
        return fd;
    s->journal = fd;
    int rc = check_owner(s, fd);
    return rc ? rc : store_lock(fd);
}

/* 0: it is ours; AGAIN: it went away or was replaced under our hands. */
static int lock_staging(struct store *s) {
    s->staging = fs_open_dir(s->dest, s->staging_name);
    if (s->staging == -ENOENT)
        return make_staging(s);
    if (s->staging == -ENOTDIR || s->staging == -ELOOP)
        return ERR_FOREIGN;
    if (s->staging < 0)
        return s->staging;
    int rc = check_staging(s);
    if (!rc)
        rc = lock_journal(s);
    if (rc)
        return rc;
    return is_named(s->journal, s->staging, "journal") &&
                   is_named(s->staging, s->dest, s->staging_name)
               ? 0
               : AGAIN;
}

int store_lock_staging(struct store *s) {
    int rc = AGAIN;
    for (int i = 0; i < TRIES && rc == AGAIN; i++) {
        store_close_fd(&s->journal);
        store_close_fd(&s->staging);
        rc = lock_staging(s);
    }
    return rc == AGAIN ? ERR_HELD : rc;
}

bool store_holder(const struct store_target *t, struct holder *h) {
    char name[NAME_MAX_LEN + 1];
    store_staging_name(t->name, name);
    int dest = fs_open_root(t->dir);
    int staging = dest < 0 ? dest : fs_open_dir(dest, name);
    int journal = staging < 0 ? staging : fs_open_file(staging, "journal");
    *h = (struct holder){0};
    bool found = journal >= 0 && holder_find(h, journal);
    store_close_fd(&journal);
    store_close_fd(&staging);
    store_close_fd(&dest);
    return found;
}
