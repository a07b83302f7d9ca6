/* SPDX-License-Identifier: MIT */
#include "core/share_rows.h"

#include "core/fs.h"
#include "proto/name.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/scratch.h"

#include <errno.h>

static struct scratch s;
static struct shares shares;

/* The folder that is shared lies beside what is not. */
static int setup(void **state) {
    scratch_make(&s);
    scratch_dir(&s, "Music");
    scratch_dir(&s, "Music/Live");
    scratch_file(&s, "Music/Live/song.flac", "123456");
    scratch_file(&s, "Music/Live/Song.mp3", "123");
    scratch_file(&s, "Music/cover.png", "12");
    scratch_link(&s, "Music/best", "Live/song.flac");
    scratch_dir(&s, "Music/.git");
    scratch_file(&s, "Music/.git/config", "1");
    scratch_file(&s, "Music/.secret", "12345678");
    assert_int_equal(mkfifoat(s.fd, "Music/fifo", 0644), 0);
    scratch_file(&s, "film.mkv", "1234567890");
    scratch_file(&s, "private", "secret");
    shares_init(&shares, false);
    return 0;
}

static int teardown(void **state) {
    shares_clear(&shares);
    scratch_remove(&s);
    return 0;
}

static int add(const char *path) {
    char full[256];
    snprintf(full, sizeof full, "%s/%s", s.path, path);
    return shares_add(&shares, full);
}

static void add_both(void) {
    assert_int_equal(add("Music"), 0);
    assert_int_equal(add("film.mkv"), 0);
}

/* --- add ------------------------------------------------------------------------------------ */

static void adds_under_the_base_name(void **state) {
    static const struct {
        const char *path, *name, *base;
    } good[] = {
        {"Music///", "Music", ""},    {"film.mkv", "film.mkv", "film.mkv"},
        {"Music/Live/.", "Live", ""}, {"Music/.git", ".git", ""}, /* named by the user, so shown */
        {"linked", "linked", ""},     {"linked-file", "linked-file", "film.mkv"},
    };
    scratch_link(&s, "linked", "Music/Live");
    scratch_link(&s, "linked-file", "film.mkv");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(add(good[i].path), 0);
        assert_int_equal(shares.n, i + 1);
        assert_string_equal(shares.all[i].name, good[i].name);
        assert_string_equal(shares.all[i].base, good[i].base);
    }
}

static void dots_and_the_root_have_names_too(void **state) {
    char cwd[256];
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(fchdir(s.fd), 0);
    assert_int_equal(chdir("Music"), 0);
    assert_int_equal(shares_add(&shares, "."), 0);
    assert_string_equal(shares.all[0].name, "Music");
    assert_int_equal(chdir("Live"), 0);
    assert_int_equal(shares_add(&shares, ".."), -EEXIST);
    assert_int_equal(shares_add(&shares, "../../"), 0);
    assert_string_equal(shares.all[1].name, strrchr(s.path, '/') + 1);
    assert_int_equal(shares_add(&shares, "song.flac"), 0);
    assert_string_equal(shares.all[2].name, "song.flac");
    assert_int_equal(chdir(cwd), 0);
    assert_int_equal(shares_add(&shares, "/"), 0);
    assert_string_equal(shares.all[3].name, "root");
}

static void refuses_what_it_cannot_share(void **state) {
    scratch_link(&s, "broken", "nowhere");
    scratch_dir(&s, "again");
    scratch_dir(&s, "again/Music");
    assert_int_equal(add("none"), -ENOENT);
    assert_int_equal(add("broken"), -ENOENT);
    assert_int_equal(add("film.mkv/"), -ENOTDIR);
    assert_int_equal(add("Music/fifo"), -EINVAL);
    assert_int_equal(shares_add(&shares, ""), -ENOENT);
    assert_int_equal(add("Music"), 0);
    assert_int_equal(add("Music"), -EEXIST);
    assert_int_equal(add("again/Music"), -EEXIST);
    assert_int_equal(shares.n, 1);
    if (geteuid())
        return;
    scratch_dir(&s, "closed");
    scratch_file(&s, "mine", "");
    assert_int_equal(fchmodat(s.fd, "closed", 0700, 0), 0);
    assert_int_equal(fchmodat(s.fd, "mine", 0600, 0), 0);
    assert_int_equal(fchmod(s.fd, 0755), 0);
    assert_int_equal(seteuid(65534), 0);
    int closed = add("closed"), mine = add("mine");
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(closed, -EACCES);
    assert_int_equal(mine, -EACCES);
}

