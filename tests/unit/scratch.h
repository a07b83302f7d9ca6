/* SPDX-License-Identifier: MIT */
/*
 * scratch -- a folder for one test, and short words to put things into it
 *
 * Calls that fail end the test. Paths are below the folder.
 */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct scratch {
    char path[64];
    int fd;
};

static inline void scratch_make(struct scratch *s) {
    strcpy(s->path, "/tmp/lanyard-test-XXXXXX");
    assert_non_null(mkdtemp(s->path));
    s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(s->fd >= 0);
}

static inline void scratch_remove(struct scratch *s) {
    char command[192];
    close(s->fd);
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", s->path, s->path);
    assert_int_equal(system(command), 0);
}

static inline void scratch_dir(const struct scratch *s, const char *path) {
    assert_int_equal(mkdirat(s->fd, path, 0755), 0);
}

static inline void scratch_link(const struct scratch *s, const char *path, const char *target) {
    assert_int_equal(symlinkat(target, s->fd, path), 0);
}

static inline void scratch_bytes(const struct scratch *s, const char *path, const void *bytes,
                                 size_t len) {
    int fd = openat(s->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

static inline void scratch_file(const struct scratch *s, const char *path, const char *text) {
    scratch_bytes(s, path, text, strlen(text));
}

/* Does the file hold this text? */
static inline void scratch_expect(const struct scratch *s, const char *path, const char *text) {
    char buf[256];
    int fd = openat(s->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, buf, sizeof buf - 1);
    close(fd);
    assert_true(n >= 0);
    buf[n] = 0;
    assert_string_equal(buf, text);
}

static inline int scratch_has(const struct scratch *s, const char *path) {
    return !faccessat(s->fd, path, F_OK, AT_SYMLINK_NOFOLLOW);
}

#endif
