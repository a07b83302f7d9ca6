/* SPDX-License-Identifier: MIT */
#include "cli/config.h"

#include "cli/rate.h"
#include "discovery/peer.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_LEN = 1024 };

void config_init(struct config *c) { *c = (struct config){.port = -1}; }

static const char *set_name(struct config *c, const char *value) {
    size_t len = strlen(value);

    if (len == 0 || len >= sizeof c->name)
        return "a name has 1 to 63 bytes";
    if (!peer_name_ok(value))
        return "a name is UTF-8 without control characters";
    memcpy(c->name, value, len + 1);
    return NULL;
}

static const char *set_port(struct config *c, const char *value) {
    char *end;
    long port = strtol(value, &end, 10);

    if (end == value || *end || port < 1 || port > 65535)
        return "a port is a number from 1 to 65535";
    c->port = (int)port;
    return NULL;
}

static const char *set_hidden(struct config *c, const char *value) {
    if (strcmp(value, "yes") == 0)
        c->hidden = true;
    else if (strcmp(value, "no") == 0)
        c->hidden = false;
    else
        return "it is yes or no";
    return NULL;
}

static const char *set_limit(struct config *c, enum config_limit which, const char *value) {
    return rate_parse(value, &c->limits[which]) == 0 ? NULL : "a limit is " RATE_WANTED;
}

static const char *set_share_limit(struct config *c, const char *value) {
    return set_limit(c, CONFIG_SHARE_LIMIT, value);
}

static const char *set_download_limit(struct config *c, const char *value) {
    return set_limit(c, CONFIG_DOWNLOAD_LIMIT, value);
}

static const struct setting {
    const char *key;
    const char *(*set)(struct config *c, const char *value);
} settings[] = {{"name", set_name},
                {"port", set_port},
                {"hidden", set_hidden},
                {"share-limit", set_share_limit},
                {"download-limit", set_download_limit}};

/* Cuts blanks off both ends, in place. */
static char *trim(char *text) {
    size_t len;

    while (isspace((unsigned char)*text))
        text++;
    len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
    return text;
}

const char *config_line(struct config *c, const char *line) {
    char copy[LINE_MAX_LEN], *key, *value;

    if (strlen(line) >= sizeof copy)
        return "the line is too long";
    strcpy(copy, line);
    key = trim(copy);
    if (*key == '\0' || *key == '#')
        return NULL;
    value = strchr(key, '=');
    if (!value)
        return "expected `key = value`";
    *value++ = '\0';
    key = trim(key);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (strcmp(key, settings[i].key) == 0)
            return settings[i].set(c, trim(value));
    return "unknown setting (there are: name, port, hidden, share-limit, download-limit)";
}

int config_dir(char dir_path[static 4096]) {
    const char *dir = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n;

    /* relative ones are to be ignored, XDG Base Directory Specification 0.8 */
    if (dir && *dir == '/')
        n = snprintf(dir_path, 4096, "%s/lanyard", dir);
    else
        n = snprintf(dir_path, 4096, "%s/.config/lanyard", home ? home : "");
    return n < 4096 - (int)sizeof "/" CONFIG_FILE ? 0 : -ENAMETOOLONG;
}

int config_load(struct config *c, char path[static 4096], struct config_error *e) {
    char *line = NULL;
    size_t cap = 0;
    int err = config_dir(path);
    FILE *f;

    *e = (struct config_error){0, NULL};
    if (err)
        return err;
    strcat(path, "/" CONFIG_FILE);
    f = fopen(path, "re");
    if (!f)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    while (!e->text && getline(&line, &cap, f) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        e->line++;
        e->text = config_line(c, line);
    }
    err = e->text ? -EINVAL : ferror(f) ? -EIO : 0;
    free(line);
    fclose(f);
    return err;
}