/* --- resolve -------------------------------------------------------------------------------- */

static void resolves_paths_of_peers(void **state) {
    static const struct {
        const char *path, *share, *below; /* share NULL: refused */
    } paths[] = {
        {"Music", "Music", ""},
        {"Music/Live/song.flac", "Music", "Live/song.flac"},
        {"film.mkv", "film.mkv", "film.mkv"},
        {"film.mkv/x", NULL, NULL},
        {"", NULL, NULL},
        {"Mus", NULL, NULL},
        {"music", NULL, NULL},
        {"Music2", NULL, NULL},
        {"private", NULL, NULL},
        {"Music/", NULL, NULL},
        {"Music//Live", NULL, NULL},
        {"/Music", NULL, NULL},
        {"/etc/passwd", NULL, NULL},
        {"Music/..", NULL, NULL},
        {"Music/../private", NULL, NULL},
        {"Music/Live/../../private", NULL, NULL},
        {"../private", NULL, NULL},
        {"Music/./cover.png", NULL, NULL},
        {"Music/.secret", NULL, NULL}, /* left out of listings, so not to be had either */
        {"Music/.git/config", NULL, NULL},
    };
    add_both();
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct share *sh;
        const char *below;
        int err = shares_resolve(&shares, paths[i].path, &sh, &below);
        assert_int_equal(err, paths[i].share ? 0 : WIRE_ERR(WIRE_NOT_FOUND));
        if (err)
            continue;
        assert_string_equal(sh->name, paths[i].share);
        assert_string_equal(below, paths[i].below);
    }
    const struct share *sh;
    const char *below;
    shares.hidden = true;
    assert_int_equal(shares_resolve(&shares, "Music/.git/config", &sh, &below), 0);
    assert_string_equal(below, ".git/config");
}

static void counts_everything(void **state) {
    struct share_totals t;
    atomic_bool stop = true, go_on = false;
    add_both();
    assert_int_equal(shares_count(&shares, &t, &go_on), 0);
    assert_int_equal(t.files, 4);
    assert_int_equal(t.bytes, 6 + 3 + 2 + 10);
    assert_int_equal(t.left_out.hidden, 2);
    assert_int_equal(t.left_out.special, 1);
    assert_int_equal(t.left_out.failed, 0);
    assert_int_equal(shares_count(&shares, &t, &stop), -ECANCELED);
    shares.hidden = true;
    assert_int_equal(fs_unlink(s.fd, "film.mkv"), 0);
    assert_int_equal(shares_count(&shares, &t, NULL), 0);
    assert_int_equal(t.files, 5);
    assert_int_equal(t.left_out.failed, 1);
}

/* --- rows ----------------------------------------------------------------------------------- */

/* All rows in pages of `cap` bytes: kind, size, path; one a line. */
static void rows_to(struct share_rows *r, size_t cap, char *text, size_t text_cap) {
    uint8_t page[8192];
    size_t used = 0, len;
    uint16_t n;
    int more;
    *text = 0;
    do {
        more = share_rows_page(r, page, cap, &len, &n);
        assert_true(more >= 0);
        assert_true(len <= cap);
        struct bytes rows = {page, len};
        struct wire_entry e;
        uint16_t seen = 0;
        for (; wire_entry_next(&rows, &e) == 1; seen++) {
            used += (size_t)snprintf(text + used, text_cap - used, "%c %llu %.*s\n", "?dfl"[e.kind],
                                     (unsigned long long)e.size, (int)e.path.len,
                                     (const char *)e.path.at);
            assert_true(used < text_cap);
        }
        assert_int_equal(seen, n);
        assert_int_equal(rows.len, 0);
    } while (more);
    assert_int_equal(share_rows_page(r, page, cap, &len, &n), 0); /* the end stays the end */
    assert_int_equal(n, 0);
    share_rows_free(r);
}

