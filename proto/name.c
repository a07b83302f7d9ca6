/* SPDX-License-Identifier: MIT */
#include "proto/name.h"

#include <stdint.h>
#include <string.h>

bool name_ok(const char *name, size_t len) {
    if (len == 0 || len > NAME_MAX_LEN)
        return false;
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return false;
    return !memchr(name, '/', len) && !memchr(name, '\0', len);
}

bool name_path_ok(const char *path, size_t len) {
    if (len == 0 || len > PATH_MAX_LEN)
        return false;
    for (unsigned depth = 1; depth <= PATH_MAX_DEPTH; depth++) {
        const char *slash = memchr(path, '/', len);
        size_t part = slash ? (size_t)(slash - path) : len;
        if (!name_ok(path, part))
            return false;
        if (!slash)
            return true;
        path += part + 1;
        len -= part + 1;
    }
    return false;
}

/* One character of UTF-8 at the front: returns its bytes, or 0 if it is malformed (RFC 3629). */
static size_t utf8_take(const char *text, size_t len, uint32_t *code) {
    static const uint32_t shortest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = (uint8_t)text[0];
    size_t n = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (n == 0 || n > len || lead >= 0xf8)
        return 0;
    uint32_t c = n == 1 ? lead : lead & (0x7fU >> n);
    for (size_t i = 1; i < n; i++) {
        if (((uint8_t)text[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | ((uint8_t)text[i] & 0x3fU);
    }
    if (c < shortest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *code = c;
    return n;
}

bool name_utf8_ok(const char *text, size_t len) {
    while (len > 0) {
        uint32_t code;
        size_t n = utf8_take(text, len, &code);
        if (n == 0)
            return false;
        text += n;
        len -= n;
    }
    return true;
}

/* Characters that move the cursor, turn the direction of text, or cannot be seen. */
static bool printable(uint32_t c) {
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad},   {0x061c, 0x061c},
        {0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},
        {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        if (c >= hidden[i].first && c <= hidden[i].last)
            return false;
    return true;
}

size_t name_show(const char *text, size_t len, char *out, size_t cap) {
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;
    while (len > 0) {
        uint32_t code = 0;
        size_t n = utf8_take(text, len, &code);
        uint8_t byte = (uint8_t)text[0];
        const char escape[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
        const char *piece = text;
        size_t take = n, put = n;
        if (code == '\\') {
            piece = "\\\\";
            put = 2;
        } else if (n == 0 || !printable(code)) {
            /* Byte by byte: a continuation byte alone is malformed, so the rest follows suit. */
            piece = escape;
            take = 1;
            put = 4;
        }
        if (put > cap - 1 - used)
            break;
        memcpy(out + used, piece, put);
        used += put;
        text += take;
        len -= take;
    }
    out[used] = '\0';
    return used;
}

const char *name_quote(const char *shown, char *out, size_t cap) {
    size_t used = 0;
    out[used++] = '\'';
    for (; *shown; shown++) {
        const char *piece = *shown == '\'' ? "'\\''" : shown;
        size_t put = *shown == '\'' ? 4 : 1;
        if (put > cap - 2 - used)
            break;
        memcpy(out + used, piece, put);
        used += put;
    }
    memcpy(out + used, "'", 2);
    return out;
}
