/* SPDX-License-Identifier: MIT */
/*
 * asking -- what list-peers, list, find and download have in common: a client with a survey, and
 * the options --peer and --wait; and the code that list, find and download may need
 */
#ifndef CLI_ASKING_H
#define CLI_ASKING_H

#include "cli/code.h"
#include "cli/hits.h"
#include "cli/opts.h"
#include "cli/survey.h"

struct asking_options {
    struct opt_texts peers;
    struct code_options code;
    uint64_t wait_ms;
    bool json;
    bool by_address;    /* HOST PORT: nobody is looked for */
    const char *target; /* the folder where downloads go, or NULL */
};

/* clang-format off */
#define OPT_ASKING(o) \
    {"peer", 0, "HOST[:PORT]", "ask only this peer, without discovery; may be repeated", \
     OPT_TEXTS, &(o)->peers}, \
    {"wait", 'w', "S", "look for peers no longer than S seconds", OPT_SECONDS, &(o)->wait_ms}, \
    OPT_COMMON(&(o)->json)
/* clang-format on */

enum { ASKING_BUFFERS = 8 }; /* of frames, where only rows arrive */

struct asking {
    struct client client;
    struct survey survey;
    struct peer_spec code_peer; /* who is shown the code, if nobody was named */
    bool nobody_asks;           /* for it */
};

/* Takes the code out of o, then confines the process. buffers: of frames, for client_open. 0, or
 * the exit code of a failure that was reported. */
int asking_open(struct asking *a, struct app *app, struct asking_options *o, unsigned buffers);
void asking_close(struct asking *a);

/* survey_ask. With a code and nobody named, only the one peer is asked that asks for a code: others
 * would count it as a wrong one, or learn something to guess by. Where there is somebody to ask, a
 * missing code is asked for. CODE_DONE: at least one peer answered, the others were warned of;
 * else it was reported why. A name that no peer bears is tried as a host. */
int asking_ask(struct asking *a, const struct survey_question *q);
/* Its two halves: the first reports nothing and returns 0 or an error. */
int asking_try(struct asking *a, const struct survey_question *q);
int asking_report(const struct asking *a, const struct survey_question *q, int err);

/* Complaints about a NAME, after asking_ask. */
int asking_not_found(const struct asking *a, const char *name);
int asking_ambiguous(const struct asking *a, struct hits *candidates, const char *name);

#endif
