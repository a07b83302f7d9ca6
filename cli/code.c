/* SPDX-License-Identifier: MIT */
#include "cli/code.h"

#include "cli/say.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { TRIES = 3 };

/* One line, without its end, byte by byte: what follows is somebody else's. 0, or an errno. */
static int read_line(int fd, char line[static OPT_SECRET_LEN]) {
    size_t len = 0;

    for (;;) {
        ssize_t n = read(fd, line + len, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0 || line[len] == '\n')
            break;
        if (++len == OPT_SECRET_LEN)
            return -E2BIG;
    }
    line[len] = '\0';
    return 0;
}

static int wrong_form(void) {
    return fail(CODE_USAGE, "an access code has %d letters and digits, like k7f3-q9zz",
                ACCESS_CODE_LEN);
}

static int take_from(struct access_code *code, const char *text) {
    char line[OPT_SECRET_LEN] = "", *end;
    long fd = strtol(text, &end, 10);
    int err;

    if (end == text || *end || fd < 0 || fd > 65535)
        return fail(CODE_USAGE, "--code-fd takes the number of an open file descriptor");
    err = read_line((int)fd, line);
    if (err == 0)
        err = access_parse(code, line);
    OPENSSL_cleanse(line, sizeof line);
    if (err == -EBADF)
        return fail(CODE_USAGE, "--code-fd: descriptor %ld is not open", fd);
    return err ? wrong_form() : 0;
}

int code_take(struct access_code *code, struct code_options *o) {
    bool given = o->code[0] != '\0';
    int err = given && !o->fd ? access_parse(code, o->code) : 0;

    OPENSSL_cleanse(o->code, sizeof o->code);
    if (err)
        return wrong_form();
    if (given && o->fd)
        return fail(CODE_USAGE, "--code and --code-fd exclude each other");
    if (o->fd)
        return take_from(code, o->fd);
    if (!given)
        code->text[0] = '\0';
    return 0;
}

/* A line from the terminal that is not shown as it is typed. */
static int read_hidden(char line[static OPT_SECRET_LEN]) {
    struct termios shown, hidden;
    int err;

    if (tcgetattr(STDIN_FILENO, &shown) != 0)
        return -errno;
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    err = read_line(STDIN_FILENO, line);
    tcsetattr(STDIN_FILENO, TCSANOW, &shown);
    fputc('\n', stderr);
    return err;
}

bool code_ask(struct access_code *code, const char *peer) {
    char line[OPT_SECRET_LEN] = "";
    int err = -EINVAL;

    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return false;
    for (int i = 0; i < TRIES && err == -EINVAL; i++) {
        fprintf(stderr, "%s asks for an access code: ", peer);
        fflush(stderr);
        err = read_hidden(line);
        if (err == 0 && line[0] == '\0')
            break; /* they do not have one */
        if (err == 0)
            err = access_parse(code, line);
        if (err == -EINVAL)
            wrong_form();
    }
    OPENSSL_cleanse(line, sizeof line);
    return err == 0 && code->text[0];
}
