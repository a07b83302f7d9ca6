/* SPDX-License-Identifier: MIT */
/*
 * glob -- does a name match the pattern of a stranger
 *
 *     *  any text   ?  one character   [a-z]  one of these   [!a-z]  none of these   \x  x itself
 *
 * Not fnmatch(3): that backtracks without bound, so that one pattern can keep it busy for years.
 * Here time is at most the product of the lengths. A character is one of UTF-8, or a byte that is
 * not. Pure.
 */
#ifndef CORE_GLOB_H
#define CORE_GLOB_H

#include <stdbool.h>

bool glob_is_pattern(const char *text); /* has it one of * ? [ */
bool glob_match(const char *pattern, const char *name);

#endif
