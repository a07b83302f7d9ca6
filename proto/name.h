/* SPDX-License-Identifier: MIT */
/*
 * name -- is this a name that we accept from a stranger; how it is shown on a terminal
 *
 * A name is what Linux accepts as one component of a path: 1..255 bytes, no '/', no NUL, not "."
 * and not "..". Its bytes need not be UTF-8. The only file that judges and prints names. Pure.
 */
#ifndef PROTO_NAME_H
#define PROTO_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_MAX_LEN = 255, PATH_MAX_LEN = 4095, PATH_MAX_DEPTH = 256 };

/* One component. */
bool name_ok(const char *name, size_t len);

/* A relative path: components that are name_ok(), joined by single '/', at most PATH_MAX_LEN bytes
 * and PATH_MAX_DEPTH components, none empty. */
bool name_path_ok(const char *path, size_t len);

/* Is it well-formed UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF)? */
bool name_utf8_ok(const char *text, size_t len);

/* Writes `text` to `out` for a terminal, a log or an error sentence: printable UTF-8 as it is;
 * control characters (C0, DEL, C1), characters that turn the direction of text or cannot be seen
 * (U+00AD, U+061C, U+180E, U+200B..200F, U+2028..202E, U+2060..206F, U+FEFF, U+FFF9..FFFB,
 * U+E0000..E0FFF) and bytes that are not UTF-8 as \xNN, one per byte; backslash
 * doubled. Always NUL-terminated, cut at a whole escape or character when `cap` (> 0) is too small;
 * 4 * len + 1 bytes are always enough. Returns the bytes written without the NUL. */
size_t name_show(const char *text, size_t len, char *out, size_t cap);

/* Writes a text as one word of a shell's command line, for sentences that say what to run: in
 * single quotes, those in it as '\''. NUL-terminated; cut, with its end quoted, when `cap` (> 2) is
 * too small; 4 * its length + 3 bytes are always enough. Returns out. */
const char *name_quote(const char *shown, char *out, size_t cap);

#endif
