/* SPDX-License-Identifier: MIT */
#include "tests/unit/fail_alloc.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RUNS_MAX = 10000, LIVE_MAX = 4096 };

/* Atomic: the code under test may use threads. */
static atomic_bool armed;
static atomic_uint countdown; /* the allocation that takes it to 0 fails */
static atomic_bool failed;

/* What was allocated while armed and is not freed yet. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *live[LIVE_MAX];
static unsigned n_live;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void __real_free(void *mem);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
void __wrap_free(void *mem);

static bool refuse(void) {
    if (!armed || atomic_fetch_sub(&countdown, 1) != 1)
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

/* `old` (NULL: nothing) was replaced by `mem` (NULL: freed). Memory that a library made for us is
 * not in the list. */
static void replaced(const void *old, void *mem) {
    unsigned i = 0;
    if (!armed)
        return;
    pthread_mutex_lock(&lock);
    while (i < n_live && live[i] != old)
        i++;
    if (old && i < n_live)
        live[i] = live[--n_live];
    if (mem && n_live < LIVE_MAX)
        live[n_live++] = mem;
    pthread_mutex_unlock(&lock);
}

static void *made(void *mem) {
    replaced(NULL, mem);
    return mem;
}

void *__wrap_malloc(size_t size) { return refuse() ? NULL : made(__real_malloc(size)); }

void *__wrap_calloc(size_t n, size_t size) {
    return refuse() ? NULL : made(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size) {
    uintptr_t was = (uintptr_t)old; /* old is not to be touched afterwards */
    if (refuse())
        return NULL;
    void *mem = __real_realloc(old, size);
    if (mem)
        replaced((void *)was, mem);
    return mem;
}

char *__wrap_strdup(const char *text) { return refuse() ? NULL : made(__real_strdup(text)); }

char *__wrap_strndup(const char *text, size_t len) {
    return refuse() ? NULL : made(__real_strndup(text, len));
}

void __wrap_free(void *mem) {
    replaced(mem, NULL); /* first: another thread may get the same address at once */
    __real_free(mem);
}

unsigned fail_alloc_each(int (*run)(void *arg), void *arg) {
    for (unsigned n = 1; n <= RUNS_MAX; n++) {
        countdown = n;
        failed = false;
        n_live = 0;
        armed = true;
        int r = run(arg);
        armed = false;
        if (n_live != 0)
            fail_msg("allocation %u failed: %u blocks were not freed", n, n_live);
        if (!failed) {
            assert_int_equal(r, 0);
            return n;
        }
        if (r != 0 && r != -ENOMEM)
            fail_msg("allocation %u failed: the call returned %d", n, r);
    }
    fail_msg("still failing after %d runs", RUNS_MAX);
    return 0;
}
