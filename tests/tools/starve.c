/* SPDX-License-Identifier: MIT */
/*
 * starve -- a library to preload: the n-th allocation fails
 *
 *     STARVE_AT=N       this one fails, counted from 1
 *     STARVE_COUNT=FILE how many there were so far, and has it failed (0 or 1): 8 bytes each
 *
 * An allocation of the dynamic linker or of Avahi does not fail, the next one does: the one is for
 * a new thread, whose start libuv does not survive without, the other ends the process by itself
 * ("Out of memory, aborting").
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size); /* the C library's own, behind ours */
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

struct told {
    _Atomic uint64_t count, failed;
};

static struct told nowhere, *told = &nowhere;
static uint64_t at;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("STARVE_AT"), *path = getenv("STARVE_COUNT");
    if (path) {
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, sizeof *told) < 0)
            abort();
        told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (told == MAP_FAILED)
            abort();
        close(fd);
    }
    at = text ? strtoull(text, NULL, 10) : 0;
}

static bool spared(const void *caller) {
    Dl_info info;
    return dladdr(caller, &info) &&
           (strstr(info.dli_fname, "/ld-") || strstr(info.dli_fname, "/libavahi"));
}

static bool fails(const void *caller) {
    uint64_t n = atomic_fetch_add(&told->count, 1) + 1;
    if (!at || n < at || told->failed || spared(caller) || atomic_exchange(&told->failed, 1))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}
