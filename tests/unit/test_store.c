/* SPDX-License-Identifier: MIT */
/* One download in one run: what arrives, what is refused, what is never touched. */
#include "core/err.h"
#include "tests/unit/store_source.h"

#include <pthread.h>

#define SECOND ((int64_t)1000000000)

static struct scratch dest;
static struct source src;
static struct store *store;
static struct plan plan;

static int setup(void **arg) {
    scratch_make(&dest);
    src = (struct source){0};
    store = NULL;
    plan = (struct plan){0};
    return 0;
}

static int teardown(void **arg) {
    store_close(store);
    plan_clear(&plan);
    source_clear(&src);
    scratch_remove(&dest);
    return 0;
}

/* Until chunks can be given. */
static void begin(const char *name, const struct item *items, unsigned n) {
    source_make(&src, items, n);
    assert_int_equal(open_store(&store, &dest, name), 0);
    assert_int_equal(source_begin(store, &src, &plan), 0);
}

/* --- what arrives --------------------------------------------------------------------------- */

static void one_file(void **arg) {
    const struct item items[] = {{.kind = WIRE_FILE,
                                  .name = "film",
                                  .size = 3 * MIB + 17,
                                  .seed = 7,
                                  .mtime_ns = 5 * SECOND + 3,
                                  .mode = 0640}};
    source_make(&src, items, 1);
    assert_int_equal(download(&dest, "film", &src), 0);
    expect_file(&dest, "film", &items[0]);
    expect_only(&dest, "film");
}

static void one_small_file(void **arg) {
    const struct item items[] = {
        {.kind = WIRE_FILE, .name = "note", .size = 1, .seed = 7, .mode = 0}};
    source_make(&src, items, 1);
    assert_int_equal(download(&dest, "another name", &src), 0);
    expect_file(&dest, "another name", &items[0]);
    expect_only(&dest, "another name");
}

static void one_empty_file(void **arg) {
    const struct item items[] = {{.kind = WIRE_FILE, .name = "empty", .mtime_ns = SECOND}};
    source_make(&src, items, 1);
    assert_int_equal(download(&dest, "empty", &src), 0);
    expect_file(&dest, "empty", &items[0]);
    expect_only(&dest, "empty");
}

static void one_empty_folder(void **arg) {
    const struct item items[] = {{.kind = WIRE_DIR, .name = "empty", .mode = 0500}};
    struct stat st;
    source_make(&src, items, 1);
    assert_int_equal(download(&dest, "empty", &src), 0);
    assert_int_equal(fstatat(dest.fd, "empty", &st, 0), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0500);
    expect_only(&dest, "empty");
}

static void a_tree(void **arg) {
    const struct item items[] = {
        {.kind = WIRE_DIR, .name = "music", .mtime_ns = 10 * SECOND},
        {.kind = WIRE_FILE, .name = "a", .size = 5, .seed = 1, .mtime_ns = -1},
        {.kind = WIRE_DIR, .name = "b", .mtime_ns = 11 * SECOND, .mode = 0555},
        {.kind = WIRE_FILE, .name = "c", .size = 2 * MIB, .seed = 2, .mode = 0444},
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_SYMLINK, .name = "e", .target = "b/x", .mtime_ns = SECOND},
        {.kind = WIRE_FILE, .name = "x", .parent = 2, .size = MIB, .seed = 3, .mode = 0400},
        {.kind = WIRE_FILE, .name = "y", .parent = 2, .mtime_ns = 9},
    };
    struct stat st;
    source_make(&src, items, 8);
    assert_int_equal(download(&dest, "music", &src), 0);
    expect_only(&dest, "music");
    expect_file(&dest, "music/a", &items[1]);
    expect_file(&dest, "music/c", &items[3]);
    expect_file(&dest, "music/b/x", &items[6]);
    expect_file(&dest, "music/b/y", &items[7]);
    assert_int_equal(fstatat(dest.fd, "music/b", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0555);
    assert_int_equal(st.st_mtim.tv_sec, 11);
    assert_int_equal(fstatat(dest.fd, "music/e", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1);
    assert_int_equal(fstatat(dest.fd, "music", &st, 0), 0);
    assert_int_equal(st.st_mtim.tv_sec, 10);
}

/* Zeros take no room on disk, and neither do they where other bytes were before. */
static void holes(void **arg) {
    const struct item items[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "big", .size = 20 * MIB + 1, .flags = MANIFEST_SPARSE},
        {.kind = WIRE_FILE, .name = "small", .size = 300000},
    };
    struct stat st;
    source_make(&src, items, 3);
    assert_int_equal(download(&dest, "d", &src), 0);
    expect_file(&dest, "d/big", &items[1]);
    expect_file(&dest, "d/small", &items[2]);
    assert_int_equal(fstatat(dest.fd, "d/big", &st, 0), 0);
    assert_int_equal(st.st_blocks, 0);
    assert_int_equal(fstatat(dest.fd, "d/small", &st, 0), 0);
    assert_int_equal(st.st_blocks, 0);
}

