/* SPDX-License-Identifier: MIT */
/* Staging folders of any origin: used, begun anew, or refused and not touched. */
#include "core/err.h"
#include "core/journal.h"
#include "core/store_internal.h"
#include "proto/be.h"
#include "tests/unit/store_run.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* Chunks: big 0 1, small 2, under 3. */
static const struct item items[] = {
    {.kind = WIRE_DIR, .name = "d"},
    {.kind = WIRE_FILE, .name = "big", .size = MIB + 1, .seed = 1},
    {.kind = WIRE_DIR, .name = "e"},
    {.kind = WIRE_FILE, .name = "small", .size = 10, .seed = 2},
    {.kind = WIRE_FILE, .name = "under", .parent = 2, .size = 20, .seed = 3},
};
enum { N_ITEMS = 5, N_CHUNKS = 4 };

static int setup(void **arg) {
    make_run();
    source_make(&src, items, N_ITEMS);
    return 0;
}

static int teardown(void **arg) {
    drop_run();
    return 0;
}

/* A run that ends when the last chunk is still to come. */
static void first_run(void) {
    start();
    assert_int_equal(source_give(store, &src, 0, 1), 0);
    assert_int_equal(source_give(store, &src, 2, 2), 0);
    stop();
}

static void expect_whole(void) {
    expect_file(&dest, "d/big", &items[1]);
    expect_file(&dest, "d/small", &items[3]);
    expect_file(&dest, "d/e/under", &items[4]);
}

static void finish(void) {
    assert_int_equal(source_give_all(store, &src, &plan), 0);
    assert_int_equal(source_commit(store), 0);
    stop();
    expect_whole();
}

static void expect_refused(int err) {
    assert_int_equal(open_store(&store, &dest, "d"), err);
    assert_null(store);
}

/* --- without a journal of ours nothing is removed -------------------------------------------- */

static void missing_journal(void **arg) {
    first_run();
    assert_int_equal(unlinkat(dest.fd, STAGING "journal", 0), 0);
    expect_refused(ERR_FOREIGN);
    assert_int_equal(scratch_has(&dest, STAGING "data/small"), 1);
    assert_int_equal(scratch_has(&dest, STAGING "journal"), 0);
}

static void empty_journal(void **arg) {
    first_run();
    scratch_file(&dest, STAGING "journal", "");
    expect_refused(ERR_FOREIGN);
    assert_int_equal(scratch_has(&dest, STAGING "data/small"), 1);
}

static void journal_of_somebody(void **arg) {
    scratch_dir(&dest, "d.lanyard-part");
    scratch_file(&dest, STAGING "journal", "Dear diary");
    expect_refused(ERR_FOREIGN);
    scratch_expect(&dest, STAGING "journal", "Dear diary");
    assert_int_equal(fchmodat(dest.fd, "d.lanyard-part", 0700, 0), 0);
    assert_int_equal(unlinkat(dest.fd, STAGING "journal", 0), 0);
    assert_int_equal(mkfifoat(dest.fd, STAGING "journal", 0600), 0);
    expect_refused(ERR_FOREIGN);
    assert_int_equal(unlinkat(dest.fd, STAGING "journal", 0), 0);
    scratch_dir(&dest, STAGING "journal");
    expect_refused(ERR_FOREIGN);
    scratch_file(&dest, "d", "mine"); /* that matters more */
    expect_refused(ERR_EXISTS);
}

/* What a crash of ours can leave has nothing in it that could be somebody's. */
static void crashed_before_anything(void **arg) {
    scratch_dir(&dest, "d.lanyard-part");
    start();
    finish();
    expect_only(&dest, "d");
}

static void crashed_in_the_first_manifest(void **arg) {
    scratch_dir(&dest, "d.lanyard-part");
    scratch_file(&dest, STAGING "journal", "");
    scratch_file(&dest, STAGING "manifest.new", "LANYMAN");
    scratch_file(&dest, STAGING "journal.new", "LANYJRN");
    start();
    finish();
    expect_only(&dest, "d");
}

