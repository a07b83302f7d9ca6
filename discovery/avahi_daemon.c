/* SPDX-License-Identifier: MIT */
/* avahi_daemon */
typedef int discovery_avahi_daemon_is_to_come;
