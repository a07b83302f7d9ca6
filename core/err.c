/* SPDX-License-Identifier: MIT */
#include "core/err.h"

#include "proto/wire.h"

#include <errno.h>
#include <uv.h>

enum { CODES = 100 }; /* WIRE_ERR has room for that many */

/* What libuv has no words for, but disks say. */
static const char *system_text(int err) {
    switch (err) {
    case -EDQUOT:
        return "disk quota exceeded";
    case -ESTALE:
        return "the file is gone from its server";
    case -EUCLEAN:
        return "the file system is damaged";
    default:
        return uv_strerror(err);
    }
}

const char *err_text(int err) {
    switch (err) {
#define X(name, number, sentence)                                                                  \
    case number:                                                                                   \
        return sentence;
        ERR_MAP(X)
#undef X
    }
    return err_code(err) ? wire_code_text(err_code(err)) : system_text(err);
}

int err_of_code(unsigned code) {
    return WIRE_ERR(code > WIRE_OK && code < CODES ? code : WIRE_INTERNAL);
}

unsigned err_code(int err) {
    return err < WIRE_ERR(WIRE_OK) && err > WIRE_ERR(CODES) ? (unsigned)(WIRE_ERR(WIRE_OK) - err)
                                                            : 0;
}
