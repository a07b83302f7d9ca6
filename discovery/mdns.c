/* SPDX-License-Identifier: MIT */
/* mdns */
typedef int discovery_mdns_is_to_come;
