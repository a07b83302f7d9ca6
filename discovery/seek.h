/* SPDX-License-Identifier: MIT */
/*
 * seek -- the part of browse that runs on the mdns thread: find services, resolve each
 *
 *     WANTED -> RESOLVING -> ANSWERED -> WATCHED -> KNOWN          refresh: all -> WANTED
 *                   |        (more addresses)   (others need the resolver)
 *                   +-> FAILED                                     goodbye: all -> GONE
 *
 * One resolver per (interface, protocol, name), at most SEEK_RESOLVERS at once. An open one hears
 * of a new port or address at once, and asks the network every 96 s; what has none is asked anew
 * every minute.
 */
#ifndef DISCOVERY_SEEK_H
#define DISCOVERY_SEEK_H

#include "discovery/mdns.h"

enum { SEEK_RESOLVERS = 64, SEEK_SERVICES_MAX = ANSWERS_MAX };

extern const struct mdns_role seek_role;

void *seek_new(void); /* the role's state, or NULL */

#endif
