/* SPDX-License-Identifier: MIT */
#include "core/catalog.h"

#include "core/fs.h"
#include "core/grow.h"
#include "proto/name.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MARK_EVERY = 64,      /* entries */
    BUILD_SIZE = 1 << 16, /* bytes gathered for one write */
    WINDOW_SIZE = 1 << 14,
};

struct mark { /* the way into the file: entry MARK_EVERY * i */
    uint64_t at;
    uint64_t first_chunk;
};

struct build { /* needed until catalog_finish */
    EVP_MD_CTX *sha;
    struct manifest_check check;
    size_t have, parsed; /* bytes in buf; those of whole entries */
    uint64_t written;    /* bytes before buf */
    bool in_file;        /* catalog_load: nothing is to be written */
    uint8_t buf[BUILD_SIZE];
};

struct catalog {
    int fd;
    struct catalog_totals totals;
    struct mark *marks;
    size_t n_marks, marks_cap;
    struct build *build;
};

static void build_free(struct build *b) {
    if (!b)
        return;
    EVP_MD_CTX_free(b->sha);
    manifest_check_clear(&b->check);
    free(b);
}

int catalog_new(struct catalog **out, int fd) {
    struct catalog *c = calloc(1, sizeof *c);
    struct build *b = calloc(1, sizeof *b);
    if (c && b) {
        manifest_check_init(&b->check);
        c->fd = fd;
        c->build = b;
        b->sha = EVP_MD_CTX_new();
        if (b->sha && EVP_DigestInit_ex(b->sha, EVP_sha256(), NULL)) {
            *out = c;
            return 0;
        }
    }
    build_free(b);
    free(c);
    return -ENOMEM;
}

void catalog_free(struct catalog *c) {
    if (!c)
        return;
    build_free(c->build);
    free(c->marks);
    close(c->fd);
    free(c);
}

/* Hands what is parsed on to the file and the digest; the rest moves to the front. */
static int flush(struct catalog *c) {
    struct build *b = c->build;
    if (!b->in_file) {
        int r = fs_pwrite_all(c->fd, b->buf, b->parsed, b->written);
        if (r < 0)
            return r;
    }
    if (!EVP_DigestUpdate(b->sha, b->buf, b->parsed))
        return -ENOMEM;
    b->written += b->parsed;
    b->have -= b->parsed;
    memmove(b->buf, b->buf + b->parsed, b->have);
    b->parsed = 0;
    return 0;
}

static int add_mark(struct catalog *c, struct mark m) {
    struct mark *marks = grow(c->marks, &c->marks_cap, c->n_marks + 1, sizeof *marks);
    if (!marks)
        return -ENOMEM;
    c->marks = marks;
    c->marks[c->n_marks++] = m;
    return 0;
}

/* The entry that starts at b->parsed and has `len` bytes. After an error nothing has changed. */
static int add_entry(struct catalog *c, const struct manifest_entry *e, size_t len) {
    struct build *b = c->build;
    bool marked = b->check.n % MARK_EVERY == 0;
    int r = 0;
    if (b->written + b->parsed + len > MANIFEST_LEN_MAX)
        return WIRE_ERR(WIRE_LIMIT);
    if (marked)
        r = add_mark(c, (struct mark){b->written + b->parsed, b->check.chunks});
    if (r < 0)
        return r;
    r = manifest_check_next(&b->check, e);
    if (r < 0) {
        c->n_marks -= marked;
        return r;
    }
    b->parsed += len;
    c->totals.length = b->written + b->parsed;
    c->totals.entries = b->check.n;
    c->totals.chunks = b->check.chunks;
    c->totals.bytes = b->check.bytes;
    return 0;
}

/* `len` more bytes lie behind buf[have]. */
static int take(struct catalog *c, size_t len) {
    struct build *b = c->build;
    struct manifest_entry e;
    b->have += len;
    if (b->written + b->parsed == 0) {
        if (b->have < MANIFEST_HEADER_LEN)
            return 0;
        int r = manifest_header_check(b->buf);
        if (r < 0)
            return r;
        b->parsed = MANIFEST_HEADER_LEN;
    }
    int n;
    while ((n = manifest_entry_get(&e, b->buf + b->parsed, b->have - b->parsed)) > 0) {
        n = add_entry(c, &e, (size_t)n);
        if (n < 0)
            break;
    }
    if (n == 0 && b->have == BUILD_SIZE)
        n = flush(c);
    return n;
}

