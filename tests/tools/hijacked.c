/* SPDX-License-Identifier: MIT */
/*
 * hijacked -- a library that plays somebody who has taken the process over
 *
 *     LD_PRELOAD=libhijacked.so HIJACKED=FOLDER lanyard share ...
 *     kill -USR2 PID                  one line for each attempt in FOLDER/report: its name, errno
 *
 * FOLDER has what the program was never told of: it tries to read FOLDER/secret, to write
 * FOLDER/victim, and so on. $HIJACKED_INSIDE is a folder where it should be able to write.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static int report = -1;
static char elsewhere[4096], inside[4096], path[8192], other[8192];

static const char *at(const char *name) {
    snprintf(path, sizeof path, "%s/%s", elsewhere, name);
    return path;
}

static long opens(const char *file, int flags) {
    int fd = open(file, flags | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd;
}

static long read_secret(void) { return opens(at("secret"), O_RDONLY); }
static long list_folder(void) { return opens(at(""), O_RDONLY | O_DIRECTORY); }
static long write_victim(void) { return opens(at("victim"), O_WRONLY); }
static long truncate_victim(void) { return opens(at("victim"), O_WRONLY | O_TRUNC); }
static long make_file(void) { return opens(at("made"), O_WRONLY | O_CREAT); }
static long make_hidden_file(void) { return opens(at(""), O_WRONLY | O_TMPFILE); }
static long make_folder(void) { return mkdir(at("folder"), 0700); }
static long make_link(void) { return symlink("/etc/passwd", at("link")); }
static long make_pipe(void) { return mkfifo(at("pipe"), 0600); }
static long remove_victim(void) { return unlink(at("victim")); }
static long move_victim(void) {
    snprintf(other, sizeof other, "%s/moved", elsewhere);
    return rename(at("victim"), other);
}
static long change_owner(void) { return chown(at("victim"), 1, 1); }
static long change_attribute(void) { return setxattr(at("victim"), "user.x", "y", 1, 0); }

static long start_program(void) {
    char name[] = "/bin/true", *words[] = {name, NULL};

    return execve(name, words, NULL);
}

static long trace_parent(void) { return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL); }
static long signal_parent(void) { return kill(getppid(), 0); }
static long mount_something(void) { return mount("tmpfs", elsewhere, "tmpfs", 0, NULL); }
static long new_namespace(void) { return unshare(CLONE_NEWUSER); }

static long clone_namespace(void) {
    long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0)
        _exit(0);
    return pid;
}

static long load_bpf(void) {
    union bpf_attr attr;

    memset(&attr, 0, sizeof attr);
    return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
}

static long ask_for_ring(void) { return syscall(SYS_io_uring_setup, 1, NULL); }
static long dump_core(void) {
    errno = EPERM;
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) ? 0 : -1;
}
static long use_keyring(void) { return syscall(SYS_keyctl, 0, -3, 0); }

static long with_socket(int (*act)(int, const struct sockaddr *, socklen_t), uint16_t port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    long result;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    result = act(fd, (const struct sockaddr *)&to, sizeof to);
    close(fd);
    return result;
}

static long dial(void) { return with_socket(connect, 9); }
static long listens(void) { return with_socket(bind, 7777); }

static long write_inside(void) {
    snprintf(path, sizeof path, "%s/inside", inside);
    return opens(path, O_WRONLY | O_CREAT);
}

static const struct {
    const char *name;
    long (*act)(void);
} attempts[] = {
    {"read-secret", read_secret},
    {"list-folder", list_folder},
    {"write-victim", write_victim},
    {"truncate-victim", truncate_victim},
    {"make-file", make_file},
    {"make-hidden-file", make_hidden_file},
    {"make-folder", make_folder},
    {"make-link", make_link},
    {"make-pipe", make_pipe},
    {"remove-victim", remove_victim},
    {"move-victim", move_victim},
    {"change-owner", change_owner},
    {"change-attribute", change_attribute},
    {"start-program", start_program},
    {"trace-parent", trace_parent},
    {"signal-parent", signal_parent},
    {"mount", mount_something},
    {"new-namespace", new_namespace},
    {"clone-namespace", clone_namespace},
    {"load-bpf", load_bpf},
    {"io-uring", ask_for_ring},
    {"keyring", use_keyring},
    {"dump-core", dump_core},
    {"dial", dial},
    {"listen", listens},
    {"write-inside", write_inside},
};

static void on_signal(int signum) {
    for (unsigned i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        errno = 0;
        dprintf(report, "%s %d\n", attempts[i].name, attempts[i].act() < 0 ? errno : 0);
    }
    dprintf(report, "end 0\n");
}

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("HIJACKED"), *in = getenv("HIJACKED_INSIDE");

    if (!folder)
        return;
    snprintf(elsewhere, sizeof elsewhere, "%s", folder);
    snprintf(inside, sizeof inside, "%s", in ? in : folder);
    report = open(at("report"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    signal(SIGUSR2, on_signal);
    dprintf(report, "%s -1\n", program_invocation_short_name); /* ready, in this program */
}
