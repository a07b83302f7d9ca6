/* SPDX-License-Identifier: MIT */
/*
 * Input: what it is, then the text: what people type, and files of ours that they may edit: access
 * codes, keys, names of peers and of things at them, settings, known peers.
 */
#include "cli/config.h"
#include "cli/what.h"
#include "core/access.h"
#include "core/err.h"
#include "core/trust.h"
#include "proto/name.h"
#include "tests/fuzz/world.h"

#include <errno.h>

static void check_code(const char *text) {
    char shown[ACCESS_SHOWN_LEN + 1];
    struct access_code code, again;

    if (access_parse(&code, text) != 0)
        return;
    must(strspn(code.text, "0123456789abcdefghjkmnpqrstvwxyz") == ACCESS_CODE_LEN);
    access_show(&code, shown);
    must(strlen(shown) == ACCESS_SHOWN_LEN && access_parse(&again, shown) == 0);
    must(strcmp(code.text, again.text) == 0);
}

static void check_key(const char *text) {
    char again[KEY_TEXT_LEN + 1];
    uint8_t key[KEY_LEN];

    if (key_parse(text, key) != 0)
        return;
    key_text(key, again);
    must(strcmp(text, again) == 0);
}

static void check_peer(const struct peer_spec *p) {
    must(p->kind == PEER_ANY || p->name[0] || p->host[0]);
    must(strlen(p->id) == 0 || strlen(p->id) >= KEY_SHORT_LEN);
    must(p->kind != PEER_ADDR || p->port != 0);
}

static void check_what(const char *text) {
    struct peer_spec peer;
    struct what what;

    if (what_parse_peer(&peer, text) == 0)
        check_peer(&peer);
    if (what_parse_address(&peer, text, text) == 0)
        check_peer(&peer);
    if (what_parse_listed(&what, text) == 0)
        check_peer(&what.peer);
    if (what_parse(&what, text) != 0)
        return;
    check_peer(&what.peer);
    must(!what.path[0] || name_path_ok(what.path, strlen(what.path)));
}

static void check_config(char *text) {
    struct config c;

    config_init(&c);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (config_line(&c, line))
            return;
    must(c.port >= -1 && c.port <= 65535);
    must(name_utf8_ok(c.name, strlen(c.name)));
}

static void check_known(const char *text) {
    static const char *const folders[] = {NULL};
    static const uint8_t key[KEY_LEN] = {7};
    struct trust t, again;

    (void)world_open(folders);
    world_file("honest/known_peers", text);
    int err = trust_load(&t, world_at("honest"));
    must(err == 0 || (err == ERR_KNOWN_PEERS && t.bad_line > 0));
    if (err == 0 && trust_add(&t, "somebody", key) == 0) {
        must(trust_check(&t, "somebody", key, NULL) == TRUST_KNOWN);
        must(trust_load(&again, world_at("honest")) == 0 && again.n == t.n);
        must(memcmp(again.peers, t.peers, t.n * sizeof *t.peers) == 0);
        trust_clear(&again);
    }
    trust_clear(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    uint8_t what = (uint8_t)take_number(&in, 1);
    char *text = malloc(in.left + 1);

    must(text);
    memcpy(text, in.at, in.left);
    text[in.left] = '\0';
    switch (what % 5) {
    case 0:
        check_code(text);
        break;
    case 1:
        check_key(text);
        break;
    case 2:
        check_what(text);
        break;
    case 3:
        check_config(text);
        break;
    case 4:
        check_known(text);
        break;
    }
    free(text);
    return 0;
}