static void expect_list(const char *path, const char *expected) {
    char text[4096];
    static const size_t caps[] = {4096, 100, 60}; /* in one page, in some, one row each */
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        struct share_rows *r;
        assert_int_equal(share_rows_list(&r, &shares, path), 0);
        rows_to(r, caps[i], text, sizeof text);
        assert_string_equal(text, expected);
    }
}

static void expect_find(enum wire_find_mode mode, const char *pattern, const char *expected) {
    char text[4096];
    static const size_t caps[] = {4096, 100, 60};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        struct share_rows *r;
        assert_int_equal(share_rows_find(&r, &shares, mode, pattern), 0);
        rows_to(r, caps[i], text, sizeof text);
        assert_string_equal(text, expected);
    }
}

static void lists(void **state) {
    struct share_rows *r;
    expect_list("", "");
    add_both();
    expect_list("", "d 0 Music\nf 10 film.mkv\n");
    expect_list("Music", "d 0 Live\nl 0 best\nf 2 cover.png\n");
    expect_list("Music/Live", "f 3 Song.mp3\nf 6 song.flac\n");
    expect_list("Music/Live/song.flac", "f 6 song.flac\n");
    expect_list("Music/best", "l 0 best\n");
    expect_list("film.mkv", "f 10 film.mkv\n");
    assert_int_equal(share_rows_list(&r, &shares, "none"), WIRE_ERR(WIRE_NOT_FOUND));
    assert_int_equal(share_rows_list(&r, &shares, "Music/none"), WIRE_ERR(WIRE_NOT_FOUND));
    assert_int_equal(share_rows_list(&r, &shares, "Music/cover.png/x"), WIRE_ERR(WIRE_NOT_FOUND));
    assert_int_equal(share_rows_list(&r, &shares, "Music/best/x"), WIRE_ERR(WIRE_NOT_FOUND));
    assert_int_equal(share_rows_list(&r, &shares, "Music/fifo"), WIRE_ERR(WIRE_NOT_FOUND));
    assert_int_equal(share_rows_list(&r, &shares, "Music/.git"), WIRE_ERR(WIRE_NOT_FOUND));
    share_rows_free(NULL);
    shares.hidden = true;
    expect_list("Music", "d 0 .git\nf 8 .secret\nd 0 Live\nl 0 best\nf 2 cover.png\n");
    assert_int_equal(fs_unlink(s.fd, "film.mkv"), 0);
    expect_list("", "d 0 Music\n");
}

/* Held is what was shared; removed, it is not an empty folder, and another one in its place is
 * nobody's. */
static void a_removed_folder_is_gone(void **state) {
    struct share_totals t;
    const struct share *sh;
    const char *below;
    add_both();
    assert_int_equal(fs_remove_tree(s.fd, "Music"), 0);
    scratch_dir(&s, "Music");
    scratch_file(&s, "Music/other", "");
    assert_int_equal(shares_resolve(&shares, "Music", &sh, &below), WIRE_ERR(WIRE_NOT_FOUND));
    assert_int_equal(shares_resolve(&shares, "film.mkv", &sh, &below), 0);
    assert_int_equal(shares_count(&shares, &t, NULL), 0);
    assert_int_equal(t.files, 1);
    assert_int_equal(t.left_out.failed, 1);
    expect_list("", "f 10 film.mkv\n");
    expect_find(WIRE_FIND_NAME, "Music", "");
}

