/* SPDX-License-Identifier: MIT */
#include "faulty.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SHORT = -1 }; /* in place of an errno */

struct call {
    const char *name;
    bool counts; /* it is a step */
    bool ours;   /* below our folder: the lock is held until end() */
    bool tears;  /* the process dies in the middle of it */
    int fault;   /* an errno, or SHORT */
    char path[PATH_MAX];
};

static struct {
    const char *dir, *boot;
    bool logs;
    uint64_t kill, cut;
    uint64_t *count;
    int trace;
    struct {
        char call[32], part[256];
        int how;
        uint64_t at, seen;
        bool later;
    } fail;
} our;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void *faulty_real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

/* --- what is wanted ------------------------------------------------------------------------- */

static uint64_t number(const char *name) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

static int how(const char *name) {
    static const struct {
        const char *name;
        int err;
    } all[] = {{"EIO", EIO},     {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT},
               {"EROFS", EROFS}, {"EINTR", EINTR},   {"SHORT", SHORT}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(name, all[i].name) == 0)
            return all[i].err;
    abort();
}

static void read_fail(const char *text) {
    char name[16], later = 0;
    unsigned long at;
    int n = sscanf(text, "%31[^:]:%15[^:]:%lu%c", our.fail.call, name, &at, &later);
    if (n < 3)
        abort();
    our.fail.how = how(name);
    our.fail.at = at;
    our.fail.later = later == '+';
    const char *part = text;
    for (int i = 0; part && i < 3; i++)
        part = strchr(part + (i > 0), ':');
    if (part)
        snprintf(our.fail.part, sizeof our.fail.part, "%s", part + 1);
}

static uint64_t *map_count(const char *path) {
    int fd = REAL(open)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *at = MAP_FAILED;
    if (fd >= 0 && REAL(ftruncate)(fd, sizeof(uint64_t)) == 0)
        at = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        abort();
    close(fd);
    return at;
}

__attribute__((constructor)) static void begin(void) {
    static uint64_t nowhere;
    const char *count = getenv("FAULTY_COUNT"), *trace = getenv("FAULTY_TRACE");
    our.boot = getenv("FAULTY_BOOT");
    our.dir = getenv("FAULTY_DIR");
    our.kill = number("FAULTY_KILL");
    our.cut = number("FAULTY_CUT");
    our.count = count ? map_count(count) : &nowhere;
    our.trace = -1;
    if (trace)
        our.trace = REAL(open)(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (getenv("FAULTY_FAIL"))
        read_fail(getenv("FAULTY_FAIL"));
    our.logs = our.dir && our.cut;
    if (our.dir && faulty_log_open(our.dir, number("FAULTY_SEED")) < 0)
        abort();
}

/* --- each call ------------------------------------------------------------------------------ */

static bool fd_path(int fd, char out[static PATH_MAX]) {
    char link[64];
    if (fd == AT_FDCWD)
        return getcwd(out, PATH_MAX) != NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, out, PATH_MAX - 1);
    if (len < 0)
        return false;
    out[len] = 0;
    return true;
}

static bool is_ours(const char *path) {
    size_t len = our.dir ? strlen(our.dir) : 0;
    return len && strncmp(path, our.dir, len) == 0 && (path[len] == '/' || !path[len]);
}

