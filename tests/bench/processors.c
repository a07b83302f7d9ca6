/* SPDX-License-Identifier: MIT */
/* processors -- preloaded: there are 8 of them, whatever machine this is */
#include <sched.h>

enum { PROCESSORS = 8 };

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set) {
    CPU_ZERO_S(size, set);
    for (int i = 0; i < PROCESSORS; i++)
        CPU_SET_S(i, size, set);
    return 0;
}
