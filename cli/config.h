/* SPDX-License-Identifier: MIT */
/*
 * config -- the settings file: $XDG_CONFIG_HOME/lanyard/config, `key = value` lines
 *
 *     name = anna          display name
 *     port = 5000          where to listen
 *     hidden = yes         share entries with a leading dot too
 *     share-limit = 2M     what `share` sends in a second, to all together; off: as fast as it goes
 *     download-limit = 5M  what `download` receives in a second
 *
 * Empty lines and lines with '#' in front are skipped. The parser is pure.
 */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_FILE "config"

enum config_limit { CONFIG_SHARE_LIMIT, CONFIG_DOWNLOAD_LIMIT, CONFIG_LIMITS };

struct config {
    char name[64]; /* "": not set */
    int port;      /* -1: not set */
    bool hidden;
    uint64_t limits[CONFIG_LIMITS]; /* bytes a second, 0: none */
};

struct config_error {
    unsigned line; /* counted from 1 */
    const char *text;
};

void config_init(struct config *c);
/* One line without its newline. NULL, or what is wrong with it (static). */
const char *config_line(struct config *c, const char *line);
/* Where the file lies. 0, -ENAMETOOLONG. */
int config_dir(char dir[static 4096]);
/* 0 (also without a file), -EINVAL with *e set, or an errno. path: for messages, set whatever
 * happens. */
int config_load(struct config *c, char path[static 4096], struct config_error *e);

#endif
