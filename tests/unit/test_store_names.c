/* SPDX-License-Identifier: MIT */
/* File systems that refuse names, or take two of them for one; links; entries left out. */
#include "core/err.h"
#include "core/store_internal.h"
#include "tests/unit/store_source.h"

#include <dirent.h>
#include <strings.h>

static struct scratch dest;
static struct source src;
static struct store *store;
static struct plan plan;

/* --- a file system of another kind ---------------------------------------------------------- */

static bool folding;        /* upper and lower case are the same */
static bool normalizing;    /* e with acute is the same in one character and in two */
static const char *refused; /* names with this in them are refused */
static int refusal;

static void compose(const char *name, char out[static NAME_MAX_LEN + 1]) {
    while (*name) {
        bool two = !strncmp(name, "e\xcc\x81", 3);
        memcpy(out, two ? "\xc3\xa9" : name, 2);
        out += 1 + two;
        name += two ? 3 : 1;
    }
    *out = 0;
}

static bool same_name(const char *a, const char *b) {
    char x[NAME_MAX_LEN + 1], y[NAME_MAX_LEN + 1];
    compose(a, x);
    compose(b, y);
    return (folding ? strcasecmp : strcmp)(normalizing ? x : a, normalizing ? y : b) == 0;
}

/* The name under which the folder has it already, if two names can be one. */
static const char *fold(int dir, const char *name) {
    static char found[8][NAME_MAX_LEN + 1];
    static unsigned turn;
    char *out = found[turn++ % 8];
    strcpy(out, name);
    bool looks = (folding || normalizing) && *name && !strchr(name, '/');
    int fd = looks ? openat(dir, ".", O_RDONLY) : -1;
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        if (same_name(e->d_name, name))
            strcpy(out, e->d_name);
    if (d)
        closedir(d);
    return out;
}

static bool refuses(const char *path) { return refused && strstr(path, refused); }

#define WRAP(name, params, args)                                                                   \
    int __real_##name params;                                                                      \
    int __wrap_##name params;                                                                      \
    int __wrap_##name params { return __real_##name args; }

#define WRAP_NEW(name, params, args)                                                               \
    int __real_##name params;                                                                      \
    int __wrap_##name params;                                                                      \
    int __wrap_##name params { return refuses(path) ? refusal : __real_##name args; }

WRAP(fs_open_dir, (int root, const char *path), (root, fold(root, path)))
WRAP(fs_open_write, (int root, const char *path), (root, fold(root, path)))
WRAP(fs_stat, (int root, const char *path, struct stat *st), (root, fold(root, path), st))
WRAP(fs_unlink, (int root, const char *path), (root, fold(root, path)))
WRAP(fs_chmod, (int root, const char *path, mode_t mode), (root, fold(root, path), mode))
WRAP(fs_set_mtime, (int root, const char *path, int64_t ns), (root, fold(root, path), ns))
WRAP_NEW(fs_create, (int root, const char *path, mode_t mode), (root, fold(root, path), mode))
WRAP_NEW(fs_mkdir, (int root, const char *path, mode_t mode), (root, fold(root, path), mode))
WRAP_NEW(fs_symlink, (int root, const char *path, const char *to), (root, fold(root, path), to))

/* --- frame ---------------------------------------------------------------------------------- */

static int setup(void **arg) {
    scratch_make(&dest);
    src = (struct source){0};
    store = NULL;
    plan = (struct plan){0};
    folding = normalizing = false;
    refused = NULL;
    return 0;
}

static void stop(void) {
    plan_clear(&plan);
    store_close(store);
    store = NULL;
}

static int teardown(void **arg) {
    stop();
    folding = normalizing = false;
    source_clear(&src);
    scratch_remove(&dest);
    return 0;
}

static char skipped[512]; /* "path why\n" ... */

static void note(void *arg, const char *path, int why) {
    size_t len = strlen(skipped);
    snprintf(skipped + len, sizeof skipped - len, "%s %d\n", path, why);
}

