/* SPDX-License-Identifier: MIT */
#include "core/err.h"
#include "core/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], file[80];

static int set_up(void **state) {
    strcpy(dir, "/tmp/lanyard-identity-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(file, sizeof file, "%s/key.pem", dir);
    return 0;
}

static int tear_down(void **state) {
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void put_file(const char *text, mode_t mode) {
    FILE *f = fopen(file, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(file, mode), 0);
}

static unsigned count_entries(void) {
    char command[128], n[16] = "";

    snprintf(command, sizeof command, "ls -A '%s' | wc -l", dir);
    FILE *f = popen(command, "r");
    assert_non_null(fgets(n, sizeof n, f));
    pclose(f);
    return (unsigned)atoi(n);
}

static void makes_one_key_and_keeps_it(void **state) {
    struct identity a, b;
    struct stat st;

    assert_int_equal(identity_load(&a, dir), 0);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(count_entries(), 1);
    assert_int_equal(identity_load(&b, dir), 0);
    assert_memory_equal(a.key, b.key, KEY_LEN);
    identity_clear(&a);
    identity_clear(&b);
    identity_clear(&b);
}

static void certificate_carries_the_key(void **state) {
    struct identity id;
    uint8_t key[KEY_LEN];
    size_t len = sizeof key;

    assert_int_equal(identity_load(&id, dir), 0);
    EVP_PKEY *pkey = X509_get0_pubkey(id.cert);
    assert_int_equal(EVP_PKEY_get_raw_public_key(pkey, key, &len), 1);
    assert_int_equal(len, KEY_LEN);
    assert_memory_equal(key, id.key, KEY_LEN);
    assert_int_equal(X509_verify(id.cert, pkey), 1);
    identity_clear(&id);
}

/* A key file that another program could have left, as text. */
static void other_key(const char *type, bool locked, char *out, size_t cap) {
    EVP_PKEY *pkey = strcmp(type, "EC") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                                             : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    BIO *bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = locked ? EVP_aes_128_cbc() : NULL;

    assert_true(PEM_write_bio_PKCS8PrivateKey(bio, pkey, cipher, locked ? "secret" : NULL,
                                              locked ? 6 : 0, NULL, NULL));
    int n = BIO_read(bio, out, (int)cap - 1);
    assert_true(n > 0);
    out[n] = '\0';
    BIO_free(bio);
    EVP_PKEY_free(pkey);
}

static void refuses_what_is_no_key(void **state) {
    char ec[1024], locked[1024]; /* one that would ask for a password on the terminal */
    const char *texts[] = {"", "garbage\n", "-----BEGIN PRIVATE KEY-----\nAAAA\n", ec, locked};

    other_key("EC", false, ec, sizeof ec);
    other_key("ED25519", true, locked, sizeof locked);
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct identity id;
        char now[1024] = "";

        put_file(texts[i], 0600);
        assert_int_equal(identity_load(&id, dir), ERR_KEY_FILE);
        assert_null(id.pkey);
        FILE *f = fopen(file, "r"); /* what was there stays */
        size_t n = fread(now, 1, sizeof now - 1, f);
        fclose(f);
        assert_int_equal(n, strlen(texts[i]));
        assert_string_equal(now, texts[i]);
    }
}

static void refuses_a_key_that_others_may_read(void **state) {
    struct identity id;
    const mode_t open_modes[] = {0640, 0604, 0660, 0601};

    assert_int_equal(identity_load(&id, dir), 0);
    identity_clear(&id);
    for (unsigned i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        assert_int_equal(chmod(file, open_modes[i]), 0);
        assert_int_equal(identity_load(&id, dir), ERR_KEY_FILE);
    }
    assert_int_equal(chmod(file, 0400), 0);
    assert_int_equal(identity_load(&id, dir), 0);
    identity_clear(&id);
}

static void refuses_other_kinds_of_files(void **state) {
    struct identity id;

    assert_int_equal(mkfifo(file, 0600), 0);
    assert_int_equal(identity_load(&id, dir), ERR_KEY_FILE);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkdir(file, 0700), 0);
    assert_int_equal(identity_load(&id, dir), ERR_KEY_FILE);
}

static void says_why_it_cannot_write(void **state) {
    struct identity id;

    assert_int_equal(identity_load(&id, "/nowhere/at/all"), -ENOENT);
    assert_int_equal(identity_load(&id, "/proc"), -ENOENT); /* no file can be made there */
}

static void a_half_written_file_is_not_the_key(void **state) {
    char stale[128];
    struct identity id;

    snprintf(stale, sizeof stale, "%s/key.pem.Ab12Cd", dir);
    int fd = open(stale, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "half", 4), 4);
    close(fd);
    assert_int_equal(identity_load(&id, dir), 0);
    assert_int_equal(count_entries(), 2);
    identity_clear(&id);
}

