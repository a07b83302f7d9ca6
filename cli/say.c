/* SPDX-License-Identifier: MIT */
#include "cli/say.h"

#include "core/err.h"
#include "proto/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool line_stands; /* a line of progress is on the terminal */
static char last[8192];  /* failure; main thread */

static void erase_line(void) {
    if (line_stands)
        fputs("\r\033[K", stderr);
    line_stands = false;
}

__attribute__((format(printf, 2, 0))) static void say(const char *lead, const char *format,
                                                      va_list args) {
    flockfile(stderr);
    erase_line();
    fputs(lead, stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    funlockfile(stderr);
}

int fail(enum exit_code code, const char *format, ...) {
    va_list args;

    va_start(args, format);
    vsnprintf(last, sizeof last, format, args);
    va_end(args);
    va_start(args, format);
    say("lanyard: ", format, args);
    va_end(args);
    return (int)code;
}

const char *say_last(void) { return last; }

void warn(const char *format, ...) {
    va_list args;

    va_start(args, format);
    say("lanyard: warning: ", format, args);
    va_end(args);
}

void note(const char *format, ...) {
    va_list args;

    va_start(args, format);
    say("", format, args);
    va_end(args);
}

void say_progress(const char *line) {
    flockfile(stderr);
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    line_stands = true;
    funlockfile(stderr);
}

void say_progress_end(void) {
    flockfile(stderr);
    erase_line();
    fflush(stderr);
    funlockfile(stderr);
}

unsigned say_width(int fd) {
    struct winsize size = {0};

    if (!isatty(fd))
        return 0;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
        return 80;
    return size.ws_col;
}

bool say_color(int fd) {
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

enum exit_code code_of(int err) {
    switch (err) {
    case WIRE_ERR(WIRE_NOT_FOUND):
        return CODE_NOT_FOUND;
    case WIRE_ERR(WIRE_AUTH_REQUIRED):
    case WIRE_ERR(WIRE_AUTH_FAILED):
    case WIRE_ERR(WIRE_DENIED):
    case ERR_KEY_CHANGED:
    case ERR_KEY_OTHER:
    case ERR_CODE_UNASKED:
    case ERR_CODE_UNPROVEN:
        return CODE_REFUSED;
    case ERR_STOPPED:
    case ERR_STALLED:
    case ERR_NO_SPACE:
        return CODE_INCOMPLETE;
    default:
        return CODE_FAILED;
    }
}
