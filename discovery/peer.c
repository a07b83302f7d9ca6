/* SPDX-License-Identifier: MIT */
/* peer */
typedef int discovery_peer_is_to_come;
