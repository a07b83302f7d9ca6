/* SPDX-License-Identifier: MIT */
/*
 * download -- from hits that are one thing to a file or folder here
 *
 * Runs one fetch with every hit's peer as a source, shows how it goes, and prints the final path.
 * Discovery goes on meanwhile: a peer that is seen again is offered to the fetch.
 */
#ifndef CLI_DOWNLOAD_H
#define CLI_DOWNLOAD_H

#include "cli/asking.h"
#include "core/fetch.h"

struct download_options {
    const char *dir; /* an existing folder */
    uint64_t timeout_ms;
    bool unsafe_links, update, json;
};

/* hits: HITS_ONE of hits_resolve. Returns the exit code; everything is reported, but for the event
 * "failed" of --json. */
int download_run(struct asking *a, const struct download_options *o, const struct hits *hits);

#endif