static void zeros_over_other_bytes(void **arg) {
    const struct item items[] = {{.kind = WIRE_FILE, .name = "f", .size = 3 * MIB + 5}};
    begin("f", items, 1);
    uint8_t *junk = malloc(4 * MIB);
    assert_non_null(junk);
    memset(junk, 0xaa, 4 * MIB);
    int fd = openat(dest.fd, "f.lanyard-part/data", O_RDWR);
    assert_int_equal(pwrite(fd, junk, 3 * MIB + 5, 0), 3 * MIB + 5);
    close(fd);
    free(junk);
    assert_int_equal(source_give(store, &src, 0, 4), 0);
    assert_int_equal(source_commit(store), 0);
    expect_file(&dest, "f", &items[0]);
}

/* The result of one record of zeros, alone in its frame. */
static int put_hole(uint64_t chunk, uint16_t more) {
    struct wire_record r = {
        .chunk = chunk, .len = WIRE_CHUNK_SIZE, .kind = WIRE_RECORD_ZEROS, .more = more};
    struct wire_header h;
    struct msg m;
    int result = 99;
    digest_zeros(r.len, r.digest);
    wire_data_record(src.frame, 0, &r);
    wire_data_end(src.frame, 1, 0, 1);
    assert_int_equal(wire_header_get(&h, src.frame), 0);
    assert_int_equal(wire_decode(&m, &h, src.frame + WIRE_HEADER_LEN), 0);
    assert_int_equal(store_put(store, &m, &result), 0);
    return result;
}

static void expect_have(uint64_t n_chunks, uint64_t have) {
    struct plan again;
    assert_int_equal(plan_init(&again, n_chunks), 0);
    assert_int_equal(store_load(store, &again), 0);
    assert_int_equal(again.count[PLAN_HAVE], have);
    plan_clear(&again);
}

/* One record says so of many chunks: bytes of before go, those around it stay. */
static void a_hole_in_one_record(void **arg) {
    enum { N = 1200 }; /* slots of more than two writes */
    const struct item items[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "big", .size = N * MIB + 5, .flags = MANIFEST_SPARSE},
        {.kind = WIRE_FILE, .name = "next", .size = 2 * MIB, .flags = MANIFEST_SPARSE},
    };
    struct stat st;
    begin("d", items, 3);
    int fd = openat(dest.fd, "d.lanyard-part/data/big", O_RDWR);
    assert_int_equal(pwrite(fd, "before", 6, 7), 6);
    assert_int_equal(pwrite(fd, "junk", 4, 500 * MIB - 2), 4);
    assert_int_equal(pwrite(fd, "last", 4, N * MIB - 4), 4);
    assert_int_equal(put_hole(1, N - 1),
                     WIRE_ERR(WIRE_PROTOCOL)); /* the last one is no whole one */
    assert_int_equal(put_hole(0, N + 1), WIRE_ERR(WIRE_PROTOCOL)); /* into the next file */
    assert_int_equal(put_hole(N + 1, 2), WIRE_ERR(WIRE_PROTOCOL)); /* beyond the end */
    expect_have(N + 3, 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_blocks > 0);
    assert_int_equal(put_hole(1, N - 2), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_blocks <= 8); /* "before" */
    close(fd);
    expect_have(N + 3, N - 1);
    assert_int_equal(source_commit(store), -EINVAL);
    assert_int_equal(source_give(store, &src, 0, 1), 0);
    assert_int_equal(source_give(store, &src, N, 1), 0);
    assert_int_equal(put_hole(N + 1, 1), 0);
    assert_int_equal(source_commit(store), 0);
    expect_file(&dest, "d/big", &items[1]);
    expect_file(&dest, "d/next", &items[2]);
}

