/* SPDX-License-Identifier: MIT */
/*
 * faulty_log -- everything that was changed and not synced, so that it can be taken back
 *
 * A power cut takes all of it back, the last one first, and then makes again what had reached the
 * disk: so whatever was overwritten in between comes out right. What is removed lies in a folder
 * beside ours until then.
 */
#include "faulty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096, FIRST_FD = 300 };

enum kind { DATA, SIZE, MADE, REMOVED, RMDIR, MOVED, MODE, MTIME };

struct op {
    struct op *next, *before;
    enum kind kind;
    bool with_next; /* a rename that replaces something is one change */
    dev_t dev;
    ino_t ino, dir_ino; /* what it concerns, and the folder of its name */
    char *path, *to;    /* MOVED; REMOVED: where it lies now */
    int fd;             /* DATA, SIZE: our own, for as long as the process lives */
    off_t at, size, was_size;
    size_t len;
    uint8_t *bytes, *was_bytes;
    mode_t mode, was_mode;
    struct timespec mtime, was_mtime;
};

static struct op *first, *last;
static char grave[PATH_MAX];
static uint64_t n_buried, state;

uint64_t faulty_random(uint64_t below) {
    state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t x = state;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (x ^ x >> 31) % below;
}

int faulty_log_open(const char *dir, uint64_t seed) {
    state = seed;
    snprintf(grave, sizeof grave, "%s.grave", dir);
    return REAL(mkdir)(grave, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

/* --- the list ------------------------------------------------------------------------------- */

static void *need(void *p) {
    if (!p)
        abort();
    return p;
}

static struct op *add(enum kind kind) {
    struct op *op = need(calloc(1, sizeof *op));
    op->kind = kind;
    op->fd = -1;
    op->before = last;
    if (last)
        last->next = op;
    else
        first = op;
    last = op;
    return op;
}

static void forget(struct op *op) {
    if (op->before)
        op->before->next = op->next;
    else
        first = op->next;
    if (op->next)
        op->next->before = op->before;
    else
        last = op->before;
    free(op->path);
    free(op->to);
    free(op->bytes);
    free(op->was_bytes);
    free(op);
}

static void note_inode(struct op *op, const struct stat *st) {
    op->dev = st->st_dev;
    op->ino = st->st_ino;
}

static ino_t folder_of(const char *path) {
    char folder[PATH_MAX];
    struct stat st;
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    return lstat(folder, &st) < 0 ? 0 : st.st_ino;
}

/* A new name in the grave. */
static char *bury(void) {
    char *path = need(malloc(sizeof grave + 32));
    snprintf(path, sizeof grave + 32, "%s/%lu", grave, (unsigned long)n_buried++);
    return path;
}

static struct op *add_path(enum kind kind, const char *path) {
    struct stat st;
    struct op *op = add(kind);
    op->path = need(strdup(path));
    op->dir_ino = folder_of(path);
    if (lstat(path, &st) == 0)
        note_inode(op, &st);
    return op;
}

/* A description of our own: the program's may be closed, or hold a lock. One for each file. */
static int keep_fd(int fd, const struct stat *st) {
    char path[64];
    for (struct op *op = last; op; op = op->before)
        if (op->fd >= 0 && op->dev == st->st_dev && op->ino == st->st_ino)
            return op->fd;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int opened = REAL(open)(path, O_RDWR | O_CLOEXEC);
    int kept = opened < 0 ? -1 : fcntl(opened, F_DUPFD_CLOEXEC, FIRST_FD);
    if (kept < 0)
        abort();
    close(opened);
    return kept;
}

static struct op *add_fd(enum kind kind, int fd, const struct stat *st) {
    int kept = keep_fd(fd, st);
    struct op *op = add(kind);
    note_inode(op, st);
    op->fd = kept;
    return op;
}

/* --- what is about to change ---------------------------------------------------------------- */

static uint8_t *read_old(int fd, off_t at, size_t len) {
    uint8_t *bytes = need(calloc(1, len ? len : 1));
    if (REAL(pread)(fd, bytes, len, at) < 0)
        abort();
    return bytes;
}

void faulty_log_size(int fd, off_t size) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return;
    struct op *op = add_fd(SIZE, fd, &st);
    op->size = size;
    op->was_size = st.st_size;
    op->at = size;
    op->len = st.st_size > size ? (size_t)(st.st_size - size) : 0; /* the tail that goes */
    op->was_bytes = read_old(op->fd, op->at, op->len);
}

void faulty_log_write(int fd, const void *bytes, size_t len, off_t offset) {
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    if (offset + (off_t)len > st.st_size)
        faulty_log_size(fd, offset + (off_t)len);
    struct op *op = add_fd(DATA, fd, &st);
    op->at = offset;
    op->len = len;
    op->was_bytes = read_old(op->fd, offset, len);
    op->bytes = need(calloc(1, len ? len : 1));
    if (bytes)
        memcpy(op->bytes, bytes, len);
}

void faulty_log_mode(const char *path, mode_t mode) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return;
    struct op *op = add_path(MODE, path);
    op->mode = mode;
    op->was_mode = st.st_mode & 07777;
}

