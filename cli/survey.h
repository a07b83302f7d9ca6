/* SPDX-License-Identifier: MIT */
/*
 * survey -- the peers that are here, and what each answers to one question
 *
 *     survey_init -> survey_add ... -> survey_ask ... -> survey_close
 *                                      `-> survey_take -> survey_hang_up
 *
 * Discovery says who might be here; every newcomer is dialled and asked at once, and counts only
 * when it answered. Peers are told apart by their keys; we ourselves are left out, and whoever
 * bears a name that we know under another key is not listened to. Anybody can announce a thousand
 * peers that are none: those whose key we know are asked first, and whoever does not answer at once
 * holds up nobody. Peers that were added (--peer) replace discovery: only they are asked, and
 * nothing is waited for. Loop of the client.
 */
#ifndef CLI_SURVEY_H
#define CLI_SURVEY_H

#include "cli/client.h"
#include "cli/what.h"
#include "core/query.h"
#include "discovery/browse.h"

enum {
    SURVEY_PEERS_MAX = 1024,
    SURVEY_AT_ONCE = 32,   /* queries under way, */
    SURVEY_SLOW_MS = 300,  /* but for those where nobody has answered so long, */
    SURVEY_OPEN_MAX = 256, /* though not more than these in all */
    SURVEY_WAIT_MS = 5000,
    SURVEY_PATIENCE_MS = 3000, /* a peer that starts now is visible after 2 s */
    SURVEY_PEER_MS = 3000,
    SURVEY_ANSWER_MS = 20000, /* without a sign that it works on the answer */
    SURVEY_WHOLE_MS = 60000,  /* for all of it, unless this peer alone is meant */
    SURVEY_KEPT_MAX = 16,     /* connections that stay open after a question */
};

enum survey_state {
    SURVEY_IDLE,     /* not asked this question */
    SURVEY_WAITING,  /* to be asked */
    SURVEY_ASKED,    /* no answer yet */
    SURVEY_ANSWERED, /* all members below hold */
    SURVEY_FAILED,   /* why and text hold */
    SURVEY_LEFT_OUT, /* we ourselves, one that was here already, or not the one asked for */
    SURVEY_REFUSED,  /* another key is known under its name: known_key holds */
};

struct survey_peer {
    struct survey *survey;
    enum { SURVEY_BROWSED, SURVEY_ADDED, SURVEY_SPELT } origin; /* discovery, --peer, in a WHAT */
    struct endpoint to;
    char seen_name[PEER_NAME_LEN + 1], seen_id[64]; /* what discovery says */
    bool gone, fresh;                               /* fresh: addresses came since it was asked */
    bool shown;                                     /* the owner's */
    bool code_wrong; /* it did not accept our code: never show it twice */
    unsigned tries;
    uint64_t rows, asked_ms;
    struct query *query;
    struct conn *conn; /* kept, with nothing under way; it may be about to close. Or NULL */

    enum survey_state state;
    bool identified; /* from here to known_key: who answered, or did not let us in */
    uint8_t key[KEY_LEN];
    char key_text[KEY_TEXT_LEN + 1];
    char name[256], software[128], addr[80]; /* escaped */
    int trust;                               /* of trust_check */
    uint8_t known_key[KEY_LEN];
    struct query_info info;
    int why;
    char text[256];
};

struct survey_question {
    enum query_kind kind;
    const char *arg;
    const struct peer_spec *only; /* NULL: everybody */
    uint64_t wait_ms;             /* never longer, but for peers that are there and work on it */
    uint64_t patience_ms;         /* as long as nobody answered, so long since browsing began */
    uint64_t peer_ms;             /* for each peer to be reached */
    uint64_t answer_ms;           /* how long it may stand still then; 0: no longer than wait_ms */
    uint64_t max_rows;            /* of each peer, then it has answered; 0: no limit */
    bool any_key;                 /* listen to peers with a changed key too */
    bool keep;                    /* the connections to those who told a row: see survey_take */
    /* A row of a peer in SURVEY_ASKED that is identified. May be NULL. */
    void (*on_row)(void *owner, const struct survey_peer *p, const struct wire_entry *e);
    void *owner;
};