static void finds_patterns(void **state) {
    add_both();
    expect_find(WIRE_FIND_PATTERN, "song", "f 3 Music/Live/Song.mp3\nf 6 Music/Live/song.flac\n");
    expect_find(WIRE_FIND_PATTERN, "SONG.F", "f 6 Music/Live/song.flac\n");
    expect_find(WIRE_FIND_PATTERN, "s*", "f 6 Music/Live/song.flac\n");
    expect_find(WIRE_FIND_PATTERN, "*.mkv", "f 10 film.mkv\n");
    expect_find(WIRE_FIND_PATTERN, "MUSIC", "d 0 Music\n");
    expect_find(WIRE_FIND_PATTERN, "live", "d 0 Music/Live\n");
    expect_find(WIRE_FIND_PATTERN, "b?st", "l 0 Music/best\n");
    expect_find(WIRE_FIND_PATTERN, "secret", "");
    expect_find(WIRE_FIND_PATTERN, "config", "");
    expect_find(WIRE_FIND_PATTERN, "private", "");
    expect_find(WIRE_FIND_PATTERN, "Live/song", ""); /* base names only */
    expect_find(WIRE_FIND_PATTERN, "",
                "d 0 Music\nd 0 Music/Live\nl 0 Music/best\nf 2 Music/cover.png\n"
                "f 3 Music/Live/Song.mp3\nf 6 Music/Live/song.flac\nf 10 film.mkv\n");
    char longest[5000];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    expect_find(WIRE_FIND_PATTERN, longest, "");
}

/* A full path, else a share's name, else a base name anywhere. */
static void finds_names_in_order(void **state) {
    scratch_dir(&s, "Music/Live/Music");
    scratch_file(&s, "Music/Live/Music/film.mkv", "1");
    scratch_file(&s, "Music/Live/Music/cover.png", "1");
    add_both();
    expect_find(WIRE_FIND_NAME, "Music/cover.png", "f 2 Music/cover.png\n");
    expect_find(WIRE_FIND_NAME, "Music/none", "");
    expect_find(WIRE_FIND_NAME, "Music/fifo", "");
    expect_find(WIRE_FIND_NAME, "film.mkv", "f 10 film.mkv\n");
    expect_find(WIRE_FIND_NAME, "Music", "d 0 Music\n");
    expect_find(WIRE_FIND_NAME, "cover.png",
                "f 2 Music/cover.png\nf 1 Music/Live/Music/cover.png\n");
    expect_find(WIRE_FIND_NAME, "Cover.png", "");
    expect_find(WIRE_FIND_NAME, "cover", "");
    expect_find(WIRE_FIND_NAME, "*", "");
    expect_find(WIRE_FIND_NAME, "../private", "");
    expect_find(WIRE_FIND_NAME, ".secret", "");
    expect_find(WIRE_FIND_NAME, "Music/.secret", "");
    expect_find(WIRE_FIND_NAME, "", "");
    assert_int_equal(fs_unlink(s.fd, "film.mkv"), 0); /* then the name is found elsewhere */
    expect_find(WIRE_FIND_NAME, "film.mkv", "f 1 Music/Live/Music/film.mkv\n");
}

static void a_row_that_never_fits_is_an_error(void **state) {
    struct share_rows *r;
    uint8_t page[16];
    size_t len;
    uint16_t n;
    add_both();
    assert_int_equal(share_rows_list(&r, &shares, ""), 0);
    assert_int_equal(share_rows_page(r, page, sizeof page, &len, &n), -ENOBUFS);
    share_rows_free(r);
}

/* A path that is too long only with the share's name before it cannot be said; the rest can. */
static void leaves_out_paths_beyond_the_protocol(void **state) {
    char name[251], path[64] = "";
    memset(name, 'n', 250);
    name[250] = 0;
    int dir = openat(s.fd, "Music/Live", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 16; i++) { /* 5 + 16 * 251 = 4021 bytes below the share */
        assert_int_equal(fs_mkdir(dir, name, 0755), 0);
        int next = fs_open_dir(dir, name);
        close(dir);
        dir = next;
    }
    memset(path, 'f', 60);
    close(fs_create(dir, path, 0644)); /* 4081 */
    path[60] = 'f';
    path[61] = 'g';
    close(fs_create(dir, path, 0644)); /* 4083: with 12 + 1 bytes before it 4096 */
    close(dir);
    add_both();
    char text[16384], *line;
    struct share_rows *r;
    for (int extra = 0; extra < 2; extra++) {
        strcpy(shares.all[0].name, extra ? "MusicMusicMu" : "Music");
        assert_int_equal(share_rows_find(&r, &shares, WIRE_FIND_PATTERN, "fff"), 0);
        rows_to(r, 8192, text, sizeof text);
        line = strchr(text, '\n');
        assert_non_null(line);
        assert_int_equal(line[1] == 0,
                         extra); /* the longer one does not fit behind a longer name */
    }
}

