/* SPDX-License-Identifier: MIT */
/*
 * sanitized -- SANITIZED is 1 in a build with AddressSanitizer or ThreadSanitizer
 *
 * Those trace their own process and start a program that reads ours to name functions.
 */
#ifndef CORE_SANITIZED_H
#define CORE_SANITIZED_H

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
