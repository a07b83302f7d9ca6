/* SPDX-License-Identifier: MIT */
#include "cli/follow.h"

#include "cli/say.h"
#include "cli/text.h"
#include "core/err.h"

#include <stddef.h>
#include <string.h>

#define LOG_MODULE "follow"
#include "core/log.h"

enum { SETTLE_MS = 100 };

void follow_tell(uint64_t rate) {
    char text[TEXT_LEN];

    if (rate)
        note("limit: %s/s", text_size(rate, text));
    else
        note("limit: off");
}

static void on_settled(uv_timer_t *timer) {
    struct follow *f = (struct follow *)((char *)timer - offsetof(struct follow, settle));
    struct config_error e;
    struct config c;
    char path[4096];
    int err;

    config_init(&c);
    err = config_load(&c, path, &e);
    if (e.text)
        warn("%s, line %u: %s; the limit stays as it is", path, e.line, e.text);
    else if (err)
        warn("%s: %s; the limit stays as it is", path, err_text(err));
    if (err)
        return;
    if (c.limits[f->which] == f->seen)
        return;
    f->seen = c.limits[f->which];
    f->on_limit(f->owner, f->seen);
    follow_tell(f->seen);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status) {
    struct follow *f = (struct follow *)event;

    if (status == 0 && name && strcmp(name, CONFIG_FILE) == 0)
        uv_timer_start(&f->settle, on_settled, SETTLE_MS, 0);
}

void follow_start(struct follow *f, uv_loop_t *loop, const struct config *now,
                  enum config_limit which) {
    char dir[4096];
    int err = config_dir(dir);

    f->which = which;
    f->seen = now->limits[which];
    uv_timer_init(loop, &f->settle);
    uv_fs_event_init(loop, &f->event);
    if (!err)
        err = uv_fs_event_start(&f->event, on_event, dir, 0);
    if (err)
        log_info("settings are not followed: %s", err_text(err));
    uv_unref((uv_handle_t *)&f->event);
    uv_unref((uv_handle_t *)&f->settle);
}

void follow_stop(struct follow *f) {
    uv_close((uv_handle_t *)&f->event, NULL);
    uv_close((uv_handle_t *)&f->settle, NULL);
}
