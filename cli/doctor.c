/* SPDX-License-Identifier: MIT */
#include "cli/doctor.h"

#include "cli/json.h"
#include "cli/say.h"
#include "discovery/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { INTERFACES_MAX = 32 };

void finding(struct findings *f, enum finding_kind kind, const char *check, const char *format,
             ...) {
    static const char *const words[] = {"ok", "hint", "BAD"};
    static const char *const colors[] = {"\033[32m", "\033[33m", "\033[31m"};
    bool color = say_color(STDOUT_FILENO);
    char text[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    f->n_bad += kind == FINDING_BAD;
    if (f->json)
        json_event(json_pack("{s:s, s:s, s:s}", "check", check, "result",
                             kind == FINDING_BAD ? "bad" : words[kind], "message", text));
    else
        printf("%s%-4s%s  %-9s  %s\n", color ? colors[kind] : "", words[kind],
               color ? "\033[0m" : "", check, text);
    fflush(stdout);
}

/* ---- interfaces ---- */

struct interface {
    char name[IF_NAMESIZE];
    unsigned flags;
    bool virtual;
    char addrs[512];
};

static struct interface *interface_of(struct interface *all, unsigned *n, const char *name) {
    for (unsigned i = 0; i < *n; i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    if (*n == INTERFACES_MAX)
        return NULL;
    all[*n] = (struct interface){0};
    snprintf(all[*n].name, sizeof all[*n].name, "%s", name);
    return &all[(*n)++];
}

static void add_addr(struct interface *in, const struct sockaddr *addr) {
    struct sockaddr_storage copy = {0};
    char ip[INET6_ADDRSTRLEN];
    size_t len = strlen(in->addrs);

    if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&copy;

        memcpy(in6, addr, sizeof *in6);
        in6->sin6_port = htons(1); /* an address without a port is never good */
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
    } else {
        struct sockaddr_in *in4 = (struct sockaddr_in *)&copy;

        memcpy(in4, addr, sizeof *in4);
        in4->sin_port = htons(1);
        inet_ntop(AF_INET, &in4->sin_addr, ip, sizeof ip);
    }
    in->virtual |= peer_rank((struct sockaddr *)&copy, in->name) == PEER_RANK_VIRTUAL;
    snprintf(in->addrs + len, sizeof in->addrs - len, "%s%s", len ? ", " : "", ip);
}

static unsigned collect(struct interface *all) {
    struct ifaddrs *list;
    unsigned n = 0;

    if (getifaddrs(&list) != 0)
        return 0;
    for (struct ifaddrs *a = list; a; a = a->ifa_next) {
        struct interface *in;

        if (!a->ifa_addr || (a->ifa_flags & IFF_LOOPBACK) || !(a->ifa_flags & IFF_UP) ||
            (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
            continue;
        in = interface_of(all, &n, a->ifa_name);
        if (!in)
            continue;
        in->flags = a->ifa_flags;
        add_addr(in, a->ifa_addr);
    }
    freeifaddrs(list);
    return n;
}

void doctor_interfaces(struct findings *f) {
    struct interface all[INTERFACES_MAX];
    unsigned n = collect(all), good = 0;

    for (unsigned i = 0; i < n; i++) {
        if (all[i].virtual) {
            finding(f, FINDING_HINT, "network",
                    "%s: %s. It looks like a VPN, a container or a virtual machine: peers behind "
                    "it may not be reachable; if some are missing, switch the VPN off",
                    all[i].name, all[i].addrs);
        } else if (!(all[i].flags & IFF_RUNNING)) {
            finding(f, FINDING_HINT, "network", "%s: %s. No carrier: is the cable in?", all[i].name,
                    all[i].addrs);
        } else if (!(all[i].flags & IFF_MULTICAST)) {
            finding(f, FINDING_HINT, "network",
                    "%s: %s. It carries no multicast, so peers behind it are not discovered; "
                    "use --peer HOST[:PORT]",
                    all[i].name, all[i].addrs);
        } else {
            finding(f, FINDING_OK, "network", "%s: %s", all[i].name, all[i].addrs);
            good++;
        }
    }
    if (good == 0)
        finding(f, FINDING_BAD, "network",
                "no interface with an address and multicast: connect to a network first");
}

/* ---- firewalls ---- */

static bool file_has_line(const char *path, const char *start) {
    FILE *file = fopen(path, "re");
    char line[1024];
    bool found = false;

    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file))
        found = strncmp(line, start, strlen(start)) == 0;
    fclose(file);
    return found;
}

void doctor_firewall(struct findings *f) {
    bool any = false;

    if (file_has_line("/etc/ufw/ufw.conf", "ENABLED=yes")) {
        finding(f, FINDING_HINT, "firewall",
                "ufw is active. To let peers in: ufw allow 5353/udp, ufw allow 5000/tcp");
        any = true;
    }
    if (access("/run/firewalld", F_OK) == 0) {
        finding(f, FINDING_HINT, "firewall",
                "firewalld is active. To let peers in: firewall-cmd --add-service=mdns "
                "--add-port=5000/tcp");
        any = true;
    }
    if (any)
        return;
    if (file_has_line("/proc/net/ip_tables_names", "filter") ||
        file_has_line("/proc/modules", "nf_tables "))
        finding(f, FINDING_HINT, "firewall",
                "the kernel filters packets (nft list ruleset, iptables -S). UDP 5353 and TCP 5000 "
                "must be let in");
    else
        finding(f, FINDING_OK, "firewall", "none was found on this machine");
}
