/* SPDX-License-Identifier: MIT */
/* Time runs FAST times as fast for the program under test: clients wait between two attempts. */
#include <uv.h>

enum { FAST = 50 };

uint64_t __real_uv_now(const uv_loop_t *loop);
uint64_t __wrap_uv_now(const uv_loop_t *loop);
int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);

uint64_t __wrap_uv_now(const uv_loop_t *loop) { return FAST * __real_uv_now(loop); }

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat) {
    return __real_uv_timer_start(timer, cb, (timeout + FAST - 1) / FAST,
                                 (repeat + FAST - 1) / FAST);
}
