/* SPDX-License-Identifier: MIT */
/* A peer that speaks the protocol and lies: a fetch must not believe it, and must not hang. */
#include "liar.h"

/* ---- the tests ---- */

static void truth_arrives(void **state) {
    struct liar *l = *state;

    assert_int_equal(fetch_from(l, TRUTH), 0);
    assert_true(scratch_has(&l->at, "out/f"));
}

static void damage_is_fetched_again(void **state) {
    struct liar *l = *state;
    char command[256];

    assert_int_equal(fetch_from(l, BAD_ONCE), 0);
    assert_int_equal(l->lied, 1);
    snprintf(command, sizeof command, "%s/good", l->at.path);
    scratch_bytes(&l->at, "good", l->content, (CHUNKS - 1) * (size_t)WIRE_CHUNK_SIZE + TAIL);
    snprintf(command, sizeof command, "cmp %s/good %s/out/f", l->at.path, l->at.path);
    assert_int_equal(system(command), 0);
}

/* Three times damaged: an error that names file, chunk and peer. */
static void damage_without_end_is_an_error(void **state) {
    struct liar *l = *state;

    assert_int_equal(fetch_from(l, BAD_ALWAYS), ERR_CORRUPT);
    assert_int_equal(l->lied, 3);
    assert_non_null(strstr(l->text, "liar"));
    assert_non_null(strstr(l->text, "chunk 1 of f"));
    assert_false(scratch_has(&l->at, "out/f"));
}

/* Each of these ends the connection, again and again until the time is up, and nothing appears. */
static void lies_are_not_believed(void **state) {
    struct liar *l = *state;
    /* those about the manifest first: one that is here already is not asked for again */
    enum lie lies[] = {WRONG_PAGE, CLIMBING_NAME, OTHER_ID, NOT_ASKED,
                       TWICE,      SHORT_CHUNK,   SILENCE,  ANSWER_UNASKED};

    for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++) {
        l->done = false;
        assert_true(fetch_from(l, lies[i]) < 0);
        assert_false(scratch_has(&l->at, "out/f"));
        assert_false(scratch_has(&l->at, "f"));
    }
}

static void a_list_is_what_was_opened(void **state) {
    struct liar *l = *state;

    assert_int_equal(fetch_from(l, OTHER_TOTALS), WIRE_ERR(WIRE_PROTOCOL));
    assert_false(scratch_has(&l->at, "out/f"));
}

/* Memory is one byte for each chunk: a few numbers of a stranger are no reason to take it. */
static void nothing_is_as_large_as_that(void **state) {
    struct liar *l = *state;

    assert_int_equal(fetch_from(l, GIANT), ERR_TOO_LARGE);
    assert_false(scratch_has(&l->at, "out/f.lanyard-part"));
}

/* The chunks of one selection never get into the files of another. */
static void selections_are_not_mixed(void **state) {
    struct liar *l = *state;
    struct stat st;

    assert_int_equal(fetch_from(l, SWITCHES), 0);
    assert_int_equal(fstatat(l->at.fd, "out/f", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISREG(st.st_mode));
}

/* Asked again, it would say the same for ever. */
static void nobody_cancelled(void **state) {
    assert_int_equal(fetch_from(*state, CANCELLED), WIRE_ERR(WIRE_PROTOCOL));
}

/* Its refusal must not pass for what only we can know: that a key has changed. */
static void a_code_is_no_error_of_ours(void **state) {
    assert_int_equal(fetch_from(*state, BEYOND_CODES), WIRE_ERR(WIRE_INTERNAL));
}

static void names_are_told_escaped(void **state) {
    struct liar *l = *state;

    assert_int_equal(fetch_from(l, ESCAPES), ERR_CORRUPT);
    assert_null(strchr(l->text, '\033'));
    assert_non_null(strstr(l->text, "\\x1b[2J"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(truth_arrives, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(damage_is_fetched_again, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(damage_without_end_is_an_error, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(a_list_is_what_was_opened, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(nothing_is_as_large_as_that, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(selections_are_not_mixed, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(lies_are_not_believed, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(nobody_cancelled, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(a_code_is_no_error_of_ours, make_liar, drop_liar),
        cmocka_unit_test_setup_teardown(names_are_told_escaped, make_liar, drop_liar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