static bool fails(const struct call *c) {
    bool named = strcmp(our.fail.call, c->name) == 0;
    if (!named && !(c->counts && strcmp(our.fail.call, "change") == 0))
        return false;
    if (!strstr(c->path, our.fail.part))
        return false;
    our.fail.seen++;
    return our.fail.later ? our.fail.seen >= our.fail.at : our.fail.seen == our.fail.at;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void step(struct call *c) {
    uint64_t now = ++*our.count;
    if (now == our.kill && !c->tears)
        die();
    if (now == our.cut) {
        faulty_log_cut();
        die();
    }
    c->tears = c->tears && now == our.kill;
}

static bool go(struct call *c) {
    c->tears = c->tears && c->ours;
    if (!c->ours)
        return true;
    pthread_mutex_lock(&lock);
    if (c->counts)
        step(c);
    if (our.trace >= 0)
        dprintf(our.trace, "%lu %s %s\n", (unsigned long)*our.count, c->name, c->path);
    c->fault = fails(c) ? our.fail.how : 0;
    if (c->fault <= 0)
        return true;
    pthread_mutex_unlock(&lock);
    errno = c->fault;
    return false;
}

/* False: it fails, errno is set. True: do it, and then end(). */
static bool on_fd(struct call *c, const char *name, int fd, bool counts) {
    *c = (struct call){.name = name, .counts = counts, .tears = strcmp(name, "pwrite") == 0};
    c->ours = our.dir && fd_path(fd, c->path) && is_ours(c->path) && !strstr(c->path, " (deleted)");
    return go(c);
}

static bool on_name(struct call *c, const char *name, int dir, const char *file) {
    *c = (struct call){.name = name, .counts = true};
    if (our.dir && *file == '/')
        snprintf(c->path, sizeof c->path, "%s", file);
    else if (our.dir && fd_path(dir, c->path))
        snprintf(c->path + strlen(c->path), sizeof c->path - strlen(c->path), "/%s", file);
    c->ours = is_ours(c->path);
    return go(c);
}

static int end(struct call *c, int rc) {
    int saved = errno;
    if (c->ours)
        pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}

static bool logs(const struct call *c) { return c->ours && our.logs; }

/* --- bytes ---------------------------------------------------------------------------------- */

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset) {
    struct call c;
    if (!on_fd(&c, "pwrite", fd, true))
        return -1;
    if (c.tears) {
        len = faulty_random(len + 1);
        REAL(pwrite)(fd, buf, len, offset);
        die();
    }
    if (c.fault == SHORT)
        len = (len + 1) / 2;
    if (logs(&c))
        faulty_log_write(fd, buf, len, offset);
    ssize_t n = REAL(pwrite)(fd, buf, len, offset);
    end(&c, 0);
    return n;
}

ssize_t pread(int fd, void *buf, size_t len, off_t offset) {
    struct call c;
    if (!on_fd(&c, "pread", fd, false))
        return -1;
    ssize_t n = REAL(pread)(fd, buf, c.fault == SHORT ? (len + 1) / 2 : len, offset);
    end(&c, 0);
    return n;
}

int ftruncate(int fd, off_t size) {
    struct call c;
    if (!on_fd(&c, "ftruncate", fd, true))
        return -1;
    if (logs(&c))
        faulty_log_size(fd, size);
    return end(&c, REAL(ftruncate)(fd, size));
}

int fallocate(int fd, int mode, off_t offset, off_t len) {
    struct call c;
    if (!on_fd(&c, "fallocate", fd, true))
        return -1;
    if (logs(&c))
        faulty_log_write(fd, NULL, (size_t)len, offset);
    return end(&c, REAL(fallocate)(fd, mode, offset, len));
}

int posix_fadvise(int fd, off_t offset, off_t len, int advice) {
    struct call c;
    if (!on_fd(&c, "posix_fadvise", fd, false))
        return errno;
    int rc = REAL(posix_fadvise)(fd, offset, len, advice);
    end(&c, 0);
    return rc;
}

/* --- syncs ---------------------------------------------------------------------------------- */

static int sync_one(const char *name, int fd) {
    struct call c;
    if (!on_fd(&c, name, fd, true))
        return -1;
    if (logs(&c))
        faulty_log_fsync(fd);
    return end(&c, 0);
}

int fsync(int fd) { return our.dir ? sync_one("fsync", fd) : REAL(fsync)(fd); }

int fdatasync(int fd) { return our.dir ? sync_one("fdatasync", fd) : REAL(fdatasync)(fd); }

int syncfs(int fd) {
    struct call c;
    if (!on_fd(&c, "syncfs", fd, true))
        return -1;
    if (logs(&c))
        faulty_log_syncfs();
    return end(&c, c.ours ? 0 : REAL(syncfs)(fd));
}

/* --- names ---------------------------------------------------------------------------------- */

/* Locked: does open(2) with O_CREAT make it? */
static bool makes(const struct call *c, int flags) {
    struct stat st;
    return logs(c) && (flags & O_CREAT) && lstat(c->path, &st) < 0;
}

static bool on_open(struct call *c, int dir, const char *file, int flags) {
    if (flags & O_CREAT)
        return on_name(c, "create", dir, file);
    *c = (struct call){.name = "open"};
    c->ours = our.dir && fd_path(dir, c->path) && is_ours(c->path);
    if (c->ours)
        snprintf(c->path + strlen(c->path), sizeof c->path - strlen(c->path), "/%s", file);
    return go(c);
}

int openat(int dir, const char *file, int flags, ...) {
    struct call c;
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (!on_open(&c, dir, file, flags))
        return -1;
    bool new = makes(&c, flags);
    int fd = REAL(openat)(dir, file, flags, mode);
    if (new &&fd >= 0)
        faulty_log_made(c.path);
    return end(&c, fd);
}

