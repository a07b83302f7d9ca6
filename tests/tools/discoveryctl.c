/* SPDX-License-Identifier: MIT */
/*
 * discoveryctl -- drive discovery by hand and from stories
 *
 *     discoveryctl announce NAME ID PORT      discoveryctl browse
 *
 * Prints one line per callback: ms since the start, what, details. A line "refresh" on stdin
 * refreshes; SIGINT, SIGTERM or a line "quit" closes. Last comes the longest time for which the
 * loop was held up, in ms.
 */
#include "discovery/announce.h"
#include "discovery/browse.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 5 };

static struct {
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t on_int, on_term;
    uv_poll_t input;
    struct browse *browse;
    struct announce *announce;
    uint64_t started_ns, ticked_ns, longest_ns, closed_ns;
    bool closing, has_input;
} ctl;

static void say(const char *what) {
    printf("%5llu %s", (unsigned long long)(uv_hrtime() - ctl.started_ns) / 1000000, what);
}

static void print_addr(const struct sockaddr_storage *addr) {
    char text[INET6_ADDRSTRLEN], interface[IF_NAMESIZE] = "";

    if (addr->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
        printf(" %s:%u", inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)),
               ntohs(in->sin_port));
        return;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
    if_indextoname(in6->sin6_scope_id, interface);
    printf(" [%s%s%s]:%u", inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)),
           *interface ? "%" : "", interface, ntohs(in6->sin6_port));
}

static void print_peer(const char *what, const struct peer *p) {
    say(what);
    printf(" '%s' id=%.8s v=%s port=%u%s", p->name, p->id, p->version, p->port,
           p->local ? " local" : "");
    for (unsigned i = 0; i < p->n_addrs; i++)
        print_addr(&p->addrs[i]);
    printf("\n");
}

static void on_peer(void *owner, const struct peer *p) { print_peer("peer", p); }
static void on_gone(void *owner, const struct peer *p) { print_peer("gone", p); }

static void on_settled(void *owner) {
    say("settled");
    printf(" %s\n", browse_backend(ctl.browse));
}

static void on_problem(void *owner, const char *text) {
    say("problem");
    printf(" %s\n", text);
}

static void on_established(void *owner, const char *name) {
    say("established");
    printf(" '%s' %s\n", name, announce_backend(ctl.announce));
}

static void on_closed(void *owner) {
    say("closed");
    printf(" after %llu ms, loop held up %llu ms\n",
           (unsigned long long)(uv_hrtime() - ctl.closed_ns) / 1000000,
           (unsigned long long)ctl.longest_ns / 1000000);
    uv_close((uv_handle_t *)&ctl.tick, NULL);
    uv_close((uv_handle_t *)&ctl.on_int, NULL);
    uv_close((uv_handle_t *)&ctl.on_term, NULL);
    if (ctl.has_input)
        uv_close((uv_handle_t *)&ctl.input, NULL);
}

static void quit(void) {
    if (ctl.closing)
        return;
    ctl.closing = true;
    ctl.closed_ns = uv_hrtime();
    if (ctl.browse)
        browse_close(ctl.browse, on_closed);
    else
        announce_close(ctl.announce, on_closed);
}

static void on_signal(uv_signal_t *handle, int number) { quit(); }

static void on_input(uv_poll_t *handle, int status, int events) {
    char line[64];

    if (!fgets(line, sizeof(line), stdin))
        uv_poll_stop(handle);
    else if (strcmp(line, "refresh\n") == 0 && ctl.browse)
        browse_refresh(ctl.browse);
    else if (strcmp(line, "quit\n") == 0)
        quit();
}

static void on_tick(uv_timer_t *timer) {
    uint64_t now = uv_hrtime();

    if (now - ctl.ticked_ns > TICK_MS * 1000000 + ctl.longest_ns)
        ctl.longest_ns = now - ctl.ticked_ns - TICK_MS * 1000000;
    ctl.ticked_ns = now;
}

static int start(int argc, char **argv) {
    static const struct browse_handler browse_handler = {on_peer, on_gone, on_settled, on_problem};
    static const struct announce_handler announce_handler = {on_established, on_problem};

    if (argc == 2 && strcmp(argv[1], "browse") == 0)
        return browse_start(&ctl.browse, &ctl.loop, &browse_handler, NULL);
    if (argc == 5 && strcmp(argv[1], "announce") == 0) {
        struct announce_options o = {argv[2], argv[3], "0.1.0", (uint16_t)atoi(argv[4])};
        return announce_start(&ctl.announce, &ctl.loop, &o, &announce_handler, NULL);
    }
    return UV_EINVAL;
}

int main(int argc, char **argv) {
    int err;

    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    uv_loop_init(&ctl.loop);
    ctl.started_ns = ctl.ticked_ns = uv_hrtime();
    err = start(argc, argv);
    if (err) {
        fprintf(stderr, "discoveryctl: %s\n", strerror(-err));
        return 2;
    }
    uv_timer_init(&ctl.loop, &ctl.tick);
    uv_timer_start(&ctl.tick, on_tick, TICK_MS, TICK_MS);
    uv_signal_init(&ctl.loop, &ctl.on_int);
    uv_signal_start(&ctl.on_int, on_signal, SIGINT);
    uv_signal_init(&ctl.loop, &ctl.on_term);
    uv_signal_start(&ctl.on_term, on_signal, SIGTERM);
    ctl.has_input = uv_poll_init(&ctl.loop, &ctl.input, 0) == 0; /* not /dev/null */
    if (ctl.has_input)
        uv_poll_start(&ctl.input, UV_READABLE, on_input);
    uv_run(&ctl.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&ctl.loop) == 0 ? 0 : 1;
}
