/* SPDX-License-Identifier: MIT */
/* survey, the connections to those who answered, for whoever goes on with one. */
#include "cli/survey.h"

#include "core/err.h"

static int on_message(struct conn *c, const struct msg *m) { return WIRE_ERR(WIRE_PROTOCOL); }

static struct conn *let_go(struct survey_peer *p) {
    struct conn *c = p->conn;

    p->conn = NULL;
    p->survey->n_kept--;
    return c;
}

static void on_closed(struct conn *c, int why, const char *text) { let_go(conn_owner(c)); }

static const struct conn_handler events = {.on_message = on_message, .on_closed = on_closed};

void survey_keep(struct survey_peer *p, struct query *q) {
    if (p->survey->n_kept == SURVEY_KEPT_MAX)
        return;
    p->conn = query_take(q);
    if (!p->conn)
        return;
    p->survey->n_kept++;
    conn_set_handler(p->conn, &events, p);
}

struct conn *survey_take(struct survey *r, const struct survey_peer *p) {
    for (unsigned i = 0; i < r->n; i++)
        if (r->all[i] == p && p->conn && conn_is_open(p->conn))
            return let_go(r->all[i]);
    return NULL;
}

void survey_hang_up(struct survey *r) {
    for (unsigned i = 0; i < r->n; i++)
        if (r->all[i]->conn)
            conn_leave(let_go(r->all[i]), 0);
}