static void commit_all(const struct item *items, unsigned n, bool unsafe_links) {
    struct store_commit_options o = {.unsafe_links = unsafe_links};
    source_make(&src, items, n);
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_int_equal(source_begin(store, &src, &plan), 0);
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(store_commit(store, &o), 0);
    skipped[0] = 0;
    unsigned all = store_skipped(store, note, NULL), lines = 0;
    for (const char *at = skipped; *at; at++)
        lines += *at == '\n';
    assert_int_equal(all, lines);
}

static void expect_names(const char *want) {
    char command[512];
    snprintf(command, sizeof command,
             "test \"$(cd %s; find d -mindepth 1 -printf '%%P ' | tr ' ' '\\n' | LC_ALL=C sort | "
             "tr '\\n' ' ')\" = '%s '",
             dest.path, want);
    assert_int_equal(system(command), 0);
}

/* --- names of ours ---------------------------------------------------------------------------- */

/* Somebody could prepare a staging folder, with bytes of his under the journal of another peer's
 * download, and have it brought where that peer's file is asked for next. */
static void staging_folders_are_not_taken(void **arg) {
    static const struct item music[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "a.lanyard-part", .size = 5, .seed = 1},
        {.kind = WIRE_DIR, .name = "song.lanyard-part"},
        {.kind = WIRE_FILE, .parent = 2, .name = "data", .size = 5, .seed = 2},
        {.kind = WIRE_FILE, .parent = 2, .name = "journal", .size = 4096, .seed = 3},
    };
    commit_all(music, 5, false);
    expect_names("a.lanyard-part");
    assert_non_null(strstr(skipped, "song.lanyard-part"));
    stop();
    assert_int_equal(open_store(&store, &dest, "song.lanyard-part"), ERR_STAGING);
    assert_false(scratch_has(&dest, "song.lanyard-part.lanyard-part"));
}

/* --- refused names -------------------------------------------------------------------------- */

static const struct item tree[] = {
    {.kind = WIRE_DIR, .name = "d"},
    {.kind = WIRE_FILE, .name = "a?", .size = 5, .seed = 1},
    {.kind = WIRE_DIR, .name = "b?"},
    {.kind = WIRE_FILE, .name = "c", .size = 6, .seed = 2},
    {.kind = WIRE_FILE, .name = "d?", .size = 2 * MIB, .seed = 3},
    {.kind = WIRE_FILE, .name = "e?"},
    {.kind = WIRE_SYMLINK, .name = "f?", .target = "c"},
    {.kind = WIRE_DIR, .name = "x", .parent = 2},
    {.kind = WIRE_FILE, .name = "y", .parent = 2, .size = 7, .seed = 4},
    {.kind = WIRE_FILE, .name = "z", .parent = 7, .size = MIB + 1, .seed = 5},
};

static void refused_names(void **arg) {
    static const int errors[] = {-EINVAL, -EILSEQ, -ENAMETOOLONG};
    for (unsigned i = 0; i < 3; i++) {
        char want[128];
        refused = "?";
        refusal = errors[i];
        commit_all(tree, 10, false);
        snprintf(want, sizeof want, "b? %d\nd? %d\ne? %d\na? %d\nf? %d\n", refusal, refusal,
                 refusal, refusal, refusal);
        assert_string_equal(skipped, want); /* each once, not what lies below */
        expect_names("c");
        expect_file(&dest, "d/c", &tree[3]);
        stop();
        source_clear(&src);
        assert_int_equal(fs_remove_tree(dest.fd, "d"), 0);
    }
    src = (struct source){0};
    source_make(&src, tree, 1);
}

/* Any other error is one. */
static void other_errors(void **arg) {
    refused = "d?";
    refusal = -EROFS;
    source_make(&src, tree, 10);
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_int_equal(source_begin(store, &src, &plan), -EROFS);
}

/* --- two names for one ---------------------------------------------------------------------- */

