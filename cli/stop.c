/* SPDX-License-Identifier: MIT */
#include "cli/stop.h"

#include <signal.h>
#include <stddef.h>

const int stop_signals[STOP_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

bool stop_is_heeded(int signum) {
    struct sigaction now;

    return signum != SIGHUP || sigaction(signum, NULL, &now) != 0 || now.sa_handler != SIG_IGN;
}

void stop_ignore_late(void) {
    for (unsigned i = 0; i < STOP_SIGNALS; i++)
        signal(stop_signals[i], SIG_IGN);
}
