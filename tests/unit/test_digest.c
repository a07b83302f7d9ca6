/* SPDX-License-Identifier: MIT */
#include "core/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Digests of the first `len` bytes of the pattern below, made with XXH3_128bits() of xxHash 0.8.1
 * (the one of no bytes is also in xxHash's own test suite). The lengths are those where XXH3 takes
 * another path. They stand here because journals on disk and other implementations rely on them. */
static const struct {
    size_t len;
    const char *hex;
} vectors[] = {
    {0, "99aa06d3014798d86001c324468d497f"},       {1, "a6cd5e9392000f6ac44bdff4074eecdb"},
    {3, "977fcbc0448b49f6e14090f554a5ea90"},       {7, "cb234cb3ad8748a95669ede136b8c8b5"},
    {16, "78e8ab538d3acaab37286a19cf622308"},      {17, "1ea709ada2b9c32e33bed349ec1c0ce7"},
    {128, "5ac741c59c95d36ae1f0636051ccd2be"},     {129, "1240f4d960139642cfb3fed667226458"},
    {240, "640a6149838a7599b2e6947c477a4ab0"},     {241, "e817e20e53e42a8c2d431e984c441f15"},
    {1000, "fac4e9a77d6c8b108d3e88d833cd4a80"},    {4096, "3203f3b99ad3538d9bf67f8deff876ae"},
    {1048576, "7e34237c007b503ea60868b9a5018405"},
};

static void hex_of(const uint8_t digest[WIRE_DIGEST_LEN], char hex[2 * WIRE_DIGEST_LEN + 1]) {
    for (size_t i = 0; i < WIRE_DIGEST_LEN; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void fill(uint8_t *at, size_t len) {
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)((uint32_t)i * 2654435761u >> 24);
}

static void known_vectors_at_every_alignment(void **state) {
    uint8_t *mem = malloc(WIRE_CHUNK_SIZE + 64);
    assert_non_null(mem);
    for (size_t shift = 0; shift < 64; shift += 7) {
        fill(mem + shift, WIRE_CHUNK_SIZE);
        for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
            uint8_t digest[WIRE_DIGEST_LEN];
            char hex[2 * WIRE_DIGEST_LEN + 1];
            digest_chunk(mem + shift, vectors[i].len, digest);
            hex_of(digest, hex);
            assert_string_equal(hex, vectors[i].hex);
        }
    }
    free(mem);
}

static void no_bytes_need_no_address(void **state) {
    uint8_t digest[WIRE_DIGEST_LEN];
    char hex[2 * WIRE_DIGEST_LEN + 1];
    digest_chunk(NULL, 0, digest);
    hex_of(digest, hex);
    assert_string_equal(hex, vectors[0].hex);
}

static void zeros_are_what_zero_bytes_give(void **state) {
    static const size_t lens[] = {0, 1, 4095, 4096, WIRE_CHUNK_SIZE - 1, WIRE_CHUNK_SIZE};
    uint8_t *mem = calloc(1, WIRE_CHUNK_SIZE);
    assert_non_null(mem);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        uint8_t a[WIRE_DIGEST_LEN], b[WIRE_DIGEST_LEN];
        digest_chunk(mem, lens[i], a);
        digest_zeros(lens[i], b);
        assert_memory_equal(a, b, WIRE_DIGEST_LEN);
    }
    free(mem);
}

static void short_records(void **state) {
    assert_int_equal(digest_64("", 0), 0x2d06800538d394c2); /* xxHash's own vector */
    assert_int_not_equal(digest_64("a", 1), digest_64("b", 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_vectors_at_every_alignment),
        cmocka_unit_test(no_bytes_need_no_address),
        cmocka_unit_test(zeros_are_what_zero_bytes_give),
        cmocka_unit_test(short_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
