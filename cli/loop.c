/* SPDX-License-Identifier: MIT */
#include "cli/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    THREADS = 5, /* libuv's pool, and discovery */
    PIPES = 4,   /* libuv has two, the rest is for sockets and files */
};

static int try_pipes(void) {
    int fds[2 * PIPES], n = 0, err = 0;

    while (n < 2 * PIPES && !err) {
        err = pipe2(fds + n, O_CLOEXEC) < 0 ? -errno : 0;
        n += err ? 0 : 2;
    }
    while (n > 0)
        close(fds[--n]);
    return err;
}

static void wait_for_the_others(void *go) {
    uv_mutex_lock(go);
    uv_mutex_unlock(go);
}

/* All at once; the C library keeps their stacks for those that come. */
static int try_threads(void) {
    uv_thread_t threads[THREADS];
    uv_mutex_t go;
    int n = 0, err = uv_mutex_init(&go);

    if (err)
        return err;
    uv_mutex_lock(&go);
    while (n < THREADS && !err) {
        err = uv_thread_create(&threads[n], wait_for_the_others, &go);
        n += err ? 0 : 1;
    }
    uv_mutex_unlock(&go);
    while (n > 0)
        uv_thread_join(&threads[--n]);
    uv_mutex_destroy(&go);
    return err;
}

int loop_init(uv_loop_t *loop) {
    int err = try_pipes();

    if (!err)
        err = try_threads();
    return err ? err : uv_loop_init(loop);
}
