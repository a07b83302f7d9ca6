/* SPDX-License-Identifier: MIT */
/*
 * store_slots -- which chunks are here, and whether that is believed
 *
 * A slot is written after its chunk, and cleared before its chunk is written again: so a slot is
 * right as long as the page cache is the one that both went through. If it is another one (a boot,
 * a mount, a copy, an error of the disk in between), or if a file was touched after we wrote our
 * last slot, every chunk is read again before it counts, and until the last one was, the journal
 * goes on saying where it was written.
 */
#include "core/store_internal.h"

#include "core/digest.h"
#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BLOCK = 4096,
    TOUCHED = 1,
    SLOT_LATE_S = 2, /* a chunk may be on disk so long before its slot is */
};

bool slot_is_absent(const uint8_t digest[static WIRE_DIGEST_LEN]) {
    static const uint8_t absent[WIRE_DIGEST_LEN];
    return memcmp(digest, absent, sizeof absent) == 0;
}

/* --- a window on the journal ---------------------------------------------------------------- */

int slots_init(struct slots *w, int fd, uint64_t chunks, bool candidates) {
    *w = (struct slots){.fd = fd, .chunks = chunks, .candidates = candidates};
    w->digests = calloc(2 * STORE_WINDOW, WIRE_DIGEST_LEN);
    if (!w->digests)
        return -ENOMEM;
    w->old = w->digests + STORE_WINDOW * WIRE_DIGEST_LEN;
    return 0;
}

void slots_clear(struct slots *w) { free(w->digests); }

static const uint8_t *present(const uint8_t *digest) {
    return slot_is_absent(digest) ? NULL : digest;
}

int slots_at(struct slots *w, uint64_t chunk, const uint8_t **slot, const uint8_t **old) {
    if (chunk < w->first || chunk - w->first >= w->n) {
        uint64_t left = w->chunks - chunk;
        w->first = chunk;
        w->n = left < STORE_WINDOW ? (uint32_t)left : STORE_WINDOW;
        int rc = journal_get(w->fd, chunk, w->n, w->digests);
        if (!rc && w->candidates)
            rc = journal_get(w->fd, w->chunks + chunk, w->n, w->old);
        if (rc) {
            w->n = 0;
            return rc;
        }
    }
    size_t at = (size_t)(chunk - w->first) * WIRE_DIGEST_LEN;
    *slot = present(w->digests + at);
    *old = present(w->old + at);
    return 0;
}

/* The same for slots alone, or for candidates: `base` is where they begin. */
static uint64_t skip_holes(const struct slots *w, uint64_t base, uint64_t chunk, uint64_t end) {
    off_t from = (off_t)journal_slot_at(base + chunk);
    off_t data = lseek(w->fd, from, SEEK_DATA);
    if (data < 0)
        return errno == ENXIO ? end : chunk; /* other errors: it cannot tell */
    uint64_t at = ((uint64_t)data - JOURNAL_HEADER_LEN) / JOURNAL_SLOT_LEN - base;
    return at < end ? at : end;
}

uint64_t slots_skip(const struct slots *w, uint64_t chunk, uint64_t end) {
    if (chunk >= w->first && chunk - w->first < w->n) /* it is in memory */
        return chunk;
    uint64_t slot = skip_holes(w, 0, chunk, end);
    uint64_t old = w->candidates ? skip_holes(w, w->chunks, chunk, end) : end;
    return slot < old ? slot : old;
}

/* --- belief --------------------------------------------------------------------------------- */

/* Everything on disk was read again, or written by us: from here on the slots are believed. Needs
 * the lock. */
static int believe_all(struct store *s) {
    s->believed = true;
    if (s->failed) /* in this run: the next one shall look again */
        return 0;
    here_read(&s->header.here, s->staging);
    s->header.flags &= (uint8_t)~JOURNAL_VERIFY_ALL;
    return journal_write_header(s->journal, &s->header);
}

