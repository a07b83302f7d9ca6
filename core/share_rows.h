/* SPDX-License-Identifier: MIT */
/*
 * share_rows -- LIST and FIND: rows about our shares, in pages
 *
 *     share_rows_list | share_rows_find  ->  share_rows_page ... until 0  ->  share_rows_free
 *
 * In the order of the walk: share by share, breadth first, each folder sorted. Holds one walk and
 * one row that did not fit; nothing is collected. Blocking; one thread at a time.
 */
#ifndef CORE_SHARE_ROWS_H
#define CORE_SHARE_ROWS_H

#include "core/share.h"

struct share_rows;

/* Children of a folder, or the file itself; path "": the shares. Rows carry names.
 * WIRE_ERR(NOT_FOUND); -EACCES if the folder cannot be read. */
int share_rows_list(struct share_rows **r, const struct shares *s, const char *path);

/* Rows carry paths, SHARE/dir/file. pattern is copied. */
int share_rows_find(struct share_rows **r, const struct shares *s, enum wire_find_mode mode,
                    const char *pattern);

/* Of its walks, before the first page. watch outlives r; where it pauses, a page ends. */
void share_rows_watch(struct share_rows *r, struct walk_watch *watch);

/* Fills `out` with as many rows (wire_entry_put) as fit; cap: WIRE_CONTROL_MAX less what surrounds
 * them, never too small for one. 1: there may be more, also after a page of none; 0: that was the
 * last page (which may be empty); below 0: an error. *len, *n: bytes and rows of this page. */
int share_rows_page(struct share_rows *r, uint8_t *out, size_t cap, size_t *len, uint16_t *n);
void share_rows_free(struct share_rows *r); /* takes NULL */

#endif
