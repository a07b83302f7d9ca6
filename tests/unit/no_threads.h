/* SPDX-License-Identifier: MIT */
/*
 * no_threads -- threads that cannot be had
 *
 * For tests that replace uv_thread_create_ex: they are counted, and refused while no_threads is
 * true.
 */
#ifndef TESTS_NO_THREADS_H
#define TESTS_NO_THREADS_H

#include <stdbool.h>
#include <uv.h>

static bool no_threads;
static unsigned n_threads; /* created so far */

int __real_uv_thread_create_ex(uv_thread_t *tid, const uv_thread_options_t *o, uv_thread_cb entry,
                               void *arg);
int __wrap_uv_thread_create_ex(uv_thread_t *tid, const uv_thread_options_t *o, uv_thread_cb entry,
                               void *arg);

int __wrap_uv_thread_create_ex(uv_thread_t *tid, const uv_thread_options_t *o, uv_thread_cb entry,
                               void *arg) {
    if (no_threads)
        return UV_EAGAIN;
    n_threads++;
    return __real_uv_thread_create_ex(tid, o, entry, arg);
}

#endif
