/* SPDX-License-Identifier: MIT */
#include "proto/manifest.h"

#include "proto/name.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/golden.h"

#include <errno.h>
#include <inttypes.h>

#define B(text)                                                                                    \
    { (const uint8_t *)(text), sizeof(text) - 1 }

static const int broken = WIRE_ERR(WIRE_PROTOCOL);

static const struct manifest_entry goldens[] = {
    {WIRE_DIR, 0, 0755, 0, 0, 1700000000000000000, 1, B("set"), {0}},
    {WIRE_FILE, MANIFEST_SPARSE, 0644, 0, 5, 1700000000123456789, 0xfedcba9876543210, B("a"), {0}},
    {WIRE_DIR, 0, 0700, 0, 0, 1700000000000000000, 2, B("b"), {0}},
    {WIRE_SYMLINK, 0, 0777, 0, 0, 1700000000000000000, 3, B("b-"), B("../x")},
    {WIRE_DIR, MANIFEST_UNREADABLE, 0, 0, 0, -1, 4, B("c"), {0}},
    {WIRE_FILE, 0, 0600, 2, (1 << 20) + 1, 1700000000000000000, 5, B("big"), {0}},
};
enum { N_GOLDENS = sizeof goldens / sizeof goldens[0] };

static void entries_become_the_golden_bytes(void **state) {
    uint8_t out[MANIFEST_HEADER_LEN + N_GOLDENS * 64 + MANIFEST_ENTRY_MAX];
    size_t len, at = MANIFEST_HEADER_LEN;
    uint8_t *all = golden("manifest", &len);
    manifest_header_put(out);
    for (unsigned i = 0; i < N_GOLDENS; i++)
        at += manifest_entry_put(&goldens[i], out + at);
    assert_int_equal(at, len);
    assert_memory_equal(out, all, len);
    free(all);
}

static void golden_bytes_become_the_entries(void **state) {
    struct manifest_check c;
    size_t len, at = MANIFEST_HEADER_LEN;
    uint8_t *all = golden("manifest", &len);
    assert_int_equal(manifest_header_check(all), 0);
    manifest_check_init(&c);
    for (unsigned i = 0; i < N_GOLDENS; i++) {
        const struct manifest_entry *want = &goldens[i];
        struct manifest_entry e;
        int n = manifest_entry_get(&e, all + at, len - at);
        assert_int_equal(n, MANIFEST_ENTRY_FIXED + want->name.len +
                                (want->target.len > 0 ? 2 + want->target.len : 0));
        assert_int_equal(e.kind, want->kind);
        assert_int_equal(e.flags, want->flags);
        assert_int_equal(e.mode, want->mode);
        assert_int_equal(e.parent, want->parent);
        assert_int_equal(e.size, want->size);
        assert_int_equal(e.mtime_ns, want->mtime_ns);
        assert_int_equal(e.version, want->version);
        assert_int_equal(e.name.len, want->name.len);
        assert_memory_equal(e.name.at, want->name.at, e.name.len);
        assert_int_equal(e.target.len, want->target.len);
        if (e.target.len > 0)
            assert_memory_equal(e.target.at, want->target.at, e.target.len);
        assert_int_equal(manifest_check_next(&c, &e), 0);
        /* Cut anywhere: not whole. In memory of exactly that size. */
        for (int cut = 0; cut < n; cut++) {
            uint8_t *piece = malloc((size_t)cut + 1);
            memcpy(piece + 1, all + at, (size_t)cut);
            assert_int_equal(manifest_entry_get(&e, piece + 1, (size_t)cut), 0);
            free(piece);
        }
        at += (size_t)n;
    }
    assert_int_equal(at, len);
    assert_int_equal(c.n, 6);
    assert_int_equal(c.chunks, 3);
    assert_int_equal(c.bytes, (1 << 20) + 6);
    manifest_check_clear(&c);
    for (unsigned i = 0; i < MANIFEST_HEADER_LEN; i++) {
        all[i] ^= 1;
        assert_int_equal(manifest_header_check(all), broken);
        all[i] ^= 1;
    }
    free(all);
}