/* Its name must not be on disk later than that of journal.new would be: there is none. */
static void look_at_first_journal(const char *step) {
    struct stat st;
    assert_string_equal(step, "manifest.new");
    assert_int_equal(fstatat(dest.fd, STAGING "journal", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_size, JOURNAL_HEADER_LEN);
    assert_int_equal(scratch_has(&dest, STAGING "journal.new"), 0);
    assert_int_equal(scratch_has(&dest, STAGING "data"), 0);
    store_step_hook = NULL;
}

static void first_journal_is_where_it_stays(void **arg) {
    store_step_hook = look_at_first_journal;
    start();
    assert_null(store_step_hook);
    finish();
}

static void things_beside_ours_stay(void **arg) {
    scratch_dir(&dest, "d.lanyard-part");
    scratch_file(&dest, STAGING "notes.txt", "mine");
    start();
    finish();
    scratch_expect(&dest, STAGING "notes.txt", "mine");
    assert_int_equal(renameat(dest.fd, "d", dest.fd, "done"), 0);
    start(); /* and once more, in the folder that had to stay */
    finish();
    scratch_expect(&dest, STAGING "notes.txt", "mine");
}

/* Another version has its sum where ours is; what it keeps elsewhere, we do not know. */
static void another_version(void **arg) {
    uint8_t header[JOURNAL_HEADER_LEN];
    first_run();
    int fd = openat(dest.fd, STAGING "journal", O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, header, sizeof header, 0), sizeof header);
    header[7]++;
    header[500] = 1;
    be_put(header + sizeof header - 8, digest_64(header, sizeof header - 8), 8);
    assert_int_equal(pwrite(fd, header, sizeof header, 0), sizeof header);
    close(fd);
    expect_refused(ERR_OTHER_VERSION);
    assert_int_equal(scratch_has(&dest, STAGING "data/small"), 1);
    assert_int_equal(scratch_has(&dest, STAGING "manifest"), 1);
}

/* --- torn and garbage ------------------------------------------------------------------------ */

/* One file of a staging folder, to be spoiled in one place after the other. */
struct spoiled {
    const char *path;
    uint8_t bytes[2 * JOURNAL_HEADER_LEN];
    size_t len;
};

static void keep_bytes(struct spoiled *f, const char *path) {
    f->path = path;
    int fd = openat(dest.fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t len = pread(fd, f->bytes, sizeof f->bytes, 0);
    assert_true(len > 0 && (size_t)len < sizeof f->bytes);
    f->len = (size_t)len;
    close(fd);
}

/* Its first len bytes, with a bit of byte `flip` flipped; in place. */
static void put_bytes(const struct spoiled *f, size_t len, size_t flip) {
    int fd = openat(dest.fd, f->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, f->bytes, len, 0), len);
    assert_int_equal(ftruncate(fd, (off_t)len), 0);
    if (flip < len) {
        const uint8_t byte = f->bytes[flip] ^ (uint8_t)(1 << flip % 8);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)flip), 1);
    }
    close(fd);
}

/* What is here: of big the second chunk alone, so that the first one is a hole; and under. The
 * folder stays when all of ours is removed from it: it is the same one then. */
static void little_run(void) {
    start();
    assert_int_equal(source_give(store, &src, 1, 1), 0);
    assert_int_equal(source_give(store, &src, 3, 1), 0);
    stop();
    scratch_file(&dest, STAGING "notes.txt", "mine");
}

/* The same once more, by hand. */
static void make_data(void) {
    uint8_t bytes[20];
    scratch_dir(&dest, STAGING "data");
    scratch_dir(&dest, STAGING "data/e");
    source_bytes(items[4].seed, 0, bytes, sizeof bytes);
    scratch_bytes(&dest, STAGING "data/e/under", bytes, sizeof bytes);
    source_bytes(items[1].seed, 1, bytes, 1);
    int fd = openat(dest.fd, STAGING "data/big", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, bytes, 1, (off_t)MIB), 1);
    close(fd);
}

/* Used, and nothing is believed that is not so: 0. Begun anew: 1. Refused and not touched: 2. */
static int look(void) {
    int rc = open_store(&store, &dest, "d");
    if (rc) {
        assert_int_equal(rc, ERR_FOREIGN);
        assert_int_equal(scratch_has(&dest, STAGING "data/e/under"), 1);
        return 2;
    }
    bool anew = !store_catalog(store);
    assert_int_equal(anew, !scratch_has(&dest, STAGING "data"));
    if (!anew)
        assert_int_equal(source_begin(store, &src, &plan), 0);
    for (unsigned i = 0; !anew && i < N_CHUNKS; i++)
        if (plan_get(&plan, i) != PLAN_ABSENT)
            assert_true(plan_get(&plan, i) == PLAN_HAVE && (i == 1 || i == 3));
    stop();
    return anew;
}

/* Of a journal: zeros, one like the other (each bit of them is flipped in test_journal). */
static bool is_padding(size_t at) { return at >= 200 && at < JOURNAL_HEADER_LEN - 128; }

static void spoil_everywhere(bool of_journal, unsigned ends[static 3]) {
    struct spoiled journal, manifest;
    little_run();
    keep_bytes(&journal, STAGING "journal");
    keep_bytes(&manifest, STAGING "manifest");
    const struct spoiled *f = of_journal ? &journal : &manifest;
    for (size_t i = 0; i < 2 * f->len; i += of_journal && is_padding(i % f->len) ? 61 : 1) {
        if (i < f->len)
            put_bytes(f, f->len, i);
        else
            put_bytes(f, i - f->len, SIZE_MAX);
        int end = look();
        ends[end]++;
        if (end == 1)
            make_data();
        put_bytes(&journal, journal.len, SIZE_MAX);
        put_bytes(&manifest, manifest.len, SIZE_MAX);
    }
    assert_int_equal(look(), 0);
    start();
    assert_int_equal(plan.count[PLAN_HAVE], 2);
    finish();
}

