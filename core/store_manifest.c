/* SPDX-License-Identifier: MIT */
/*
 * store_manifest -- a new manifest: carry slots over, make it current, sweep
 *
 *     manifest.new, journal.new      written; a crash leaves the old ones current
 *     journal.new  -> journal        from here the new ones are: the journal names the manifest
 *     manifest.new -> manifest       store_open does it if a crash came before
 *     sweep                          as long as the journal has JOURNAL_SWEEP
 *
 * A slot of a file that changed becomes a candidate: its bytes are of the old version, which may be
 * the same there. A slot and a candidate are carried over alone; the bytes stay where they are.
 */
#include "core/store_internal.h"

#include "core/err.h"
#include "core/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- carry slots over ----------------------------------------------------------------------- */

/* Digests that follow each other, on their way to disk in one write. */
struct run {
    int fd;
    uint64_t first;
    uint32_t n;
    uint8_t digests[512 * WIRE_DIGEST_LEN];
};

static int run_flush(struct run *r) {
    int rc = r->n ? journal_put(r->fd, r->first, r->n, r->digests) : 0;
    r->n = 0;
    return rc;
}

static int run_add(struct run *r, uint64_t slot, const uint8_t *digest) {
    int rc = 0;
    if (r->n == sizeof r->digests / WIRE_DIGEST_LEN || slot != r->first + r->n)
        rc = run_flush(r);
    if (r->n == 0)
        r->first = slot;
    memcpy(r->digests + (size_t)r->n++ * WIRE_DIGEST_LEN, digest, WIRE_DIGEST_LEN);
    return rc;
}

struct carry {
    struct manifest_tree from, to;
    struct slots old;
    struct run slots, candidates;
    uint64_t to_chunks;
    struct bits *arrived, *arriving;
    bool same_origin;
};

/* The file did not change: what is said of its bytes holds. */
static bool is_kept(const struct carry *c) {
    const struct manifest_entry *a = &c->from.cur.entry, *b = &c->to.cur.entry;
    return c->same_origin && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->version == b->version;
}

static int carry_chunk(struct carry *c, uint64_t was, uint64_t is) {
    const uint8_t *slot, *old;
    int rc = slots_at(&c->old, was, &slot, &old);
    if (rc || catalog_chunk_len(&c->from.cur, was) != catalog_chunk_len(&c->to.cur, is))
        return rc;
    if (bits_has(c->arrived, was))
        bits_add(c->arriving, is);
    if (slot && is_kept(c))
        return run_add(&c->slots, is, slot);
    if (slot || old)
        rc = run_add(&c->candidates, c->to_chunks + is, slot ? slot : old);
    return rc;
}

static int carry_file(void *arg, bool matched) {
    struct carry *c = arg;
    const struct catalog_cursor *from = &c->from.cur, *to = &c->to.cur;
    int rc = 0;
    if (!matched || from->entry.kind != WIRE_FILE || to->entry.kind != WIRE_FILE)
        return 0;
    uint64_t n = manifest_chunks(&from->entry), m = manifest_chunks(&to->entry);
    uint64_t was = from->first_chunk, end = was + (n < m ? n : m);
    while (!rc && (was = slots_skip(&c->old, was, end)) < end) {
        rc = carry_chunk(c, was, to->first_chunk + (was - from->first_chunk));
        was++;
    }
    return rc;
}

static int carry_over(struct store *s, int journal, bool same_origin) {
    struct carry *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    manifest_tree_init(&c->from, s->catalog);
    manifest_tree_init(&c->to, s->incoming);
    c->slots.fd = c->candidates.fd = journal;
    c->to_chunks = catalog_totals(s->incoming)->chunks;
    c->same_origin = same_origin;
    c->arrived = &s->arrived;
    c->arriving = &s->arriving;
    int rc = bits_init(&s->arriving, c->to_chunks);
    if (!rc)
        rc = slots_init(&c->old, s->journal, s->chunks, s->candidates);
    if (!rc)
        rc = store_merge(&c->from.tree, &c->to.tree, carry_file, c);
    if (!rc)
        rc = run_flush(&c->slots);
    if (!rc)
        rc = run_flush(&c->candidates);
    slots_clear(&c->old);
    catalog_cursor_clear(&c->from.cur);
    catalog_cursor_clear(&c->to.cur);
    free(c);
    return rc;
}