static const struct item twins[] = {
    {.kind = WIRE_DIR, .name = "d"},
    {.kind = WIRE_FILE, .name = "A", .size = 5, .seed = 1},
    {.kind = WIRE_FILE, .name = "B", .size = MIB + 1, .seed = 2},
    {.kind = WIRE_DIR, .name = "C"},
    {.kind = WIRE_FILE, .name = "E"},
    {.kind = WIRE_SYMLINK, .name = "F", .target = "A"},
    {.kind = WIRE_FILE, .name = "a", .size = 6, .seed = 3},
    {.kind = WIRE_FILE, .name = "b", .size = MIB + 1, .seed = 4},
    {.kind = WIRE_DIR, .name = "c"},
    {.kind = WIRE_FILE, .name = "e"},
    {.kind = WIRE_SYMLINK, .name = "f", .target = "a"},
    {.kind = WIRE_FILE, .name = "x", .parent = 3, .size = 7, .seed = 5},
    {.kind = WIRE_FILE, .name = "x", .parent = 8, .size = 8, .seed = 6},
};

static void two_names_for_one(void **arg) {
    folding = true;
    commit_all(twins, 13, false);
    assert_string_equal(skipped, "b -17\nc -17\ne -17\na -17\nf -17\n");
    folding = false;
    expect_names("A B C C/x E F");
    expect_file(&dest, "d/A", &twins[1]);
    expect_file(&dest, "d/B", &twins[2]);
    expect_file(&dest, "d/C/x", &twins[11]);
}

static const struct item accents[] = {
    {.kind = WIRE_DIR, .name = "d"},
    {.kind = WIRE_FILE, .name = "Ae\xcc\x81", .size = 5, .seed = 1},
    {.kind = WIRE_FILE, .name = "A\xc3\xa9", .size = 6, .seed = 2},
    {.kind = WIRE_FILE, .name = "Be\xcc\x81", .size = MIB + 1, .seed = 3},
    {.kind = WIRE_FILE, .name = "B\xc3\xa9", .size = MIB + 1, .seed = 4},
    {.kind = WIRE_FILE, .name = "b\xc3\xa9", .size = 7, .seed = 5},
};

/* Case counts there. */
static void two_spellings_for_one(void **arg) {
    normalizing = true;
    commit_all(accents, 6, false);
    assert_string_equal(skipped, "B\xc3\xa9 -17\nA\xc3\xa9 -17\n");
    normalizing = false;
    expect_names("Ae\xcc\x81 Be\xcc\x81 b\xc3\xa9");
    expect_file(&dest, "d/Ae\xcc\x81", &accents[1]);
    expect_file(&dest, "d/Be\xcc\x81", &accents[3]);
}

/* An interrupted run has decided who is there; and what is written anew is written to itself. */
static void two_names_resumed(void **arg) {
    folding = true;
    source_make(&src, twins, 13);
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_int_equal(source_begin(store, &src, &plan), 0);
    assert_int_equal(source_give(store, &src, 3, 1), 0); /* "a" comes first */
    assert_int_equal(source_give(store, &src, 0, 1), 0);
    assert_int_equal(source_give(store, &src, 3, 1), 0);
    stop();
    source_clear(&src);
    commit_all(twins, 13, false);
    assert_string_equal(skipped, "b -17\nc -17\ne -17\nA -17\nf -17\n");
    folding = false;
    expect_names("B C C/x E F a");
    expect_file(&dest, "d/a", &twins[6]);
}

/* --- left out by the caller ----------------------------------------------------------------- */

static void left_out(void **arg) {
    const struct item items[] = {
        {.kind = WIRE_DIR, .name = "d"},
        {.kind = WIRE_FILE, .name = "a", .size = 2 * MIB, .seed = 1},
        {.kind = WIRE_FILE, .name = "b", .size = 5, .seed = 2},
        {.kind = WIRE_FILE, .name = "c", .size = 5, .seed = 3},
    };
    char path[PATH_MAX_LEN + 1];
    source_make(&src, items, 4);
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_int_equal(source_begin(store, &src, &plan), 0);
    assert_int_equal(source_give(store, &src, 0, 1), 0);
    assert_int_equal(source_give(store, &src, 2, 2), 0);
    store_skip_chunk(store, 1, ERR_CHANGING);
    store_skip_chunk(store, 0, ERR_CHANGING); /* the same file */
    store_skip_chunk(store, 3, WIRE_ERR(WIRE_GONE));
    store_skip_chunk(store, 99, WIRE_ERR(WIRE_GONE)); /* nothing */
    store_chunk_path(store, 1, path);
    assert_string_equal(path, "a");
    store_chunk_path(store, 99, path);
    assert_string_equal(path, "?");
    assert_int_equal(source_give(store, &src, 1, 1), 0); /* too late: not written */
    assert_int_equal(source_commit(store), 0);
    skipped[0] = 0;
    assert_int_equal(store_skipped(store, note, NULL), 2);
    char want[64];
    snprintf(want, sizeof want, "a %d\nc %d\n", ERR_CHANGING, WIRE_ERR(WIRE_GONE));
    assert_string_equal(skipped, want);
    expect_names("b");
}

