/* SPDX-License-Identifier: MIT */
#include "core/trust.h"

#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 16 * 1024 * 1024 };

/* The whole file: what it says is what we know. */
struct text {
    char *at;
    size_t len;
};

/* -- lines ----------------------------------------------------------------------------------- */

/* Takes one line off the front of the text, without its end (LF or CR LF). */
static bool next_line(struct text *rest, struct text *line) {
    char *end = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->at) : rest->len;

    if (rest->len == 0)
        return false;
    *line = (struct text){rest->at, len};
    if (line->len > 0 && line->at[line->len - 1] == '\r')
        line->len--;
    rest->at += end ? len + 1 : len;
    rest->len -= end ? len + 1 : len;
    return true;
}

static bool is_blank(const struct text *line) {
    size_t i = 0;

    while (i < line->len && (line->at[i] == ' ' || line->at[i] == '\t'))
        i++;
    return i == line->len || line->at[i] == '#';
}

/* A name as name_show() writes it, on one line of our file. */
static bool name_fits(const char *name, size_t len) {
    if (len == 0 || len >= sizeof((struct trust_peer *)0)->name)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return false;
    return true;
}

/* KEY NAME */
static bool parse_line(const struct text *line, struct trust_peer *peer) {
    char key[KEY_TEXT_LEN + 1];
    size_t name_len = line->len - KEY_TEXT_LEN - 1;

    if (line->len < KEY_TEXT_LEN + 2 || line->at[KEY_TEXT_LEN] != ' ')
        return false;
    memcpy(key, line->at, KEY_TEXT_LEN);
    key[KEY_TEXT_LEN] = '\0';
    if (key_parse(key, peer->key) || !name_fits(line->at + KEY_TEXT_LEN + 1, name_len))
        return false;
    memcpy(peer->name, line->at + KEY_TEXT_LEN + 1, name_len);
    peer->name[name_len] = '\0';
    return true;
}

/* -- the file -------------------------------------------------------------------------------- */

static int read_all(int fd, struct text *text) {
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        return ERR_KNOWN_PEERS;
    text->at = malloc((size_t)st.st_size + 1);
    if (!text->at)
        return -ENOMEM;
    ssize_t n = fs_pread_some(fd, text->at, (size_t)st.st_size, 0);
    text->len = n < 0 ? 0 : (size_t)n;
    return n < 0 ? (int)n : 0;
}

/* No file: empty. The caller frees text->at, in every case. */
static int read_file(const char *path, struct text *text) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

    *text = (struct text){0};
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    r = read_all(fd, text);
    close(fd);
    return r;
}

/* Makes t what the text says. t stays as it is on errors, but for bad_line. */
static int parse(struct trust *t, struct text rest) {
    struct trust_peer *peers;
    size_t n = 0, most = 1;
    struct text line;
    unsigned number = 0;

    for (size_t i = 0; i < rest.len; i++)
        most += rest.at[i] == '\n';
    peers = calloc(most, sizeof *peers);
    if (!peers)
        return -ENOMEM;
    while (next_line(&rest, &line)) {
        number++;
        if (is_blank(&line))
            continue;
        if (!parse_line(&line, &peers[n])) {
            t->bad_line = number;
            free(peers);
            return ERR_KNOWN_PEERS;
        }
        n++;
    }
    free(t->peers);
    t->peers = peers;
    t->n = n;
    t->bad_line = 0;
    return 0;
}

