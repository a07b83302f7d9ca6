/* SPDX-License-Identifier: MIT */
/* An older copy is brought up to date: what is fetched, what is replaced, and what stays. */
#include "tests/unit/store_update.h"

#include <sys/wait.h>

static struct scratch dest;
static struct source src;
static struct updated u;

enum { T = 1000, S = 1000000000 };

/* Chunks: big 0 1 2 3, small 4, tail 5 6. */
static const struct item items[] = {
    {.kind = WIRE_DIR, .name = "d", .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE, .name = "big", .size = 4 * MIB, .seed = 1, .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_DIR, .name = "e", .mode = 0500, .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE, .name = "none", .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE, .name = "small", .size = 10, .seed = 2, .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_SYMLINK, .name = "zlink", .target = "small", .mtime_ns = T * (int64_t)S},
    {.kind = WIRE_FILE,
     .name = "tail",
     .parent = 2,
     .size = MIB + 1,
     .seed = 3,
     .mode = 0400,
     .mtime_ns = T * (int64_t)S},
};
enum { N_ITEMS = 7, BIG = 1, NONE = 3, SMALL = 4, TAIL = 6 };

static int setup(void **arg) {
    scratch_make(&dest);
    source_make(&src, items, N_ITEMS);
    assert_int_equal(download(&dest, "d", &src), 0);
    return 0;
}

static int teardown(void **arg) {
    store_step_hook = NULL;
    source_clear(&src);
    scratch_remove(&dest);
    return 0;
}

