/* SPDX-License-Identifier: MIT */
/*
 * table -- aligned columns with a heading
 *
 *     table_init -> table_add ... -> table_print -> table_clear
 *
 * Two blanks between columns, none at the end of a line. Fits into `width` columns by cutting the
 * widest cells of the columns that may be cut; width 0: nothing is cut (stdout is no terminal).
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 8 };

struct column {
    const char *title;
    bool right; /* numbers */
    bool cut;   /* may be cut */
};

struct table {
    const struct column *columns; /* the caller's */
    unsigned n_columns;
    char **cells; /* row after row */
    size_t n_rows, cap;
};

void table_init(struct table *t, const struct column *columns, unsigned n_columns);
/* Copies n_columns cells, escaped text. 0 or -ENOMEM. */
int table_add(struct table *t, const char *const *cells);
void table_print(const struct table *t, FILE *out, unsigned width, bool bold_heading);
void table_clear(struct table *t);

#endif