/* 1 TiB: nothing is done per byte. */
static void huge_and_empty(void **arg) {
    const struct item items[] = {
        {.kind = WIRE_FILE, .name = "disk", .size = MIB * MIB, .flags = MANIFEST_SPARSE}};
    struct stat st;
    begin("disk", items, 1);
    for (uint64_t i = 0; i < MIB; i += WIRE_OUTSTANDING_CHUNKS)
        assert_int_equal(put_hole(i, WIRE_OUTSTANDING_CHUNKS - 1), 0);
    assert_int_equal(source_commit(store), 0);
    assert_int_equal(fstatat(dest.fd, "disk", &st, 0), 0);
    assert_int_equal(st.st_size, MIB * MIB);
    assert_int_equal(st.st_blocks, 0);
}

static void many_in_one_frame(void **arg) {
    static char names[600][8];
    static struct item items[601];
    items[0] = (struct item){.kind = WIRE_DIR, .name = "d"};
    for (unsigned i = 0; i < 600; i++) {
        snprintf(names[i], sizeof names[i], "f%03u", i);
        items[i + 1] = (struct item){
            .kind = WIRE_FILE, .name = names[i], .size = 100 + i, .seed = i + 1, .mtime_ns = i};
    }
    begin("d", items, 601);
    assert_int_equal(source_give(store, &src, 88, 512), 0);
    assert_int_equal(source_give(store, &src, 0, 88), 0);
    assert_int_equal(source_commit(store), 0);
    for (unsigned i = 0; i < 600; i++) {
        char path[16];
        snprintf(path, sizeof path, "d/%.7s", names[i]);
        expect_file(&dest, path, &items[i + 1]);
    }
}

/* Chunks come in any order, from several threads at once. */
struct giver {
    pthread_t thread;
    struct source src;
    unsigned first;
    int rc;
};
enum { GIVERS = 4 };

static void *give_every_fourth(void *arg) {
    struct giver *g = arg;
    for (uint64_t i = g->first; !g->rc && i < source_totals(&g->src)->chunks; i += GIVERS)
        g->rc = source_give(store, &g->src, i, 1);
    return NULL;
}

static void several_threads(void **arg) {
    static char names[200][8];
    struct item items[204] = {{.kind = WIRE_DIR, .name = "d"},
                              {.kind = WIRE_FILE, .name = "big", .size = 17 * MIB, .seed = 1},
                              {.kind = WIRE_DIR, .name = "c"},
                              {.kind = WIRE_DIR, .name = "d"}};
    struct giver givers[GIVERS] = {0};
    for (unsigned i = 0; i < 200; i++) {
        snprintf(names[i], sizeof names[i], "%03u", i % 1000);
        items[4 + i] = (struct item){.kind = WIRE_FILE,
                                     .parent = i < 100 ? 2 : 3,
                                     .name = names[i],
                                     .size = 1 + i,
                                     .seed = i,
                                     .mode = i % 2 ? 0600 : 0444};
    }
    begin("d", items, 204);
    for (unsigned i = 0; i < GIVERS; i++) {
        givers[i].first = i;
        source_make(&givers[i].src, items, 204);
        assert_int_equal(pthread_create(&givers[i].thread, NULL, give_every_fourth, &givers[i]), 0);
    }
    for (unsigned i = 0; i < GIVERS; i++) {
        assert_int_equal(pthread_join(givers[i].thread, NULL), 0);
        assert_int_equal(givers[i].rc, 0);
        source_clear(&givers[i].src);
    }
    assert_int_equal(source_commit(store), 0);
    expect_file(&dest, "d/big", &items[1]);
    for (unsigned i = 0; i < 200; i++) {
        char path[16];
        snprintf(path, sizeof path, "d/%s/%.7s", i < 100 ? "c" : "d", names[i]);
        expect_file(&dest, path, &items[4 + i]);
    }
}

