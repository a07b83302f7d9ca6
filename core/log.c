/* SPDX-License-Identifier: MIT */
#include "core/log.h"

#include "proto/name.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static enum log_level shown = LOG_WARN;

void log_set_level(enum log_level level) { shown = level; }

enum log_level log_level(void) { return shown; }

void log_line(enum log_level level, const char *module, const char *format, ...) {
    static const char *const names[] = {"warning", "info", "debug"};
    char text[1024], line[4 * sizeof text];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    name_show(text, strlen(text), line, sizeof line);
    /* one call, so that lines of several threads do not mix (stdio locks per call, C11 7.21.2) */
    if (level == LOG_WARN)
        fprintf(stderr, "lanyard: %s\n", line);
    else
        fprintf(stderr, "lanyard: %s: %s: %s\n", names[level], module, line);
}