static int write_all(int fd, const char *at, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int sync_parent(const char *path) {
    char dir[sizeof((struct trust *)0)->path];
    int fd, r;

    snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = '\0';
    fd = open(dir[0] ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r;
}

/* The old text or the new one, after any crash. */
static int replace_file(const char *path, const struct text *text) {
    char tmp[sizeof((struct trust *)0)->path + 8];
    int fd, r;

    snprintf(tmp, sizeof tmp, "%s.XXXXXX", path);
    fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = write_all(fd, text->at, text->len);
    if (close(fd) < 0 && !r)
        r = -errno;
    if (!r && rename(tmp, path) < 0)
        r = -errno;
    if (r) {
        unlink(tmp);
        return r;
    }
    return sync_parent(path);
}

/* A file beside it: the one with the peers is replaced, so it cannot carry the lock. */
static int lock(const struct trust *t) {
    char path[sizeof t->path + 8];
    int fd, r = 0;

    snprintf(path, sizeof path, "%s.lock", t->path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    while (flock(fd, LOCK_EX) < 0 && !r)
        r = errno == EINTR ? 0 : -errno;
    if (r) {
        close(fd);
        return r;
    }
    return fd;
}

/* -- for the owner --------------------------------------------------------------------------- */

int trust_load(struct trust *t, const char *state_dir) {
    struct text text;
    int r;

    memset(t, 0, sizeof *t);
    r = snprintf(t->path, sizeof t->path, "%s/known_peers", state_dir);
    if (r < 0 || (size_t)r >= sizeof t->path)
        return -ENAMETOOLONG;
    r = read_file(t->path, &text);
    if (!r)
        r = parse(t, text);
    free(text.at);
    return r;
}

void trust_clear(struct trust *t) {
    free(t->peers);
    t->peers = NULL;
    t->n = 0;
}

int trust_check(const struct trust *t, const char *name, const uint8_t key[static KEY_LEN],
                uint8_t other[KEY_LEN]) {
    const struct trust_peer *known = NULL;

    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->peers[i].name, name) != 0)
            continue;
        if (memcmp(t->peers[i].key, key, KEY_LEN) == 0)
            return TRUST_KNOWN;
        known = &t->peers[i];
    }
    if (!known)
        return TRUST_NEW;
    if (other)
        memcpy(other, known->key, KEY_LEN);
    return ERR_KEY_CHANGED;
}

bool trust_knows_name(const struct trust *t, const char *name) {
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->peers[i].name, name) == 0)
            return true;
    return false;
}

/* Reads the file anew, lets edit change the text, and writes it. Above 0 from edit: it changed
 * something, this much. */
static int change(struct trust *t, int (*edit)(struct text *text, const void *arg),
                  const void *arg) {
    int fd = lock(t), r;
    struct text text;

    if (fd < 0)
        return fd;
    r = read_file(t->path, &text);
    if (!r)
        r = parse(t, text); /* what others added meanwhile; never rewrite what is malformed */
    if (!r) {
        int changed = edit(&text, arg);
        if (changed > 0)
            r = replace_file(t->path, &text);
        if (!r && changed > 0)
            r = parse(t, text);
        if (!r)
            r = changed;
    }
    free(text.at);
    close(fd);
    return r;
}

static int append(struct text *text, const void *arg) {
    const struct trust_peer *peer = arg;
    bool ends = text->len == 0 || text->at[text->len - 1] == '\n';
    size_t more = KEY_TEXT_LEN + strlen(peer->name) + 4;
    char key[KEY_TEXT_LEN + 1], *at;
    struct text rest = *text, line;
    struct trust_peer old;

    while (next_line(&rest, &line)) /* another process may have been faster */
        if (!is_blank(&line) && parse_line(&line, &old) && strcmp(old.name, peer->name) == 0 &&
            memcmp(old.key, peer->key, KEY_LEN) == 0)
            return 0;
    at = realloc(text->at, text->len + more);
    if (!at)
        return -ENOMEM;
    text->at = at;
    key_text(peer->key, key);
    text->len +=
        (size_t)snprintf(at + text->len, more, "%s%s %s\n", ends ? "" : "\n", key, peer->name);
    return 1;
}

int trust_add(struct trust *t, const char *name, const uint8_t key[static KEY_LEN]) {
    struct trust_peer peer;
    int r;

    if (!name_fits(name, strlen(name)))
        return -EINVAL;
    memcpy(peer.key, key, KEY_LEN);
    strcpy(peer.name, name);
    r = change(t, append, &peer);
    return r < 0 ? r : 0;
}

static bool is_meant(const struct trust_peer *peer, const char *name_or_key) {
    char key[KEY_TEXT_LEN + 1];

    if (strcmp(peer->name, name_or_key) == 0)
        return true;
    key_text(peer->key, key);
    if (strcmp(key, name_or_key) == 0)
        return true;
    key[KEY_SHORT_LEN] = '\0';
    return strcmp(key, name_or_key) == 0;
}

static int cut_out(struct text *text, const void *arg) {
    struct text rest = *text, line;
    struct trust_peer peer;
    char *to = text->at;
    int n = 0;

    while (next_line(&rest, &line)) {
        size_t whole = (size_t)(rest.at - line.at);
        if (!is_blank(&line) && parse_line(&line, &peer) && is_meant(&peer, arg)) {
            n++;
            continue;
        }
        memmove(to, line.at, whole);
        to += whole;
    }
    text->len = (size_t)(to - text->at);
    return n;
}

int trust_forget(struct trust *t, const char *name_or_key) {
    return change(t, cut_out, name_or_key);
}
