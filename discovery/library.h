/* SPDX-License-Identifier: MIT */
/*
 * library -- load a shared library apart from all others
 *
 * libavahi-client and libavahi-core both export avahi_entry_group_free(), with different arguments,
 * and each calls its own through the dynamic linker. Linked into one program, the first one gets
 * the calls of both: avahi_server_free() crashes. So neither is linked; each is loaded with
 * RTLD_LOCAL and finds itself first. Never unloaded.
 */
#ifndef DISCOVERY_LIBRARY_H
#define DISCOVERY_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* A list of functions X(f) X(g) makes a struct of pointers of the same names and types, and the
 * table that fills it. */
#define LIBRARY_POINTER(f) __typeof__(f) *f;
#define LIBRARY_SYMBOL(f) {#f, (void **)&lib.f},

struct library_symbol {
    const char *name;
    void **pointer;
};

/* Fills all pointers; false if the library or one of them is missing. */
bool library_load(const char *soname, const struct library_symbol *symbols, size_t n);

#endif
