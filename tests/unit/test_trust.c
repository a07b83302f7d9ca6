/* SPDX-License-Identifier: MIT */
#include "core/trust.h"

#include "core/err.h"
#include "scratch.h"

#include <errno.h>
#include <sys/wait.h>

static struct scratch dir;
static uint8_t a[KEY_LEN], b[KEY_LEN];
static char a_text[KEY_TEXT_LEN + 1], b_text[KEY_TEXT_LEN + 1];

static int set_up(void **state) {
    scratch_make(&dir);
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    key_text(a, a_text);
    key_text(b, b_text);
    return 0;
}

static int tear_down(void **state) {
    scratch_remove(&dir);
    return 0;
}

static void no_file_knows_nobody(void **state) {
    struct trust t;

    assert_int_equal(trust_load(&t, dir.path), 0);
    assert_int_equal(t.n, 0);
    assert_int_equal(trust_check(&t, "anna", a, NULL), TRUST_NEW);
    assert_int_equal(trust_forget(&t, "anna"), 0);
    assert_false(scratch_has(&dir, "known_peers"));
    trust_clear(&t);
    trust_clear(&t);
}

static void pins_a_key_to_a_name(void **state) {
    struct trust t, again;
    uint8_t other[KEY_LEN];
    char want[256];
    struct stat st;

    assert_int_equal(trust_load(&t, dir.path), 0);
    assert_int_equal(trust_add(&t, "anna's laptop", a), 0);
    assert_int_equal(trust_check(&t, "anna's laptop", a, NULL), TRUST_KNOWN);
    assert_int_equal(trust_check(&t, "anna's laptop", b, other), ERR_KEY_CHANGED);
    assert_memory_equal(other, a, KEY_LEN);
    assert_int_equal(trust_check(&t, "anna's laptop", b, NULL), ERR_KEY_CHANGED);
    assert_int_equal(trust_check(&t, "anna", b, NULL), TRUST_NEW);

    snprintf(want, sizeof want, "%s anna's laptop\n", a_text);
    scratch_expect(&dir, "known_peers", want);
    assert_int_equal(trust_add(&t, "anna's laptop", a), 0); /* once is enough */
    scratch_expect(&dir, "known_peers", want);
    assert_int_equal(fstatat(dir.fd, "known_peers", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    assert_int_equal(trust_load(&again, dir.path), 0);
    assert_int_equal(trust_check(&again, "anna's laptop", a, NULL), TRUST_KNOWN);
    trust_clear(&t);
    trust_clear(&again);
}

static void a_name_may_have_two_keys(void **state) {
    struct trust t;

    assert_int_equal(trust_load(&t, dir.path), 0);
    assert_int_equal(trust_add(&t, "anna", a), 0);
    assert_int_equal(trust_add(&t, "anna", b), 0);
    assert_int_equal(trust_check(&t, "anna", a, NULL), TRUST_KNOWN);
    assert_int_equal(trust_check(&t, "anna", b, NULL), TRUST_KNOWN);
    assert_int_equal(trust_forget(&t, "anna"), 2);
    assert_int_equal(t.n, 0);
    trust_clear(&t);
}

static void reads_what_people_write(void **state) {
    char text[1024];
    struct trust t;

    snprintf(text, sizeof text, "# mine\r\n\r\n%s anna\r\n   \n\t# indented\n%s bo b\n%s anna",
             a_text, b_text, a_text);
    scratch_file(&dir, "known_peers", text);
    assert_int_equal(trust_load(&t, dir.path), 0);
    assert_int_equal(t.n, 3);
    assert_int_equal(trust_check(&t, "anna", a, NULL), TRUST_KNOWN);
    assert_int_equal(trust_check(&t, "bo b", b, NULL), TRUST_KNOWN);

    /* comments and ends of lines stay; the last line gets an end */
    assert_int_equal(trust_add(&t, "cyd", b), 0);
    snprintf(text, sizeof text,
             "# mine\r\n\r\n%s anna\r\n   \n\t# indented\n%s bo b\n%s anna\n%s cyd\n", a_text,
             b_text, a_text, b_text);
    assert_int_equal(t.n, 4);
    char *now = t.path;
    FILE *f = fopen(now, "r");
    char got[1024] = "";
    assert_true(fread(got, 1, sizeof got - 1, f) > 0);
    fclose(f);
    assert_string_equal(got, text);

    assert_int_equal(trust_forget(&t, a_text), 2);
    snprintf(text, sizeof text, "# mine\r\n\r\n   \n\t# indented\n%s bo b\n%s cyd\n", b_text,
             b_text);
    scratch_expect(&dir, "known_peers", text);
    b_text[KEY_SHORT_LEN] = '\0';
    assert_int_equal(trust_forget(&t, b_text), 2);
    scratch_expect(&dir, "known_peers", "# mine\r\n\r\n   \n\t# indented\n");
    assert_int_equal(trust_forget(&t, "nobody"), 0);
    trust_clear(&t);
}

static void refuses_a_malformed_file_and_keeps_it(void **state) {
    static const char *const bad[] = {"garbage", "", " name", " ", "\x01 x"};
    char text[512], long_name[300];
    struct trust t;

    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (unsigned i = 0; i < 7; i++) {
        if (i == 0)
            snprintf(text, sizeof text, "# one\n%s anna\ngarbage\n", a_text);
        else if (i == 5)
            snprintf(text, sizeof text, "# one\n%s anna\n%s %s\n", a_text, b_text, long_name);
        else if (i == 6)
            snprintf(text, sizeof text, "# one\n%s anna\n%.51s x\n", a_text, b_text);
        else
            snprintf(text, sizeof text, "# one\n%s anna\n%s\t%s\n", a_text, b_text, bad[i]);
        scratch_file(&dir, "known_peers", text);
        assert_int_equal(trust_load(&t, dir.path), ERR_KNOWN_PEERS);
        assert_int_equal(t.bad_line, 3);
        assert_int_equal(t.n, 0);
        assert_int_equal(trust_add(&t, "bo", b), ERR_KNOWN_PEERS);
        assert_int_equal(trust_forget(&t, "anna"), ERR_KNOWN_PEERS);
        if (strlen(text) < 255)
            scratch_expect(&dir, "known_peers", text);
        trust_clear(&t);
    }
    scratch_bytes(&dir, "known_peers", "a\0b", 3);
    assert_int_equal(trust_load(&t, dir.path), ERR_KNOWN_PEERS);
    assert_int_equal(t.bad_line, 1);
    trust_clear(&t);
}

static void refuses_names_that_would_break_a_line(void **state) {
    char long_name[300];
    struct trust t;

    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(trust_load(&t, dir.path), 0);
    assert_int_equal(trust_add(&t, "", a), -EINVAL);
    assert_int_equal(trust_add(&t, "two\nlines", a), -EINVAL);
    assert_int_equal(trust_add(&t, long_name, a), -EINVAL);
    long_name[255] = '\0';
    assert_int_equal(trust_add(&t, long_name, a), 0);
    assert_int_equal(trust_add(&t, " # spaces ", a), 0);
    assert_int_equal(trust_check(&t, " # spaces ", a, NULL), TRUST_KNOWN);
    assert_int_equal(trust_check(&t, long_name, a, NULL), TRUST_KNOWN);
    trust_clear(&t);
}

static void a_failed_write_changes_nothing(void **state) {
    struct trust t;

    assert_int_equal(trust_load(&t, dir.path), 0);
    assert_int_equal(trust_add(&t, "anna", a), 0);
    assert_int_equal(unlinkat(dir.fd, "known_peers.lock", 0), 0);
    scratch_dir(&dir, "known_peers.lock"); /* cannot be opened for writing */
    assert_int_equal(trust_add(&t, "bo", b), -EISDIR);
    assert_int_equal(t.n, 1);
    trust_clear(&t);
    assert_int_equal(trust_load(&t, "/proc/self/nothing"), 0); /* no folder: nobody */
    assert_true(trust_add(&t, "bo", b) < 0);
    trust_clear(&t);
}

enum { PROCESSES = 8, NAMES = 10 };

static void add_many(unsigned process) {
    struct trust t;
    char name[32];

    if (trust_load(&t, dir.path))
        _exit(1);
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "peer %u %u", process, i);
        if (trust_add(&t, name, i % 2 ? a : b))
            _exit(1);
    }
    trust_clear(&t);
    _exit(0);
}

static void adds_of_several_processes_all_survive(void **state) {
    struct trust t;

    for (unsigned i = 0; i < PROCESSES; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            add_many(i);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(trust_load(&t, dir.path), 0);
    assert_int_equal(t.n, PROCESSES * NAMES);
    for (unsigned i = 0; i < PROCESSES; i++)
        for (unsigned k = 0; k < NAMES; k++) {
            char name[32];
            snprintf(name, sizeof name, "peer %u %u", i, k);
            assert_int_equal(trust_check(&t, name, k % 2 ? a : b, NULL), TRUST_KNOWN);
        }
    trust_clear(&t);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIR(no_file_knows_nobody),
        IN_DIR(pins_a_key_to_a_name),
        IN_DIR(a_name_may_have_two_keys),
        IN_DIR(reads_what_people_write),
        IN_DIR(refuses_a_malformed_file_and_keeps_it),
        IN_DIR(refuses_names_that_would_break_a_line),
        IN_DIR(a_failed_write_changes_nothing),
        IN_DIR(adds_of_several_processes_all_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
