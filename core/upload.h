/* SPDX-License-Identifier: MIT */
/*
 * upload -- what one peer asks of the selection that it opened, turned into frames
 *
 *     upload_new(selection) -> upload_ask ... -> frames -> conn          upload_close -> on_gone
 *
 *     GET | MANIFEST_GET | DIGEST_GET -> queue of asks -> slot: a job fills a frame -> conn
 *
 * A slot takes work only while the connection's queue is short and it is the peer's turn to have
 * another buffer (core/buf.h): all connections of one key together are one peer. Loop thread.
 */
#ifndef CORE_UPLOAD_H
#define CORE_UPLOAD_H

#include "core/conn.h"
#include "core/selection.h"

enum { UPLOAD_AHEAD = 2 };

struct upload;

/* selection becomes the upload's, also if this fails. conn and env are borrowed until upload_close.
 * on_gone: after upload_close, when its last job has ended. */
int upload_new(struct upload **u, struct selection *selection, struct conn *conn,
               const struct conn_env *env, void (*on_gone)(void *owner), void *owner);
void upload_close(struct upload *u);

/* GET, MANIFEST_GET, DIGEST_GET or CANCEL. Below 0: close, the peer asked for too much or for what
 * is not there. */
int upload_ask(struct upload *u, const struct msg *m);

/* Takes up what can be begun now. Below 0: close the connection. */
int upload_pump(struct upload *u);

bool upload_busy(const struct upload *u); /* something asked for is not queued for sending yet */
uint64_t upload_read(const struct upload *u); /* chunks read so far, also for frames not yet full */
uint64_t upload_sent(const struct upload *u); /* bytes of frames */

#endif