static void names_of_every_kind(void **arg) {
    char longest[256];
    memset(longest, 'x', 255);
    longest[255] = 0;
    const struct item items[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "\n\x1b[2J", .size = 3, .seed = 1},
        {.kind = WIRE_FILE, .name = " ", .size = 3, .seed = 2},
        {.kind = WIRE_FILE, .name = "-rf", .size = 3, .seed = 3},
        {.kind = WIRE_FILE, .name = "data", .size = 3, .seed = 4},
        {.kind = WIRE_FILE, .name = longest, .size = 3, .seed = 5},
        {.kind = WIRE_FILE, .name = "\xff\xfe", .size = 3, .seed = 6},
    };
    source_make(&src, items, 7);
    assert_int_equal(download(&dest, longest, &src), 0);
    for (unsigned i = 1; i < 7; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", longest, items[i].name);
        expect_file(&dest, path, &items[i]);
    }
    expect_only(&dest, longest);
}

/* NAME.lanyard-part would be too long: it is cut at a character and made unique by a digest. */
static void long_names_do_not_meet(void **arg) {
    const struct item items[] = {{.kind = WIRE_FILE, .name = "f"}};
    char a[256], b[256];
    struct store *other;
    for (int i = 0; i < 127; i++)
        strcpy(a + 2 * i, "\xc3\xa9");
    strcpy(b, a);
    b[253] = '\xaa';
    begin(a, items, 1);
    assert_int_equal(open_store(&other, &dest, b), 0);
    store_close(other);
    assert_int_equal(source_commit(store), 0);
    expect_only(&dest, a);
}

static void tell_path(void *arg, const char *path, int why) {
    assert_int_equal(why, WIRE_ERR(WIRE_IO));
    snprintf(arg, 256, "%s", path);
}

/* It arrives empty, and whoever asked for it is told. */
static void unreadable_folder(void **arg) {
    const struct item items[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_DIR, .name = "e", .mode = 0111, .flags = MANIFEST_UNREADABLE, .mtime_ns = 77},
        {.kind = WIRE_FILE, .name = "f"},
    };
    char told[256] = "";
    struct stat st;
    begin("d", items, 3);
    assert_int_equal(source_commit(store), 0);
    assert_int_equal(store_skipped(store, tell_path, told), 1);
    assert_string_equal(told, "e");
    assert_int_equal(fstatat(dest.fd, "d/e", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0111);
    assert_int_equal(st.st_mtim.tv_nsec, 77);
    expect_only(&dest, "d");
}

/* --- what is refused ------------------------------------------------------------------------ */

static const struct item three[] = {
    {.kind = WIRE_DIR, .name = "d"},
    {.kind = WIRE_FILE, .name = "big", .size = 2 * MIB, .seed = 1},
    {.kind = WIRE_FILE, .name = "small", .size = 10, .seed = 2},
};

/* The result of one record, alone in its frame, that `spoil` has changed. */
static int put_spoiled(uint64_t chunk, void (*spoil)(struct wire_record *r, uint8_t *bytes)) {
    size_t at = wire_data_offset(1);
    struct wire_record r;
    struct wire_header h;
    struct msg m;
    int result = 99;
    source_record(&src, chunk, src.frame + at, &r);
    spoil(&r, src.frame + at);
    wire_data_record(src.frame, 0, &r);
    wire_data_end(src.frame, 1, r.kind == WIRE_RECORD_DATA ? r.len : 0, 1);
    assert_int_equal(wire_header_get(&h, src.frame), 0);
    assert_int_equal(wire_decode(&m, &h, src.frame + WIRE_HEADER_LEN), 0);
    assert_int_equal(store_put(store, &m, &result), 0);
    return result;
}

static void flip_byte(struct wire_record *r, uint8_t *bytes) { bytes[r->len - 1] ^= 1; }
static void flip_digest(struct wire_record *r, uint8_t *bytes) { r->digest[0] ^= 1; }
static void cut(struct wire_record *r, uint8_t *bytes) { digest_chunk(bytes, --r->len, r->digest); }
static void say_zeros(struct wire_record *r, uint8_t *bytes) { r->kind = WIRE_RECORD_ZEROS; }
static void beyond(struct wire_record *r, uint8_t *bytes) { r->chunk = 3; }
static void far_beyond(struct wire_record *r, uint8_t *bytes) { r->chunk = (uint64_t)1 << 40; }
static void say_gone(struct wire_record *r, uint8_t *bytes) {
    *r = (struct wire_record){.chunk = r->chunk, .kind = WIRE_RECORD_ERROR, .code = WIRE_GONE};
}

