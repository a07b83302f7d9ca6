/* SPDX-License-Identifier: MIT */
/*
 * Input: a manifest without its header. What is accepted must be canonical (the same bytes come out
 * again), and a tree: checked once more here, slowly and in another way.
 */
#include "proto/manifest.h"

#include "proto/name.h"
#include "tests/fuzz/fuzz.h"

enum { ENTRIES = 256 };

struct tree {
    struct manifest_entry all[ENTRIES];
    uint32_t n;
};

/* The one that was added last against all others. */
static void check_place(const struct tree *t) {
    const struct manifest_entry *e = &t->all[t->n - 1];
    unsigned depth = 0;
    must(name_ok((const char *)e->name.at, e->name.len));
    if (t->n == 1)
        return;
    must(e->parent < t->n - 1);
    for (uint32_t i = 1; i < t->n - 1; i++) {
        const struct manifest_entry *other = &t->all[i];
        must(other->parent <= e->parent); /* breadth first */
        must(other->parent != e->parent || other->name.len != e->name.len ||
             memcmp(other->name.at, e->name.at, e->name.len) != 0);
    }
    size_t path_len = e->name.len;
    for (uint32_t i = t->n - 1; i > 0; i = t->all[i].parent, depth++) {
        const struct manifest_entry *parent = &t->all[t->all[i].parent];
        must(parent->kind == WIRE_DIR && !(parent->flags & MANIFEST_UNREADABLE));
        must(t->all[i].parent < i);
        path_len += t->all[i].parent > 0 ? 1 + parent->name.len : 0;
    }
    must(depth <= PATH_MAX_DEPTH && path_len <= PATH_MAX_LEN);
}

static void check_sums(const struct tree *t, const struct manifest_check *c) {
    uint64_t bytes = 0, chunks = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct manifest_entry *e = &t->all[i];
        bytes += e->size;
        chunks += e->size / WIRE_CHUNK_SIZE + (e->size % WIRE_CHUNK_SIZE != 0);
    }
    must(c->n == t->n && c->bytes == bytes && c->chunks == chunks && bytes <= WIRE_SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tree t;
    struct manifest_check c;
    uint8_t again[MANIFEST_ENTRY_MAX];
    uint8_t *copy = exact(data, size);
    size_t at = 0;
    t.n = 0;
    manifest_check_init(&c);
    while (t.n < ENTRIES) {
        struct manifest_entry *e = &t.all[t.n];
        int n = manifest_entry_get(e, copy + at, size - at);
        must(n <= MANIFEST_ENTRY_MAX && n <= (int)(size - at));
        if (n <= 0)
            break;
        must(manifest_entry_put(e, again) == (size_t)n);
        must(memcmp(again, copy + at, (size_t)n) == 0);
        if (manifest_check_next(&c, e) == 0) {
            t.n++; /* what was refused is left out, as a walk does */
            check_place(&t);
        }
        at += (size_t)n;
    }
    check_sums(&t, &c);
    manifest_check_clear(&c);
    free(copy);
    return 0;
}
