/* SPDX-License-Identifier: MIT */
/* The header of a journal, with its checksum made right so that the parser is reached: what is
 * accepted is exactly what we would have written. */
#include "core/digest.h"
#include "core/err.h"
#include "core/journal.h"
#include "proto/be.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    uint8_t bytes[JOURNAL_HEADER_LEN] = {0}, again[JOURNAL_HEADER_LEN];
    struct journal_header h;
    if (len > sizeof bytes)
        len = sizeof bytes;
    memcpy(bytes, data, len);
    be_put(bytes + sizeof bytes - 8, digest_64(bytes, sizeof bytes - 8), 8);
    int rc = journal_header_get(&h, bytes);
    if (rc != 0 && rc != ERR_FORMAT)
        abort();
    if (rc == 0) {
        journal_header_put(again, &h);
        if (memcmp(bytes, again, sizeof bytes) != 0 || strlen(h.path) >= JOURNAL_PATH_MAX)
            abort();
    }
    return 0;
}
