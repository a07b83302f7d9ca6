/* SPDX-License-Identifier: MIT */
#include "cli/what.h"

#include "proto/name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The number at the front of text, if it is a port that ends where the digits end; else 0. */
static uint16_t leading_port(const char *text, size_t *digits) {
    unsigned long n;

    *digits = strspn(text, "0123456789");
    if (*digits < 1 || *digits > 5)
        return 0;
    n = strtoul(text, NULL, 10);
    return n <= 65535 ? (uint16_t)n : 0;
}

static int set_host(struct peer_spec *p, const char *host, size_t len, uint16_t port) {
    if (len == 0 || len >= sizeof p->host)
        return -EINVAL;
    p->kind = PEER_ADDR;
    memcpy(p->host, host, len);
    p->host[len] = '\0';
    p->port = port;
    return 0;
}

static bool is_v6(const char *text, size_t len) {
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    const char *scope = memchr(text, '%', len);

    if (scope)
        len = (size_t)(scope - text);
    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(AF_INET6, copy, &addr) == 1;
}

static bool is_v4(const char *text, size_t len) {
    char copy[INET_ADDRSTRLEN];
    struct in_addr addr;

    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(AF_INET, copy, &addr) == 1;
}

/* Letters, digits, dots and hyphens (RFC 1123, section 2.1), and what people use besides. */
static bool is_host(const char *text, size_t len) {
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

    for (size_t i = 0; i < len; i++)
        if (!strchr(set, text[i]) || !text[i])
            return false;
    return len > 0 && text[0] != '-';
}

/* NAME#ID: where the '#' stands, or len. "anna #2" is a name: such an ID is too short. */
static size_t id_at(const char *text, size_t len) {
    size_t at = len, id_len;

    while (at > 0 && text[at - 1] != '#')
        at--;
    if (at == 0)
        return len;
    id_len = len - at;
    if (id_len < KEY_SHORT_LEN || id_len > KEY_TEXT_LEN)
        return len;
    for (size_t i = at; i < len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz234567", text[i]) || !text[i])
            return len;
    return at - 1;
}

static int set_name(struct peer_spec *p, const char *text, size_t len) {
    size_t name_len = id_at(text, len);

    if (name_len == 0 || name_len >= sizeof p->name)
        return -EINVAL;
    p->kind = PEER_NAME;
    memcpy(p->name, text, name_len);
    p->name[name_len] = '\0';
    if (name_len < len) {
        memcpy(p->id, text + name_len + 1, len - name_len - 1);
        p->id[len - name_len - 1] = '\0';
    } else if (is_host(text, len)) {
        memcpy(p->host, p->name, len + 1);
        p->port = WHAT_PORT;
    }
    return 0;
}

/* A peer without a port behind it. */
static int set_peer(struct peer_spec *p, const char *text, size_t len) {
    if (is_v4(text, len) || is_v6(text, len))
        return set_host(p, text, len, WHAT_PORT);
    return set_name(p, text, len);
}

/* [V6], [V6]:PORT, then the end or ":PATH". *rest: what follows the colon, NULL at the end. */
static int parse_bracket(struct peer_spec *p, const char *text, const char **rest) {
    const char *end = strchr(text, ']'), *at;
    uint16_t port = WHAT_PORT, given;
    size_t digits;

    if (!end || !is_v6(text + 1, (size_t)(end - text - 1)))
        return -EINVAL;
    at = end + 1;
    *rest = NULL;
    if (*at == ':' && (given = leading_port(at + 1, &digits)) != 0 &&
        (at[1 + digits] == '\0' || at[1 + digits] == ':')) {
        port = given;
        at += 1 + digits;
    }
    if (*at == ':')
        *rest = at + 1;
    else if (*at != '\0')
        return -EINVAL;
    return set_host(p, text + 1, (size_t)(end - text - 1), port);
}

/* Splits text into peer and *rest (behind the colon, or NULL). port_last: `X:5000` at the end of
 * the text is HOST:PORT. */
static int split(struct peer_spec *p, const char *text, bool port_last, const char **rest) {
    const char *colon;
    uint16_t port;
    size_t digits;

    *p = (struct peer_spec){.kind = PEER_ANY};
    *rest = NULL;
    if (*text == '[')
        return parse_bracket(p, text, rest);
    if (is_v6(text, strlen(text)))
        return set_host(p, text, strlen(text), WHAT_PORT);
    colon = strchr(text, ':');
    if (!colon)
        return set_peer(p, text, strlen(text));
    port = leading_port(colon + 1, &digits);
    if (port && is_host(text, (size_t)(colon - text)) &&
        (colon[1 + digits] == ':' || (colon[1 + digits] == '\0' && port_last))) {
        *rest = colon[1 + digits] == ':' ? colon + 1 + digits + 1 : NULL;
        return set_host(p, text, (size_t)(colon - text), port);
    }
    *rest = colon + 1;
    return set_peer(p, text, (size_t)(colon - text));
}

static int set_path(struct what *w, const char *path) {
    size_t len;

    while (*path == '/')
        path++;
    len = strlen(path);
    while (len > 0 && path[len - 1] == '/')
        len--;
    if (len == 0)
        return 0;
    if (!name_path_ok(path, len))
        return -EINVAL;
    memcpy(w->path, path, len); /* at most PATH_MAX_LEN */
    w->path[len] = '\0';
    return 0;
}

int what_parse_peer(struct peer_spec *p, const char *text) {
    const char *rest;
    int err = split(p, text, true, &rest);

    return err ? err : rest ? -EINVAL : 0;
}

int what_parse_path(struct what *w, const char *text) {
    *w = (struct what){.peer.kind = PEER_ANY};
    return set_path(w, text) || !w->path[0] ? -EINVAL : 0;
}

int what_parse(struct what *w, const char *text) {
    const char *rest;
    int err;

    *w = (struct what){.peer.kind = PEER_ANY};
    if (!strchr(text, ':'))
        return set_path(w, text);
    err = split(&w->peer, text, false, &rest);
    if (err || !rest) { /* ":x", "a:b" with a peer that cannot be: a NAME with a colon in it */
        w->peer = (struct peer_spec){.kind = PEER_ANY};
        return set_path(w, text);
    }
    return set_path(w, rest);
}

int what_parse_listed(struct what *w, const char *text) {
    const char *rest;
    int err;

    *w = (struct what){.peer.kind = PEER_ANY};
    err = split(&w->peer, text, true, &rest);
    if (err)
        return err;
    return rest ? set_path(w, rest) : 0;
}

int what_parse_address(struct peer_spec *p, const char *host, const char *port) {
    uint16_t n;
    size_t digits, len = strlen(host);

    *p = (struct peer_spec){.kind = PEER_ANY};
    n = leading_port(port, &digits);
    if (!n || port[digits])
        return -EINVAL;
    if (len > 2 && host[0] == '[' && host[len - 1] == ']')
        return set_host(p, host + 1, len - 2, n);
    return set_host(p, host, len, n);
}

bool what_matches(const struct peer_spec *p, const char *name, const char *key_text) {
    char shown[4 * WHAT_NAME_MAX];

    if (p->kind == PEER_ANY)
        return true;
    if (strncmp(p->id, key_text, strlen(p->id)) != 0)
        return false;
    name_show(p->name, strlen(p->name), shown, sizeof shown);
    return strcmp(p->name, name) == 0 || strcmp(shown, name) == 0;
}