/* Changes in the bytes of entry 1 (a file, "a") or 3 (a symlink). */
static void hostile_entries_are_refused(void **state) {
    static const struct {
        unsigned entry;
        size_t at, len;
        const char *bytes;
    } hostile[] = {
        {1, 0, 1, "\0"}, /* no such kind */
        {1, 0, 1, "\4"},
        {1, 0, 1, "\1"},       /* a folder with a size, and sparse */
        {1, 1, 1, "\2"},       /* a file is not an unreadable folder */
        {1, 1, 1, "\x80"},     /* no such flag */
        {1, 2, 2, "\x09\xff"}, /* setuid */
        {1, 2, 2, "\x80\0"},
        {1, 8, 8, "\x80\0\0\0\0\0\0\0"}, /* size 2^63 */
        {1, 8, 8, "\x40\0\0\0\0\0\0\1"}, /* 2^62 + 1 */
        {1, 8, 8, "\xff\xff\xff\xff\xff\xff\xff\xff"},
        {1, 32, 2, "\0\0"}, /* no name */
        {1, 32, 2, "\1\0"}, /* 256 bytes */
        {1, 32, 2, "\xff\xff"},
        {1, 34, 1, "."},
        {1, 34, 1, "/"},
        {1, 34, 1, "\0"},
        {3, 1, 1, "\1"},  /* a sparse symlink */
        {3, 15, 1, "\1"}, /* with a size */
        {3, 34, 2, ".."},
        {3, 36, 2, "\0\0"},   /* no target */
        {3, 36, 2, "\x10\0"}, /* 4096 bytes */
        {3, 36, 2, "\xff\xff"},
        {3, 41, 1, "\0"}, /* NUL */
    };
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        uint8_t out[MANIFEST_ENTRY_MAX];
        struct manifest_entry e;
        size_t len = manifest_entry_put(&goldens[hostile[i].entry], out);
        assert_int_equal(manifest_entry_get(&e, out, len), len);
        memcpy(out + hostile[i].at, hostile[i].bytes, hostile[i].len);
        if (manifest_entry_get(&e, out, len) != broken)
            fail_msg("number %zu was not refused", i);
    }
}

static void largest_entry(void **state) {
    static uint8_t out[MANIFEST_ENTRY_MAX], text[4096];
    struct manifest_entry e = {.kind = WIRE_SYMLINK, .name = {text, 255}, .target = {text, 4095}};
    struct manifest_entry got;
    memset(text, 'x', sizeof text);
    assert_int_equal(manifest_entry_put(&e, out), MANIFEST_ENTRY_MAX);
    assert_int_equal(manifest_entry_get(&got, out, sizeof out), MANIFEST_ENTRY_MAX);
    assert_int_equal(got.target.len, 4095);
}

static void chunks_of_sizes(void **state) {
    static const uint64_t table[][2] = {
        {0, 0},
        {1, 1},
        {(1 << 20) - 1, 1},
        {1 << 20, 1},
        {(1 << 20) + 1, 2},
        {1ULL << 62, 1ULL << 42},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct manifest_entry e = {.kind = WIRE_FILE, .size = table[i][0]};
        assert_int_equal(manifest_chunks(&e), table[i][1]);
    }
}

/* Trees in short: "d0=x" is a folder below entry 0 with the name x; f a file, l a symlink, u a
 * folder that could not be read. Returns the number of entries taken before one was refused. */
static unsigned grow(const char *tree, int *result) {
    struct manifest_check c;
    char copy[256], *save;
    manifest_check_init(&c);
    strcpy(copy, tree);
    *result = 0;
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        char *name = strchr(w, '=') + 1;
        struct manifest_entry e = {.kind = w[0] == 'f'   ? WIRE_FILE
                                           : w[0] == 'l' ? WIRE_SYMLINK
                                                         : WIRE_DIR,
                                   .flags = w[0] == 'u' ? MANIFEST_UNREADABLE : 0,
                                   .parent = (uint32_t)atoi(w + 1),
                                   .name = {(uint8_t *)name, strlen(name)}};
        *result = manifest_check_next(&c, &e);
        if (*result < 0)
            break;
    }
    unsigned n = c.n;
    manifest_check_clear(&c);
    return n;
}

