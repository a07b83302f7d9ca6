/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/world.h"

#include "core/log.h"
#include "proto/name.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

struct world world;

int __wrap_access_key(const struct access_code *code, const uint8_t listener[static KEY_LEN],
                      uint8_t key[static ACCESS_KEY_LEN]);
void __wrap_log_line(enum log_level level, const char *module, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int __wrap_access_key(const struct access_code *code, const uint8_t listener[static KEY_LEN],
                      uint8_t key[static ACCESS_KEY_LEN]) {
    memcpy(key, listener, ACCESS_KEY_LEN);
    memcpy(key, code->text, ACCESS_CODE_LEN);
    return 0;
}

void must_be_shown(const char *text) {
    size_t len = strlen(text), slashes = 0;
    char *again = malloc(4 * len + 1);

    must(again && name_utf8_ok(text, len));
    for (size_t i = 0; i < len; i++)
        slashes += text[i] == '\\';
    /* what is printable is shown as it is, but for backslashes */
    must(name_show(text, len, again, 4 * len + 1) == len + slashes);
    free(again);
}

void __wrap_log_line(enum log_level level, const char *module, const char *format, ...) {
    char line[8192];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    must_be_shown(line);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return remove(path);
}

static void remove_world(void) { nftw(world.path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

const char *world_at(const char *path) {
    static char full[8][512];
    static unsigned i;
    char *out = full[i++ % 8];

    snprintf(out, sizeof full[0], "%s/%s", world.path, path);
    return out;
}

void world_file(const char *path, const char *text) {
    int fd = openat(world.fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

void world_look(void) { uv_stop(&world.loop); }

static void on_guard(uv_timer_t *timer) {
    world.late = true;
    world_look();
}

void world_patience(unsigned ms) {
    world.late = false;
    uv_timer_start(&world.guard, on_guard, ms, 0);
}

void world_rest(void) {
    uv_timer_stop(&world.guard);
    must(uv_run(&world.loop, UV_RUN_DEFAULT) == 0);
}

bool world_open(const char *const *folders) {
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    if (world.fd > 0)
        return false;
    snprintf(world.path, sizeof world.path, "%s/lanyard-fuzz-XXXXXX", memory);
    must(mkdtemp(world.path));
    atexit(remove_world);
    signal(SIGPIPE, SIG_IGN);
    setenv("TMPDIR", memory, 1);
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    world.fd = open(world.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(world.fd > 0 && mkdirat(world.fd, "liar", 0700) == 0 &&
         mkdirat(world.fd, "honest", 0700) == 0);
    for (; *folders; folders++)
        must(mkdirat(world.fd, *folders, 0755) == 0);
    must(uv_loop_init(&world.loop) == 0 && uv_timer_init(&world.loop, &world.guard) == 0);
    uv_unref((uv_handle_t *)&world.guard);
    must(identity_load(&world.liar, world_at("liar")) == 0 &&
         identity_load(&world.honest, world_at("honest")) == 0);
    return true;
}
