/* SPDX-License-Identifier: MIT */
/*
 * Input: how, a name, the names of two peers, then a payload of FOUND. What `list`, `find` and
 * `download` print of it must be printable, a line for each row; in JSON it must be ASCII, and the
 * names must come out as they were.
 */
#include "cli/listing.h"
#include "proto/name.h"
#include "tests/fuzz/world.h"

#include <jansson.h>

enum { JSON = 1, SECOND_PEER = 2 };

static struct survey_peer peers[2];
static struct survey_peer *all[2] = {&peers[0], &peers[1]};
static const struct survey survey = {.all = all, .n = 2};

static void name_peer(struct survey_peer *p, struct input *in) {
    struct input name = take_part(in, 1);

    p->state = SURVEY_ANSWERED;
    name_show((const char *)name.at, name.left, p->name, sizeof p->name);
    snprintf(p->key_text, sizeof p->key_text, "%0*d", KEY_TEXT_LEN, 7);
    snprintf(p->addr, sizeof p->addr, "[fe80::1%%eth0]:5000");
}

/* The next line of text, without its end, or NULL. */
static char *next_line(char **text) {
    char *line = *text, *end = line ? strchr(line, '\n') : NULL;

    must(!line || end || !*line);
    if (!end)
        return NULL;
    *end = '\0';
    *text = end + 1;
    return line;
}

static void check_json(char *line) {
    for (const char *c = line; *c; c++)
        must(*c >= ' ' && *c < 0x7f);
    json_t *o = json_loads(line, 0, NULL);
    const char *path = json_string_value(json_object_get(o, "path"));
    const char *hex = json_string_value(json_object_get(o, "path_hex"));
    must(o && path && (!hex || strlen(hex) % 2 == 0));
    json_decref(o);
}

static void check_lines(char *text, bool json, size_t n) {
    for (char *line = next_line(&text); line; line = next_line(&text)) {
        must(n-- > 0);
        if (json)
            check_json(line);
        else
            must_be_shown(line);
    }
    must(n == 0);
}

static size_t gather(struct hits *hits, struct listing *l, struct bytes rows, uint8_t how) {
    const struct hit about = {.peer = &peers[0], .peer_name = peers[0].name};
    struct wire_entry e;
    size_t n = 0;

    for (; wire_entry_next(&rows, &e); n++) {
        listing_add(l, &peers[how & SECOND_PEER ? n % 2 : 0], &e);
        must(hits_add(hits, &about, "", &e) == 0);
    }
    must(l->err == 0);
    return n;
}

static void print(struct listing *l, struct bytes rows, const char *name, uint8_t how) {
    FILE *out = stdout, *err = stderr;
    char *said = NULL, *complained = NULL;
    size_t len, n;
    struct hits hits;

    hits_init(&hits);
    n = gather(&hits, l, rows, how);
    stdout = open_memstream(&said, &len);
    stderr = open_memstream(&complained, &len);
    listing_flush(l);
    bool candidates = hits_resolve(&hits, name) == HITS_MANY && hits.n <= 50;
    if (candidates)
        listing_candidates(&survey, &hits);
    fclose(stdout);
    fclose(stderr);
    stdout = out;
    stderr = err;
    check_lines(said, how & JSON, how & JSON || n == 0 ? n : n + 1);
    if (candidates)
        check_lines(complained, false, hits.n + 1);
    hits_clear(&hits);
    free(said);
    free(complained);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    uint8_t how = (uint8_t)take_number(&in, 1);
    struct listing l = {.survey = &survey, .json = how & JSON, .dir = ""};
    char *name = take_text(&in, 1);
    struct wire_header h = {.type = WIRE_FOUND, .req = 1};
    struct msg m;

    name_peer(&peers[0], &in);
    name_peer(&peers[1], &in);
    h.len = (uint32_t)in.left;
    uint8_t *payload = exact(in.at, in.left);
    if (wire_decode(&m, &h, payload) == 0)
        print(&l, m.entries.rows, name, how);
    free(payload);
    free(name);
    return 0;
}