/* --- sweep ---------------------------------------------------------------------------------- */

struct sweep {
    struct store *s;
    struct disk_tree disk;
    struct manifest_tree listed;
    bool changed; /* something was removed, or made readable */
};

static int sweep_entry(void *arg, bool matched) {
    struct sweep *w = arg;
    const struct walk_entry *e = &w->disk.entry;
    if (w->disk.tree.index == 0)
        return 0;
    bool stays = matched && store_same_kind(e->st.st_mode, w->listed.cur.entry.kind);
    bool locked = S_ISDIR(e->st.st_mode) && (e->st.st_mode & 0700) != 0700;
    if (stays && !e->unreadable && !locked)
        return 0;
    w->changed = true;
    if (stays) /* with a mode that an interrupted commit has set already */
        return fs_chmod(w->s->data, e->path, 0700);
    return fs_remove_tree(w->s->data, e->path);
}

/* 1: once more. What is removed before the walk gets there looks to it like a failure. */
static int sweep_once(struct store *s, bool *changed) {
    struct sweep w = {.s = s};
    int rc = disk_tree_init(&w.disk, s->data);
    if (rc)
        return rc;
    manifest_tree_init(&w.listed, s->catalog);
    rc = store_merge(&w.disk.tree, &w.listed.tree, sweep_entry, &w);
    if (!rc && walk_counts(w.disk.walk).failed)
        rc = w.changed ? 1 : -EIO;
    *changed |= w.changed;
    catalog_cursor_clear(&w.listed.cur);
    walk_free(w.disk.walk);
    return rc;
}

/* `data` itself may have been a folder and be a file now, or the other way round. */
static int sweep_data(struct store *s, uint8_t kind, bool *changed) {
    struct stat st;
    int rc = fs_stat(s->staging, "data", &st);
    if (rc || store_same_kind(st.st_mode, kind))
        return rc == -ENOENT ? 0 : rc;
    if (s->data >= 0)
        close(s->data);
    s->data = STORE_NONE;
    *changed = true;
    return fs_remove_tree(s->staging, "data");
}

/* What was removed must stay so before the journal says that it is: after a power cut, what nobody
 * lists any more would pass for somebody else's. */
int store_sweep(struct store *s) {
    struct catalog_cursor cur;
    bool changed = false;
    catalog_cursor_init(&cur, s->catalog);
    int rc = catalog_at(&cur, 0);
    if (!rc)
        rc = sweep_data(s, cur.entry.kind, &changed);
    if (!rc && cur.entry.kind == WIRE_DIR)
        rc = store_open_data(s);
    catalog_cursor_clear(&cur);
    if (!rc && s->data >= 0)
        do
            rc = sweep_once(s, &changed);
        while (rc > 0);
    if (!rc && changed && syncfs(s->staging) < 0)
        rc = -errno;
    return rc ? rc : store_set_flags(s, 0, JOURNAL_SWEEP);
}

/* --- make it current ------------------------------------------------------------------------ */

static int new_file(const struct store *s, const char *name) {
    int rc = fs_remove_tree(s->staging, name);
    return rc ? rc : fs_create(s->staging, name, 0600);
}

int store_manifest_begin(struct store *s, int64_t now_ns) {
    bits_clear(&s->arriving);
    s->incoming_ns = now_ns;
    catalog_free(s->incoming);
    s->incoming = NULL;
    int fd = s->task == STORE_COMPARES ? fs_open_temp() : new_file(s, "manifest.new");
    if (fd < 0)
        return store_error(s, fd);
    int rc = catalog_new(&s->incoming, fd);
    if (rc)
        close(fd);
    return rc;
}

int store_manifest_page(struct store *s, const uint8_t *bytes, size_t len) {
    return store_error(s, catalog_append(s->incoming, bytes, len));
}

/* What is in memory only is lost when the power goes; then the renames must not be all that is
 * left of an earlier download. */