/* Every byte of a journal flipped, and cut at every length. */
static void spoiled_journals(void **arg) {
    unsigned ends[3] = {0};
    spoil_everywhere(true, ends);
    assert_int_equal(ends[2], 7 + 1); /* the letters it begins with; empty */
    assert_true(ends[0] >= 4 * JOURNAL_SLOT_LEN && ends[1] > 500);
}

static void spoiled_manifests(void **arg) {
    unsigned ends[3] = {0};
    spoil_everywhere(false, ends);
    assert_int_equal(ends[1], 2 * source_totals(&src)->length);
}

/* --- folders that are not for us ------------------------------------------------------------- */

static void another_owner(void **arg) {
    if (geteuid() != 0)
        skip();
    first_run();
    assert_int_equal(fchownat(dest.fd, STAGING "journal", 4711, -1, 0), 0);
    expect_refused(ERR_OWNER);
    assert_int_equal(fchownat(dest.fd, "d.lanyard-part", 4711, -1, 0), 0);
    expect_refused(ERR_OWNER);
    assert_int_equal(fchownat(dest.fd, ".", 4711, -1, 0), 0); /* all of it is theirs: root helps */
    start();
    finish();
}

static void open_to_everybody(void **arg) {
    struct stat st;
    first_run();
    assert_int_equal(fchmodat(dest.fd, "d.lanyard-part", 0777, 0), 0);
    start();
    assert_int_equal(fstatat(dest.fd, "d.lanyard-part", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    finish();
}

static void a_mount_of_its_own(void **arg) {
    char path[128];
    scratch_dir(&dest, "d.lanyard-part");
    snprintf(path, sizeof path, "%s/d.lanyard-part", dest.path);
    if (mount("none", path, "tmpfs", 0, NULL) < 0)
        skip();
    expect_refused(ERR_MOUNT);
    assert_int_equal(umount(path), 0);
    if (mount(path, path, NULL, MS_BIND, NULL) < 0)
        skip();
    expect_refused(ERR_MOUNT);
    assert_int_equal(umount(path), 0);
    start();
    finish();
}

/* --- who holds it ---------------------------------------------------------------------------- */

static void told_who_holds_it(void **arg) {
    struct store_target t = {.dir = dest.path, .name = "d", .path = ""};
    struct holder h;
    assert_false(store_holder(&t, &h));
    first_run();
    assert_false(store_holder(&t, &h));
    int ready[2], status;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte = 0;
        int rc = open_store(&store, &dest, "d");
        if (write(ready[1], &byte, 1) == 1 && !rc)
            pause();
        _exit(1);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    struct store *other;
    assert_int_equal(open_store(&other, &dest, "d"), ERR_HELD);
    assert_true(store_holder(&t, &h));
    assert_int_equal(h.pid, pid);
    assert_string_equal(h.command, "test_store_stag"); /* the kernel keeps 15 bytes */
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(store_holder(&t, &h));
    close(ready[0]);
    close(ready[1]);
}

/* One of several that begin at the very same moment: 0 it was me. */
static int race(int gate) {
    char byte;
    (void)!read(gate, &byte, 1); /* until it is closed */
    int rc = download(&dest, "d", &src);
    return rc == 0 ? 0 : rc == ERR_HELD ? 1 : rc == ERR_EXISTS ? 2 : 3;
}

static void a_hundred_races(void **arg) {
    enum { RACERS = 4 };
    for (unsigned round = 0; round < 100; round++) {
        unsigned ends[4] = {0};
        int gate[2], status;
        pid_t pids[RACERS];
        assert_int_equal(pipe(gate), 0);
        for (unsigned i = 0; i < RACERS; i++) {
            pids[i] = fork();
            if (pids[i] == 0) {
                close(gate[1]);
                _exit(race(gate[0]));
            }
        }
        close(gate[0]);
        close(gate[1]);
        for (unsigned i = 0; i < RACERS; i++) {
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 4);
            ends[WEXITSTATUS(status)]++;
        }
        assert_int_equal(ends[0], 1);
        assert_int_equal(ends[3], 0);
        expect_only(&dest, "d");
        expect_whole();
        assert_int_equal(fs_remove_tree(dest.fd, "d"), 0);
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(missing_journal),
        TEST(empty_journal),
        TEST(journal_of_somebody),
        TEST(crashed_before_anything),
        TEST(crashed_in_the_first_manifest),
        TEST(first_journal_is_where_it_stays),
        TEST(things_beside_ours_stay),
        TEST(another_version),
        TEST(spoiled_journals),
        TEST(spoiled_manifests),
        TEST(another_owner),
        TEST(open_to_everybody),
        TEST(a_mount_of_its_own),
        TEST(told_who_holds_it),
        TEST(a_hundred_races),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