struct survey {
    struct client *client;
    struct browse *browse;
    bool settled, patient, done, browse_closed;
    bool late;      /* wait_ms is over, some peers still work */
    bool ours_seen; /* discovery shows ourselves */
    uint64_t browsing_since;
    char problem[256]; /* the last that discovery told */
    struct survey_peer **all;
    unsigned n, n_added, n_asked, n_kept;
    const struct survey_question *question; /* NULL: none is open */
    const struct survey_peer *spelt;        /* the question is for this one */
    uv_timer_t deadline, patience, turn;
    /* Discovery tells of a peer (or that it is gone) while no question is open. May be NULL. */
    void (*on_seen)(void *owner, const struct survey_peer *p);
    void *owner;
};

void survey_init(struct survey *r, struct client *c);
/* --peer HOST[:PORT]. 0, -EINVAL if it is no address, or another error. */
int survey_add(struct survey *r, const char *word);
/* Asks and waits. 0; ERR_STOPPED: a signal came; other errors of starting. Peers' answers are in
 * all[0 .. n-1] until the next question. */
int survey_ask(struct survey *r, const struct survey_question *q);
void survey_close(struct survey *r);

/* ---- survey_peers.c: the list; NULL if it is full ---- */

/* The peer at an address that a WHAT spells out: the same one each time. */
struct survey_peer *survey_peer_at(struct survey *r, const struct peer_spec *spec);
/* The one that discovery means, by its name and id; NULL if it is new. */
struct survey_peer *survey_peer_find(struct survey *r, const struct peer *seen);
/* The same, with what is known now; a new one if need be. */
struct survey_peer *survey_peer_seen(struct survey *r, const struct peer *seen);
/* Has another one with the key of this one been met? */
bool survey_is_double(const struct survey *r, const struct survey_peer *p);
/* How many more may be asked now. */
unsigned survey_places(const struct survey *r);
/* Does it say that it is somebody whom we met? */
bool survey_claims_known(const struct survey_peer *p);

/* ---- survey_kept.c: connections that are not closed yet ---- */

/* In the query's on_done. */
void survey_keep(struct survey_peer *p, struct query *q);
/* The caller's from now on: sets its handler at once. NULL: none is open. */
struct conn *survey_take(struct survey *r, const struct survey_peer *p);
/* Closes those that nobody took; the next question does it, too. */
void survey_hang_up(struct survey *r);

/* ---- survey_say.c: names and sentences ---- */

unsigned survey_count(const struct survey *r, enum survey_state state);
/* The first peer in this state, or NULL. */
const struct survey_peer *survey_first(const struct survey *r, enum survey_state state);

/* Does it answer, but does not let us in? Then `identified` holds, not what it offers. */
bool survey_locked(const struct survey_peer *p);
/* How many ask for a code; *one: one of them. */
unsigned survey_asking_code(const struct survey *r, const struct survey_peer **one);

/* How a PEER is written so that it is found again: its name, NAME#ID if two answer to it, or its
 * address. out: escaped. */
enum { SURVEY_LABEL_LEN = 512 };
void survey_label(const struct survey *r, const struct survey_peer *p,
                  char out[static SURVEY_LABEL_LEN]);

/* Tells which peers did not let us in, when that may be why something was not found. */
void survey_warn_locked(const struct survey *r);
/* After a question to everybody: warns of refused peers and of added ones that did not answer.
 * locked: of those, too, that did not let us in. */
void survey_warn(const struct survey *r, bool locked);
/* Why a question got no answer at all; returns the exit code. */
int survey_nobody(const struct survey *r, const struct peer_spec *only);
/* The sentence for a changed key; returns CODE_REFUSED. */
int survey_refuse(const struct survey_peer *p);

#endif
