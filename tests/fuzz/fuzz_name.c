/* SPDX-License-Identifier: MIT */
/*
 * Input: room for the output (2 bytes), then a name. What is shown must be printable UTF-8 in any
 * room, and the same again when it is shown a second time, but for backslashes.
 */
#include "proto/name.h"

#include "tests/fuzz/fuzz.h"

static void check_printable(const char *shown, size_t len) {
    must(name_utf8_ok(shown, len));
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)shown[i], next = (uint8_t)shown[i + 1];
        must(c >= 0x20 && c != 0x7f);
        must(c != 0xc2 || next >= 0xa0); /* C1 */
        must(c != 0xe2 || next != 0x80 || ((uint8_t)shown[i + 2] & 0x7f) < 0x28 ||
             (uint8_t)shown[i + 2] > 0xae); /* U+2028..202E */
        must(c != 0xe2 || next != 0x81 || (uint8_t)shown[i + 2] < 0xa0 ||
             (uint8_t)shown[i + 2] > 0xaf); /* U+2060..206F */
    }
}

static void check_shown(const char *text, size_t len, size_t cap) {
    char *out = malloc(cap), *twice = malloc(8 * cap);
    must(out && twice);
    size_t n = name_show(text, len, out, cap), slashes = 0;
    must(n < cap && out[n] == 0 && strlen(out) == n);
    check_printable(out, n);
    for (size_t i = 0; i < n; i++)
        slashes += out[i] == '\\';
    must(name_show(out, n, twice, 8 * cap) == n + slashes);
    free(out);
    free(twice);
}

static void check_path(const char *path, size_t len) {
    size_t start = 0;
    if (!name_path_ok(path, len))
        return;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && path[i] != '/')
            continue;
        must(name_ok(path + start, i - start));
        start = i + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    size_t cap = ((size_t)data[0] << 8 | data[1]) % 1024 + 1, len = size - 2;
    char *text = (char *)exact(data + 2, len);
    check_shown(text, len, cap);
    check_shown(text, len, 4 * len + 1);
    must(name_show(text, len, (char[1]){'x'}, 1) == 0);
    check_path(text, len);
    if (name_ok(text, len)) {
        must(len > 0 && len <= NAME_MAX_LEN && !memchr(text, '/', len) && !memchr(text, 0, len));
        must(name_path_ok(text, len));
    }
    free(text);
    return 0;
}
