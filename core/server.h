/* SPDX-License-Identifier: MIT */
/*
 * server -- answers the requests of other peers from our shares
 *
 *     server_new -> on_event ... -> server_close -> on_closed
 *
 * Who may come in is said by its rules (core/gate). One switch over messages. Disk work runs as
 * jobs on the worker pool, at most UPLOAD_AHEAD frames ahead of each connection; no free buffer:
 * the connection waits its turn. Loop thread.
 */
#ifndef CORE_SERVER_H
#define CORE_SERVER_H

#include "core/conn.h"
#include "core/gate.h"
#include "core/selection.h"
#include "core/share_rows.h"

enum { SERVER_PORT = 5000 };

struct server_event {
    enum { SERVER_COUNTED, SERVER_REQUEST, SERVER_SENT, SERVER_FAULT, SERVER_WRONG_CODE } kind;
    const char *peer, *key;            /* name and short id of who asks, escaped */
    const char *path;                  /* what was opened, escaped */
    uint64_t bytes;                    /* SENT: put on the wire for it */
    const struct share_totals *totals; /* COUNTED */
    const char *text;                  /* FAULT: why a connection was closed */
    const char *addr;                  /* WRONG_CODE: where it came from */
    unsigned left;                     /* WRONG_CODE: how many more until the code is void */
};

struct server_options {
    uv_loop_t *loop;
    const struct identity *id;
    const struct shares *shares;     /* the caller's, until on_closed */
    const char *name;                /* display name */
    int port;                        /* -1: SERVER_PORT or the next free one */
    const struct patience *patience; /* NULL: patience_default */
    uint64_t limit;                  /* see server_set_limit */
    struct gate_rules rules;         /* who may come in; the server knows inside_max */
    void (*on_event)(void *owner, const struct server_event *e); /* may be NULL */
    void (*on_closed)(void *owner);
    void *owner;
};

struct server;
/* Listens (IPv4 and IPv6). -EADDRINUSE if the port that was asked for is taken. */
int server_new(struct server **s, const struct server_options *o);
uint16_t server_port(const struct server *s);
void server_set_name(struct server *s, const char *name); /* after a rename by discovery */
/* What is sent to all together: at most so many bytes a second; 0: as fast as it goes. */
void server_set_limit(struct server *s, uint64_t rate);
/* BYE to all; on_closed when everything is down, then it is gone. */
void server_close(struct server *s);

#endif
