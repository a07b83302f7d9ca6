/* SPDX-License-Identifier: MIT */
/*
 * code -- the access code that a user gives: as an option, through a descriptor, or at the terminal
 *
 * It is a secret: never shown again, logged, or left in argv. Whoever holds it wipes it.
 */
#ifndef CLI_CODE_H
#define CLI_CODE_H

#include "cli/opts.h"
#include "core/access.h"

struct code_options {
    char code[OPT_SECRET_LEN]; /* --code, "": not given */
    const char *fd;            /* --code-fd, NULL: not given */
};

/* clang-format off */
#define OPT_CODE(o) \
    {"code", 'c', "CODE", "prove this access code, and ask only a peer that knows it", OPT_SECRET, \
     (o)->code}, \
    {"code-fd", 0, "N", "read the code from file descriptor N", OPT_TEXT, &(o)->fd}
/* clang-format on */

/* 0: *code is the one that was given, or empty; or the exit code of a complaint. Wipes o->code. */
int code_take(struct access_code *code, struct code_options *o);

/* Asks for the code of this peer (escaped) where there is somebody to ask. False: there is not, or
 * nothing that makes sense was typed. */
bool code_ask(struct access_code *code, const char *peer);

#endif
