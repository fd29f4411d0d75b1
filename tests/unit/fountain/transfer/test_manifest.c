/* Manifests: one encoding, strict decoding, nothing that could leave the root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fountain/transfer/manifest.h"

static urd_err add(struct urd_fountain_manifest *m, uint8_t kind, const char *path,
                   const char *target, uint64_t size)
{
    struct urd_fountain_entry e = { .kind = kind,
                                    .path = (char *)(uintptr_t)path,
                                    .target = (char *)(uintptr_t)target,
                                    .size_bytes = size,
                                    .mode = 0644,
                                    .mtime_ns = -5 };
    return urd_fountain_manifest_add(m, &e);
}
#define FILE_ URD_FOUNTAIN_ENTRY_FILE
#define DIR_  URD_FOUNTAIN_ENTRY_DIRECTORY
#define LINK_ URD_FOUNTAIN_ENTRY_LINK

static void sample(struct urd_fountain_manifest *m)
{
    urd_fountain_manifest_init(m);
    assert_int_equal(add(m, FILE_, "a/x", NULL, 100), URD_OK);
    assert_int_equal(add(m, FILE_, "a-b", NULL, 0), URD_OK);
    assert_int_equal(add(m, DIR_, "a", NULL, 0), URD_OK);
    assert_int_equal(add(m, LINK_, "a/up", "../a-b", 0), URD_OK);
    assert_int_equal(add(m, DIR_, "a/y", NULL, 0), URD_OK);
    assert_int_equal(add(m, FILE_, "a/y/z", NULL, 5000), URD_OK);
    assert_int_equal(urd_fountain_manifest_seal(m, 0), URD_OK);
}

static void sealing_sorts_directories_before_what_is_in_them(void **state)
{
    (void)state;
    struct urd_fountain_manifest m;
    sample(&m);
    const char *order[] = { "a", "a/up", "a/x", "a/y", "a/y/z", "a-b" };
    for (unsigned i = 0; i < 6; i++)
        assert_string_equal(m.entries[i].path, order[i]);
    assert_int_equal(m.entries[4].offset, 100);
    assert_int_equal(m.layout.total_bytes, 5100);
    assert_int_equal(urd_fountain_manifest_find(&m, 0), 2);
    assert_int_equal(urd_fountain_manifest_find(&m, 99), 2);
    assert_int_equal(urd_fountain_manifest_find(&m, 100), 4);
    assert_int_equal(urd_fountain_manifest_find(&m, 5100), 6);
    urd_fountain_manifest_done(&m);
}

static void what_is_decoded_encodes_to_the_same_bytes(void **state)
{
    (void)state;
    struct urd_fountain_manifest m, n;
    uint8_t *bytes, *again;
    size_t len, again_len;
    sample(&m);
    assert_int_equal(urd_fountain_manifest_encode(&m, &bytes, &len), URD_OK);
    assert_int_equal(urd_fountain_manifest_decode(bytes, len, &n), URD_OK);
    assert_int_equal(urd_fountain_manifest_encode(&n, &again, &again_len), URD_OK);
    assert_int_equal(len, again_len);
    assert_memory_equal(bytes, again, len);
    assert_int_equal(n.entries[2].mtime_ns, -5);
    assert_string_equal(n.entries[1].target, "../a-b");
    urd_fountain_manifest_done(&n);

    for (size_t cut = 0; cut < len; cut++) /* no prefix is a manifest */
        assert_int_not_equal(urd_fountain_manifest_decode(bytes, cut, &n), URD_OK);
    free(bytes);
    free(again);
    urd_fountain_manifest_done(&m);
}

static void unclean_paths_are_refused(void **state)
{
    (void)state;
    const char *bad[] = { "",    "/",   "/a",     "a/",   "a//b", ".",    "..",
                          "a/.", "./a", "a/../b", "../a", "a/..", "a/./b" };
    struct urd_fountain_manifest m;
    urd_fountain_manifest_init(&m);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(add(&m, FILE_, bad[i], NULL, 1), URD_E_INVALID);
    char deep[2 * 65 + 1], wide[300];
    for (unsigned i = 0; i < 65; i++)
        memcpy(deep + 2 * i, "d/", 2);
    deep[2 * 65 - 1] = '\0';
    assert_int_equal(add(&m, FILE_, deep, NULL, 1), URD_E_INVALID);
    memset(wide, 'w', sizeof wide);
    wide[256] = '\0';
    assert_int_equal(add(&m, FILE_, wide, NULL, 1), URD_E_INVALID);
    wide[255] = '\0';
    assert_int_equal(add(&m, FILE_, wide, NULL, 1), URD_OK);
    assert_int_equal(add(&m, FILE_, "...", NULL, 1), URD_OK);
    urd_fountain_manifest_done(&m);
}

static void link_targets_that_could_leave_the_root_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *path, *target;
        urd_err want;
    } cases[] = {
        { "l", "x", URD_OK },
        { "l", "x/y", URD_OK },
        { "l", "./x", URD_OK },
        { "d/l", "..", URD_OK },
        { "d/l", "../x", URD_OK },
        { "l", "..", URD_E_INVALID },
        { "l", "/etc", URD_E_INVALID },
        { "l", "../x", URD_E_INVALID },
        { "d/l", "../../x", URD_E_INVALID },
        /* inside by its letters, but x/.. is elsewhere when x is a link itself */
        { "d/l", "x/../y", URD_E_INVALID },
        { "l", "x//y", URD_E_INVALID },
        { "l", "", URD_E_INVALID },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct urd_fountain_manifest m;
        urd_fountain_manifest_init(&m);
        assert_int_equal(add(&m, LINK_, cases[i].path, cases[i].target, 0), cases[i].want);
        urd_fountain_manifest_done(&m);
    }
}

