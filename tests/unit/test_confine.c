/* SPDX-License-Identifier: MIT */
#include "core/confine.h"
#include "core/sanitized.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Each attempt runs in a child, that is confined for ever: its exit code is the errno. */
struct attempt {
    enum confine_access access; /* of "dir" */
    int (*act)(const struct scratch *s);
    int expected;
};

static int done(long result) { return result < 0 ? errno : 0; }

static int opens(const struct scratch *s, const char *path, int flags) {
    return done(openat(s->fd, path, flags | O_CLOEXEC, 0600));
}

static int reads(const struct scratch *s) { return opens(s, "dir/file", O_RDONLY); }
static int lists(const struct scratch *s) { return opens(s, "dir", O_RDONLY | O_DIRECTORY); }
static int writes(const struct scratch *s) { return opens(s, "dir/file", O_WRONLY); }
static int makes(const struct scratch *s) { return opens(s, "dir/new", O_WRONLY | O_CREAT); }
static int makes_dir(const struct scratch *s) { return done(mkdirat(s->fd, "dir/new", 0700)); }
static int removes(const struct scratch *s) { return done(unlinkat(s->fd, "dir/file", 0)); }
static int links(const struct scratch *s) { return done(symlinkat("x", s->fd, "dir/link")); }
static int moves(const struct scratch *s) {
    return done(renameat(s->fd, "dir/sub/deep", s->fd, "dir/up"));
}
static int moves_out(const struct scratch *s) {
    return done(renameat(s->fd, "dir/file", s->fd, "gone"));
}
static int reads_outside(const struct scratch *s) { return opens(s, "outside", O_RDONLY); }
static int writes_outside(const struct scratch *s) { return opens(s, "outside", O_WRONLY); }
static int reads_system(const struct scratch *s) { return opens(s, "/etc/passwd", O_RDONLY); }
static int writes_system(const struct scratch *s) { return opens(s, "/etc/passwd", O_WRONLY); }
static int writes_null(const struct scratch *s) { return opens(s, "/dev/null", O_RDWR); }

static const struct attempt attempts[] = {
    {CONFINE_LOOK, reads, 0},
    {CONFINE_LOOK, lists, 0},
    {CONFINE_LOOK, writes, EACCES},
    {CONFINE_LOOK, makes, EACCES},
    {CONFINE_LOOK, removes, EACCES},
    {CONFINE_LOOK, reads_outside, EACCES},
    {CONFINE_PICK, reads, 0},
    {CONFINE_PICK, lists, EACCES},
    {CONFINE_PICK, writes, EACCES},
    {CONFINE_KEEP, writes, 0},
    {CONFINE_KEEP, makes, 0},
    {CONFINE_KEEP, removes, 0},
    {CONFINE_KEEP, makes_dir, EACCES},
    {CONFINE_KEEP, links, EACCES},
    {CONFINE_KEEP, moves, EXDEV},
    {CONFINE_RECEIVE, makes, 0},
    {CONFINE_RECEIVE, makes_dir, 0},
    {CONFINE_RECEIVE, links, 0},
    {CONFINE_RECEIVE, moves, 0},
    {CONFINE_RECEIVE, moves_out, EACCES},
    {CONFINE_LOOK, reads_system, 0},
    {CONFINE_RECEIVE, reads_outside, EACCES},
    {CONFINE_LOOK, writes_null, 0},
    {CONFINE_RECEIVE, writes_outside, EACCES},
    {CONFINE_LOOK, writes_system, EACCES},
};

static int try(const struct attempt *a) {
    struct confine c;
    struct scratch s;
    int status;

    scratch_make(&s);
    scratch_dir(&s, "dir");
    scratch_dir(&s, "dir/sub");
    scratch_file(&s, "dir/file", "inside");
    scratch_file(&s, "dir/sub/deep", "inside");
    scratch_file(&s, "outside", "outside");
    pid_t pid = fork();
    if (pid == 0) {
        char dir[80];

        snprintf(dir, sizeof dir, "%s/dir", s.path);
        confine_init(&c, CONFINE_READ);
        confine_allow_system(&c);
        confine_allow(&c, dir, a->access);
        confine_allow(&c, "/there/is/no/such/folder", CONFINE_RECEIVE);
        _exit(confine_apply(&c) < 0 ? 200 : a->act(&s));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    scratch_remove(&s);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void gives_up_all_but_what_is_allowed(void **state) {
    struct confine c;

    confine_init(&c, 0);
    if (c.abi < 2) { /* the kernel's; what happens then is the next test */
        print_message("this kernel has Landlock %d\n", c.abi);
        skip();
    }
    close(c.ruleset);
    for (unsigned i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        int came = try(&attempts[i]);

        if (SANITIZED && (attempts[i].act == reads_outside || attempts[i].act == lists))
            continue; /* reading stays open */
        if (came != attempts[i].expected)
            fail_msg("attempt %u: %s, not %s", i, strerror(came), strerror(attempts[i].expected));
    }
}

/* From here on landlock_create_ruleset(2) does not exist. */
static void forget_landlock(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof code / sizeof *code, code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
        _exit(201);
}

static void a_kernel_without_it_changes_nothing(void **state) {
    struct confine c;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        forget_landlock();
        confine_init(&c, CONFINE_READ | CONFINE_CONNECT);
        confine_allow_system(&c);
        confine_allow(&c, "/tmp", CONFINE_RECEIVE);
        int err = confine_apply(&c);
        _exit(err != -ENOSYS ? 202 : open("/dev/null", O_RDONLY) < 0 ? 203 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The first kernels with Landlock refuse to move a file to another folder: better not confined. */
static void the_oldest_version_is_not_for_downloads(void **state) {
    struct confine c = {.abi = 1, .ruleset = -1};

    confine_allow(&c, "/tmp", CONFINE_RECEIVE);
    assert_int_equal(confine_apply(&c), -EOPNOTSUPP);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_up_all_but_what_is_allowed),
        cmocka_unit_test(a_kernel_without_it_changes_nothing),
        cmocka_unit_test(the_oldest_version_is_not_for_downloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
