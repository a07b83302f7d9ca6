/* SPDX-License-Identifier: MIT */
/* announce */
typedef int discovery_announce_is_to_come;