static void all_left_out(void **arg) {
    const struct item items[] = {{.kind = WIRE_FILE, .name = "f", .size = 5, .seed = 1}};
    source_make(&src, items, 1);
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_int_equal(source_begin(store, &src, &plan), 0);
    store_skip_chunk(store, 0, WIRE_ERR(WIRE_GONE));
    assert_int_equal(source_commit(store), WIRE_ERR(WIRE_GONE));
    assert_false(scratch_has(&dest, "d"));
}

/* --- links ---------------------------------------------------------------------------------- */

static const struct item links[] = {
    {.kind = WIRE_DIR, .name = "d"},
    {.kind = WIRE_SYMLINK, .name = "a", .target = "/etc/passwd"},
    {.kind = WIRE_SYMLINK, .name = "b", .target = ".."},
    {.kind = WIRE_SYMLINK, .name = "c", .target = "x/../../y"},
    {.kind = WIRE_SYMLINK, .name = "d", .target = "l/l/../../.."}, /* l -> .: lexically inside */
    {.kind = WIRE_SYMLINK, .name = "e", .target = "./../z"},
    {.kind = WIRE_DIR, .name = "k"},
    {.kind = WIRE_SYMLINK, .name = "l", .target = "."},
    {.kind = WIRE_SYMLINK, .name = "m", .target = "nowhere/..x/..."},
    {.kind = WIRE_SYMLINK, .name = "n", .target = "k//o/"},
    {.kind = WIRE_SYMLINK, .name = "o", .parent = 6, .target = "../n"},
    {.kind = WIRE_SYMLINK, .name = "p", .parent = 6, .target = "../../n"},
    {.kind = WIRE_SYMLINK, .name = "q", .parent = 6, .target = ".././..//n"},
    {.kind = WIRE_SYMLINK, .name = "r", .parent = 6, .target = ".."},
    {.kind = WIRE_SYMLINK, .name = "s", .parent = 6, .target = "r/.."},
};

static void links_that_leave(void **arg) {
    commit_all(links, 15, false);
    char want[256] = "";
    for (const char *path = "a\0b\0c\0d\0e\0k/p\0k/q\0k/s\0"; *path; path += strlen(path) + 1) {
        size_t len = strlen(want);
        snprintf(want + len, sizeof want - len, "%s %d\n", path, ERR_LINK);
    }
    assert_string_equal(skipped, want);
    expect_names("k k/o k/r l m n");
}

static void links_that_may_leave(void **arg) {
    char target[64] = {0};
    commit_all(links, 15, true);
    assert_string_equal(skipped, "");
    assert_int_equal(readlinkat(dest.fd, "d/c", target, sizeof target), 9);
    assert_string_equal(target, "x/../../y");
}

static void a_link_alone(void **arg) {
    const struct item link[] = {{.kind = WIRE_SYMLINK, .name = "l", .target = "x"}};
    const struct store_commit_options unsafe = {.unsafe_links = true};
    source_make(&src, link, 1);
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_int_equal(source_begin(store, &src, &plan), 0);
    assert_int_equal(source_commit(store), ERR_LINK);
    stop();
    assert_int_equal(open_store(&store, &dest, "d"), 0);
    assert_int_equal(source_begin(store, &src, &plan), 0);
    assert_int_equal(store_commit(store, &unsafe), 0);
    expect_only(&dest, "d");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(refused_names),
        TEST(other_errors),
        TEST(two_names_for_one),
        TEST(two_names_resumed),
        TEST(two_spellings_for_one),
        TEST(left_out),
        TEST(all_left_out),
        TEST(links_that_leave),
        TEST(links_that_may_leave),
        TEST(a_link_alone),
        TEST(staging_folders_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