static void trees(void **state) {
    static const struct {
        const char *tree;
        unsigned n; /* entries that may stand there */
        bool good;
    } table[] = {
        {"f0=a", 1, true},
        {"l0=a", 1, true},
        {"d0=a", 1, true},
        {"d0=z f0=a f0=b", 3, true},
        {"d0=r f0=r", 2, true},                /* a child may have the name of its folder */
        {"d0=r d0=a d0=b f1=x f2=x", 5, true}, /* the same name in two folders */
        {"d0=r d0=a d0=b f2=x", 4, true},      /* an empty folder is passed over */
        {"d0=r d0=a d1=a d2=a f3=a", 5, true},
        {"d0=r f0=a f0=aa f0=b f0=\xff", 5, true}, /* bytes, not letters */
        {"d0=r f0=\x7f f0=\x80", 3, true},

        {"f1=a", 0, false},           /* the first one has no parent */
        {"f0=a f0=b", 1, false},      /* below a file */
        {"l0=a f0=b", 1, false},      /* below a symlink */
        {"u0=a f0=b", 1, false},      /* below a folder that could not be read */
        {"d0=r f0=a f0=a", 2, false}, /* twice */
        {"d0=r f0=b f0=a", 2, false}, /* wrong order */
        {"d0=r f0=aa f0=a", 2, false},
        {"d0=r f0=\xff f0=a", 2, false}, /* signed bytes would let it pass */
        {"d0=r d1=a", 1, false},         /* its own parent */
        {"d0=r d2=a", 1, false},         /* a parent still to come: a cycle */
        {"d0=r d4000000000=a", 1, false},
        {"d0=r f0=a f1=b", 2, false},      /* below a file */
        {"d0=r d0=a f1=x f0=b", 3, false}, /* back to a folder that was done */
        {"d0=r d0=a d0=b f2=x f1=x", 4, false},
        {"d0=r d0=a d1=b f1=a", 3, false},
        {"d0=r u0=a f1=x", 2, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int r;
        unsigned n = grow(table[i].tree, &r);
        if (n != table[i].n || r != (table[i].good ? 0 : broken))
            fail_msg("\"%s\": %d after %u entries", table[i].tree, r, n);
    }
}

/* A chain of folders, each with the same name. Returns how many entries it may have. */
static unsigned chain(size_t name_len) {
    struct manifest_check c;
    char name[256];
    struct manifest_entry e = {.kind = WIRE_DIR, .name = {(uint8_t *)name, name_len}};
    memset(name, 'n', sizeof name);
    manifest_check_init(&c);
    while (manifest_check_next(&c, &e) == 0)
        e.parent = c.n - 1;
    unsigned n = c.n;
    /* What was refused has changed nothing: a shorter one may stand there if depth allows it. */
    e.name.len = 1;
    e.kind = WIRE_FILE;
    int r = manifest_check_next(&c, &e);
    bool room = n <= PATH_MAX_DEPTH && (n - 1) * (name_len + 1) + 1 <= PATH_MAX_LEN;
    assert_int_equal(r, room ? 0 : broken);
    manifest_check_clear(&c);
    return n;
}

static void depth_and_length_are_limited(void **state) {
    assert_int_equal(chain(1), 1 + PATH_MAX_DEPTH);
    assert_int_equal(chain(14), 1 + PATH_MAX_DEPTH);
    assert_int_equal(chain(15), 1 + PATH_MAX_DEPTH); /* 256 * 15 + 255 = 4095 bytes */
    assert_int_equal(chain(16), 1 + 240);            /* 241 * 17 - 1 = 4096 is one too many */
    assert_int_equal(chain(254), 1 + 16);
    assert_int_equal(chain(255), 1 + 16); /* 16 * 256 - 1 = 4095 bytes */
}

static void sums_are_limited(void **state) {
    struct manifest_check c;
    struct manifest_entry e = {.kind = WIRE_DIR, .name = B("r")};
    manifest_check_init(&c);
    assert_int_equal(manifest_check_next(&c, &e), 0);
    e = (struct manifest_entry){.kind = WIRE_FILE, .size = WIRE_SIZE_MAX - 1, .name = B("a")};
    assert_int_equal(manifest_check_next(&c, &e), 0);
    e = (struct manifest_entry){.kind = WIRE_FILE, .size = 2, .name = B("b")};
    assert_int_equal(manifest_check_next(&c, &e), broken);
    e.size = 1;
    assert_int_equal(manifest_check_next(&c, &e), 0);
    assert_int_equal(c.bytes, WIRE_SIZE_MAX);
    assert_int_equal(c.chunks, (1ULL << 42) + 1);
    c.n = MANIFEST_ENTRIES_MAX;
    e = (struct manifest_entry){.kind = WIRE_FILE, .name = B("c")};
    assert_int_equal(manifest_check_next(&c, &e), WIRE_ERR(WIRE_LIMIT));
    manifest_check_clear(&c);
}

/* Whoever receives it keeps a note for each folder that waits. */
static void folders_that_wait_are_limited(void **state) {
    struct manifest_check c;
    struct manifest_entry e = {.kind = WIRE_DIR, .name = B("r")};
    uint32_t n = 0;
    char name[8];
    manifest_check_init(&c);
    assert_int_equal(manifest_check_next(&c, &e), 0);
    int r = 0;
    while (r == 0 && n <= MANIFEST_DIRS_MAX) {
        snprintf(name, sizeof name, "%07" PRIu32, n++);
        e.name = (struct bytes){(const uint8_t *)name, 7};
        r = manifest_check_next(&c, &e);
    }
    assert_int_equal(r, WIRE_ERR(WIRE_LIMIT));
    assert_int_equal(n, MANIFEST_DIRS_MAX); /* with r itself */
    assert_true(c.cap * sizeof *c.dirs <= 32 << 20);
    e.kind = WIRE_FILE; /* a file needs none */
    assert_int_equal(manifest_check_next(&c, &e), 0);
    e = (struct manifest_entry){.kind = WIRE_DIR, .parent = 1, .name = B("a")};
    assert_int_equal(manifest_check_next(&c, &e), 0); /* r is done */
    manifest_check_clear(&c);
}

/* 64 folders on each of 250 levels: the queue holds those that wait, not those that are done. */
static int wide_and_deep(void *arg) {
    enum { WIDTH = 64, LEVELS = 250 };
    struct manifest_check c;
    struct manifest_entry e = {.kind = WIRE_DIR, .name = B("r")};
    uint8_t name;
    manifest_check_init(&c);
    int r = manifest_check_next(&c, &e);
    e.name = (struct bytes){&name, 1};
    for (uint32_t i = 1; i <= WIDTH * LEVELS && r == 0; i++) {
        name = (uint8_t)('0' + i % WIDTH);
        if (i == WIDTH)
            name = 'z'; /* the last of its folder */
        e.parent = i <= WIDTH ? 0 : i - WIDTH;
        r = manifest_check_next(&c, &e);
    }
    if (r == 0) {
        assert_int_equal(c.n, 1 + WIDTH * LEVELS);
        assert_true(c.cap <= 4 * WIDTH);
    }
    manifest_check_clear(&c);
    return r;
}

static void any_allocation_may_fail(void **state) {
    assert_true(fail_alloc_each(wide_and_deep, NULL) > 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_become_the_golden_bytes),
        cmocka_unit_test(golden_bytes_become_the_entries),
        cmocka_unit_test(hostile_entries_are_refused),
        cmocka_unit_test(largest_entry),
        cmocka_unit_test(chunks_of_sizes),
        cmocka_unit_test(trees),
        cmocka_unit_test(depth_and_length_are_limited),
        cmocka_unit_test(sums_are_limited),
        cmocka_unit_test(folders_that_wait_are_limited),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
