/* SPDX-License-Identifier: MIT */
#include "proto/manifest.h"

#include "proto/be.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>

static const uint8_t header[MANIFEST_HEADER_LEN] = {
    'L', 'A', 'N', 'Y', 'M', 'A', 'N', '2', WIRE_CHUNK_SHIFT};

void manifest_header_put(uint8_t out[static MANIFEST_HEADER_LEN]) {
    memcpy(out, header, sizeof header);
}

int manifest_header_check(const uint8_t in[static MANIFEST_HEADER_LEN]) {
    return memcmp(in, header, sizeof header) == 0 ? 0 : WIRE_ERR(WIRE_PROTOCOL);
}

size_t manifest_entry_put(const struct manifest_entry *e, uint8_t *out) {
    struct be_writer w = {out, MANIFEST_ENTRY_MAX, false, false};
    be_write(&w, e->kind, 1);
    be_write(&w, e->flags, 1);
    be_write(&w, e->mode, 2);
    be_write(&w, e->parent, 4);
    be_write(&w, e->size, 8);
    be_write(&w, (uint64_t)e->mtime_ns, 8);
    be_write(&w, e->version, 8);
    be_write_string(&w, e->name, 2);
    if (e->kind == WIRE_SYMLINK)
        be_write_string(&w, e->target, 2);
    return (size_t)(w.at - out);
}

/* What the fixed part alone can tell. */
static bool fixed_ok(const struct manifest_entry *e, uint64_t name_len) {
    static const uint8_t flags[] = {
        [WIRE_DIR] = MANIFEST_UNREADABLE, [WIRE_FILE] = MANIFEST_SPARSE, [WIRE_SYMLINK] = 0};
    if (e->kind < WIRE_DIR || e->kind > WIRE_SYMLINK || (e->flags & ~flags[e->kind]) != 0)
        return false;
    return e->mode <= 0777 && e->size <= (e->kind == WIRE_FILE ? WIRE_SIZE_MAX : 0) &&
           name_len > 0 && name_len <= NAME_MAX_LEN;
}

int manifest_entry_get(struct manifest_entry *e, const uint8_t *in, size_t len) {
    struct be_reader r = {in, len, false};
    *e = (struct manifest_entry){0};
    e->kind = (uint8_t)be_read(&r, 1);
    e->flags = (uint8_t)be_read(&r, 1);
    e->mode = (uint16_t)be_read(&r, 2);
    e->parent = (uint32_t)be_read(&r, 4);
    e->size = be_read(&r, 8);
    e->mtime_ns = (int64_t)be_read(&r, 8);
    e->version = be_read(&r, 8);
    uint64_t name_len = be_read(&r, 2);
    if (r.bad)
        return 0;
    if (!fixed_ok(e, name_len))
        return WIRE_ERR(WIRE_PROTOCOL);
    e->name = be_read_raw(&r, name_len);
    if (r.bad)
        return 0;
    if (!name_ok((const char *)e->name.at, e->name.len))
        return WIRE_ERR(WIRE_PROTOCOL);
    if (e->kind == WIRE_SYMLINK) {
        uint64_t target_len = be_read(&r, 2);
        if (!r.bad && (target_len == 0 || target_len > PATH_MAX_LEN))
            return WIRE_ERR(WIRE_PROTOCOL);
        e->target = be_read_raw(&r, target_len);
        if (r.bad)
            return 0;
        if (memchr(e->target.at, '\0', e->target.len))
            return WIRE_ERR(WIRE_PROTOCOL);
    }
    return (int)(len - r.left);
}

uint64_t manifest_chunks(const struct manifest_entry *e) {
    return (e->size + WIRE_CHUNK_SIZE - 1) >> WIRE_CHUNK_SHIFT;
}

int manifest_name_order(struct bytes a, struct bytes b) {
    int r = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return r != 0 ? r : (a.len > b.len) - (a.len < b.len);
}

void manifest_check_init(struct manifest_check *c) { *c = (struct manifest_check){0}; }

void manifest_check_clear(struct manifest_check *c) {
    free(c->dirs);
    manifest_check_init(c);
}

/* Room for one more folder at the tail: folders that are done at the front make room first, so that
 * each is moved once on the average. */
static int make_room(struct manifest_check *c) {
    enum { CAP_FIRST = 64 };
    if (c->tail < c->cap)
        return 0;
    if (c->head > c->cap / 2) {
        memmove(c->dirs, c->dirs + c->head, (c->tail - c->head) * sizeof *c->dirs);
        c->tail -= c->head;
        c->head = 0;
        return 0;
    }
    size_t cap = c->cap > 0 ? 2 * c->cap : CAP_FIRST;
    struct manifest_dir *dirs = realloc(c->dirs, cap * sizeof *dirs);
    if (!dirs)
        return -ENOMEM;
    c->dirs = dirs;
    c->cap = cap;
    return 0;
}

/* Finds where e stands: below the folder of the last entry or below one behind it in the queue.
 * *passed: how many folders are done with it; *self: what e is as a folder. */
static int find_place(const struct manifest_check *c, const struct manifest_entry *e,
                      size_t *passed, struct manifest_dir *self) {
    size_t at = c->head;
    *self = (struct manifest_dir){c->n, 0, 0};
    *passed = 0;
    if (c->n == 0)
        return e->parent == 0 ? 0 : WIRE_ERR(WIRE_PROTOCOL);
    while (at < c->tail && c->dirs[at].index < e->parent)
        at++;
    if (at == c->tail || c->dirs[at].index != e->parent)
        return WIRE_ERR(WIRE_PROTOCOL);
    /* Entry 0 is nobody's sibling, though its parent is 0 as well. */
    const struct bytes last = {c->last, c->last_len};
    if (c->n > 1 && e->parent == c->parent && manifest_name_order(last, e->name) >= 0)
        return WIRE_ERR(WIRE_PROTOCOL);
    const struct manifest_dir *dir = &c->dirs[at];
    size_t path_len = dir->path_len + (dir->depth > 0 ? 1 : 0) + e->name.len;
    if (dir->depth == PATH_MAX_DEPTH || path_len > PATH_MAX_LEN)
        return WIRE_ERR(WIRE_PROTOCOL);
    self->depth = (uint16_t)(dir->depth + 1);
    self->path_len = (uint16_t)path_len;
    *passed = at - c->head;
    return 0;
}

int manifest_check_next(struct manifest_check *c, const struct manifest_entry *e) {
    struct manifest_dir self;
    size_t passed;
    bool may_have_children = e->kind == WIRE_DIR && !(e->flags & MANIFEST_UNREADABLE);
    if (c->n == MANIFEST_ENTRIES_MAX)
        return WIRE_ERR(WIRE_LIMIT);
    int r = find_place(c, e, &passed, &self);
    if (r == 0 && e->size > WIRE_SIZE_MAX - c->bytes)
        r = WIRE_ERR(WIRE_PROTOCOL);
    if (r == 0 && may_have_children && c->tail - c->head - passed == MANIFEST_DIRS_MAX)
        r = WIRE_ERR(WIRE_LIMIT);
    if (r == 0 && may_have_children)
        r = make_room(c);
    if (r < 0)
        return r;

    c->head += passed;
    if (may_have_children)
        c->dirs[c->tail++] = self;
    c->n++;
    c->chunks += manifest_chunks(e);
    c->bytes += e->size;
    c->parent = e->parent;
    c->last_len = (uint8_t)e->name.len;
    memcpy(c->last, e->name.at, e->name.len);
    return 0;
}