static size_t smaller(uint64_t a, size_t b) { return a < b ? (size_t)a : b; }

int catalog_append(struct catalog *c, const uint8_t *bytes, size_t len) {
    struct build *b = c->build;
    while (len > 0) {
        size_t n = smaller(len, BUILD_SIZE - b->have);
        memcpy(b->buf + b->have, bytes, n);
        int r = take(c, n);
        if (r < 0)
            return r;
        bytes += n;
        len -= n;
    }
    return 0;
}

int catalog_append_entry(struct catalog *c, const struct manifest_entry *e) {
    struct build *b = c->build;
    struct manifest_entry check;
    if (b->written + b->have == 0) {
        manifest_header_put(b->buf);
        b->have = b->parsed = MANIFEST_HEADER_LEN;
    }
    if (BUILD_SIZE - b->have < MANIFEST_ENTRY_MAX) {
        int r = flush(c);
        if (r < 0)
            return r;
    }
    size_t len = manifest_entry_put(e, b->buf + b->have);
    if (manifest_entry_get(&check, b->buf + b->have, len) != (int)len)
        return WIRE_ERR(WIRE_PROTOCOL);
    int r = add_entry(c, &check, len);
    if (r == 0)
        b->have = b->parsed;
    return r;
}

int catalog_finish(struct catalog *c) {
    struct build *b = c->build;
    if (b->check.n == 0 || b->have != b->parsed)
        return WIRE_ERR(WIRE_PROTOCOL);
    int r = flush(c);
    if (r < 0)
        return r;
    if (!EVP_DigestFinal_ex(b->sha, c->totals.id, NULL))
        return -ENOMEM;
    build_free(b);
    c->build = NULL;
    return 0;
}

int catalog_load(struct catalog **out, int fd) {
    struct catalog *c;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size > MANIFEST_LEN_MAX)
        return WIRE_ERR(WIRE_PROTOCOL);
    int r = catalog_new(&c, fd);
    if (r < 0)
        return r;
    struct build *b = c->build;
    b->in_file = true;
    for (uint64_t at = 0, size = (uint64_t)st.st_size; r == 0 && at < size;) {
        size_t n = smaller(size - at, BUILD_SIZE - b->have);
        r = fs_pread_all(fd, b->buf + b->have, n, at);
        if (r == 0)
            r = take(c, n);
        at += n;
    }
    if (r == 0)
        r = catalog_finish(c);
    if (r < 0) {
        c->fd = -1; /* remains the caller's */
        catalog_free(c);
        return r;
    }
    *out = c;
    return 0;
}

const struct catalog_totals *catalog_totals(const struct catalog *c) { return &c->totals; }

int catalog_read(const struct catalog *c, uint64_t offset, uint8_t *out, size_t len) {
    if (offset > c->totals.length || len > c->totals.length - offset)
        return -EINVAL;
    return fs_pread_all(c->fd, out, len, offset);
}

void catalog_cursor_init(struct catalog_cursor *cur, const struct catalog *c) {
    *cur = (struct catalog_cursor){.c = c};
}

void catalog_cursor_clear(struct catalog_cursor *cur) {
    free(cur->window);
    catalog_cursor_init(cur, cur->c);
}

/* Parses the entry at `at` into cur, out of the window or a new one. */
static int read_entry(struct catalog_cursor *cur, uint64_t at) {
    int n = 0;
    if (at >= cur->window_at && at - cur->window_at < cur->window_len) {
        size_t skip = (size_t)(at - cur->window_at);
        n = manifest_entry_get(&cur->entry, cur->window + skip, cur->window_len - skip);
    }
    if (n == 0) {
        if (!cur->window && !(cur->window = malloc(WINDOW_SIZE)))
            return -ENOMEM;
        cur->window_len = 0;
        size_t len = smaller(cur->c->totals.length - at, WINDOW_SIZE);
        int r = fs_pread_all(cur->c->fd, cur->window, len, at);
        if (r < 0)
            return r;
        cur->window_at = at;
        cur->window_len = len;
        n = manifest_entry_get(&cur->entry, cur->window, len);
    }
    /* It was checked when it was built: somebody else has written to the file since. */
    if (n <= 0)
        return -EIO;
    cur->next_at = at + (unsigned)n;
    return 0;
}