static void damaged_frames(void **arg) {
    struct plan again;
    begin("d", three, 3);
    for (uint64_t chunk = 0; chunk < 3; chunk++) {
        assert_int_equal(put_spoiled(chunk, flip_byte), WIRE_ERR(WIRE_CORRUPT));
        assert_int_equal(put_spoiled(chunk, flip_digest), WIRE_ERR(WIRE_CORRUPT));
        assert_int_equal(put_spoiled(chunk, cut), WIRE_ERR(WIRE_PROTOCOL));
        assert_int_equal(put_spoiled(chunk, say_zeros), WIRE_ERR(WIRE_CORRUPT));
        assert_int_equal(put_spoiled(chunk, beyond), WIRE_ERR(WIRE_PROTOCOL));
        assert_int_equal(put_spoiled(chunk, far_beyond), WIRE_ERR(WIRE_PROTOCOL));
        assert_int_equal(put_spoiled(chunk, say_gone), WIRE_ERR(WIRE_GONE));
    }
    assert_int_equal(scratch_has(&dest, "d.lanyard-part/data/small"), 0);
    assert_int_equal(plan_init(&again, 3), 0);
    assert_int_equal(store_load(store, &again), 0);
    assert_int_equal(again.count[PLAN_ABSENT], 3);
    plan_clear(&again);
    assert_int_equal(source_commit(store), -EINVAL);
}

static void not_all_there(void **arg) {
    begin("d", three, 3);
    assert_int_equal(source_give(store, &src, 0, 2), 0);
    assert_int_equal(source_commit(store), -EINVAL);
    assert_int_equal(scratch_has(&dest, "d"), 0);
    assert_int_equal(source_give(store, &src, 2, 1), 0);
    assert_int_equal(source_commit(store), 0);
}

static void another_manifest_than_said(void **arg) {
    uint8_t page[1024];
    source_make(&src, three, 3);
    uint64_t len = source_totals(&src)->length;
    struct catalog_totals others[5];
    for (unsigned i = 0; i < 5; i++)
        others[i] = *source_totals(&src);
    others[0].id[0] ^= 1;
    others[1].length++;
    others[2].entries++;
    others[3].chunks++;
    others[4].bytes++;
    assert_int_equal(catalog_read(src.catalog, 0, page, len), 0);
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(store_manifest_begin(store, 0), 0);
        assert_int_equal(store_manifest_page(store, page, len), 0);
        assert_int_equal(store_manifest_end(store, &others[i], src.origin), -EINVAL);
        assert_null(store_catalog(store));
    }
    assert_int_equal(store_manifest_begin(store, 0), 0);
    assert_int_equal(store_manifest_page(store, page, len - 1), 0);
    assert_int_equal(store_manifest_end(store, source_totals(&src), src.origin),
                     WIRE_ERR(WIRE_PROTOCOL));
    assert_int_equal(source_begin(store, &src, &plan), 0);
    assert_memory_equal(store_origin(store), src.origin, WIRE_KEY_LEN);
}

static void more_chunks_than_can_be_kept_in_mind(void **arg) {
    const struct item items[] = {{.kind = WIRE_FILE, .name = "d", .size = WIRE_SIZE_MAX}};
    source_make(&src, items, 1);
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_int_equal(source_list(store, &src), ERR_TOO_LARGE);
    assert_null(store_catalog(store));
}

static void names_that_are_none(void **arg) {
    static const char *const names[] = {"", ".", "..", "a/b", "/"};
    const struct item items[] = {{.kind = WIRE_FILE, .name = "f"}};
    source_make(&src, items, 1);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(open_store(&store, &dest, names[i]), -EINVAL);
    expect_only(&dest, "");
}

/* --- what is never touched ------------------------------------------------------------------ */

