/* SPDX-License-Identifier: MIT */
/*
 * doctor -- findings, one line each, and the checks of this machine that need no network
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdbool.h>

enum finding_kind {
    FINDING_OK,
    FINDING_HINT, /* may be the cause, if there is a problem at all */
    FINDING_BAD,
};

struct findings {
    bool json;
    unsigned n_bad;
};

/* check: one word. The sentence says what to do, if anything. */
void finding(struct findings *f, enum finding_kind kind, const char *check, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

void doctor_interfaces(struct findings *f);
void doctor_firewall(struct findings *f);

#endif
