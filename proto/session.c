/* SPDX-License-Identifier: MIT */
#include "proto/session.h"

enum state {
    WANT_HELLO,
    WANT_AUTH, /* the listener waits for AUTH, the dialler for AUTHED */
    OPEN,
    REFUSED, /* we were told no: only a farewell may follow */
};

enum speaker { NOBODY, DIALLER, LISTENER, BOTH };

static enum speaker speaker_of(uint8_t type) {
    switch (type) {
    case WIRE_PING:
    case WIRE_PONG:
        return BOTH;
    case WIRE_INFO_GET:
    case WIRE_LIST:
    case WIRE_FIND:
    case WIRE_OPEN:
    case WIRE_MANIFEST_GET:
    case WIRE_GET:
    case WIRE_CANCEL:
    case WIRE_DIGEST_GET:
        return DIALLER;
    case WIRE_INFO:
    case WIRE_ENTRIES:
    case WIRE_FOUND:
    case WIRE_OPENED:
    case WIRE_MANIFEST:
    case WIRE_DATA:
    case WIRE_DIGEST:
        return LISTENER;
    }
    return NOBODY;
}

/* May the peer say this now? Asked as soon as the header is here, before there is room for more. */
static int check_turn(const struct session *s) {
    const struct wire_header *h = &s->header;
    if (h->type == WIRE_ERROR || h->type == WIRE_BYE)
        return 0;
    switch (s->state) {
    case WANT_HELLO:
        return h->type == WIRE_HELLO ? 0 : WIRE_ERR(WIRE_PROTOCOL);
    case WANT_AUTH:
        if (h->type >= 0x80 && h->len <= SESSION_INLINE - WIRE_HEADER_LEN)
            return 0;
        return h->type == (s->role == SESSION_LISTENER ? WIRE_AUTH : WIRE_AUTHED)
                   ? 0
                   : WIRE_ERR(WIRE_PROTOCOL);
    case REFUSED:
        return WIRE_ERR(WIRE_PROTOCOL);
    }
    if (h->type >= 0x80)
        return 0;
    enum speaker who = speaker_of(h->type);
    if (who == BOTH)
        return 0;
    if (who == NOBODY && h->type > WIRE_BYE)
        return WIRE_ERR(WIRE_UNSUPPORTED);
    /* Requests carry a number, answers echo it: 0 belongs to neither. */
    enum speaker peer = s->role == SESSION_LISTENER ? DIALLER : LISTENER;
    return who == peer && h->req != 0 ? 0 : WIRE_ERR(WIRE_PROTOCOL);
}

static size_t frame_len(const struct session *s) { return WIRE_HEADER_LEN + (size_t)s->header.len; }

/* A message of a later version: its bytes are let go as they come. */
static bool ignored(const struct session *s) { return s->header.type >= 0x80; }

static bool needs_lent(const struct session *s) {
    return frame_len(s) > SESSION_INLINE && !ignored(s);
}

void session_init(struct session *s, enum session_role role) {
    s->role = role;
    s->state = WANT_HELLO;
    s->error = 0;
    s->header = (struct wire_header){0};
    s->have = 0;
    s->answered = 0;
    s->lent = NULL;
}

int session_space(struct session *s, uint8_t **at, size_t *len) {
    if (s->error < 0)
        return s->error;
    if (s->have < WIRE_HEADER_LEN) {
        *at = s->small + s->have;
        *len = WIRE_HEADER_LEN - s->have;
        return 0;
    }
    if (ignored(s)) {
        size_t left = frame_len(s) - s->have, room = SESSION_INLINE - WIRE_HEADER_LEN;
        *at = s->small + WIRE_HEADER_LEN;
        *len = left < room ? left : room;
        return 0;
    }
    if (needs_lent(s) && !s->lent)
        return SESSION_LEND;
    *at = (needs_lent(s) ? s->lent : s->small) + s->have;
    *len = frame_len(s) - s->have;
    return 0;
}

void session_lend(struct session *s, uint8_t *mem) { s->lent = mem; }

/* What a peer was asked for, not what it says about itself. */
static bool is_content(uint8_t type) {
    return type == WIRE_ENTRIES || type == WIRE_FOUND || type == WIRE_MANIFEST ||
           type == WIRE_DATA || type == WIRE_DIGEST;
}

void session_filled(struct session *s, size_t len) {
    if (s->have >= WIRE_HEADER_LEN && is_content(s->header.type))
        s->answered += len;
    s->have += len;
}

/* The whole frame is here. */
static int decode(struct session *s, struct msg *m) {
    const uint8_t *frame = needs_lent(s) ? s->lent : s->small;
    s->have = 0;
    if (ignored(s))
        return 0;
    int r = wire_decode(m, &s->header, frame + WIRE_HEADER_LEN);
    if (r != 0)
        return r > 0 ? 0 : r;
    if (m->type == WIRE_HELLO) {
        if (m->hello.major != WIRE_MAJOR)
            return WIRE_ERR(WIRE_VERSION);
        s->state = WANT_AUTH;
    } else if (m->type == WIRE_AUTH) {
        s->state = OPEN;
    } else if (m->type == WIRE_AUTHED) {
        s->state = m->authed.result == WIRE_OK ? OPEN : REFUSED;
    }
    return 1;
}

int session_next(struct session *s, struct msg *m) {
    int r = s->error;
    if (r < 0 || s->have < WIRE_HEADER_LEN)
        return r;
    if (s->have == WIRE_HEADER_LEN) {
        r = wire_header_get(&s->header, s->small);
        if (r == 0)
            r = check_turn(s);
    }
    if (r == 0 && s->have == frame_len(s))
        r = decode(s, m);
    if (r < 0)
        s->error = r;
    return r;
}

uint8_t *session_take(struct session *s) {
    if (s->have > 0 || !needs_lent(s))
        return NULL;
    return session_clear(s);
}

uint8_t *session_clear(struct session *s) {
    uint8_t *mem = s->lent;
    s->lent = NULL;
    return mem;
}

bool session_open(const struct session *s) { return s->state == OPEN && s->error == 0; }