/* openat2(2) has no function of its own. */
long syscall(long call, ...) {
    long a[6];
    struct call c;
    va_list args;
    va_start(args, call);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (call != SYS_openat2)
        return REAL(syscall)(call, a[0], a[1], a[2], a[3], a[4], a[5]);
    const struct open_how *open_how = (const struct open_how *)a[2];
    if (!on_open(&c, (int)a[0], (const char *)a[1], (int)open_how->flags))
        return -1;
    bool new = makes(&c, (int)open_how->flags);
    long fd = REAL(syscall)(call, a[0], a[1], a[2], a[3]);
    if (new &&fd >= 0)
        faulty_log_made(c.path);
    return end(&c, (int)fd);
}

int mkdirat(int dir, const char *file, mode_t mode) {
    struct call c;
    if (!on_name(&c, "mkdirat", dir, file))
        return -1;
    int rc = REAL(mkdirat)(dir, file, mode);
    if (!rc && logs(&c))
        faulty_log_made(c.path);
    return end(&c, rc);
}

int symlinkat(const char *target, int dir, const char *file) {
    struct call c;
    if (!on_name(&c, "symlinkat", dir, file))
        return -1;
    int rc = REAL(symlinkat)(target, dir, file);
    if (!rc && logs(&c))
        faulty_log_made(c.path);
    return end(&c, rc);
}

int unlinkat(int dir, const char *file, int flags) {
    struct call c;
    struct stat st;
    if (!on_name(&c, "unlinkat", dir, file))
        return -1;
    if (logs(&c) && !(flags & AT_REMOVEDIR))
        return end(&c, faulty_log_remove(c.path));
    bool there = logs(&c) && lstat(c.path, &st) == 0;
    int rc = REAL(unlinkat)(dir, file, flags);
    if (!rc && there)
        faulty_log_rmdir(c.path, &st);
    return end(&c, rc);
}

static int move(struct call *c, int to_dir, const char *to, int (*act)(void *), void *arg) {
    char path[PATH_MAX];
    struct stat st;
    if (!logs(c))
        return act(arg);
    if (!fd_path(to_dir, path))
        abort();
    snprintf(path + strlen(path), sizeof path - strlen(path), "/%s", to);
    bool over = lstat(path, &st) == 0;
    if (over && S_ISREG(st.st_mode) && faulty_log_remove(path) < 0)
        return -1;
    int rc = act(arg);
    if (!rc)
        faulty_log_moved(c->path, path);
    return rc;
}

struct rename {
    int from_dir, to_dir;
    const char *from, *to;
    unsigned flags;
};

static int rename_over(void *arg) {
    const struct rename *r = arg;
    return REAL(renameat)(r->from_dir, r->from, r->to_dir, r->to);
}

static int rename_new(void *arg) {
    const struct rename *r = arg;
    return REAL(renameat2)(r->from_dir, r->from, r->to_dir, r->to, r->flags);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    struct rename r = {from_dir, to_dir, from, to, 0};
    struct call c;
    if (!on_name(&c, "renameat", from_dir, from))
        return -1;
    return end(&c, move(&c, to_dir, to, rename_over, &r));
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    struct rename r = {from_dir, to_dir, from, to, flags};
    struct call c;
    if (!on_name(&c, "renameat2", from_dir, from))
        return -1;
    return end(&c, move(&c, to_dir, to, rename_new, &r));
}

/* --- modes and times ------------------------------------------------------------------------ */

int fchmodat(int dir, const char *file, mode_t mode, int flags) {
    struct call c;
    if (!on_name(&c, "fchmodat", dir, file))
        return -1;
    if (logs(&c))
        faulty_log_mode(c.path, mode);
    return end(&c, REAL(fchmodat)(dir, file, mode, flags));
}

int fchmod(int fd, mode_t mode) {
    struct call c;
    if (!on_fd(&c, "fchmod", fd, true))
        return -1;
    if (logs(&c))
        faulty_log_mode(c.path, mode);
    return end(&c, REAL(fchmod)(fd, mode));
}

int utimensat(int dir, const char *file, const struct timespec times[2], int flags) {
    struct call c;
    if (!on_name(&c, "utimensat", dir, file))
        return -1;
    if (logs(&c))
        faulty_log_mtime(c.path, times);
    return end(&c, REAL(utimensat)(dir, file, times, flags));
}

/* --- another boot --------------------------------------------------------------------------- */

FILE *fopen(const char *path, const char *mode) {
    if (our.boot && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        path = our.boot;
    return REAL(fopen)(path, mode);
}