/* A cursor that failed, or was never used, points nowhere: next_at is 0. */
static int seek_mark(struct catalog_cursor *cur, size_t i) {
    cur->next_at = 0;
    int r = read_entry(cur, cur->c->marks[i].at);
    cur->index = (uint32_t)(i * MARK_EVERY);
    cur->first_chunk = cur->c->marks[i].first_chunk;
    return r;
}

static int step(struct catalog_cursor *cur) {
    uint64_t at = cur->next_at, chunks = manifest_chunks(&cur->entry);
    cur->next_at = 0;
    if (at >= cur->c->totals.length)
        return -EIO;
    int r = read_entry(cur, at);
    cur->index++;
    cur->first_chunk += chunks;
    return r;
}

int catalog_at(struct catalog_cursor *cur, uint32_t index) {
    int r = 0;
    if (index >= cur->c->totals.entries)
        return -EINVAL;
    if (cur->next_at == 0 || index < cur->index || index - cur->index >= MARK_EVERY)
        r = seek_mark(cur, index / MARK_EVERY);
    while (r == 0 && cur->index < index)
        r = step(cur);
    return r;
}

/* The last mark whose chunks do not begin behind `chunk`: its entries own it. */
static size_t find_mark(const struct catalog *c, uint64_t chunk) {
    size_t low = 0, high = c->n_marks;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (c->marks[mid].first_chunk <= chunk)
            low = mid;
        else
            high = mid;
    }
    return low;
}

int catalog_chunk(struct catalog_cursor *cur, uint64_t chunk) {
    const struct catalog *c = cur->c;
    int r = 0;
    if (chunk >= c->totals.chunks)
        return -EINVAL;
    size_t next_mark = cur->index / MARK_EVERY + 1;
    if (cur->next_at == 0 || chunk < cur->first_chunk ||
        (next_mark < c->n_marks && chunk >= c->marks[next_mark].first_chunk))
        r = seek_mark(cur, find_mark(c, chunk));
    while (r == 0 && chunk - cur->first_chunk >= manifest_chunks(&cur->entry))
        r = step(cur);
    return r;
}

int catalog_next(struct catalog_cursor *cur) {
    uint32_t index = cur->next_at == 0 ? 0 : cur->index + 1;
    if (index == cur->c->totals.entries)
        return 0;
    int r = catalog_at(cur, index);
    return r < 0 ? r : 1;
}

uint32_t catalog_chunk_len(const struct catalog_cursor *cur, uint64_t chunk) {
    if (chunk < cur->first_chunk || chunk - cur->first_chunk >= manifest_chunks(&cur->entry))
        return 0;
    uint64_t left = cur->entry.size - ((chunk - cur->first_chunk) << WIRE_CHUNK_SHIFT);
    return (uint32_t)smaller(left, WIRE_CHUNK_SIZE);
}

int catalog_path(struct catalog_cursor *cur, uint32_t index, char *out) {
    size_t at = PATH_MAX_LEN; /* names are put before each other, from the end of out */
    int r = catalog_at(cur, index);
    while (r == 0 && cur->index > 0) {
        const struct manifest_entry *e = &cur->entry;
        size_t slash = at < PATH_MAX_LEN ? 1 : 0;
        if (e->name.len + slash > at) /* were there a cycle, it would end here */
            return -EIO;
        if (slash)
            out[--at] = '/';
        at -= e->name.len;
        memcpy(out + at, e->name.at, e->name.len);
        r = catalog_at(cur, e->parent);
    }
    if (r < 0)
        return r;
    size_t len = PATH_MAX_LEN - at;
    memmove(out, out + at, len);
    out[len] = '\0';
    return catalog_at(cur, index);
}