static void duplicates_and_entries_beneath_files_are_refused(void **state)
{
    (void)state;
    struct urd_fountain_manifest m;
    urd_fountain_manifest_init(&m);
    assert_int_equal(add(&m, FILE_, "a", NULL, 1), URD_OK);
    assert_int_equal(add(&m, FILE_, "a", NULL, 1), URD_OK);
    assert_int_equal(urd_fountain_manifest_seal(&m, 0), URD_E_INVALID);
    urd_fountain_manifest_done(&m);

    urd_fountain_manifest_init(&m);
    assert_int_equal(add(&m, FILE_, "a", NULL, 1), URD_OK);
    assert_int_equal(add(&m, FILE_, "a/b", NULL, 1), URD_OK);
    assert_int_equal(urd_fountain_manifest_seal(&m, 0), URD_E_INVALID);
    urd_fountain_manifest_done(&m);

    urd_fountain_manifest_init(&m); /* beneath a link: would write through it */
    assert_int_equal(add(&m, LINK_, "a", "b", 0), URD_OK);
    assert_int_equal(add(&m, FILE_, "a/b", NULL, 1), URD_OK);
    assert_int_equal(urd_fountain_manifest_seal(&m, 0), URD_E_INVALID);
    urd_fountain_manifest_done(&m);

    urd_fountain_manifest_init(&m); /* a parent that nobody listed */
    assert_int_equal(add(&m, FILE_, "a/b", NULL, 1), URD_OK);
    assert_int_equal(urd_fountain_manifest_seal(&m, 0), URD_E_INVALID);
    urd_fountain_manifest_done(&m);
}

static void special_mode_bits_are_dropped_here_and_refused_from_others(void **state)
{
    (void)state;
    struct urd_fountain_manifest m, n = { 0 };
    urd_fountain_manifest_init(&m);
    struct urd_fountain_entry e = { .kind = FILE_, .path = (char[]){ "s" }, .mode = 06755 };
    assert_int_equal(urd_fountain_manifest_add(&m, &e), URD_OK);
    assert_int_equal(m.entries[0].mode, 0755);
    assert_int_equal(urd_fountain_manifest_seal(&m, 0), URD_OK);
    uint8_t *bytes;
    size_t len;
    assert_int_equal(urd_fountain_manifest_encode(&m, &bytes, &len), URD_OK);
    bytes[17 + 1] |= 0x0c; /* setuid, setgid: the high byte of the first entry's mode */
    assert_int_equal(urd_fountain_manifest_decode(bytes, len, &n), URD_E_INVALID);
    free(bytes);
    urd_fountain_manifest_done(&m);
}

static void sizes_that_overflow_or_do_not_add_up_are_refused(void **state)
{
    (void)state;
    struct urd_fountain_manifest m, n = { 0 };
    urd_fountain_manifest_init(&m);
    assert_int_equal(add(&m, FILE_, "a", NULL, UINT64_MAX), URD_E_TOO_BIG);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(add(&m, FILE_, i ? "b" : "a", NULL, URD_FOUNTAIN_STREAM_BYTES_MAX),
                         URD_OK);
    assert_int_equal(urd_fountain_manifest_seal(&m, 0), URD_E_TOO_BIG);
    urd_fountain_manifest_done(&m);

    sample(&m);
    uint8_t *bytes;
    size_t len;
    assert_int_equal(urd_fountain_manifest_encode(&m, &bytes, &len), URD_OK);
    bytes[16] ^= 1; /* total bytes */
    assert_int_equal(urd_fountain_manifest_decode(bytes, len, &n), URD_E_INVALID);
    bytes[16] ^= 1;
    bytes[5] = 0xff; /* a count far above what the bytes can hold */
    assert_int_equal(urd_fountain_manifest_decode(bytes, len, &n), URD_E_TOO_BIG);
    bytes[5] = 0;
    bytes[0] = 9;
    assert_int_equal(urd_fountain_manifest_decode(bytes, len, &n), URD_E_VERSION);
    free(bytes);
    urd_fountain_manifest_done(&m);
}

static void the_root_digest_depends_on_names_and_on_blocks(void **state)
{
    (void)state;
    struct urd_fountain_manifest m;
    uint8_t digests[32] = { 1 }, a[32], b[32], c[32];
    sample(&m);
    assert_int_equal(m.layout.blocks, 1);
    assert_int_equal(urd_fountain_manifest_root_digest(&m, digests, a), URD_OK);
    digests[31] = 1;
    assert_int_equal(urd_fountain_manifest_root_digest(&m, digests, b), URD_OK);
    m.entries[0].mode ^= 1;
    assert_int_equal(urd_fountain_manifest_root_digest(&m, digests, c), URD_OK);
    assert_memory_not_equal(a, b, 32);
    assert_memory_not_equal(b, c, 32);
    urd_fountain_manifest_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealing_sorts_directories_before_what_is_in_them),
        cmocka_unit_test(what_is_decoded_encodes_to_the_same_bytes),
        cmocka_unit_test(unclean_paths_are_refused),
        cmocka_unit_test(link_targets_that_could_leave_the_root_are_refused),
        cmocka_unit_test(duplicates_and_entries_beneath_files_are_refused),
        cmocka_unit_test(special_mode_bits_are_dropped_here_and_refused_from_others),
        cmocka_unit_test(sizes_that_overflow_or_do_not_add_up_are_refused),
        cmocka_unit_test(the_root_digest_depends_on_names_and_on_blocks),
    };
    return cmocka_run_group_tests_name("fountain/transfer/manifest", tests, NULL, NULL);
}
