/* SPDX-License-Identifier: MIT */
/*
 * digest -- the checksums of chunks: XXH3-128 in canonical form
 *
 * Finds accidents at the speed of memory; it is no defence against a peer that lies. Bytes may lie
 * at any address; len 0 is allowed (data is not looked at then). Any thread.
 */
#ifndef CORE_DIGEST_H
#define CORE_DIGEST_H

#include "proto/wire.h"

void digest_chunk(const void *data, size_t len, uint8_t out[static WIRE_DIGEST_LEN]);

/* Of `len` zero bytes (<= WIRE_CHUNK_SIZE), what a hole reads as. A whole chunk costs nothing. */
void digest_zeros(size_t len, uint8_t out[static WIRE_DIGEST_LEN]);

/* XXH3-64, for short records of our own. */
uint64_t digest_64(const void *data, size_t len);

#endif
