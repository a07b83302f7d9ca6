/* SPDX-License-Identifier: MIT */
#include "core/fs.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { SKIPPED = 77 };

/* Every test runs twice: with openat2 and on "an old kernel". */
struct world {
    struct scratch s;
    int root; /* s/root: what is outside of it must never be reached */
};

static void begin(struct world *w) {
    scratch_make(&w->s);
    scratch_dir(&w->s, "root");
    scratch_dir(&w->s, "root/dir");
    scratch_file(&w->s, "root/file", "inside");
    scratch_file(&w->s, "root/dir/file", "deep inside");
    scratch_file(&w->s, "outside", "secret");
    w->root = fs_open_dir(w->s.fd, "root");
    assert_true(w->root >= 0);
}

static int setup(void **state) {
    static struct world w;
    begin(&w);
    *state = &w;
    return 0;
}

static int setup_old(void **state) {
    fs_force_walk(1);
    return setup(state);
}

static int teardown(void **state) {
    struct world *w = *state;
    fs_force_walk(0);
    close(w->root);
    scratch_remove(&w->s);
    return 0;
}

static void expect_text(int fd, const char *text) {
    char buf[64];
    assert_true(fd >= 0);
    assert_int_equal(fs_pread_all(fd, buf, strlen(text), 0), 0);
    assert_memory_equal(buf, text, strlen(text));
    close(fd);
}

static void opens_what_is_there(void **state) {
    struct world *w = *state;
    struct stat st, again;
    expect_text(fs_open_file(w->root, "file"), "inside");
    expect_text(fs_open_file(w->root, "dir/file"), "deep inside");
    assert_int_equal(fs_stat(w->root, "dir/file", &st), 0);
    assert_int_equal(st.st_size, 11);
    int dir = fs_open_dir(w->root, "");
    assert_true(dir >= 0);
    assert_int_equal(fcntl(dir, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fs_stat(dir, "", &st), 0);
    assert_int_equal(fs_stat(w->root, "", &again), 0);
    assert_int_equal(st.st_ino, again.st_ino);
    close(dir);
    assert_int_equal(fs_open_file(w->root, "nothing"), -ENOENT);
    assert_int_equal(fs_open_file(w->root, "file/x"), -ENOTDIR);
    assert_int_equal(fs_open_dir(w->root, "file"), -ENOTDIR);
}

/* Paths by which other tools let a peer out of its folder: absolute ones, "..", and all that a
 * careless join or basename leaves over. */
static const char *const bad_paths[] = {
    "/etc/passwd",
    "//etc/passwd",
    "..",
    "../outside",
    "../root/file",
    "dir/../../outside",
    "dir/..",
    "./file",
    "dir/./file",
    "dir//file",
    "dir/",
    "/",
    ".",
    "../../../../../../../../etc/passwd",
    "file/..",
    "file/.",
    "dir/../file",
};

static void bad_paths_reach_nothing(void **state) {
    struct world *w = *state;
    struct stat st;
    char buf[64];
    for (size_t i = 0; i < sizeof bad_paths / sizeof *bad_paths; i++) {
        const char *p = bad_paths[i];
        assert_int_equal(fs_open_file(w->root, p), -EINVAL);
        assert_int_equal(fs_open_dir(w->root, p), -EINVAL);
        assert_int_equal(fs_create(w->root, p, 0644), -EINVAL);
        assert_int_equal(fs_open_write(w->root, p), -EINVAL);
        assert_int_equal(fs_stat(w->root, p, &st), -EINVAL);
        assert_int_equal(fs_mkdir(w->root, p, 0755), -EINVAL);
        assert_int_equal(fs_symlink(w->root, p, "x"), -EINVAL);
        assert_int_equal(fs_readlink(w->root, p, buf, sizeof buf), -EINVAL);
        assert_int_equal(fs_unlink(w->root, p), -EINVAL);
        assert_int_equal(fs_rmdir(w->root, p), -EINVAL);
        assert_int_equal(fs_chmod(w->root, p, 0), -EINVAL);
        assert_int_equal(fs_set_mtime(w->root, p, 0), -EINVAL);
        assert_int_equal(fs_remove_tree(w->root, p), -EINVAL);
        assert_int_equal(fs_rename_new(w->root, p, w->root, "new"), -EINVAL);
        assert_int_equal(fs_rename_new(w->root, "file", w->root, p), -EINVAL);
        assert_int_equal(fs_rename_over(w->root, "file", w->root, p), -EINVAL);
        assert_int_equal(fs_rename_over(w->root, p, w->root, "new"), -EINVAL);
    }
    assert_int_equal(fs_open_file(w->root, ""), -EINVAL);
    assert_int_equal(fs_create(w->root, "", 0644), -EINVAL);
    assert_int_equal(fs_remove_tree(w->root, ""), -EINVAL);
    assert_int_equal(fs_rename_new(w->root, "dir/file", w->root, "new"), -EINVAL);
    scratch_expect(&w->s, "outside", "secret");
    scratch_expect(&w->s, "root/file", "inside");
    scratch_expect(&w->s, "root/dir/file", "deep inside");
}

/* A link refuses with ELOOP or ENOTDIR, by kernel and way. */
static void expect_link_refused(long err) {
    if (err != -ELOOP && err != -ENOTDIR)
        fail_msg("%ld", err);
}

/* A link in the middle or at the end, out of the root, within it, or a magic one of /proc. */
static void no_symlink_is_followed(void **state) {
    struct world *w = *state;
    static const char *const targets[] = {"..", "dir", "/", "/proc/self/root", "/proc/self/cwd"};
    struct stat st;
    char buf[64];
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        scratch_link(&w->s, "root/link", targets[i]);
        expect_link_refused(fs_open_dir(w->root, "link"));
        expect_link_refused(fs_open_file(w->root, "link/outside"));
        expect_link_refused(fs_open_file(w->root, "link/file"));
        expect_link_refused(fs_open_dir(w->root, "link/dir"));
        expect_link_refused(fs_create(w->root, "link/new", 0644));
        expect_link_refused(fs_stat(w->root, "link/file", &st));
        expect_link_refused(fs_mkdir(w->root, "link/new", 0755));
        expect_link_refused(fs_symlink(w->root, "link/new", "x"));
        expect_link_refused(fs_readlink(w->root, "link/self", buf, sizeof buf));
        expect_link_refused(fs_unlink(w->root, "link/outside"));
        expect_link_refused(fs_rmdir(w->root, "link/dir"));
        expect_link_refused(fs_chmod(w->root, "link/outside", 0));
        expect_link_refused(fs_set_mtime(w->root, "link/outside", 0));
        expect_link_refused(fs_remove_tree(w->root, "link/outside"));
        assert_int_equal(fs_unlink(w->root, "link"), 0);
    }
    scratch_link(&w->s, "root/link", "../outside");
    expect_link_refused(fs_open_file(w->root, "link"));
    expect_link_refused(fs_open_write(w->root, "link"));
    assert_int_equal(fs_create(w->root, "link", 0644), -EEXIST);
    scratch_expect(&w->s, "outside", "secret");
    assert_false(scratch_has(&w->s, "new"));
}

