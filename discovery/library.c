/* SPDX-License-Identifier: MIT */
#include "discovery/library.h"

#include <dlfcn.h>

bool library_load(const char *soname, const struct library_symbol *symbols, size_t n) {
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

    if (!library)
        return false;
    for (size_t i = 0; i < n; i++) {
        *symbols[i].pointer = dlsym(library, symbols[i].name);
        if (!*symbols[i].pointer)
            return false;
    }
    return true;
}
