/* SPDX-License-Identifier: MIT */
#include "core/digest.h"
#include "core/err.h"
#include "core/journal.h"
#include "tests/unit/scratch.h"

#include <errno.h>

static struct scratch dir;
static int fd;

static int setup(void **arg) {
    scratch_make(&dir);
    fd = openat(dir.fd, "journal", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd < 0;
}

static int teardown(void **arg) {
    close(fd);
    scratch_remove(&dir);
    return 0;
}

static void fill(uint8_t *out, size_t len, uint8_t first) {
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(first + i);
}

/* What lies in tests/data/journal-2. */
static struct journal_header example(void) {
    struct journal_header h = {.flags = JOURNAL_VERIFY_ALL | JOURNAL_SWEEP, .chunks = 3};
    fill(h.manifest_id, sizeof h.manifest_id, 0x10);
    fill(h.origin, sizeof h.origin, 0x80);
    fill(h.here.boot_id, sizeof h.here.boot_id, 0xc0);
    h.here.mnt_id = 0x0102030405060708;
    h.here.dev = 0xfe00000001;
    h.here.ino = 0x1122334455667788;
    h.here.born_ns = 0x17a1b2c3d4e5f607;
    strcpy(h.path, "Music/\xc3\xa4 b.flac");
    return h;
}

static void header_comes_back(void **arg) {
    struct journal_header h = example(), back;
    assert_int_equal(journal_write_header(fd, &h), 0);
    assert_int_equal(journal_read_header(fd, &back), 0);
    assert_memory_equal(&h, &back, sizeof h);
}

static void longest_path(void **arg) {
    struct journal_header h = example(), back;
    uint8_t bytes[JOURNAL_HEADER_LEN];
    memset(h.path, 'x', sizeof h.path);
    h.path[sizeof h.path - 1] = 0;
    journal_header_put(bytes, &h);
    assert_int_equal(journal_header_get(&back, bytes), 0);
    assert_string_equal(h.path, back.path);
}

/* Journals that are on people's disks must be understood by every later version. */
static void golden(void **arg) {
    struct journal_header h, want = example();
    uint8_t bytes[JOURNAL_HEADER_LEN], again[JOURNAL_HEADER_LEN], slots[4 * WIRE_DIGEST_LEN];
    uint8_t second[WIRE_DIGEST_LEN], absent[WIRE_DIGEST_LEN] = {0};
    int file = open(GOLDEN_DIR "/journal-2", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(pread(file, bytes, sizeof bytes, 0), sizeof bytes);
    assert_int_equal(journal_read_header(file, &h), 0);
    assert_memory_equal(&h, &want, sizeof h);
    journal_header_put(again, &want);
    assert_memory_equal(bytes, again, sizeof bytes);

    assert_int_equal(journal_get(file, 0, 4, slots), 0);
    fill(second, sizeof second, 0x20);
    assert_memory_equal(slots, absent, WIRE_DIGEST_LEN);
    assert_memory_equal(slots + WIRE_DIGEST_LEN, second, WIRE_DIGEST_LEN);
    assert_memory_equal(slots + 2 * WIRE_DIGEST_LEN, absent, WIRE_DIGEST_LEN);
    assert_memory_equal(slots + 3 * WIRE_DIGEST_LEN, absent, WIRE_DIGEST_LEN);
    close(file);
}

/* Every single bit counts. */
static void flipped_bits(void **arg) {
    struct journal_header h = example(), back;
    uint8_t bytes[JOURNAL_HEADER_LEN];
    journal_header_put(bytes, &h);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(journal_header_get(&back, bytes), ERR_FORMAT);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(journal_header_get(&back, bytes), 0);
}

/* A checksum that is right does not make it canonical. */
static void refuses(size_t at, uint8_t value) {
    struct journal_header h = example(), back;
    uint8_t bytes[JOURNAL_HEADER_LEN];
    journal_header_put(bytes, &h);
    bytes[at] = value;
    uint64_t sum = digest_64(bytes, JOURNAL_HEADER_LEN - 8);
    for (int i = 0; i < 8; i++)
        bytes[JOURNAL_HEADER_LEN - 1 - i] = (uint8_t)(sum >> 8 * i);
    assert_int_equal(journal_header_get(&back, bytes), ERR_FORMAT);
}

static void not_canonical(void **arg) {
    refuses(7, '1');     /* another version */
    refuses(8, 21);      /* chunks of another size */
    refuses(12, 1);      /* reserved */
    refuses(16, 0xff);   /* more chunks than a file can have slots */
    refuses(10, 0xff);   /* a path that is too long */
    refuses(11, 12);     /* one that is shorter than its bytes */
    refuses(120 + 3, 0); /* NUL in the path */
    refuses(4000, 1);    /* behind the path */
}

static void torn(void **arg) {
    struct journal_header h = example(), back;
    assert_int_equal(journal_read_header(fd, &back), JOURNAL_NONE); /* empty */
    assert_int_equal(journal_write_header(fd, &h), 0);
    assert_int_equal(ftruncate(fd, JOURNAL_HEADER_LEN - 1), 0);
    assert_int_equal(journal_read_header(fd, &back), ERR_FORMAT);
}

static void slots_beyond_the_end(void **arg) {
    uint8_t in[3 * WIRE_DIGEST_LEN], out[6 * WIRE_DIGEST_LEN], none[2 * WIRE_DIGEST_LEN] = {0};
    fill(in, sizeof in, 1);
    assert_int_equal(journal_put(fd, 2, 3, in), 0);
    memset(out, 0xee, sizeof out);
    assert_int_equal(journal_get(fd, 0, 6, out), 0);
    assert_memory_equal(out, none, sizeof none); /* a hole */
    assert_memory_equal(out + sizeof none, in, sizeof in);
    assert_memory_equal(out + sizeof none + sizeof in, none, WIRE_DIGEST_LEN); /* the end */
    memset(out, 0xee, sizeof out);
    assert_int_equal(journal_get(fd, (uint64_t)1 << 40, 1, out), 0);
    assert_memory_equal(out, none, WIRE_DIGEST_LEN);
}

/* A slot that is cut is no slot. */
static void half_a_slot(void **arg) {
    uint8_t in[2 * WIRE_DIGEST_LEN], out[2 * WIRE_DIGEST_LEN], none[WIRE_DIGEST_LEN] = {0};
    fill(in, sizeof in, 1);
    assert_int_equal(journal_put(fd, 0, 2, in), 0);
    assert_int_equal(ftruncate(fd, (off_t)journal_slot_at(1) + 19), 0);
    assert_int_equal(journal_get(fd, 0, 2, out), 0);
    assert_memory_equal(out, in, WIRE_DIGEST_LEN);
    assert_memory_equal(out + WIRE_DIGEST_LEN, none, WIRE_DIGEST_LEN);
}

/* In a slot, too; nor does one stand for another. */
static void flipped_bits_in_slots(void **arg) {
    uint8_t in[WIRE_DIGEST_LEN], out[2 * WIRE_DIGEST_LEN], bytes[JOURNAL_SLOT_LEN];
    const uint8_t none[WIRE_DIGEST_LEN] = {0};
    fill(in, sizeof in, 1);
    assert_int_equal(journal_put(fd, 0, 1, in), 0);
    assert_int_equal(pread(fd, bytes, sizeof bytes, (off_t)journal_slot_at(0)), sizeof bytes);
    assert_int_equal(pwrite(fd, bytes, sizeof bytes, (off_t)journal_slot_at(1)), sizeof bytes);
    assert_int_equal(journal_get(fd, 0, 2, out), 0);
    assert_memory_equal(out, in, sizeof in);
    assert_memory_equal(out + sizeof in, none, sizeof none);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(pwrite(fd, bytes, sizeof bytes, (off_t)journal_slot_at(0)), sizeof bytes);
        assert_int_equal(journal_get(fd, 0, 1, out), 0);
        assert_memory_equal(out, none, sizeof none);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void io_errors_go_up(void **arg) {
    struct journal_header h = example();
    uint8_t digest[WIRE_DIGEST_LEN] = {1};
    assert_int_equal(journal_write_header(-1, &h), -EBADF);
    assert_int_equal(journal_read_header(-1, &h), -EBADF);
    assert_int_equal(journal_put(-1, 0, 1, digest), -EBADF);
    assert_int_equal(journal_get(-1, 0, 1, digest), -EBADF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(header_comes_back, setup, teardown),
        cmocka_unit_test(longest_path),
        cmocka_unit_test(golden),
        cmocka_unit_test(flipped_bits),
        cmocka_unit_test(not_canonical),
        cmocka_unit_test_setup_teardown(torn, setup, teardown),
        cmocka_unit_test_setup_teardown(slots_beyond_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_slot, setup, teardown),
        cmocka_unit_test_setup_teardown(flipped_bits_in_slots, setup, teardown),
        cmocka_unit_test_setup_teardown(io_errors_go_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
