/* SPDX-License-Identifier: MIT */
/*
 * names -- the names of one folder, sorted bytewise, in little memory however many they are
 *
 *     names_init -> names_add ... -> names_sort -> names_next ...     names_empty: again
 *     names_clear
 *
 * What fits into the room stays in memory. When that is full, the names there are sorted and
 * written to a temporary file as one run, and names_next merges the runs: 10^6 names of 16 bytes
 * are 17 runs and cost 3 MiB.
 */
#ifndef CORE_NAMES_H
#define CORE_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum {
    NAMES_ROOM = 1 << 21,  /* the usual one */
    NAMES_RUNS_MAX = 1024, /* 8 million names of 255 bytes, 60 million of 17 */
};

struct names { /* private */
    size_t room;
    struct name *all;
    size_t n, cap, next;
    char *text;
    size_t text_len, text_cap;

    struct run *runs; /* after names_sort a heap: the one whose name is next is the first */
    size_t n_runs, runs_cap;
    int fd; /* of the runs; nothing while n_runs is 0 */
    uint64_t written;
};

/* room: bytes of names, with the 16 that it takes to sort one, that stay in memory. */
void names_init(struct names *s, size_t room);
void names_clear(struct names *s); /* then as after names_init */

/* name: 1 .. 255 bytes, copied. -ENOMEM; WIRE_ERR(LIMIT): more than NAMES_RUNS_MAX runs; an errno
 * of the temporary file. */
int names_add(struct names *s, const char *name);
/* Once, after the last name. Errors as of names_add. */
int names_sort(struct names *s);
/* 1: *name is the next one, good until the next call; 0: there is none any more; below 0: an
 * error. */
int names_next(struct names *s, const char **name);

/* For the next folder: as names_clear, but keeps memory, at most twice the room. */
void names_empty(struct names *s);

#endif
