/* SPDX-License-Identifier: MIT */
#include "core/err.h"

#include "proto/wire.h"

#include <uv.h>

enum { CODES = 100 }; /* WIRE_ERR has room for that many */

const char *err_text(int err) {
    switch (err) {
#define X(name, number, sentence)                                                                  \
    case number:                                                                                   \
        return sentence;
        ERR_MAP(X)
#undef X
    }
    return err_code(err) ? wire_code_text(err_code(err)) : uv_strerror(err);
}

int err_of_code(unsigned code) {
    return WIRE_ERR(code > WIRE_OK && code < CODES ? code : WIRE_INTERNAL);
}

unsigned err_code(int err) {
    return err < WIRE_ERR(WIRE_OK) && err > WIRE_ERR(CODES) ? (unsigned)(WIRE_ERR(WIRE_OK) - err)
                                                            : 0;
}
