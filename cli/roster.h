/* SPDX-License-Identifier: MIT */
/*
 * roster -- the peers that are here, and what each answers to one question
 *
 *     roster_init -> roster_add ... -> roster_ask ... -> roster_close
 *
 * Discovery says who might be here; every newcomer is dialled and asked at once, and counts only
 * when it answered. Peers are told apart by their keys; we ourselves are left out, and whoever
 * bears a name that we know under another key is not listened to. Peers that were added (--peer)
 * replace discovery: only they are asked, and nothing is waited for. Loop of the client.
 */
#ifndef CLI_ROSTER_H
#define CLI_ROSTER_H

#include "cli/client.h"
#include "cli/what.h"
#include "core/query.h"
#include "discovery/browse.h"

enum {
    ROSTER_PEERS_MAX = 1024,
    ROSTER_AT_ONCE = 32, /* queries under way */
    ROSTER_WAIT_MS = 5000,
    ROSTER_PATIENCE_MS =
        3000, /* a peer that starts now is visible after 2 s: do not give up earlier */
    ROSTER_PEER_MS = 3000,
};

enum roster_state {
    ROSTER_IDLE,     /* not asked this question */
    ROSTER_WAITING,  /* to be asked */
    ROSTER_ASKED,    /* no answer yet */
    ROSTER_ANSWERED, /* all members below hold */
    ROSTER_FAILED,   /* why and text hold */
    ROSTER_LEFT_OUT, /* we ourselves, one that was here already, or not the one asked for */
    ROSTER_REFUSED,  /* another key is known under its name: known_key holds */
};

struct roster_peer {
    struct roster *roster;
    enum { ROSTER_BROWSED, ROSTER_ADDED, ROSTER_SPELT } origin; /* discovery, --peer, in a WHAT */
    struct endpoint to;
    char seen_name[PEER_NAME_LEN + 1], seen_id[64]; /* what discovery says */
    bool gone, fresh;                               /* fresh: addresses came since it was asked */
    unsigned tries;
    struct query *query;

    enum roster_state state;
    bool identified; /* from here to known_key: who answered */
    uint8_t key[KEY_LEN];
    char key_text[KEY_TEXT_LEN + 1];
    char name[256], software[128], addr[80]; /* escaped */
    int trust;                               /* of trust_check */
    uint8_t known_key[KEY_LEN];
    struct query_info info;
    int why;
    char text[256];
};

struct roster_question {
    enum query_kind kind;
    const char *arg;
    const struct peer_spec *only; /* NULL: everybody */
    uint64_t wait_ms;             /* never longer */
    uint64_t patience_ms;         /* as long as nobody answered, not shorter */
    uint64_t peer_ms;             /* for each peer */
    bool any_key;                 /* listen to peers with a changed key too */
    /* A row of a peer in ROSTER_ASKED that is identified. May be NULL. */
    void (*on_row)(void *owner, const struct roster_peer *p, const struct wire_entry *e);
    void *owner;
};

struct roster {
    struct client *client;
    struct browse *browse;
    bool settled, patient, done, browse_closed;
    char problem[256]; /* the last that discovery told */
    struct roster_peer **all;
    unsigned n, n_added, n_asked;
    const struct roster_question *question; /* NULL: none is open */
    const struct roster_peer *spelt;        /* the question is for this one */
    uv_timer_t deadline, patience;
    /* Discovery tells of a peer while no question is open. May be NULL. */
    void (*on_seen)(void *owner, const struct roster_peer *p);
    void *owner;
};

void roster_init(struct roster *r, struct client *c);
/* --peer HOST[:PORT]. 0, -EINVAL if it is no address, or another error. */
int roster_add(struct roster *r, const char *word);
/* Asks and waits. 0; ERR_STOPPED: a signal came; other errors of starting. Peers' answers are in
 * all[0 .. n-1] until the next question. */
int roster_ask(struct roster *r, const struct roster_question *q);
void roster_close(struct roster *r);

unsigned roster_count(const struct roster *r, enum roster_state state);
/* The first peer in this state, or NULL. */
const struct roster_peer *roster_first(const struct roster *r, enum roster_state state);

/* How a PEER is written so that it is found again: its name, NAME#ID if two answer to it, or its
 * address. out: escaped. */
enum { ROSTER_LABEL_LEN = 512 };
void roster_label(const struct roster *r, const struct roster_peer *p,
                  char out[static ROSTER_LABEL_LEN]);

/* After a question to everybody: warns of refused peers and of added ones that did not answer. */
void roster_warn(const struct roster *r);
/* Why a question got no answer at all; returns the exit code. */
int roster_nobody(const struct roster *r, const struct peer_spec *only);
/* The sentence for a changed key; returns CODE_REFUSED. */
int roster_refuse(const struct roster_peer *p);

#endif
