/* SPDX-License-Identifier: MIT */
/*
 * oldkernel -- run a program on a kernel that lacks some system calls
 *
 *     oldkernel [openat2] [renameat2] [landlock] [clone3] -- PROGRAM [WORD...]
 *
 * A seccomp filter answers ENOSYS to them; the program cannot tell the difference.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    int number;
} calls[] = {
    {"openat2", SYS_openat2},
    {"renameat2", SYS_renameat2},
    {"landlock", SYS_landlock_create_ruleset},
    {"clone3", SYS_clone3},
};

enum { N_CALLS = sizeof calls / sizeof *calls };

static int number_of(const char *name) {
    for (unsigned i = 0; i < N_CALLS; i++)
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].number;
    return -1;
}

static int forget(int number) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof code / sizeof *code, code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
               ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0)
               : -1;
}

int main(int argc, char **argv) {
    int i = 1;

    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        int number = number_of(argv[i]);

        if (number < 0 || forget(number) != 0) {
            fprintf(stderr, "oldkernel: cannot do without %s\n", argv[i]);
            return 2;
        }
    }
    if (i + 1 >= argc)
        return 2;
    execvp(argv[i + 1], argv + i + 1);
    perror(argv[i + 1]);
    return 2;
}
