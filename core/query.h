/* SPDX-License-Identifier: MIT */
/*
 * query -- ask one peer one thing: INFO, LIST or FIND
 *
 *     query_start -> on_row ... -> on_done          query_stop at any time
 *
 * Dials, asks, collects the frames of the answer, says BYE; unless somebody goes on with the
 * connection.
 */
#ifndef CORE_QUERY_H
#define CORE_QUERY_H

#include "core/dial.h"

enum query_kind { QUERY_INFO, QUERY_LIST, QUERY_FIND, QUERY_NAME };

struct query_peer { /* who answered; strings escaped, good during the callback */
    const char *name, *software, *addr;
    const uint8_t *key;
};

struct query_info {
    uint64_t files, bytes;
    uint32_t shares;
    bool complete;
};

struct query_handler {
    /* The peer is there and was asked. May be NULL. */
    void (*on_open)(void *owner, const struct query_peer *p);
    /* LIST, FIND, NAME. May be NULL. */
    void (*on_row)(void *owner, const struct query_peer *p, const struct wire_entry *e);
    /* Exactly once, unless query_stop came first. why: 0 or an error, with details in text. p: who
     * answered, or did not let us in; NULL if nobody said HELLO. info: only for QUERY_INFO with
     * why 0. The query is gone after it. */
    void (*on_done)(void *owner, int why, const char *text, const struct query_peer *p,
                    const struct query_info *info);
};

struct query;
/* arg: path for LIST, pattern for FIND, name for NAME. timeout_ms: until the peer is there, and
 * then how long it may stand still; that is answer_ms if it is not 0. Who walks a disk for the
 * answer does not stand still, who sends a row now and then does. whole_ms: for all of the answer,
 * 0: an hour. */
struct query_request {
    struct endpoint to;
    enum query_kind kind;
    char arg[4096];
    uint64_t timeout_ms, answer_ms, whole_ms;
};
int query_start(struct query **q, const struct conn_env *env, const struct query_request *r,
                const struct query_handler *h, void *owner);
void query_stop(struct query *q); /* takes NULL; no callback follows */
/* Only in on_done with why 0: the connection to who answered, the caller's from now on, and nothing
 * is under way; its handler is to be set by conn_set_handler before on_done returns. NULL: the peer
 * still owes something. */
struct conn *query_take(struct query *q);

#endif
