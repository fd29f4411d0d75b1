/* v1 packets: exact lengths, exact order, nothing after the signature. */
#include "tests/unit/caps/fixture.h"

#include "caps/wire_v1.h"

#define HEAD "000flocation x\n0012identifier id\n"
#define SIG  "002fsignature 0123456789abcdef0123456789abcdef\n"

static urd_err decode(const void *bytes, size_t len)
{
    struct urd_caps_token *t;
    uint8_t *exact = malloc(len + 1);
    if (len > 0) memcpy(exact, bytes, len);
    urd_err err = urd_caps_v1_decode(exact, len, &t);
    free(exact);
    if (err == URD_OK) urd_caps_token_free(t);
    return err;
}

#define READS(code, text) assert_int_equal(decode(text, sizeof(text) - 1), code)

static void a_token_reads_and_writes_back(void **state)
{
    (void)state;
    static const char text[] = HEAD "000ecid a = b\n" SIG;
    struct urd_caps_token *t;
    uint8_t *bytes;
    size_t len;
    assert_ok(urd_caps_v1_decode((const uint8_t *)text, sizeof text - 1, &t));
    assert_memory_equal(urd_caps_token_caveat(t, 0).id.data, "a = b", 5);
    assert_ok(urd_caps_v1_encode(t, &bytes, &len));
    assert_int_equal(len, sizeof text - 1);
    assert_memory_equal(bytes, text, len);
    free(bytes);
    urd_caps_token_free(t);
    for (size_t cut = 0; cut < sizeof text - 1; cut++)
        assert_int_equal(decode(text, cut), URD_E_INVALID);
}

static void what_is_not_in_order_is_refused(void **state)
{
    (void)state;
    READS(URD_OK, HEAD SIG);
    READS(URD_OK, HEAD "000ecid a = b\n"
                       "0009cl l\n" SIG); /* a hint on a first-party caveat */
    READS(URD_E_INVALID, "0000" HEAD SIG);
    READS(URD_E_INVALID, HEAD SIG SIG);
    READS(URD_E_INVALID, HEAD SIG "x");
    READS(URD_E_INVALID, HEAD "0009cid \n" SIG); /* empty predicate */
    READS(URD_E_INVALID, HEAD "000acid c\n"
                              "0009vid \n" SIG); /* empty vid */
    READS(URD_E_INVALID, HEAD "000acid c\n"
                              "0008cl \n" SIG); /* empty cl */
    READS(URD_E_INVALID, HEAD "000acid c\n"
                              "000avid v\n" SIG); /* short vid */
    READS(URD_E_INVALID, HEAD "0009cl l\n"
                              "000acid c\n" SIG);
    READS(URD_E_INVALID, HEAD "000Acid c\n" SIG); /* upper-case hex */
    READS(URD_E_INVALID, HEAD "000acid cX" SIG);  /* no line feed */
    READS(URD_E_INVALID, HEAD "000acidXc\n" SIG); /* no space */
    READS(URD_E_INVALID, HEAD "002esignature 0123456789abcdef0123456789abcde\n");
}

static void fields_too_long_for_a_packet_are_not_written(void **state)
{
    (void)state;
    static uint8_t big[65530];
    struct urd_caps_key key = key_of("k");
    struct urd_caps_token *t;
    uint8_t *bytes;
    size_t len;
    assert_ok(urd_caps_token_create(&key, (struct urd_caps_bytes){ big, sizeof big },
                                    text_bytes(""), &t));
    assert_int_equal(urd_caps_v1_encode(t, &bytes, &len), URD_E_TOO_BIG);
    urd_caps_token_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_reads_and_writes_back),
        cmocka_unit_test(what_is_not_in_order_is_refused),
        cmocka_unit_test(fields_too_long_for_a_packet_are_not_written),
    };
    return RUN("wire_v1", tests);
}