/* /proc/self/fd/N below a root that is /proc itself: links that no path check sees. */
static void magic_links_are_refused(void **state) {
    char path[64];
    int secret = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    int proc = fs_open_root("/proc");
    if (proc < 0)
        skip();
    snprintf(path, sizeof path, "%d/fd/%d", (int)getpid(), secret);
    expect_link_refused(fs_open_file(proc, path));
    snprintf(path, sizeof path, "%d/root/etc/passwd", (int)getpid());
    expect_link_refused(fs_open_file(proc, path));
    snprintf(path, sizeof path, "%d/cwd", (int)getpid());
    expect_link_refused(fs_open_dir(proc, path));
    close(secret);
    close(proc);
}

static void acts_on_links_themselves(void **state) {
    struct world *w = *state;
    struct stat before, st;
    char buf[11];
    assert_int_equal(fs_symlink(w->root, "dir/link", "../../outside"), 0);
    assert_int_equal(fs_readlink(w->root, "dir/link", buf, sizeof buf), -ENAMETOOLONG);
    char whole[14];
    assert_int_equal(fs_readlink(w->root, "dir/link", whole, sizeof whole), 13);
    assert_string_equal(whole, "../../outside");
    assert_int_equal(fs_stat(w->s.fd, "outside", &before), 0);
    assert_int_equal(fs_stat(w->root, "dir/link", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(fs_set_mtime(w->root, "dir/link", -1), 0);
    assert_int_equal(fs_stat(w->root, "dir/link", &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, -1);
    assert_int_equal(st.st_mtim.tv_nsec, 999999999);
    assert_true(fs_chmod(w->root, "dir/link", 0) < 0);
    assert_int_equal(fs_stat(w->s.fd, "outside", &st), 0);
    assert_int_equal(st.st_mode, before.st_mode);
    assert_int_equal(st.st_mtim.tv_sec, before.st_mtim.tv_sec);
    assert_int_equal(fs_unlink(w->root, "dir/link"), 0);
    scratch_expect(&w->s, "outside", "secret");
}

static void held_root_survives_a_swap(void **state) {
    struct world *w = *state;
    assert_int_equal(renameat(w->s.fd, "root", w->s.fd, "moved"), 0);
    scratch_link(&w->s, "root", "/etc");
    expect_text(fs_open_file(w->root, "file"), "inside");
    assert_int_equal(fs_open_file(w->root, "passwd"), -ENOENT);
}

/* rsync's races: a folder in the middle becomes a link to the outside and back, all the time. */
struct swapper {
    int dir;
    atomic_int stop;
};

static void *swap_all_the_time(void *arg) {
    struct swapper *s = arg;
    while (!s->stop)
        renameat2(s->dir, "dir", s->dir, "evil", RENAME_EXCHANGE);
    return NULL;
}

static void swapped_while_we_look(void **state) {
    struct world *w = *state;
    struct swapper swapper = {.dir = w->root};
    pthread_t thread;
    unsigned opened = 0, refused = 0;
    scratch_dir(&w->s, "target");
    scratch_file(&w->s, "target/file", "secret too");
    scratch_link(&w->s, "root/evil", "../target");
    assert_int_equal(pthread_create(&thread, NULL, swap_all_the_time, &swapper), 0);
    for (int i = 0; i < 20000; i++) {
        int fd = fs_open_file(w->root, "dir/file");
        if (fd >= 0) {
            expect_text(fd, "deep inside");
            opened++;
        } else {
            refused++;
        }
        fd = fs_create(w->root, "dir/new", 0644);
        if (fd >= 0)
            close(fd);
        fs_unlink(w->root, "dir/new");
        fs_chmod(w->root, "dir/file", 0600);
        assert_false(scratch_has(&w->s, "target/new"));
    }
    swapper.stop = 1;
    pthread_join(thread, NULL);
    struct stat st;
    assert_int_equal(fs_stat(w->s.fd, "target/file", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_true(opened > 0);
    assert_true(refused > 0);
}

static void only_regular_files_open(void **state) {
    struct world *w = *state;
    assert_int_equal(mkfifoat(w->root, "fifo", 0644), 0);
    assert_int_equal(mknodat(w->root, "socket", S_IFSOCK | 0644, 0), 0);
    assert_int_equal(fs_open_file(w->root, "fifo"), -EINVAL); /* and does not wait for a writer */
    assert_int_equal(fs_open_write(w->root, "fifo"), -EINVAL);
    assert_int_equal(fs_open_file(w->root, "socket"), -EINVAL);
    assert_int_equal(fs_open_file(w->root, "dir"), -EINVAL);
    assert_int_equal(fs_open_write(w->root, "dir"), -EINVAL);
}

static void creates_and_writes(void **state) {
    struct world *w = *state;
    struct stat st;
    char back[8];
    int fd = fs_create(w->root, "dir/new", 0600);
    assert_true(fd >= 0);
    assert_int_equal(fs_pwrite_all(fd, "1234567", 8, 1000), 0);
    assert_int_equal(fs_pread_all(fd, back, 8, 1000), 0);
    assert_string_equal(back, "1234567");
    assert_int_equal(fs_pread_all(fd, back, 8, 1001), -ENODATA);
    assert_int_equal(fs_pread_all(fd, back, 0, 5000), 0);
    close(fd);
    assert_int_equal(fs_stat(w->root, "dir/new", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(fs_create(w->root, "dir/new", 0600), -EEXIST);
    fd = fs_open_write(w->root, "dir/new");
    assert_true(fd >= 0);
    assert_int_equal(fs_pwrite_all(fd, "x", 1, 0), 0);
    close(fd);
    assert_int_equal(fs_open_write(w->root, "dir/none"), -ENOENT);
    assert_int_equal(fs_mkdir(w->root, "dir/sub", 0700), 0);
    assert_int_equal(fs_mkdir(w->root, "dir/sub", 0700), -EEXIST);
    fd = fs_open_root("/proc/version");
    assert_int_equal(fd, -ENOTDIR);
}

static void modes_and_times(void **state) {
    struct world *w = *state;
    struct stat st;
    assert_int_equal(fs_chmod(w->root, "dir/file", 0), 0);
    assert_int_equal(fs_chmod(w->root, "dir/file", 0640), 0); /* out of mode 0000, too */
    assert_int_equal(fs_set_mtime(w->root, "dir/file", 1234567890123456789), 0);
    assert_int_equal(fs_stat(w->root, "dir/file", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_mtim.tv_sec, 1234567890);
    assert_int_equal(st.st_mtim.tv_nsec, 123456789);
    int fd = fs_open_file_stat(w->root, "dir/file", &st);
    assert_int_equal(st.st_mtim.tv_nsec, 123456789);
    assert_int_equal(fs_touch(fd, -1), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, -1);
    assert_int_equal(st.st_mtim.tv_nsec, 999999999);
    assert_int_equal(close(fd), 0);
    assert_int_equal(fs_touch(fd, 0), -EBADF);
    assert_int_equal(fs_chmod(w->root, "dir", 0), 0);
    assert_int_equal(fs_chmod(w->root, "dir", 0755), 0);
    assert_int_equal(fs_set_mtime(w->root, "dir", 0), 0);
    assert_int_equal(fs_stat(w->root, "dir", &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, 0);
    assert_int_equal(fs_chmod(w->root, "none", 0), -ENOENT);
}

/* With the rights of an ordinary user, modes matter. */
static void as_somebody_else(const struct scratch *s, void (*what)(struct world *),
                             struct world *w) {
    if (!geteuid())
        assert_int_equal(fchown(s->fd, 65534, 65534), 0);
    int root = !geteuid();
    if (root)
        assert_int_equal(seteuid(65534), 0);
    what(w);
    if (root)
        assert_int_equal(seteuid(0), 0);
}

static void chmod_and_remove(struct world *w) {
    struct scratch *s = &w->s;
    scratch_file(s, "mine", "x");
    assert_int_equal(fs_chmod(s->fd, "mine", 0), 0);
    assert_int_equal(fs_open_file(s->fd, "mine"), -EACCES);
    assert_int_equal(fs_chmod(s->fd, "mine", 0600), 0);
    scratch_expect(s, "mine", "x");
    scratch_dir(s, "tree");
    scratch_dir(s, "tree/none");
    scratch_file(s, "tree/none/file", "x");
    scratch_dir(s, "tree/fixed");
    scratch_dir(s, "tree/fixed/sub");
    scratch_file(s, "tree/fixed/sub/file", "x");
    assert_int_equal(fs_chmod(s->fd, "tree/none", 0), 0);
    assert_int_equal(fs_chmod(s->fd, "tree/fixed/sub", 0500), 0);
    assert_int_equal(fs_chmod(s->fd, "tree/fixed", 0500), 0);
    assert_int_equal(fs_chmod(s->fd, "tree", 0500), 0);
    assert_int_equal(fs_remove_tree(s->fd, "tree"), 0);
    assert_false(scratch_has(s, "tree"));
    scratch_dir(s, "drop");
    assert_int_equal(fs_chmod(s->fd, "drop", 0311), 0);
    char path[80];
    snprintf(path, sizeof path, "%s/drop", s->path);
    int fd = fs_open_root(path); /* not to be listed, but to be passed */
    assert_true(fd >= 0);
    close(fd);
}

static void without_the_rights_of_root(void **state) {
    struct world *w = *state;
    as_somebody_else(&w->s, chmod_and_remove, w);
}

static void removes_trees(void **state) {
    struct world *w = *state;
    char path[32] = "root/dir/many/f000000";
    scratch_dir(&w->s, "root/dir/many");
    for (int i = 0; i < 5000; i++) {
        snprintf(path, sizeof path, "root/dir/many/f%06d", i);
        scratch_file(&w->s, path, "");
    }
    scratch_link(&w->s, "root/dir/up", "..");
    scratch_link(&w->s, "root/dir/out", "../../outside");
    scratch_link(&w->s, "root/dir/away", "/tmp");
    assert_int_equal(mkfifoat(w->root, "dir/fifo", 0), 0);
    assert_int_equal(fs_remove_tree(w->root, "dir/many"), 0);
    assert_int_equal(fs_remove_tree(w->root, "dir"), 0);
    assert_false(scratch_has(&w->s, "root/dir"));
    scratch_expect(&w->s, "outside", "secret");
    scratch_expect(&w->s, "root/file", "inside");
    assert_int_equal(fs_remove_tree(w->root, "dir"), 0); /* not there: as wished */
    assert_int_equal(fs_remove_tree(w->root, "dir/deep/er"), 0);
    assert_int_equal(fs_remove_tree(w->root, "file"), 0);
    assert_false(scratch_has(&w->s, "root/file"));
}

static void removes_deep_trees(void **state) {
    struct world *w = *state;
    int dir = dup(w->root);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(fs_mkdir(dir, "a", 0755), 0);
        int next = fs_open_dir(dir, "a");
        assert_true(next >= 0);
        close(dir);
        dir = next;
    }
    close(dir);
    assert_int_equal(fs_remove_tree(w->root, "a"), 0);
    assert_false(scratch_has(&w->s, "root/a"));
}

/* A bind mount has the st_dev of what surrounds it. */
static void remove_crosses_no_mount(void **state) {
    struct world *w = *state;
    char from[80], to[80];
    scratch_dir(&w->s, "precious");
    scratch_file(&w->s, "precious/file", "precious");
    scratch_dir(&w->s, "root/dir/mnt");
    snprintf(from, sizeof from, "%s/precious", w->s.path);
    snprintf(to, sizeof to, "%s/root/dir/mnt", w->s.path);
    if (mount(from, to, NULL, MS_BIND, NULL) < 0)
        skip();
    int err = fs_remove_tree(w->root, "dir");
    assert_int_equal(umount(to), 0);
    assert_int_equal(err, -EXDEV);
    scratch_expect(&w->s, "precious/file", "precious");
    assert_false(scratch_has(&w->s, "root/dir/file")); /* the rest went */
}

static void renames_without_replacing(void **state) {
    struct world *w = *state;
    scratch_dir(&w->s, "root/empty");
    scratch_link(&w->s, "root/link", "nowhere");
    assert_int_equal(fs_rename_new(w->root, "file", w->s.fd, "outside"), -EEXIST);
    assert_int_equal(fs_rename_new(w->root, "file", w->root, "empty"), -EEXIST);
    assert_int_equal(fs_rename_new(w->root, "file", w->root, "link"), -EEXIST);
    assert_int_equal(fs_rename_new(w->root, "dir", w->root, "empty"), -EEXIST);
    assert_int_equal(fs_rename_new(w->root, "dir", w->s.fd, "outside"), -EEXIST);
    assert_int_equal(fs_rename_new(w->root, "none", w->root, "new"), -ENOENT);
    scratch_expect(&w->s, "outside", "secret");
    scratch_expect(&w->s, "root/file", "inside");
    assert_int_equal(fs_rename_new(w->root, "file", w->s.fd, "file2"), 0);
    assert_int_equal(fs_rename_new(w->root, "dir", w->s.fd, "dir2"), 0);
    assert_int_equal(fs_rename_new(w->root, "link", w->s.fd, "link2"), 0);
    scratch_expect(&w->s, "file2", "inside");
    scratch_expect(&w->s, "dir2/file", "deep inside");
    assert_false(scratch_has(&w->s, "root/file"));
    assert_false(scratch_has(&w->s, "root/dir"));
    assert_false(scratch_has(&w->s, "root/link"));
    assert_int_equal(fs_rename_over(w->s.fd, "file2", w->s.fd, "outside"), 0);
    scratch_expect(&w->s, "outside", "inside");
    assert_int_equal(fs_rename_new(w->s.fd, "dir2", w->s.fd, "dir2"), -EEXIST);
}

static void temporary_files_have_no_name(void **state) {
    struct world *w = *state;
    struct stat st;
    setenv("TMPDIR", w->s.path, 1);
    int fd = fs_open_temp();
    unsetenv("TMPDIR");
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    struct stat dir;
    assert_int_equal(fstat(w->s.fd, &dir), 0);
    assert_int_equal(st.st_dev, dir.st_dev);
    assert_int_equal(fs_pwrite_all(fd, "x", 1, 0), 0);
    close(fd);
    setenv("TMPDIR", "/proc/none", 1); /* then the next one */
    fd = fs_open_temp();
    unsetenv("TMPDIR");
    assert_true(fd >= 0);
    close(fd);
    assert_false(fs_is_remote(w->root));
    assert_true(fs_is_remote(-1));
}

/* --- kernels and containers of others ------------------------------------------------------- */

/* From now on this process gets `err` for the system call. */
static void refuse_syscall(unsigned number, unsigned err) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
        _exit(SKIPPED);
}

/* In a process of its own: its exit code is the number of the step that went wrong, 0 if none. */
static void in_another_process(int (*what)(const struct world *w), const struct world *w) {
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid)
        _exit(what(w));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int use_it_all(const struct world *w) {
    char text[6];
    int fd = fs_open_file(w->root, "dir/file");
    if (fd < 0)
        return 1;
    close(fd);
    if (fs_open_file(w->root, "../outside") != -EINVAL)
        return 2;
    if (fs_symlink(w->root, "link", "..") < 0 || fs_open_file(w->root, "link/outside") >= 0)
        return 3;
    if (fs_create(w->root, "file", 0600) != -EEXIST)
        return 4;
    fd = fs_create(w->root, "dir/new", 0600);
    if (fd < 0 || fs_pwrite_all(fd, "hello", 6, 0) < 0 || fs_pread_all(fd, text, 6, 0) < 0)
        return 5;
    if (fs_rename_new(w->root, "dir", w->root, "file") != -EEXIST)
        return 6;
    if (fs_rename_new(w->root, "dir", w->root, "dir2") < 0)
        return 7;
    return fs_remove_tree(w->root, "dir2") < 0 ? 8 : 0;
}

static int without_openat2(const struct world *w) {
    refuse_syscall(SYS_openat2, ENOSYS);
    return use_it_all(w);
}

static int with_openat2_filtered(const struct world *w) {
    refuse_syscall(SYS_openat2, EPERM);
    return use_it_all(w);
}

static int without_noreplace(const struct world *w) {
    refuse_syscall(SYS_renameat2, EINVAL);
    return use_it_all(w);
}

static int without_hard_links(const struct world *w) {
    refuse_syscall(SYS_linkat, EPERM);
    refuse_syscall(SYS_renameat2, EINVAL);
    if (fs_rename_new(w->root, "file", w->s.fd, "outside") != -EEXIST)
        return 20;
    if (fs_rename_new(w->root, "file", w->root, "file2") < 0)
        return 21;
    return fs_open_file(w->root, "file") == -ENOENT ? 0 : 22;
}

static int without_proc(const struct world *w) {
    struct stat st;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
        mount("none", "/proc", "tmpfs", 0, NULL) < 0)
        return SKIPPED;
    if (fs_chmod(w->root, "dir/file", 0604) < 0 || fs_stat(w->root, "dir/file", &st) < 0)
        return 1;
    if ((st.st_mode & 07777) != 0604)
        return 2;
    if (fs_symlink(w->root, "link", "../outside") < 0 || fs_chmod(w->root, "link", 0) >= 0)
        return 3;
    return 0;
}

static void works_without_openat2(void **state) { in_another_process(without_openat2, *state); }

static void works_with_openat2_filtered(void **state) {
    in_another_process(with_openat2_filtered, *state);
}

static void works_without_noreplace(void **state) { in_another_process(without_noreplace, *state); }

static void works_without_hard_links(void **state) {
    in_another_process(without_hard_links, *state);
}

static void works_without_proc(void **state) { in_another_process(without_proc, *state); }

#define once(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define both_ways(test)                                                                            \
    cmocka_unit_test_setup_teardown(test, setup, teardown), {                                      \
#test "_on_an_old_kernel", test, setup_old, teardown, NULL                                 \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        both_ways(opens_what_is_there),
        both_ways(bad_paths_reach_nothing),
        both_ways(no_symlink_is_followed),
        both_ways(magic_links_are_refused),
        both_ways(acts_on_links_themselves),
        both_ways(held_root_survives_a_swap),
        both_ways(swapped_while_we_look),
        both_ways(only_regular_files_open),
        both_ways(creates_and_writes),
        both_ways(modes_and_times),
        both_ways(without_the_rights_of_root),
        both_ways(removes_trees),
        both_ways(removes_deep_trees),
        both_ways(remove_crosses_no_mount),
        both_ways(renames_without_replacing),
        both_ways(temporary_files_have_no_name),
        once(works_without_openat2),
        once(works_with_openat2_filtered),
        once(works_without_noreplace),
        once(works_without_hard_links),
        once(works_without_proc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
