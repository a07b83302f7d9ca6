/* SPDX-License-Identifier: MIT */
/*
 * say -- all that commands put on stderr: complaints, remarks, and one line of progress
 *
 * The line of progress stands on the terminal's last row; whatever else is said takes its place and
 * the next call of say_progress draws it again below. Text from peers must be escaped already.
 */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include <stdbool.h>

enum exit_code {
    CODE_DONE = 0,
    CODE_FAILED = 1,
    CODE_USAGE = 2,
    CODE_NOT_FOUND = 3,
    CODE_AMBIGUOUS = 4,
    CODE_REFUSED = 5,
    CODE_INCOMPLETE = 6,
    CODE_SKIPPED = 7,
};

/* What the exit code of an error is, when nothing more is known about it. */
enum exit_code code_of(int err);

/* On stderr: "lanyard: ..."; "lanyard: warning: ..."; the words as they are. fail returns the code;
 * say_last: its last sentence. */
int fail(enum exit_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *say_last(void);
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

void say_progress(const char *line);
void say_progress_end(void); /* removes the line */

/* Columns of the terminal behind fd; 0 if it is none. */
unsigned say_width(int fd);
/* May text on fd be coloured? A terminal, and NO_COLOR is not set (no-color.org). */
bool say_color(int fd);

#endif
