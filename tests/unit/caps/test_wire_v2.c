/* v2 binary: every cut, every wrong byte count and every stray field is refused. */
#include "tests/unit/caps/fixture.h"

#include "caps/wire_v2.h"

static const uint8_t sample[] = "\x02"
                                "\x01\x03loc"
                                "\x02\x02id"
                                "\x00"
                                "\x02\x05"
                                "a = b"
                                "\x00"
                                "\x00"
                                "\x06\x20"
                                "0123456789abcdef0123456789abcdef";
#define SAMPLE_LEN (sizeof sample - 1)

static urd_err decode(const uint8_t *bytes, size_t len)
{
    struct urd_caps_token *t;
    uint8_t *exact = malloc(len + 1); /* so that a sanitizer sees a read past the end */
    if (len > 0) memcpy(exact, bytes, len);
    urd_err err = urd_caps_v2_decode(exact, len, &t);
    free(exact);
    if (err == URD_OK) urd_caps_token_free(t);
    return err;
}

static void the_sample_reads_and_writes_back(void **state)
{
    (void)state;
    struct urd_caps_token *t;
    uint8_t *bytes;
    size_t len;
    assert_ok(urd_caps_v2_decode(sample, SAMPLE_LEN, &t));
    assert_memory_equal(urd_caps_token_location(t).data, "loc", 3);
    assert_memory_equal(urd_caps_token_identifier(t).data, "id", 2);
    assert_int_equal(urd_caps_token_caveat_count(t), 1);
    assert_ok(urd_caps_v2_encode(t, &bytes, &len));
    assert_int_equal(len, SAMPLE_LEN);
    assert_memory_equal(bytes, sample, len);
    free(bytes);
    urd_caps_token_free(t);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < SAMPLE_LEN; len++)
        assert_int_equal(decode(sample, len), URD_E_INVALID);
    uint8_t longer[SAMPLE_LEN + 1];
    memcpy(longer, sample, SAMPLE_LEN);
    longer[SAMPLE_LEN] = 0;
    assert_int_equal(decode(longer, sizeof longer), URD_E_INVALID);
}

#define REFUSED(code, text)                                                                        \
    assert_int_equal(decode((const uint8_t *)(text), sizeof(text) - 1), code)
#define SIG                                                                                        \
    "\x06\x20"                                                                                     \
    "0123456789abcdef0123456789abcdef"

static void what_is_not_canonical_is_refused(void **state)
{
    (void)state;
    REFUSED(URD_OK, "\x02\x02\x02id\x00\x00" SIG);
    REFUSED(URD_OK, "\x02\x02\x00\x00\x00" SIG); /* an empty identifier is allowed */
    REFUSED(URD_E_VERSION, "\x03\x02\x02id\x00\x00" SIG);
    REFUSED(URD_E_INVALID, "\x02\x01\x00\x02\x02id\x00\x00" SIG);              /* empty location */
    REFUSED(URD_E_INVALID, "\x02\x02\x82\x00id\x00\x00" SIG);                  /* long varint */
    REFUSED(URD_E_INVALID, "\x02\x02\xff\xff\xff\xff\x0fid\x00\x00" SIG);      /* huge length */
    REFUSED(URD_E_INVALID, "\x02\x02\x02id\x00\x02\x00\x00\x00" SIG);          /* empty predicate */
    REFUSED(URD_E_INVALID, "\x02\x02\x02id\x00\x02\x01x\x04\x00\x00\x00" SIG); /* empty vid */
    REFUSED(URD_E_INVALID, "\x02\x02\x02id\x00\x02\x01x\x04\x01v\x00\x00" SIG);
    REFUSED(URD_E_INVALID, "\x02\x02\x02id\x00\x02\x01x\x05\x01v\x00\x00" SIG);
    REFUSED(URD_E_INVALID, "\x02\x02\x02id\x00\x00\x06\x1f"
                           "0123456789abcdef0123456789abcde");
}

static void limits_hold_when_reading_and_writing(void **state)
{
    (void)state;
    struct urd_caps_token *t = token_of("k", "id", NULL);
    uint8_t *bytes, *more;
    size_t len;
    for (int i = 0; i < URD_CAPS_CAVEATS_MAX; i++)
        assert_ok(urd_caps_token_add_first_party(t, text_bytes("a = b")));
    assert_ok(urd_caps_v2_encode(t, &bytes, &len));
    assert_ok(decode(bytes, len));
    more = malloc(len + 8); /* one caveat more, before the end of caveats */
    memcpy(more, bytes, len - 35);
    memcpy(more + len - 35,
           "\x02\x05"
           "a = b"
           "\x00",
           8);
    memcpy(more + len - 35 + 8, bytes + len - 35, 35);
    assert_int_equal(decode(more, len + 8), URD_E_TOO_BIG);
    free(more);
    free(bytes);
    urd_caps_token_free(t);

    static uint8_t predicate[URD_CAPS_PREDICATE_BYTES_MAX];
    t = token_of("k", "id", NULL);
    for (int i = 0; i < 15; i++)
        assert_ok(urd_caps_token_add_first_party(
            t, (struct urd_caps_bytes){ predicate, sizeof predicate }));
    assert_ok(urd_caps_v2_encode(t, &bytes, &len));
    assert_ok(decode(bytes, len));
    free(bytes);
    assert_ok(urd_caps_token_add_first_party(t, (struct urd_caps_bytes){ predicate, 4090 }));
    assert_int_equal(urd_caps_v2_encode(t, &bytes, &len), URD_E_TOO_BIG);
    urd_caps_token_free(t);
    static uint8_t huge[URD_CAPS_TOKEN_BYTES_MAX + 1] = { 2 };
    assert_int_equal(decode(huge, sizeof huge), URD_E_TOO_BIG);
}

static void the_first_of_two_says_where_it_ends(void **state)
{
    (void)state;
    uint8_t two[2 * SAMPLE_LEN];
    struct urd_caps_token *t;
    size_t used;
    memcpy(two, sample, SAMPLE_LEN);
    memcpy(two + SAMPLE_LEN, sample, SAMPLE_LEN);
    assert_ok(urd_caps_v2_decode_first(two, sizeof two, &used, &t));
    assert_int_equal(used, SAMPLE_LEN);
    urd_caps_token_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_reads_and_writes_back),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(what_is_not_canonical_is_refused),
        cmocka_unit_test(limits_hold_when_reading_and_writing),
        cmocka_unit_test(the_first_of_two_says_where_it_ends),
    };
    return RUN("wire_v2", tests);
}
