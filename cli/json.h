/* SPDX-License-Identifier: MIT */
/*
 * json -- objects for --json, one a line on stdout
 *
 * All lines are ASCII without control characters. Bytes that need not be UTF-8 (names of files) go
 * in exactly if they are; else as name_show shows them, with the bytes in a second key KEY_hex.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* 0 or -ENOMEM. object may be NULL (then -ENOMEM), so that calls can be chained. */
int json_put_bytes(json_t *object, const char *key, const char *bytes, size_t len);

/* Prints the object and releases it; json_event sees to it that whoever reads us gets it now.
 * 0; -ENOMEM (also for NULL); -EPIPE if nobody reads any more, or another error of writing. */
int json_line(json_t *object);
int json_event(json_t *object);
/* json_event for one of many: without memory it is left out, and a warning says so. False if it
 * could not be written: nobody reads us any more. */
bool json_tell(json_t *object);

#endif
