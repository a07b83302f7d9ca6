/* SPDX-License-Identifier: MIT */
/* avahi_embedded */
typedef int discovery_avahi_embedded_is_to_come;