void faulty_log_mtime(const char *path, const struct timespec times[2]) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return;
    struct op *op = add_path(MTIME, path);
    op->mtime = times[1];
    op->was_mtime = st.st_mtim;
}

void faulty_log_made(const char *path) {
    struct op *op = add_path(MADE, path);
    op->to = bury();
}

void faulty_log_rmdir(const char *path, const struct stat *was) {
    struct op *op = add_path(RMDIR, path);
    note_inode(op, was);
    op->was_mode = was->st_mode & 07777;
}

void faulty_log_moved(const char *from, const char *to) {
    struct op *before = last, *op = add_path(MOVED, to);
    if (before && before->kind == REMOVED && strcmp(before->path, to) == 0)
        before->with_next = true;
    op->to = need(strdup(from)); /* `to` is where it is when it was undone */
}

int faulty_log_remove(const char *path) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return -1;
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    struct op *op = add_path(REMOVED, path);
    op->to = bury();
    return REAL(rename)(path, op->to);
}

/* --- sync ----------------------------------------------------------------------------------- */

void faulty_log_fsync(int fd) {
    struct stat st;
    struct op *upto = NULL;
    if (fstat(fd, &st) < 0)
        return;
    for (struct op *op = last; op && !upto; op = op->before)
        if (op->kind != DATA && (op->ino == st.st_ino || op->dir_ino == st.st_ino))
            upto = op;
    bool names = upto != NULL;
    for (struct op *op = first, *next; op; op = next) {
        next = op->next;
        bool reached = op == upto;
        if (op->kind == DATA ? op->ino == st.st_ino && op->dev == st.st_dev : names)
            forget(op);
        if (reached)
            names = false;
    }
}

void faulty_log_syncfs(void) {
    while (first)
        forget(first);
}

/* --- the power goes ------------------------------------------------------------------------- */

/* Never makes a file larger: its size has an operation of its own. */
static void put(int fd, const uint8_t *bytes, size_t len, off_t at) {
    struct stat st;
    if (fstat(fd, &st) < 0 || at >= st.st_size)
        return;
    size_t room = (size_t)(st.st_size - at);
    if (REAL(pwrite)(fd, bytes, len < room ? len : room, at) < 0)
        perror("faulty: write");
}

static void set_mtime(const char *path, struct timespec mtime) {
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime};
    REAL(utimensat)(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static void undo(struct op *op) {
    int rc = 0;
    switch (op->kind) {
    case DATA:
        put(op->fd, op->was_bytes, op->len, op->at);
        break;
    case SIZE:
        rc = REAL(ftruncate)(op->fd, op->was_size);
        put(op->fd, op->was_bytes, op->len, op->at);
        break;
    case MADE:
        rc = REAL(rename)(op->path, op->to);
        break;
    case MOVED:
        rc = REAL(rename)(op->path, op->to);
        break;
    case REMOVED:
        rc = REAL(rename)(op->to, op->path);
        break;
    case RMDIR:
        rc = REAL(mkdir)(op->path, 0700);
        REAL(chmod)(op->path, op->was_mode);
        break;
    case MODE:
        rc = REAL(chmod)(op->path, op->was_mode);
        break;
    case MTIME:
        set_mtime(op->path, op->was_mtime);
        break;
    }
    if (rc < 0)
        fprintf(stderr, "faulty: cannot undo %d of %s: %s\n", (int)op->kind, op->path,
                strerror(errno));
}

/* Each page on its own. */
static void write_back(const struct op *op) {
    unsigned luck = (unsigned)faulty_random(3); /* all, none, some */
    for (size_t done = 0; luck < 2 && done < op->len;) {
        size_t some = PAGE - (size_t)((op->at + (off_t)done) % PAGE);
        if (some > op->len - done)
            some = op->len - done;
        if (luck == 0 || faulty_random(2))
            put(op->fd, op->bytes + done, some, op->at + (off_t)done);
        done += some;
    }
}

static void redo(struct op *op) {
    int rc = 0;
    switch (op->kind) {
    case DATA:
        write_back(op);
        break;
    case SIZE:
        rc = REAL(ftruncate)(op->fd, op->size);
        break;
    case MADE:
    case MOVED:
        rc = REAL(rename)(op->to, op->path);
        break;
    case REMOVED:
        rc = REAL(rename)(op->path, op->to);
        break;
    case RMDIR:
        rc = REAL(rmdir)(op->path);
        break;
    case MODE:
        rc = REAL(chmod)(op->path, op->mode);
        break;
    case MTIME:
        set_mtime(op->path, op->mtime);
        break;
    }
    if (rc < 0)
        fprintf(stderr, "faulty: cannot redo %d of %s: %s\n", (int)op->kind, op->path,
                strerror(errno));
}

void faulty_log_cut(void) {
    uint64_t names = 0;
    for (struct op *op = last; op; op = op->before) {
        names += op->kind != DATA && !op->with_next;
        undo(op);
    }
    uint64_t kept = faulty_random(names + 1);
    for (struct op *op = first; op; op = op->next)
        if (op->kind == DATA || kept > 0) {
            kept -= op->kind != DATA && !op->with_next;
            redo(op);
        }
}
