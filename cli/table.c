/* SPDX-License-Identifier: MIT */
#include "cli/table.h"

#include "cli/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, CUT_MIN = 8, CELL_MAX = 4 * 4096 };

void table_init(struct table *t, const struct column *columns, unsigned n_columns) {
    *t = (struct table){.columns = columns, .n_columns = n_columns};
}

void table_clear(struct table *t) {
    for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){0};
}

static int grow(struct table *t) {
    size_t cap = t->cap ? 2 * t->cap : 16;
    char **cells = reallocarray(t->cells, cap, t->n_columns * sizeof *cells);

    if (!cells)
        return -ENOMEM;
    t->cells = cells;
    t->cap = cap;
    return 0;
}

int table_add(struct table *t, const char *const *cells) {
    char **row;

    if (t->n_rows == t->cap && grow(t) != 0)
        return -ENOMEM;
    row = t->cells + t->n_rows * t->n_columns;
    for (unsigned i = 0; i < t->n_columns; i++) {
        row[i] = strndup(cells[i], CELL_MAX);
        if (!row[i]) {
            while (i-- > 0)
                free(row[i]);
            return -ENOMEM;
        }
    }
    t->n_rows++;
    return 0;
}

static void measure(const struct table *t, unsigned *widths) {
    for (unsigned c = 0; c < t->n_columns; c++) {
        widths[c] = text_width(t->columns[c].title);
        for (size_t r = 0; r < t->n_rows; r++) {
            unsigned w = text_width(t->cells[r * t->n_columns + c]);
            if (w > widths[c])
                widths[c] = w;
        }
    }
}

/* Takes columns away, one by one, from whichever is the widest of those that may be cut. */
static void fit(const struct table *t, unsigned *widths, unsigned width) {
    unsigned total = GAP * (t->n_columns - 1);

    for (unsigned c = 0; c < t->n_columns; c++)
        total += widths[c];
    while (total > width) {
        unsigned *widest = NULL;

        for (unsigned c = 0; c < t->n_columns; c++)
            if (t->columns[c].cut && widths[c] > CUT_MIN && (!widest || widths[c] > *widest))
                widest = &widths[c];
        if (!widest)
            return;
        --*widest;
        total--;
    }
}

static void print_cell(const char *text, const struct column *c, unsigned width, bool last,
                       FILE *out) {
    char clipped[CELL_MAX + 4];
    unsigned pad;

    text_clip(text, width, clipped);
    pad = width - text_width(clipped);
    if (c->right)
        fprintf(out, "%*s%s", (int)pad, "", clipped);
    else
        fprintf(out, "%s%*s", clipped, last ? 0 : (int)pad, "");
    if (!last)
        fprintf(out, "%*s", GAP, "");
}

void table_print(const struct table *t, FILE *out, unsigned width, bool bold_heading) {
    unsigned widths[TABLE_COLUMNS_MAX];

    measure(t, widths);
    if (width > 0)
        fit(t, widths, width);
    if (bold_heading)
        fputs("\033[1m", out);
    for (unsigned c = 0; c < t->n_columns; c++)
        print_cell(t->columns[c].title, &t->columns[c], widths[c], c + 1 == t->n_columns, out);
    fputs(bold_heading ? "\033[0m\n" : "\n", out);
    for (size_t r = 0; r < t->n_rows; r++) {
        for (unsigned c = 0; c < t->n_columns; c++)
            print_cell(t->cells[r * t->n_columns + c], &t->columns[c], widths[c],
                       c + 1 == t->n_columns, out);
        fputc('\n', out);
    }
}
