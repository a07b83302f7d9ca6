/* SPDX-License-Identifier: MIT */
#include "core/err.h"

#include "proto/wire.h"

#include <uv.h>

const char *err_text(int err) {
    switch (err) {
#define X(name, number, sentence)                                                                  \
    case number:                                                                                   \
        return sentence;
        ERR_MAP(X)
#undef X
    }
    if (err <= WIRE_ERR(0) && err > -10100)
        return wire_code_text((unsigned)(WIRE_ERR(0) - err));
    return uv_strerror(err);
}

int err_of_code(unsigned code) {
    enum { CODES = 100 }; /* WIRE_ERR has room for that many */
    return WIRE_ERR(code > WIRE_OK && code < CODES ? code : WIRE_INTERNAL);
}