static ino_t inode(const char *path) {
    struct stat st;
    assert_int_equal(fstatat(dest.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_ino;
}

static void expect_entry(const char *path, mode_t kind, mode_t mode, time_t mtime) {
    struct stat st;
    assert_int_equal(fstatat(dest.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode & S_IFMT, kind);
    if (kind != S_IFLNK)
        assert_int_equal(st.st_mode & 07777, mode);
    assert_int_equal(st.st_mtim.tv_sec, mtime);
}

static void expect_link(const char *path, const char *want) {
    char target[256] = {0};
    assert_true(readlinkat(dest.fd, path, target, sizeof target - 1) > 0);
    assert_string_equal(target, want);
}

static void expect_whole(void) {
    expect_file(&dest, "d/big", &items[BIG]);
    expect_file(&dest, "d/none", &items[NONE]);
    expect_file(&dest, "d/small", &items[SMALL]);
    expect_file(&dest, "d/e/tail", &items[TAIL]);
    expect_link("d/zlink", "small");
    expect_entry("d", S_IFDIR, 0755, T);
    expect_entry("d/e", S_IFDIR, 0500, T);
    expect_entry("d/zlink", S_IFLNK, 0, T);
    expect_only(&dest, "d");
}

static void brought_up_to_date(unsigned fetched) {
    assert_int_equal(update(&dest, "d", &src, &u), 0);
    assert_int_equal(u.fetched, fetched);
    assert_int_equal(u.skipped, 0);
    assert_int_equal(u.unchanged, false);
    expect_whole();
}

static void shell(const char *script) {
    char command[1024];
    snprintf(command, sizeof command, "set -e; cd %s; %s", dest.path, script);
    assert_int_equal(system(command), 0);
}

/* --- what is fetched and replaced ------------------------------------------------------------- */

static void nothing_to_do(void **arg) {
    ino_t big = inode("d/big");
    assert_int_equal(update(&dest, "d", &src, &u), 0);
    assert_int_equal(u.fetched, 0);
    assert_true(u.unchanged);
    assert_int_equal(inode("d/big"), big);
    expect_whole();
}

static void one_chunk_differs(void **arg) {
    ino_t tail = inode("d/e/tail");
    spoil(&dest, "d/big", MIB + 5, 1);
    brought_up_to_date(1);
    assert_int_equal(inode("d/e/tail"), tail);
}

/* The time says nothing: it was set back. */
static void bytes_decide(void **arg) {
    spoil(&dest, "d/big", 5, T);
    brought_up_to_date(1);
}

static void only_modes_and_times_differ(void **arg) {
    ino_t big = inode("d/big"), e = inode("d/e");
    set_time(&dest, "d/big", 5);
    set_time(&dest, "d/small", 2 * T); /* newer, but the same */
    shell("chmod 600 d/small; chmod 755 d/e; touch -h -d @7 d/zlink; touch -d @7 d");
    brought_up_to_date(0);
    assert_int_equal(inode("d/big"), big);
    assert_int_equal(inode("d/e"), e);
}

static void other_sizes(void **arg) {
    shell("truncate -s 5M d/big; truncate -s 1M d/e/tail; truncate -s 3 d/small; echo > d/none");
    shell("touch -d @5 d/big d/e/tail d/small d/none");
    brought_up_to_date(2); /* small, and the second chunk of tail */
}

static void holes(void **arg) {
    shell("truncate -s 0 d/big; truncate -s 4M d/big; touch -d @5 d/big");
    brought_up_to_date(4);
}

static void missing_ones(void **arg) {
    shell("rm -r d/e d/small d/none d/zlink; touch -d @5 d");
    brought_up_to_date(3);
}

static void links_that_lead_elsewhere(void **arg) {
    shell("ln -sfn big d/zlink; touch -h -d @5 d/zlink");
    brought_up_to_date(0);
}

static void nothing_is_deleted(void **arg) {
    shell("echo x > d/mine; mkdir d/e/my; echo y > d/e/my/own; touch -d @5 d; rm d/small");
    assert_int_equal(update(&dest, "d", &src, &u), 0);
    assert_int_equal(u.skipped, 0);
    scratch_expect(&dest, "d/mine", "x\n");
    scratch_expect(&dest, "d/e/my/own", "y\n");
    expect_whole();
}

/* A rename takes the name; what has another name keeps bytes, mode and time. */
static void hard_links(void **arg) {
    struct item small = items[SMALL], big = items[BIG];
    shell("touch -d @5 d/small; chmod 640 d/small; ln d/small ../lanyard-other-$$; echo $$ > pid");
    shell("mv ../lanyard-other-* other; rm pid");
    spoil(&dest, "d/big", 5, 6);
    shell("ln d/big twin; cp -p twin was");
    assert_int_equal(update(&dest, "d", &src, &u), 0);
    assert_int_equal(u.fetched, 1);
    assert_int_equal(u.skipped, 0);
    shell("cmp twin was; rm twin was; test $(stat -c %a.%Y other) = 640.5; rm other");
    expect_file(&dest, "d/small", &small);
    expect_file(&dest, "d/big", &big);
    expect_whole();
}

/* Two names of one file, both to be replaced: the first replacement is no change of the second. */
static void hard_links_among_themselves(void **arg) {
    shell("rm d/small d/none; ln d/big d/small; ln d/big d/none; touch -d @5 d/big");
    brought_up_to_date(1);
}

/* --- what stays ------------------------------------------------------------------------------ */

static int only_why;
static char only_path[PATH_MAX_LEN + 1];

static void remember_skip(void *arg, const char *path, int why) {
    only_why = why;
    strcpy(only_path, path);
}

/* All but one entry is brought up to date. */
static void left_out(const char *path, int why, unsigned fetched) {
    struct store *s;
    struct plan plan;
    assert_int_equal(begin_update(&s, &dest, "d", &src, &plan), 0);
    assert_int_equal(plan.count[PLAN_ABSENT], fetched);
    assert_int_equal(source_give_all(s, &src, &plan), 0);
    assert_int_equal(source_commit(s), 0);
    assert_int_equal(store_skipped(s, remember_skip, NULL), 1);
    assert_string_equal(only_path, path);
    assert_int_equal(only_why, why);
    plan_clear(&plan);
    store_close(s);
    expect_only(&dest, "d");
}

static void newer_with_other_bytes(void **arg) {
    spoil(&dest, "d/big", 2 * MIB, 2 * T);
    shell("cp -p d/big was; mv was d/was");
    left_out("big", ERR_NEWER, 0);
    shell("cmp d/was d/big; test $(stat -c %Y d/big) = 2000");
}

static void newer_with_another_size(void **arg) {
    shell("echo mine > d/small; touch -d @5 d/e/tail; rm d/zlink");
    left_out("small", ERR_NEWER, 0);
    scratch_expect(&dest, "d/small", "mine\n");
    expect_file(&dest, "d/e/tail", &items[TAIL]);
}

static void newer_link(void **arg) {
    shell("ln -sfn elsewhere d/zlink");
    left_out("zlink", ERR_NEWER, 0);
    expect_link("d/zlink", "elsewhere");
}

static void other_kinds(void **arg) {
    static const struct {
        const char *script, *path, *check;
        unsigned fetched;
    } cases[] = {
        {"mkdir out; echo o > out/f; rm d/small; ln -s ../out/f d/small", "small",
         "grep -q o out/f; test -L d/small; rm -r out d/small", 0},
        {"rm d/small; mkdir d/small; echo x > d/small/x", "small",
         "test -f d/small/x; rm -r d/small", 0},
        {"rm d/small; mkfifo d/small", "small", "test -p d/small; rm d/small", 0},
        {"mkdir out; rm -r d/e; ln -s ../out d/e", "e", "test -L d/e; rmdir out; rm d/e", 0},
        {"rm -r d/e; echo x > d/e", "e", "grep -q x d/e; rm d/e", 0},
        {"rm -r d/e; mkfifo d/e", "e", "test -p d/e; rm d/e", 0},
        {"rm d/zlink; echo x > d/zlink", "zlink", "grep -q x d/zlink; rm d/zlink", 0},
        {"rm d/zlink; mkdir d/zlink", "zlink", "rmdir d/zlink", 0},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store *s;
        struct plan plan;
        shell(cases[i].script);
        assert_int_equal(begin_update(&s, &dest, "d", &src, &plan), 0);
        assert_int_equal(source_give_all(s, &src, &plan), 0);
        assert_int_equal(source_commit(s), 0);
        assert_int_equal(store_skipped(s, remember_skip, NULL), 1);
        assert_string_equal(only_path, cases[i].path);
        assert_int_equal(only_why, ERR_KIND);
        plan_clear(&plan);
        store_close(s);
        shell(cases[i].check);
        assert_int_equal(update(&dest, "d", &src, &u), 0);
        expect_whole();
    }
}

/* The whole is of another kind: there is no way on. */
static void another_whole(void **arg) {
    static const char *const scripts[] = {"mv d real; ln -s real d", "rm d; echo x > d",
                                          "rm d; mkfifo d"};
    for (unsigned i = 0; i < 3; i++) {
        shell(scripts[i]);
        assert_int_equal(update(&dest, "d", &src, &u), ERR_KIND);
        shell("test ! -e d.lanyard-part");
    }
    shell("cmp real/big real/big");
}

/* --- what happens while we work -------------------------------------------------------------- */

static void changed_meanwhile(const char *before, const char *script, const char *path, int why) {
    struct store *s;
    struct plan plan;
    shell(before);
    assert_int_equal(begin_update(&s, &dest, "d", &src, &plan), 0);
    assert_int_equal(source_give_all(s, &src, &plan), 0);
    shell(script);
    assert_int_equal(source_commit(s), 0);
    assert_int_equal(store_skipped(s, remember_skip, NULL), 1);
    assert_string_equal(only_path, path);
    assert_int_equal(only_why, why);
    plan_clear(&plan);
    store_close(s);
}

static void rewritten_meanwhile(void **arg) {
    spoil(&dest, "d/big", 5, 5);
    changed_meanwhile(":", "printf yes | dd of=d/big conv=notrunc status=none; touch -d @5 d/big",
                      "big", ERR_TOUCHED);
    shell("head -c 3 d/big | grep -q yes");
    assert_int_equal(update(&dest, "d", &src, &u), 0);
    expect_whole();
}

/* It was the same, and is not any more: its new bytes do not get the old time. */
static void same_ones_meanwhile(void **arg) {
    changed_meanwhile("touch -d @5 d/small", "echo 123456789 > d/small; touch -d @6 d/small",
                      "small", ERR_TOUCHED);
    expect_entry("d/small", S_IFREG, 0644, 6);
}

static void appeared_meanwhile(void **arg) {
    changed_meanwhile("rm d/small", "echo mine > d/small; touch -d @5 d/small", "small",
                      ERR_TOUCHED);
    scratch_expect(&dest, "d/small", "mine\n");
}

static void became_a_folder_meanwhile(void **arg) {
    changed_meanwhile("rm -r d/e", "mkfifo d/e", "e", ERR_KIND);
    shell("test -p d/e");
}

/* Its bytes change between the comparison and the copy of them. */
static void copied_from_another(void **arg) {
    spoil(&dest, "d/big", 5, 5);
    changed_meanwhile(":", "printf yes | dd of=d/big bs=1 seek=3000000 conv=notrunc status=none",
                      "big", ERR_NEWER);
}

static const char *saved_at;

static void save(const char *step) {
    if (!strcmp(step, "replace") && strcmp(saved_at, "rewritten"))
        shell("echo first > mine; mv mine d/small");
    if (!strcmp(step, "replace") && !strcmp(saved_at, "rewritten"))
        shell("echo rewritten > d/small");
    if (!strcmp(step, "exchanged") && !strcmp(saved_at, "second"))
        shell("echo second > mine; mv mine d/small");
}

/* Between the last look and the rename; and once more before we have noticed. */
static void saved_at_the_last_moment(void **arg) {
    static const char *const moments[] = {"first", "second", "rewritten"};
    char want[16];
    for (unsigned i = 0; i < 3; i++) {
        saved_at = moments[i];
        spoil(&dest, "d/small", 5, 5);
        store_step_hook = save;
        assert_int_equal(update(&dest, "d", &src, &u), 0);
        store_step_hook = NULL;
        assert_int_equal(u.skipped, 1);
        snprintf(want, sizeof want, "%s\n", saved_at);
        scratch_expect(&dest, "d/small", want);
        expect_only(&dest, "d");
        spoil(&dest, "d/small", 3, 5);
        brought_up_to_date(1);
    }
}

static void remove_it(const char *step) {
    if (!strcmp(step, "replace"))
        shell("rm d/small");
}

static void removed_at_the_last_moment(void **arg) {
    spoil(&dest, "d/small", 5, 5);
    store_step_hook = remove_it;
    assert_int_equal(update(&dest, "d", &src, &u), 0);
    store_step_hook = NULL;
    assert_int_equal(u.skipped, 1);
    brought_up_to_date(1);
}

/* --- crashes --------------------------------------------------------------------------------- */

static unsigned steps_left;

static void crash(const char *name) {
    if (--steps_left == 0)
        _exit(0);
}

static void make_old(void) {
    shell("rm -rf d d.lanyard-part");
    assert_int_equal(download(&dest, "d", &src), 0);
    spoil(&dest, "d/big", 5, 5);
    shell("rm d/none d/zlink; ln -s none d/zlink; touch -h -d @5 d/zlink; printf old > d/small; "
          "touch -d @5 d/small; chmod 755 d/e; echo mine > d/mine");
}

/* Every file is old or new, and the same command ends what was begun. */
static void a_crash_at_every_step(void **arg) {
    int status = -1;
    for (unsigned nth = 1; status != 256; nth++) {
        make_old();
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            steps_left = nth;
            store_step_hook = crash;
            _exit(update(&dest, "d", &src, &u) ? 2 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_not_equal(status, 512);
        struct stat st;
        assert_int_equal(fstatat(dest.fd, "d/small", &st, 0), 0);
        if (st.st_size != 3)
            expect_file(&dest, "d/small", &items[SMALL]);
        assert_int_equal(fstatat(dest.fd, "d/big", &st, 0), 0);
        if (st.st_mtim.tv_sec != 5)
            expect_file(&dest, "d/big", &items[BIG]);
        assert_int_equal(update(&dest, "d", &src, &u), 0);
        shell("rm d/mine; touch -d @1000 d");
        expect_whole();
        assert_true(nth < 100);
    }
}

/* After a crash in the clean-up, a download of the ordinary kind clears it away. */
static void crash_in_clean_up(void **arg) {
    struct store *s;
    spoil(&dest, "d/big", 5, 5);
    pid_t child = fork();
    if (child == 0) {
        struct plan plan;
        if (begin_update(&s, &dest, "d", &src, &plan) || source_give_all(s, &src, &plan) ||
            source_commit(s))
            _exit(1);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    expect_whole();
    shell("mkdir -p d.lanyard-part/done/e; touch d.lanyard-part/manifest d.lanyard-part/done/e/f");
    assert_int_equal(open_store(&s, &dest, "d"), ERR_EXISTS);
}

/* --- other runs ------------------------------------------------------------------------------ */

/* What an ordinary download has staged is used by an update, and the other way round. */
static void staging_of_the_other_kind(void **arg) {
    struct store *s;
    struct plan plan;
    shell("mv d was");
    assert_int_equal(open_store(&s, &dest, "d"), 0);
    assert_int_equal(source_begin(s, &src, &plan), 0);
    assert_int_equal(source_give(s, &src, 0, 3), 0);
    plan_clear(&plan);
    store_close(s);
    shell("mkdir d; cp -p was/small d");
    assert_int_equal(update(&dest, "d", &src, &u), 0);
    assert_int_equal(u.fetched, 3); /* big 3, tail */
    shell("rm -r was");
    expect_whole();

    shell("truncate -s 0 d/big; touch -d @5 d/big");
    assert_int_equal(begin_update(&s, &dest, "d", &src, &plan), 0);
    assert_int_equal(source_give(s, &src, 1, 2), 0);
    plan_clear(&plan);
    store_close(s);
    shell("mv d was");
    assert_int_equal(open_store(&s, &dest, "d"), 0);
    assert_int_equal(source_begin(s, &src, &plan), 0);
    assert_int_equal(plan.count[PLAN_HAVE], 2);
    assert_int_equal(source_give_all(s, &src, &plan), 0);
    assert_int_equal(source_commit(s), 0);
    plan_clear(&plan);
    store_close(s);
    shell("rm -r was");
    expect_whole();
}

/* A large file in staging gets another size before chunks are written to it. */
static void staging_of_another_size(void **arg) {
    struct store *s;
    struct plan plan;
    shell("truncate -s 0 d/big d/e/tail; touch -d @5 d/big d/e/tail");
    assert_int_equal(begin_update(&s, &dest, "d", &src, &plan), 0);
    assert_int_equal(source_give(s, &src, 0, 2), 0);
    plan_clear(&plan);
    store_close(s);
    shell("truncate -s 1500000 d.lanyard-part/data/big");
    brought_up_to_date(5);
}

static void without_a_target(void **arg) {
    shell("rm -r d");
    brought_up_to_date(7);
}

/* --- one file -------------------------------------------------------------------------------- */

static const struct item film = {
    .kind = WIRE_FILE, .name = "film", .size = 3 * MIB + 7, .seed = 9, .mtime_ns = T * (int64_t)S};

static void one_file(void **arg) {
    source_clear(&src);
    source_make(&src, &film, 1);
    shell("rm -r d");
    assert_int_equal(download(&dest, "film", &src), 0);
    assert_int_equal(update(&dest, "film", &src, &u), 0);
    assert_true(u.unchanged);
    spoil(&dest, "film", 3 * MIB, 5);
    assert_int_equal(update(&dest, "film", &src, &u), 0);
    assert_int_equal(u.fetched, 1);
    expect_file(&dest, "film", &film);
    spoil(&dest, "film", 3 * MIB, 2 * T);
    assert_int_equal(update(&dest, "film", &src, &u), 0);
    assert_int_equal(u.skipped, 1);
    assert_true(u.unchanged);
    shell("rm film; ln -s other film");
    assert_int_equal(update(&dest, "film", &src, &u), ERR_KIND);
    expect_only(&dest, "film");
    expect_link("film", "other");
}

/* --- as an ordinary user --------------------------------------------------------------------- */

/* Folders that their owner may not write to, files that he may not read. */
static void without_privileges(void **arg) {
    if (geteuid() != 0)
        skip();
    spoil(&dest, "d/e/tail", MIB, 5);
    shell("chmod 0 d/small; rm d/none; chmod 500 d; chown -R 65534 .; chmod 755 .");
    assert_int_equal(seteuid(65534), 0);
    int rc = update(&dest, "d", &src, &u);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(u.skipped, 0);
    assert_int_equal(u.fetched, 2); /* small cannot be compared */
    expect_whole();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_to_do),
        TEST(one_chunk_differs),
        TEST(bytes_decide),
        TEST(only_modes_and_times_differ),
        TEST(other_sizes),
        TEST(holes),
        TEST(missing_ones),
        TEST(links_that_lead_elsewhere),
        TEST(nothing_is_deleted),
        TEST(hard_links),
        TEST(hard_links_among_themselves),
        TEST(newer_with_other_bytes),
        TEST(newer_with_another_size),
        TEST(newer_link),
        TEST(other_kinds),
        TEST(another_whole),
        TEST(rewritten_meanwhile),
        TEST(same_ones_meanwhile),
        TEST(appeared_meanwhile),
        TEST(became_a_folder_meanwhile),
        TEST(copied_from_another),
        TEST(saved_at_the_last_moment),
        TEST(removed_at_the_last_moment),
        TEST(a_crash_at_every_step),
        TEST(crash_in_clean_up),
        TEST(staging_of_the_other_kind),
        TEST(staging_of_another_size),
        TEST(without_a_target),
        TEST(one_file),
        TEST(without_privileges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
