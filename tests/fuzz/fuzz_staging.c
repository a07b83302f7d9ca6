/* SPDX-License-Identifier: MIT */
/*
 * Input: what a staging folder holds: a journal and a manifest, each an older and a newer one, and
 * data. Whatever an earlier run, a crash, a disk or somebody else has left there, opening it ends
 * with an error or a plan, nothing is written elsewhere, and what is complete can be committed.
 */
#include "core/digest.h"
#include "core/err.h"
#include "core/journal.h"
#include "core/store.h"
#include "proto/be.h"
#include "tests/fuzz/world.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGING "out/f.lanyard-part/"

enum { UPDATE = 1, NEW_JOURNAL = 2, NEW_MANIFEST = 4, THERE = 8, DATA = 48, CHUNKS_MAX = 64 };
enum { FILE_DATA = 16, FOLDER_DATA = 32, LINK_DATA = 48 };

/* How a journal is made true where the fuzzer could not guess. */
enum { SUM = 1, ID = 2, HERE = 4, SLOT_SUMS = 8 };

static void write_bytes(const char *path, const void *bytes, size_t len) {
    int fd = openat(world.fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    close(fd);
}

/* An entry of the manifest begins with its header; so does its id. */
static void put_manifest(const char *path, struct input entries, uint8_t id[SHA256_DIGEST_LENGTH]) {
    size_t len = MANIFEST_HEADER_LEN + entries.left;
    uint8_t *manifest = malloc(len);

    must(manifest);
    manifest_header_put(manifest);
    memcpy(manifest + MANIFEST_HEADER_LEN, entries.at, entries.left);
    SHA256(manifest, len, id);
    write_bytes(path, manifest, len);
    free(manifest);
}

static void sum_slots(uint8_t *slots, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint8_t *slot = slots + i * JOURNAL_SLOT_LEN, summed[8 + WIRE_DIGEST_LEN];

        be_put(summed, i, 8);
        memcpy(summed + 8, slot, WIRE_DIGEST_LEN);
        be_put(slot + WIRE_DIGEST_LEN, digest_64(summed, sizeof summed), 8);
    }
}

static void put_journal(const char *path, struct input *in, const uint8_t *id) {
    uint8_t how = (uint8_t)take_number(in, 1);
    struct input head = take_part(in, 1), slots = take_part(in, 2);
    size_t len = JOURNAL_HEADER_LEN + slots.left;
    uint8_t *journal = calloc(1, len);
    struct journal_header h = {.chunks = 1, .path = "share/f"};
    int folder = openat(world.fd, STAGING, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    must(journal && folder >= 0);
    if (how & HERE)
        here_read(&h.here, folder);
    close(folder);
    journal_header_put(journal, &h);
    for (size_t i = 0; i < head.left; i++)
        journal[i] ^= head.at[i];
    if (how & ID)
        memcpy(journal + 88, id, SHA256_DIGEST_LENGTH);
    if (how & SUM)
        be_put(journal + JOURNAL_HEADER_LEN - 8, digest_64(journal, JOURNAL_HEADER_LEN - 8), 8);
    memcpy(journal + JOURNAL_HEADER_LEN, slots.at, slots.left);
    if (how & SLOT_SUMS)
        sum_slots(journal + JOURNAL_HEADER_LEN, slots.left / JOURNAL_SLOT_LEN);
    write_bytes(path, journal, len);
    free(journal);
}

static void put_data(uint8_t how, struct input bytes) {
    switch (how & DATA) {
    case FILE_DATA:
        write_bytes(STAGING "data", bytes.at, bytes.left);
        break;
    case FOLDER_DATA:
        must(mkdirat(world.fd, STAGING "data", 0755) == 0);
        write_bytes(STAGING "data/a", bytes.at, bytes.left);
        must(symlinkat("../../../outside", world.fd, STAGING "data/d") == 0);
        break;
    case LINK_DATA:
        must(symlinkat("../../outside/secret", world.fd, STAGING "data") == 0);
        break;
    }
}

static void check_all(struct store *s, struct plan *plan) {
    bool ok[CHUNKS_MAX];
    uint64_t first;
    uint32_t n;

    while (plan_run(plan, PLAN_CHECK, CHUNKS_MAX, &first, &n)) {
        must(store_check(s, first, n, ok) <= 0);
        for (uint32_t i = 0; i < n; i++)
            plan_set(plan, first + i, ok[i] ? PLAN_HAVE : PLAN_ABSENT);
    }
}

static void go_on(struct store *s) {
    const struct catalog *c = store_catalog(s);
    struct store_commit_options options = {0};
    struct plan plan;
    uint64_t missing;

    if (!c || catalog_totals(c)->chunks > CHUNKS_MAX)
        return;
    must(plan_init(&plan, catalog_totals(c)->chunks) == 0);
    if (store_load(s, &plan) == 0 && store_prepare(s, &missing) == 0) {
        check_all(s, &plan);
        int err = store_commit(s, &options);
        must(err != 0 || plan.count[PLAN_HAVE] + plan.count[PLAN_FAILED] == plan.n);
        must(err != 0 || faccessat(world.fd, "out/f", F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    }
    plan_clear(&plan);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return ftw->level > 0 ? remove(path) : 0;
}

static void look(void) {
    struct stat st;
    char secret[8] = "";
    int fd = openat(world.fd, "outside/secret", O_RDONLY | O_CLOEXEC);

    must(fd >= 0 && read(fd, secret, sizeof secret) == 6 && memcmp(secret, "secret", 6) == 0);
    must(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0644 && st.st_nlink == 1);
    close(fd);
    must(fstatat(world.fd, "outside", &st, 0) == 0 && st.st_nlink == 2);
}

static void run(struct input *in) {
    uint8_t how = (uint8_t)take_number(in, 1), id[SHA256_DIGEST_LENGTH];
    struct store_target target = {
        .dir = world_at("out"), .name = "f", .path = "share/f", .update = how & UPDATE};
    struct store *s;

    must(mkdirat(world.fd, STAGING, 0700) == 0);
    put_manifest(STAGING "manifest", take_part(in, 2), id);
    put_journal(STAGING "journal", in, id);
    if (how & NEW_MANIFEST)
        put_manifest(STAGING "manifest.new", take_part(in, 2), id);
    if (how & NEW_JOURNAL)
        put_journal(STAGING "journal.new", in, id);
    put_data(how, take_part(in, 2));
    if (how & THERE)
        write_bytes("out/f", "there", 5);
    if (store_open(&s, &target) == 0) {
        go_on(s);
        store_close(s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const folders[] = {"out", "outside", NULL};
    struct input in = {data, size};

    if (world_open(folders))
        world_file("outside/secret", "secret");
    run(&in);
    look();
    nftw(world_at("out"), remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
