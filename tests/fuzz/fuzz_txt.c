/* SPDX-License-Identifier: MIT */
/*
 * Input: the rdata of a TXT record; read as a name too. What was taken must be what we would make,
 * and come back the same.
 */
#include "discovery/peer.h"

#include "tests/fuzz/fuzz.h"

static void check_txt(const uint8_t *rdata, size_t size) {
    struct peer_txt t, again;
    uint8_t made[PEER_TXT_MAX];

    memset(&t, 'x', sizeof t);
    peer_txt_parse(rdata, size, &t);
    must(memchr(t.id, 0, sizeof t.id) && memchr(t.version, 0, sizeof t.version));
    must(strlen(t.id) == 0 || strlen(t.id) == PEER_ID_LEN);
    must(strspn(t.id, "abcdefghijklmnopqrstuvwxyz234567") == strlen(t.id));
    for (const char *v = t.version; *v; v++)
        must(*v > ' ' && *v < 0x7f);

    int len = peer_txt_make(&t, made);
    must(len > 0 && len <= PEER_TXT_MAX);
    peer_txt_parse(made, (size_t)len, &again);
    must(memcmp(&t, &again, sizeof t) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *rdata = exact(data, size);
    char *name = malloc(size + 1);

    check_txt(rdata, size);
    must(name);
    memcpy(name, data, size);
    name[size] = 0;
    must(!peer_name_ok(name) || (strlen(name) > 0 && strlen(name) <= PEER_NAME_LEN));
    free(name);
    free(rdata);
    return 0;
}