static int sync_file(struct store *s, const char *name) {
    int fd = fs_open_file(s->staging, name);
    if (fd < 0)
        return fd;
    int rc = fdatasync(fd) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static int write_journal(struct store *s, int fd, const struct journal_header *h) {
    bool same_origin = memcmp(h->origin, s->header.origin, WIRE_KEY_LEN) == 0;
    int rc = store_lock(fd);
    if (!rc)
        rc = journal_write_header(fd, h);
    if (!rc)
        rc = carry_over(s, fd, same_origin);
    if (!rc)
        rc = sync_file(s, "journal.new");
    return rc ? rc : sync_file(s, "manifest.new");
}

static void new_header(struct store *s, struct journal_header *h, const uint8_t *origin) {
    const struct catalog_totals *t = catalog_totals(s->incoming);
    *h = (struct journal_header){
        .chunks = t->chunks, .listed_ns = s->incoming_ns, .here = s->header.here};
    if (s->catalog && s->header.listed_ns < h->listed_ns)
        h->listed_ns = s->header.listed_ns;
    if (s->believed) /* else slots that are carried over wait to be checked still */
        here_read(&h->here, s->staging);
    h->flags = (uint8_t)(s->header.flags & JOURNAL_VERIFY_ALL);
    if (s->catalog && s->task != STORE_COMPARES)
        h->flags |= JOURNAL_SWEEP;
    memcpy(h->manifest_id, t->id, WIRE_ID_LEN);
    memcpy(h->origin, origin, WIRE_KEY_LEN);
    strcpy(h->path, s->path);
}

/* Nothing is here yet that it could contradict, so it is written where it stays: with fsync(2) its
 * name is on disk too, before that of `data`, without which nobody would know `data` as ours. (The
 * log of btrfs may have the name of journal.new, and not that of the `journal` made before it.) */
static int first_journal(struct store *s, const struct journal_header *h) {
    int manifest = fs_open_file(s->staging, "manifest.new");
    if (manifest < 0)
        return manifest;
    store_begin_sync(manifest);
    close(manifest);
    int rc = journal_write_header(s->journal, h);
    if (!rc && fsync(s->journal) < 0)
        rc = -errno;
    return rc;
}

static int next_journal(struct store *s, const struct journal_header *h) {
    int rc = store_tidy(s); /* from here on, what is not listed is of an older manifest */
    int fd = rc ? rc : new_file(s, "journal.new");
    if (fd < 0)
        return fd;
    rc = write_journal(s, fd, h);
    if (!rc) {
        store_step("journal.new");
        rc = fs_rename_over(s->staging, "journal.new", s->staging, "journal");
    }
    if (rc) {
        close(fd);
        return rc;
    }
    close(s->journal); /* ours is the one that has the name, and is locked */
    s->journal = fd;
    return 0;
}

static int adopt_incoming(struct store *s) {
    int rc = store_adopt(s, s->incoming);
    if (!rc)
        s->incoming = NULL;
    return rc;
}

/* Once the journal is the new one, what is in memory must be so too, even if a later step fails. */
static int make_current(struct store *s, const uint8_t *origin) {
    struct journal_header h;
    new_header(s, &h, origin);
    if (s->task == STORE_COMPARES) {
        s->header = h;
        return adopt_incoming(s);
    }
    int rc = s->catalog ? next_journal(s, &h) : first_journal(s, &h);
    if (rc)
        return rc;
    s->header = h;
    s->empty = false;
    store_step("manifest.new");
    rc = fs_rename_over(s->staging, "manifest.new", s->staging, "manifest");
    int adopted = adopt_incoming(s);
    return rc ? rc : adopted;
}

static bool is_same(const struct catalog_totals *a, const struct catalog_totals *b) {
    return memcmp(a->id, b->id, WIRE_ID_LEN) == 0 && a->length == b->length &&
           a->entries == b->entries && a->chunks == b->chunks && a->bytes == b->bytes;
}

int store_manifest_end(struct store *s, const struct catalog_totals *said,
                       const uint8_t origin[static WIRE_KEY_LEN]) {
    int rc = catalog_finish(s->incoming);
    if (!rc && !is_same(catalog_totals(s->incoming), said))
        rc = -EINVAL;
    if (!rc && said->chunks > PLAN_CHUNKS_MAX)
        rc = ERR_TOO_LARGE;
    if (!rc)
        rc = make_current(s, origin);
    catalog_free(s->incoming); /* NULL if it is current now */
    s->incoming = NULL;
    if (!rc && s->header.flags & JOURNAL_SWEEP) {
        store_step("sweep");
        rc = store_sweep(s);
    }
    return store_error(s, rc);
}