static void a_swapped_root_does_not_matter(void **state) {
    add_both();
    assert_int_equal(renameat(s.fd, "Music", s.fd, "moved"), 0);
    scratch_link(&s, "Music", "/etc");
    expect_list("Music", "d 0 Live\nl 0 best\nf 2 cover.png\n");
    struct share_rows *r;
    assert_int_equal(share_rows_list(&r, &shares, "Music/passwd"), WIRE_ERR(WIRE_NOT_FOUND));
}

static void unreadable_folders_are_refused(void **state) {
    struct share_rows *r;
    add_both();
    assert_int_equal(fs_chmod(s.fd, "Music/Live", 0700), 0);
    if (geteuid())
        return;
    assert_int_equal(fchmod(s.fd, 0755), 0);
    assert_int_equal(seteuid(65534), 0);
    int err = share_rows_list(&r, &shares, "Music/Live");
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(err, -EACCES);
}

static void what_goes_on_the_wire(void **state) {
    struct wire_entry e;
    struct stat st = {.st_mode = S_IFREG | 07755, .st_size = 5};
    st.st_mtim.tv_sec = -2;
    st.st_mtim.tv_nsec = 5;
    share_entry(&e, &st);
    assert_int_equal(e.kind, WIRE_FILE);
    assert_int_equal(e.mode, 0755); /* never setuid */
    assert_int_equal(e.size, 5);
    assert_int_equal(e.mtime_ns, -1999999995);
    st.st_mtim.tv_sec = INT64_MAX / 2;
    st.st_mode = S_IFDIR | 01777;
    share_entry(&e, &st);
    assert_int_equal(e.kind, WIRE_DIR);
    assert_int_equal(e.size, 0);
    assert_int_equal(e.mtime_ns, INT64_MAX);
    st.st_mtim.tv_sec = INT64_MIN / 2;
    share_entry(&e, &st);
    assert_int_equal(e.mtime_ns, INT64_MIN);
}

static int add_list_and_find(void *arg) {
    struct shares own;
    struct share_rows *r;
    uint8_t page[4096];
    size_t len;
    uint16_t n;
    shares_init(&own, false);
    int err = shares_add(&own, arg);
    if (!err)
        err = share_rows_list(&r, &own, "Music");
    if (!err) {
        err = share_rows_page(r, page, sizeof page, &len, &n);
        share_rows_free(r);
    }
    if (!err)
        err = share_rows_find(&r, &own, WIRE_FIND_PATTERN, "song");
    if (!err) {
        err = share_rows_page(r, page, sizeof page, &len, &n);
        share_rows_free(r);
    }
    shares_clear(&own);
    return err;
}

static void any_allocation_may_fail(void **state) {
    char path[256];
    snprintf(path, sizeof path, "%s/Music", s.path);
    assert_true(fail_alloc_each(add_list_and_find, path) > 10);
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(adds_under_the_base_name),
        test(dots_and_the_root_have_names_too),
        test(refuses_what_it_cannot_share),
        test(resolves_paths_of_peers),
        test(counts_everything),
        test(lists),
        test(a_removed_folder_is_gone),
        test(finds_patterns),
        test(finds_names_in_order),
        test(a_row_that_never_fits_is_an_error),
        test(leaves_out_paths_beyond_the_protocol),
        test(a_swapped_root_does_not_matter),
        test(unreadable_folders_are_refused),
        test(what_goes_on_the_wire),
        test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
