/* SPDX-License-Identifier: MIT */
/*
 * text -- numbers and names as people read them. Pure, but for the locale and the time zone.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum { TEXT_LEN = 32 };

/* "0 B", "1023 B", "1.0 KiB", "17 MiB", "1.5 TiB": at most 8 columns. Returns out. */
const char *text_size(uint64_t bytes, char out[static TEXT_LEN]);
/* "0s", "59s", "3m20s", "1h05m", "2d03h": at most 6 columns up to 99 days. */
const char *text_duration(uint64_t seconds, char out[static TEXT_LEN]);
/* "2024-05-01 12:00" in local time; "-" if the year does not have four digits. */
const char *text_time(int64_t ns, char out[static TEXT_LEN]);

/* Columns on a terminal (wcwidth); text: escaped, so printable UTF-8. */
unsigned text_width(const char *text);
/* Copies text, cut to `width` columns with U+2026 at the end if it is longer. out: strlen(text) + 4
 * bytes are enough. */
void text_clip(const char *text, unsigned width, char *out);

/* name_show into fresh memory; NULL if there is none. The caller's. */
char *text_shown(const char *text, size_t len);

#endif
