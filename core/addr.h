/* SPDX-License-Identifier: MIT */
/*
 * addr -- socket addresses as text, and what kind they are
 */
#ifndef CORE_ADDR_H
#define CORE_ADDR_H

#include <stdbool.h>
#include <sys/socket.h>

enum { ADDR_TEXT_LEN = 80 };

/* "192.168.1.7:5000", "[fe80::1%eth0]:5000"; a mapped IPv4 address as IPv4. */
void addr_show(const struct sockaddr *addr, char out[static ADDR_TEXT_LEN]);
bool addr_is_link_local(const struct sockaddr *addr); /* fe80::/10, 169.254/16 */
bool addr_equal(const struct sockaddr *a, const struct sockaddr *b);
/* Global before link-local, in their order otherwise. */
void addr_sort(struct sockaddr_storage *addrs, unsigned n);

#endif