static void existing_target(void **arg) {
    const struct item items[] = {{.kind = WIRE_FILE, .name = "f"}};
    source_make(&src, items, 1);
    scratch_file(&dest, "d", "mine");
    assert_int_equal(open_store(&store, &dest, "d"), ERR_EXISTS);
    expect_only(&dest, "d");
    scratch_expect(&dest, "d", "mine");
    scratch_link(&dest, "l", "nowhere");
    assert_int_equal(open_store(&store, &dest, "l"), ERR_EXISTS);
}

static void target_that_appears(void **arg) {
    begin("d", three, 3);
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    scratch_file(&dest, "d", "mine");
    assert_int_equal(source_commit(store), ERR_EXISTS);
    scratch_expect(&dest, "d", "mine");
    store_close(store);
    assert_int_equal(open_store(&store, &dest, "d"), ERR_EXISTS);
    assert_int_equal(scratch_has(&dest, "d.lanyard-part/data"), 1);
    assert_int_equal(unlinkat(dest.fd, "d", 0), 0);
    assert_int_equal(download(&dest, "d", &src), 0);
    expect_file(&dest, "d/big", &three[1]);
}

static void held_by_another(void **arg) {
    struct store *other;
    begin("d", three, 3);
    assert_int_equal(open_store(&other, &dest, "d"), ERR_HELD);
    assert_null(other);
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(open_store(&other, &dest, "d"), ERR_HELD);
    assert_int_equal(source_commit(store), 0);
}

static void staging_that_is_none(void **arg) {
    const struct item items[] = {{.kind = WIRE_FILE, .name = "f"}};
    source_make(&src, items, 1);
    scratch_dir(&dest, "elsewhere");
    scratch_file(&dest, "elsewhere/journal", "mine");
    scratch_link(&dest, "l.lanyard-part", "elsewhere");
    scratch_file(&dest, "f.lanyard-part", "mine");
    assert_int_equal(open_store(&store, &dest, "l"), ERR_FOREIGN);
    assert_int_equal(open_store(&store, &dest, "f"), ERR_FOREIGN);
    scratch_expect(&dest, "elsewhere/journal", "mine");
    scratch_expect(&dest, "f.lanyard-part", "mine");
    assert_int_equal(scratch_has(&dest, "elsewhere/data"), 0);
}

/* A journal that is a symlink would be written through. */
static void journal_that_is_none(void **arg) {
    const struct item items[] = {{.kind = WIRE_FILE, .name = "f"}};
    source_make(&src, items, 1);
    scratch_dir(&dest, "f.lanyard-part");
    scratch_file(&dest, "mine", "mine");
    scratch_link(&dest, "f.lanyard-part/journal", "../mine");
    assert_int_equal(open_store(&store, &dest, "f"), ERR_FOREIGN);
    scratch_expect(&dest, "mine", "mine");
}

static void nothing_begun_nothing_left(void **arg) {
    const struct item items[] = {{.kind = WIRE_FILE, .name = "f"}};
    source_make(&src, items, 1);
    assert_int_equal(open_store(&store, &dest, "f"), 0);
    assert_null(store_catalog(store));
    store_close(store);
    store = NULL;
    expect_only(&dest, "");
}

static void no_such_folder(void **arg) {
    const struct item items[] = {{.kind = WIRE_FILE, .name = "f"}};
    struct store_target t = {.dir = "/nonexistent/folder", .name = "f", .path = ""};
    source_make(&src, items, 1);
    assert_int_equal(store_open(&store, &t), -ENOENT);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_file),
        TEST(one_small_file),
        TEST(one_empty_file),
        TEST(one_empty_folder),
        TEST(a_tree),
        TEST(holes),
        TEST(zeros_over_other_bytes),
        TEST(a_hole_in_one_record),
        TEST(huge_and_empty),
        TEST(many_in_one_frame),
        TEST(several_threads),
        TEST(names_of_every_kind),
        TEST(long_names_do_not_meet),
        TEST(unreadable_folder),
        TEST(damaged_frames),
        TEST(not_all_there),
        TEST(another_manifest_than_said),
        TEST(more_chunks_than_can_be_kept_in_mind),
        TEST(names_that_are_none),
        TEST(existing_target),
        TEST(target_that_appears),
        TEST(held_by_another),
        TEST(staging_that_is_none),
        TEST(journal_that_is_none),
        TEST(nothing_begun_nothing_left),
        TEST(no_such_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
