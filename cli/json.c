/* SPDX-License-Identifier: MIT */
#include "cli/json.h"

#include "cli/say.h"
#include "cli/text.h"
#include "proto/name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int put(json_t *object, const char *key, json_t *value) {
    return value && json_object_set_new(object, key, value) == 0 ? 0 : -ENOMEM;
}

static int put_hex(json_t *object, const char *key, const char *bytes, size_t len) {
    char name[64], *hex = malloc(2 * len + 1);
    int err;

    if (!hex)
        return -ENOMEM;
    for (size_t i = 0; i < len; i++)
        sprintf(hex + 2 * i, "%02x", (unsigned char)bytes[i]);
    snprintf(name, sizeof name, "%s_hex", key);
    err = put(object, name, json_stringn(hex, 2 * len));
    free(hex);
    return err;
}

int json_put_bytes(json_t *object, const char *key, const char *bytes, size_t len) {
    char *shown;
    int err;

    if (!object)
        return -ENOMEM;
    if (name_utf8_ok(bytes, len))
        return put(object, key, json_stringn(bytes, len));
    shown = text_shown(bytes, len);
    if (!shown)
        return -ENOMEM;
    err = put(object, key, json_string(shown));
    free(shown);
    return err ? err : put_hex(object, key, bytes, len);
}

/* DEL is ASCII, too; it can only stand in a string. */
static int put_line(const char *line) {
    for (; *line; line++)
        if ((*line == 0x7f ? fputs("\\u007f", stdout) : putchar(*line)) == EOF)
            return EOF;
    return putchar('\n');
}

/* The object's line, NULL without memory. It is measured before it is written: Jansson's own way of
 * letting a line grow goes on when a key finds no room (dump.c of 2.14 ignores what dump_string
 * returns), and what comes then is not JSON. */
static char *dump(const json_t *object) {
    /* nothing but ASCII: what moves or turns text is legal in JSON, and somebody will look at it */
    const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENSURE_ASCII;
    size_t len = json_dumpb(object, NULL, 0, flags);
    char *line = len ? malloc(len + 1) : NULL;

    if (line && json_dumpb(object, line, len, flags) == len) {
        line[len] = '\0';
        return line;
    }
    free(line);
    return NULL;
}

int json_line(json_t *object) {
    char *line = object ? dump(object) : NULL;
    int err = 0;

    json_decref(object);
    if (!line)
        return -ENOMEM;
    errno = 0;
    if (put_line(line) == EOF)
        err = errno ? -errno : -EIO;
    free(line);
    return err;
}

int json_event(json_t *object) {
    int err = json_line(object);

    return err ? err : fflush(stdout) == 0 ? 0 : -errno;
}

bool json_tell(json_t *object) {
    int err = json_event(object);

    if (err == -ENOMEM)
        warn("out of memory: an event was left out");
    return err == 0 || err == -ENOMEM;
}
