/* SPDX-License-Identifier: MIT */
#include "core/conn_internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

/* Of the handshake of TCP, there and back: on one link, Wi-Fi as well. */
enum { NEAR_US = 10000 };

/* BBR paces: it sends a little, sleeps, sends a little more. That is for ways that are long or lose
 * packets; on one link it costs a quarter of the throughput and a seventh of the processors' time
 * (measured with tests/bench). Where it is the system's choice and the peer is near, take CUBIC,
 * the kernel's default, or Reno, which every process may have (tcp(7)). */
static void choose_congestion_control(uv_os_fd_t fd) {
    static const char *const instead[] = {"cubic", "reno"};
    char name[16] = ""; /* TCP_CA_NAME_MAX of the kernel */
    struct tcp_info info = {0};
    socklen_t name_len = sizeof name - 1, info_len = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &name_len) < 0 ||
        strncmp(name, "bbr", 3) != 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) < 0 || info.tcpi_rtt > NEAR_US)
        return;
    for (unsigned i = 0; i < sizeof instead / sizeof *instead; i++)
        if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, instead[i],
                       (socklen_t)strlen(instead[i])) == 0)
            return;
}

/* None of them is worth failing for. */
void conn_set_options(struct conn *c) {
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        /* small messages must not wait behind megabytes */
        {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 512 * 1024},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 20000},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 15},
        {IPPROTO_TCP, TCP_KEEPINTVL, 5},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
    };
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) < 0)
        return;
    for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                   sizeof options[i].value);
    choose_congestion_control(fd);
}
