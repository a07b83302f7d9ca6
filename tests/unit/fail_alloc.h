/* SPDX-License-Identifier: MIT */
/*
 * fail_alloc -- let the n-th allocation of a piece of code fail, for every n
 *
 *     static int make_and_use(void *arg) { ... return what the code under test returned; }
 *
 *     fail_alloc_each(make_and_use, arg);
 *
 * Runs the function with the first allocation failing, then the second, ... until a run needs none
 * that fails. A run in which one failed may return -ENOMEM, or 0 if the code could do without; the
 * last one must return 0. Cleaning up is the function's duty, in every case; what is still
 * allocated when it returns fails the test.
 *
 * Counts malloc, calloc, realloc, strdup and strndup of code that is linked statically into the
 * test (ours), by the linker's --wrap; what libraries allocate inside (OpenSSL, libuv) is let
 * through. In tests/unit/meson.build name the test in `fail_alloc_tests` as well.
 */
#ifndef TESTS_FAIL_ALLOC_H
#define TESTS_FAIL_ALLOC_H

/* Returns how many runs there were: one more than the allocations that the function makes. */
unsigned fail_alloc_each(int (*run)(void *arg), void *arg);

#endif
