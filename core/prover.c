/* SPDX-License-Identifier: MIT */
#include "core/prover.h"

#include <openssl/crypto.h>
#include <string.h>

static int make_next(struct prover *p);

void prover_init(struct prover *p, uv_loop_t *loop, const struct access_code *code) {
    memset(p, 0, sizeof *p);
    p->loop = loop;
    p->code = *code;
    p->wants.next = p->wants.prev = &p->wants;
}

void prover_clear(struct prover *p) { OPENSSL_cleanse(p, sizeof *p); }

static const struct prover_key *find(const struct prover *p, const uint8_t listener[KEY_LEN]) {
    for (unsigned i = 0; i < PROVER_KEPT; i++)
        if (p->kept[i].made && memcmp(p->kept[i].listener, listener, KEY_LEN) == 0)
            return &p->kept[i];
    return NULL;
}

static void run(uv_work_t *work) {
    struct prover *p = (struct prover *)work;

    p->err = access_key(&p->code, p->making.listener, p->making.key);
}

/* Tells all who want the key that was just made. Each may leave, or let another one leave. */
static void tell(struct prover *p, const uint8_t *key) {
    struct prover_want *w = p->wants.next;
    uint8_t listener[KEY_LEN];

    memcpy(listener, p->making.listener, KEY_LEN); /* they may want the next one at once */
    while (w != &p->wants) {
        if (memcmp(w->listener, listener, KEY_LEN) != 0) {
            w = w->next;
            continue;
        }
        prover_forget(w);
        w->ready(w, key);
        w = p->wants.next; /* from the front again: who came after w may be gone */
    }
}

static void done(uv_work_t *work, int status) {
    struct prover *p = (struct prover *)work;
    struct prover_key *kept = &p->kept[p->next_kept];

    p->running = false;
    if (status == 0 && p->err == 0) {
        *kept = p->making;
        kept->made = true;
        p->next_kept = (p->next_kept + 1) % PROVER_KEPT;
        tell(p, kept->key);
    } else {
        tell(p, NULL);
    }
    while (p->wants.next != &p->wants && make_next(p) < 0)
        tell(p, NULL);
}

static int make_next(struct prover *p) {
    int err;

    if (p->running)
        return 0;
    memcpy(p->making.listener, p->wants.next->listener, KEY_LEN);
    err = uv_queue_work(p->loop, &p->work, run, done);
    p->running = err == 0;
    return err;
}

const uint8_t *prover_want(struct prover *p, struct prover_want *w, int *err) {
    const struct prover_key *kept = find(p, w->listener);

    *err = 0;
    if (kept)
        return kept->key;
    w->prev = p->wants.prev;
    w->next = &p->wants;
    w->prev->next = w->next->prev = w;
    *err = make_next(p);
    if (*err < 0)
        prover_forget(w);
    return NULL;
}

void prover_forget(struct prover_want *w) {
    if (!w->next)
        return;
    w->prev->next = w->next;
    w->next->prev = w->prev;
    w->next = w->prev = NULL;
}
