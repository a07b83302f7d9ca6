/* SPDX-License-Identifier: MIT */
/*
 * Input: a pattern, and a name. Where fnmatch(3) means the same and does not take for ever, both
 * must agree: no sets, no backslash at the end, ASCII.
 */
#include "core/glob.h"

#include "tests/fuzz/fuzz.h"

#include <fnmatch.h>

enum { SHORT = 24 };

static bool is_common(const char *text) {
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++)
        if (text[i] == '[' || (uint8_t)text[i] >= 0x80)
            return false;
    return len <= SHORT && (len == 0 || text[len - 1] != '\\');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    char *pattern = take_text(&in, 2), *name = malloc(in.left + 1);

    must(name);
    memcpy(name, in.at, in.left);
    name[in.left] = '\0';
    bool matches = glob_match(pattern, name);
    if (is_common(pattern) && is_common(name))
        must(matches == (fnmatch(pattern, name, 0) == 0));
    if (!glob_is_pattern(pattern) && !strchr(pattern, '\\'))
        must(matches == (strcmp(pattern, name) == 0));
    must(glob_match("*", name));
    free(pattern);
    free(name);
    return 0;
}
