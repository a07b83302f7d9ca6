/* SPDX-License-Identifier: MIT */
/* browse */
typedef int discovery_browse_is_to_come;
