/* SPDX-License-Identifier: MIT */
/* confine, the system calls: a program for the kernel's filter (seccomp(2)), written by hand
 * because a list of numbers needs no library. */
#include "core/confine.h"

#include "core/sanitized.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Numbers mean other calls on other machines; all of these have 64 bits, low byte first. */
#if defined __x86_64__ && !defined __ILP32__
#define MACHINE AUDIT_ARCH_X86_64
#elif defined __aarch64__ && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined __riscv && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#elif defined __powerpc64__ && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MACHINE AUDIT_ARCH_PPC64LE
#elif defined __loongarch64
#define MACHINE AUDIT_ARCH_LOONGARCH64
#endif

#if defined MACHINE && !SANITIZED

/* clang-format off */
static const unsigned short forbidden[] = {
    /* start programs, look into others */
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp,
    SYS_pidfd_getfd, SYS_process_madvise, SYS_perf_event_open,
    /* what files belong to and say besides their bytes: Landlock does not look after it */
    SYS_fchown, SYS_fchownat, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr,
    SYS_lremovexattr, SYS_fremovexattr, SYS_mknodat, SYS_open_by_handle_at, SYS_fanotify_init,
    SYS_quotactl, SYS_acct,
#ifdef SYS_chown
    SYS_chown, SYS_lchown, SYS_mknod,
#endif
    /* another view of the system */
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_open_tree,
    SYS_move_mount, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_swapon, SYS_swapoff,
    SYS_personality,
#ifdef SYS_mount_setattr
    SYS_mount_setattr,
#endif
    /* large and seldom used parts of the kernel, where most of its holes were */
    SYS_bpf, SYS_userfaultfd, SYS_io_uring_setup, SYS_keyctl, SYS_add_key, SYS_request_key,
    /* the machine itself */
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_syslog,
    SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_sethostname,
    SYS_setdomainname, SYS_vhangup,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_iopl
    SYS_iopl, SYS_ioperm,
#endif
#ifdef SYS_modify_ldt
    SYS_modify_ldt,
#endif
};
/* clang-format on */

enum {
    N_FORBIDDEN = sizeof forbidden / sizeof *forbidden,
    PROGRAM_MAX = 16 + 2 * N_FORBIDDEN,
    X32_BIT = 0x40000000, /* on x86-64: the same calls under other numbers */
    NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                 CLONE_NEWPID | CLONE_NEWNET,
    REFUSE = SECCOMP_RET_ERRNO | EPERM,
    UNKNOWN = SECCOMP_RET_ERRNO | ENOSYS,
};

struct program {
    struct sock_filter at[PROGRAM_MAX];
    unsigned short n;
};

static void put(struct program *p, unsigned code, uint32_t k) {
    p->at[p->n++] = (struct sock_filter){.code = (unsigned short)code, .k = k};
}

static void load(struct program *p, size_t offset) {
    put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/* If what was loaded stands in this relation to k, the call is answered so; else it goes on. */
static void answer_if(struct program *p, unsigned relation, uint32_t k, uint32_t answer) {
    put(p, BPF_JMP | relation | BPF_K, k);
    p->at[p->n - 1].jf = 1;
    put(p, BPF_RET | BPF_K, answer);
}

static void write_program(struct program *p) {
    load(p, offsetof(struct seccomp_data, arch));
    put(p, BPF_JMP | BPF_JEQ | BPF_K, MACHINE);
    p->at[p->n - 1].jt = 1;
    put(p, BPF_RET | BPF_K, REFUSE); /* as 32-bit calls on x86-64 */
    load(p, offsetof(struct seccomp_data, nr));
    answer_if(p, BPF_JGE, X32_BIT, REFUSE);
    for (unsigned i = 0; i < N_FORBIDDEN; i++)
        answer_if(p, BPF_JEQ, forbidden[i], REFUSE);
    /* The flags of clone3 are behind a pointer: the C library then takes clone, whose flags we see.
     * (On all these machines they are the first argument; its upper half is not used.) */
    answer_if(p, BPF_JEQ, SYS_clone3, UNKNOWN);
    put(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone);
    p->at[p->n - 1].jf = 3;
    load(p, offsetof(struct seccomp_data, args));
    answer_if(p, BPF_JSET, NAMESPACES, REFUSE);
    put(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

static int install(void) {
    struct program p = {.n = 0};

    write_program(&p);
    const struct sock_fprog prog = {.len = p.n, .filter = p.at};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) == 0 ? 0 : -errno;
}

#else
static int install(void) { return SANITIZED ? -EOPNOTSUPP : -ENOSYS; }
#endif

int confine_calls(void) {
    if (!SANITIZED) /* a core file holds the key; other programs of this user stay out, too */
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return install();
}