int store_settle_chunk(struct store *s, uint64_t chunk) {
    int rc = 0;
    if (!bits_remove(&s->unchecked, chunk))
        return 0;
    pthread_mutex_lock(&s->lock);
    if (--s->n_unchecked == 0)
        rc = believe_all(s);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static int clear_slots(struct store *s, uint64_t first, uint32_t n) {
    uint8_t digests[WIRE_RECORDS_MAX * WIRE_DIGEST_LEN];
    int rc = journal_get(s->journal, first, n, digests);
    for (size_t i = 0; !rc && i < (size_t)n * WIRE_DIGEST_LEN; i++)
        if (digests[i]) {
            memset(digests, 0, (size_t)n * WIRE_DIGEST_LEN);
            return journal_put(s->journal, first, n, digests);
        }
    return rc;
}

int store_forget(struct store *s, uint64_t first, uint32_t n) {
    int rc = 0;
    while (!rc && n > 0) {
        uint32_t some = n < WIRE_RECORDS_MAX ? n : WIRE_RECORDS_MAX;
        rc = clear_slots(s, first, some);
        if (!rc && s->candidates)
            rc = clear_slots(s, s->chunks + first, some);
        for (uint32_t i = 0; !rc && i < some; i++)
            rc = store_settle_chunk(s, first + i);
        first += some;
        n -= some;
    }
    return rc;
}

/* --- load ----------------------------------------------------------------------------------- */

struct load {
    struct store *s;
    struct worker *w, *old; /* old: NULL if there is no copy */
    struct slots slots;
    struct plan *plan;
    bool looked;    /* at the file of the entry at hand */
    bool touched;   /* by somebody else, since an earlier run */
    uint64_t found; /* its size; 0 if there is no such file, or none that can be written to */
};

/* Any change, also a rename, moves the ctime on, and nobody can set it back. A file that has its
 * mode and mtime already got them from us, after its last slot. */
static bool is_touched(const struct load *l, const struct stat *st) {
    const struct store *s = l->s;
    return s->believed && s->written && st->st_ctim.tv_sec > s->written + SLOT_LATE_S &&
           !worker_is_settled(s, l->w, st);
}

static int look_at_file(struct load *l) {
    struct stat st;
    int rc = l->looked ? 0 : worker_stat(l->s, l->w, &st);
    if (l->looked)
        return 0;
    l->looked = true;
    bool usable = !rc && S_ISREG(st.st_mode) && !store_is_shared(&st);
    l->found = usable ? (uint64_t)st.st_size : 0;
    l->touched |= usable && is_touched(l, &st);
    return rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP ? 0 : rc;
}

/* 1: the chunk is here in some state; 0: absent. */
static int load_chunk(struct load *l, uint64_t chunk, uint64_t end) {
    struct store *s = l->s;
    const uint8_t *slot, *old;
    int rc = slots_at(&l->slots, chunk, &slot, &old);
    if (rc || (!slot && !old))
        return rc;
    rc = look_at_file(l);
    if (rc)
        return rc;
    if (l->found < end) /* somebody removed or cut the file */
        return store_forget(s, chunk, 1);
    plan_set(l->plan, chunk, !slot ? PLAN_SUSPECT : s->believed ? PLAN_HAVE : PLAN_CHECK);
    if (!s->believed) {
        bits_add(&s->unchecked, chunk);
        s->n_unchecked++;
    }
    return 1;
}

/* What the old copy has of a file waits for the digests of the source. 1: the entry is left out. */
static int load_old(struct load *l, uint64_t *size) {
    const struct catalog_cursor *cur = &l->w->cur;
    uint64_t n = manifest_chunks(&cur->entry), covered = 0;
    int rc = catalog_at(&l->old->cur, cur->index);
    if (!rc)
        rc = store_old_look(l->s, l->old, size);
    for (uint64_t i = 0; rc >= 0 && i < n; i++) {
        covered += catalog_chunk_len(cur, cur->first_chunk + i);
        if (rc || covered <= *size)
            plan_set(l->plan, cur->first_chunk + i, rc ? PLAN_FAILED : PLAN_SUSPECT);
    }
    return rc;
}

/* Bytes of space that an entry is going to take, `absent` of them not in staging yet. */
static uint64_t space_for(const struct load *l, uint64_t absent, uint64_t old_size) {
    const struct manifest_entry *e = &l->w->cur.entry;
    if (e->flags & MANIFEST_SPARSE) /* how much of it is holes, nobody knows */
        return 0;
    if (l->old && absent == e->size && old_size == absent) /* it may well be the same file */
        return 0;
    if (e->kind == WIRE_DIR && !l->s->resumed)
        absent = BLOCK;
    return (absent + BLOCK - 1) / BLOCK * BLOCK;
}

static int load_entry(struct load *l) {
    const struct catalog_cursor *cur = &l->w->cur;
    uint64_t end = cur->first_chunk + manifest_chunks(&cur->entry), absent = cur->entry.size;
    uint64_t old_size = 0;
    int left_out = l->old ? load_old(l, &old_size) : 0;
    if (left_out)
        return left_out < 0 ? left_out : 0;
    l->looked = false;
    for (uint64_t chunk = slots_skip(&l->slots, cur->first_chunk, end); chunk < end;) {
        uint64_t offset = (chunk - cur->first_chunk) << WIRE_CHUNK_SHIFT;
        uint32_t len = catalog_chunk_len(cur, chunk);
        int rc = load_chunk(l, chunk, offset + len);
        if (rc < 0)
            return rc;
        absent -= rc ? len : 0;
        chunk = slots_skip(&l->slots, chunk + 1, end);
    }
    l->s->need += space_for(l, absent, old_size);
    return 0;
}

static int load_all(struct load *l) {
    uint32_t n = catalog_totals(l->s->catalog)->entries;
    int rc = 0;
    for (uint32_t i = 0; !rc && i < n; i++) {
        rc = catalog_at(&l->w->cur, i);
        if (!rc)
            rc = load_entry(l);
        if (!rc && l->touched)
            return TOUCHED;
        if (!rc && store_stopped(l->s))
            rc = ERR_STOPPED;
    }
    return rc;
}

/* The journal says so before anything is written that would look as if we had touched the files:
 * a run that ends before all are read again leaves that to the next one. */
static int doubt_all(struct load *l) {
    struct store *s = l->s;
    s->believed = l->touched = false;
    s->need = 0;
    memset(&s->header.here, 0, sizeof s->header.here);
    int rc = journal_write_header(s->journal, &s->header);
    return rc ? rc : bits_init(&s->unchecked, s->chunks);
}

int store_load(struct store *s, struct plan *plan) {
    struct load l = {.s = s, .plan = plan};
    int rc = store_open_data(s);
    s->need = s->n_unchecked = 0;
    bits_clear(&s->unchecked);
    if (!rc && !s->believed)
        rc = bits_init(&s->unchecked, s->chunks);
    if (!rc)
        rc = slots_init(&l.slots, s->journal, s->chunks, s->candidates);
    if (!rc)
        rc = worker_get(s, &l.w);
    if (!rc && s->task != STORE_CREATES)
        rc = store_old_open(s);
    if (!rc && s->task != STORE_CREATES)
        rc = worker_get_old(s, &l.old);
    if (!rc)
        rc = load_all(&l);
    if (rc == TOUCHED) {
        rc = doubt_all(&l);
        rc = rc ? rc : load_all(&l);
    }
    s->written = 0; /* from here on it is us who touch the files */
    if (!rc && s->task == STORE_COMPARES)
        rc = store_same_rest(s);
    if (!rc && !s->believed && s->n_unchecked == 0)
        rc = believe_all(s);
    worker_put(s, l.old);
    worker_put(s, l.w);
    slots_clear(&l.slots);
    return store_error(s, rc);
}
