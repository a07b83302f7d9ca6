/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/origin.h"

#include "core/digest.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

void origin_init(struct origin *o, struct input entries) {
    memset(o, 0, sizeof *o);
    manifest_header_put(o->manifest);
    if (entries.left > sizeof o->manifest - MANIFEST_HEADER_LEN)
        entries.left = sizeof o->manifest - MANIFEST_HEADER_LEN;
    memcpy(o->manifest + MANIFEST_HEADER_LEN, entries.at, entries.left);
    o->len = MANIFEST_HEADER_LEN + entries.left;
    for (size_t at = MANIFEST_HEADER_LEN; !o->whole; o->n++) {
        struct manifest_entry *e = &o->all[o->n];
        int len = manifest_entry_get(e, o->manifest + at, o->len - at);

        if (len <= 0)
            break;
        at += (size_t)len;
        o->bytes += e->size;
        o->chunks += manifest_chunks(e);
        o->whole = at == o->len;
    }
}

void origin_opened(const struct origin *o, struct msg *m) {
    m->type = WIRE_OPENED;
    SHA256(o->manifest, o->len, m->opened.id);
    m->opened.length = o->len;
    m->opened.entries = o->n;
    m->opened.chunks = o->chunks;
    m->opened.bytes = o->bytes;
    m->opened.now_ns = INT64_C(2000000000000000000);
    m->opened.chunk_shift = WIRE_CHUNK_SHIFT;
}

uint8_t origin_byte(const struct origin *o, uint64_t offset) {
    size_t entries = o->len - MANIFEST_HEADER_LEN;

    if (offset >= o->len && entries > 0)
        offset = MANIFEST_HEADER_LEN + (offset - MANIFEST_HEADER_LEN) % entries;
    return offset < o->len ? o->manifest[offset] : 0;
}

/* The bytes of one file: those of long chunks are zeros. */
static void fill(const struct manifest_entry *e, uint64_t number, struct chunk *c) {
    uint64_t left = e->size - number * WIRE_CHUNK_SIZE;

    c->len = left < WIRE_CHUNK_SIZE ? (uint32_t)left : WIRE_CHUNK_SIZE;
    c->zeros = c->len > ORIGIN_DATA;
    if (c->zeros) {
        digest_zeros(c->len, c->digest);
        return;
    }
    for (uint32_t i = 0; i < c->len; i++)
        c->data[i] = (uint8_t)(e->version + number + i * 7);
    digest_chunk(c->data, c->len, c->digest);
}

void origin_chunk(const struct origin *o, uint64_t number, struct chunk *c) {
    memset(c, 0, sizeof *c);
    for (uint32_t i = 0; i < o->n; i++) {
        uint64_t n = manifest_chunks(&o->all[i]);

        if (number < n) {
            fill(&o->all[i], number, c);
            return;
        }
        number -= n;
    }
}

/* ---- what a download has left ---- */

static void compare_data(const struct manifest_entry *e, const char *path) {
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    uint8_t here[ORIGIN_DATA];

    must(fd >= 0);
    for (uint64_t n = 0; n < manifest_chunks(e) && n < 64; n++) {
        struct chunk c = {0};

        fill(e, n, &c);
        uint32_t len = c.len < sizeof here ? c.len : sizeof here;
        must(pread(fd, here, len, (off_t)(n * WIRE_CHUNK_SIZE)) == (ssize_t)len);
        must(memcmp(here, c.data, len) == 0);
    }
    close(fd);
}

static void compare_link(const struct manifest_entry *e, const char *path) {
    char target[4096];
    ssize_t len = readlink(path, target, sizeof target);

    must(len == (ssize_t)e->target.len && memcmp(target, e->target.at, e->target.len) == 0);
}

/* True: it is there, and is what its entry says. */
static bool compare_one(const struct manifest_entry *e, const char *path, bool true_data) {
    struct stat st;

    if (lstat(path, &st) != 0)
        return false;
    switch (e->kind) {
    case WIRE_DIR:
        must(S_ISDIR(st.st_mode));
        break;
    case WIRE_FILE:
        must(S_ISREG(st.st_mode) && (uint64_t)st.st_size == e->size && !(st.st_mode & 07000));
        if (true_data)
            compare_data(e, path);
        break;
    default:
        must(S_ISLNK(st.st_mode));
        compare_link(e, path);
    }
    return true;
}

static unsigned n_there;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    n_there++;
    return 0;
}

/* False: too long to be looked at by its path. */
static bool make_path(const struct manifest_entry *e, const char *folder, char *path) {
    return snprintf(path, PATH_MAX, "%s/%.*s", folder, (int)e->name.len, (const char *)e->name.at) <
           PATH_MAX;
}

void origin_compare(const struct origin *o, const char *path, unsigned expected) {
    static char paths[ORIGIN_ENTRIES][PATH_MAX];
    unsigned n = 0;

    must(o->whole);
    snprintf(paths[0], PATH_MAX, "%s", path);
    for (uint32_t i = 0; i < o->n; i++) {
        const struct manifest_entry *e = &o->all[i];

        must(i == 0 || e->parent < i);
        if (i > 0 && !make_path(e, paths[e->parent], paths[i]))
            return;
        n += compare_one(e, paths[i], expected & ORIGIN_DATA_TRUE);
    }
    must(n == o->n || !(expected & ORIGIN_ALL));
    n_there = 0;
    nftw(path, count_one, 16, FTW_PHYS);
    must(n == n_there || (expected & ORIGIN_MORE && n < n_there));
}