enum { STARTERS = 16 };

/* Waits until the pipe closes, so that all start at once, then reports the key. */
static void start(int go, int result) {
    struct identity id;
    char byte;

    if (read(go, &byte, 1) != 0 || identity_load(&id, dir) != 0)
        _exit(1);
    _exit(write(result, id.key, KEY_LEN) == KEY_LEN ? 0 : 1);
}

static void first_starts_at_once_agree(void **state) {
    for (unsigned round = 0; round < 10; round++) {
        int go[2], result[2], status;
        uint8_t first[KEY_LEN], key[KEY_LEN];

        unlink(file);
        assert_int_equal(pipe(go), 0);
        assert_int_equal(pipe(result), 0);
        for (unsigned i = 0; i < STARTERS; i++) {
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                close(go[1]);
                start(go[0], result[1]);
            }
        }
        close(go[0]);
        close(go[1]);
        assert_int_equal(read(result[0], first, KEY_LEN), KEY_LEN);
        for (unsigned i = 1; i < STARTERS; i++) {
            assert_int_equal(read(result[0], key, KEY_LEN), KEY_LEN);
            assert_memory_equal(key, first, KEY_LEN);
        }
        for (unsigned i = 0; i < STARTERS; i++) {
            assert_true(wait(&status) > 0);
            assert_int_equal(status, 0);
        }
        close(result[0]);
        close(result[1]);
        assert_int_equal(count_entries(), 1);
    }
}

static void finds_the_state_folder(void **state) {
    char out[256], base[128], want[256];
    struct stat st;

    snprintf(base, sizeof base, "%s/a/b", dir);
    setenv("XDG_STATE_HOME", base, 1);
    snprintf(want, sizeof want, "%s/lanyard", base);
    assert_int_equal(identity_state_dir(out, sizeof out), 0);
    assert_string_equal(out, want);
    assert_int_equal(stat(out, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(identity_state_dir(out, sizeof out), 0);
    assert_int_equal(identity_state_dir(out, strlen(want)), -ENAMETOOLONG);
    assert_int_equal(identity_state_dir(out, strlen(want) + 1), 0);

    setenv("XDG_STATE_HOME", "relative", 1);
    setenv("HOME", dir, 1);
    snprintf(want, sizeof want, "%s/.local/state/lanyard", dir);
    assert_int_equal(identity_state_dir(out, sizeof out), 0);
    assert_string_equal(out, want);
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    assert_int_equal(identity_state_dir(out, sizeof out), -ENOENT);
    setenv("HOME", "", 1);
    assert_int_equal(identity_state_dir(out, sizeof out), -ENOENT);
    setenv("HOME", file, 1); /* a file where a folder should be */
    put_file("", 0600);
    assert_int_equal(identity_state_dir(out, sizeof out), -ENOTDIR);
}

static void keys_have_one_text(void **state) {
    /* from Python: base64.b32encode(bytes(range(32))).decode().lower().rstrip('=') */
    static const char text[] = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq";
    uint8_t key[KEY_LEN], back[KEY_LEN];
    char out[KEY_TEXT_LEN + 1], bad[KEY_TEXT_LEN + 2];

    for (unsigned i = 0; i < KEY_LEN; i++)
        key[i] = (uint8_t)i;
    key_text(key, out);
    assert_string_equal(out, text);
    assert_int_equal(key_parse(text, back), 0);
    assert_memory_equal(back, key, KEY_LEN);
    memset(key, 0xff, KEY_LEN);
    key_text(key, out);
    assert_int_equal(key_parse(out, back), 0);
    assert_memory_equal(back, key, KEY_LEN);

    assert_int_equal(key_parse("", back), -EINVAL);
    snprintf(bad, sizeof bad, "%sa", text);
    assert_int_equal(key_parse(bad, back), -EINVAL);
    bad[KEY_TEXT_LEN - 1] = '\0';
    assert_int_equal(key_parse(bad, back), -EINVAL);
    for (const char *c = "r1=A "; *c; c++) { /* r: bits beyond the key */
        snprintf(bad, sizeof bad, "%s", text);
        bad[KEY_TEXT_LEN - 1] = *c;
        assert_int_equal(key_parse(bad, back), -EINVAL);
    }
    assert_memory_equal(back, key, KEY_LEN); /* untouched by errors */
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIR(makes_one_key_and_keeps_it),
        IN_DIR(certificate_carries_the_key),
        IN_DIR(refuses_what_is_no_key),
        IN_DIR(refuses_a_key_that_others_may_read),
        IN_DIR(refuses_other_kinds_of_files),
        IN_DIR(says_why_it_cannot_write),
        IN_DIR(a_half_written_file_is_not_the_key),
        IN_DIR(first_starts_at_once_agree),
        IN_DIR(finds_the_state_folder),
        cmocka_unit_test(keys_have_one_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
