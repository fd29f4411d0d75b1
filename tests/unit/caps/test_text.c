/* One line of base64, and bundles of them. */
#include "tests/unit/caps/fixture.h"

#include "caps/text.h"
#include "caps/wire_v1.h"
#include "caps/wire_v2.h"

static urd_err base64(const char *text)
{
    uint8_t out[64];
    size_t len;
    return urd_caps_base64_decode(text, strlen(text), out, &len);
}

static void base64_is_exact(void **state)
{
    (void)state;
    uint8_t out[16];
    size_t len;
    static const char *const good[] = { "", "_-8", "/+8", "/+8=", "_-8=", "AA==", "AA", "AAAA" };
    static const char *const bad[] = { "A",    "AA=",    "AAA==", "AAAA=", "=",    "====",
                                       "AB",   "AAB",    " AA",   "AA ",   "A A",  "AA\n",
                                       "A=A=", "AA==AA", "A*AA",  "AAAAA", "AA=A", "AAAA====" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (base64(good[i]) != URD_OK) fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (base64(bad[i]) != URD_E_INVALID) fail_msg("accepted: %s", bad[i]);
    assert_ok(urd_caps_base64_decode("/+8=", 4, out, &len));
    assert_int_equal(len, 2);
    assert_memory_equal(out, "\xff\xef", 2);
}

static void every_length_goes_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[70], back[80];
    char text[URD_CAPS_BASE64_SIZE(70)];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        size_t got;
        urd_caps_base64_encode(bytes, len, text);
        assert_int_equal(strcspn(text, "=+/"), strlen(text));
        assert_ok(urd_caps_base64_decode(text, strlen(text), back, &got));
        assert_int_equal(got, len);
        assert_memory_equal(back, bytes, len);
    }
}

static void a_token_goes_there_and_back(void **state)
{
    (void)state;
    struct urd_caps_token *t = minted("k", 3, PREDICATES("a = b")), *back;
    char *text;
    assert_ok(urd_caps_token_to_text(t, &text));
    assert_ok(urd_caps_token_from_text(text, strlen(text), &back));
    assert_true(urd_caps_token_descends(back, t));
    assert_memory_equal(urd_caps_token_signature(back), urd_caps_token_signature(t), 32);
    urd_caps_token_free(back);
    assert_int_equal(urd_caps_token_from_text("", 0, &back), URD_E_INVALID);
    assert_int_equal(urd_caps_token_from_text(text, strlen(text) - 4, &back), URD_E_INVALID);
    free(text);

    uint8_t *packets; /* v1 inside is understood too */
    size_t packets_len;
    assert_ok(urd_caps_v1_encode(t, &packets, &packets_len));
    text = malloc(URD_CAPS_BASE64_SIZE(packets_len));
    urd_caps_base64_encode(packets, packets_len, text);
    assert_ok(urd_caps_token_from_text(text, strlen(text), &back));
    urd_caps_token_free(back);
    free(text);
    free(packets);
    urd_caps_token_free(t);
}

static void a_bundle_is_a_root_and_its_discharges(void **state)
{
    (void)state;
    struct urd_caps_token *root = minted("k", 3, NULL), *discharge = token_of("d", "x", NULL);
    struct urd_caps_bundle bundle = { .discharge_count = 77 };
    char *a, *b, line[1024];
    assert_ok(urd_caps_token_to_text(root, &a));
    assert_ok(urd_caps_token_to_text(discharge, &b));
    (void)snprintf(line, sizeof line, "%s,%s,%s", a, b, b);
    assert_ok(urd_caps_bundle_from_text(line, strlen(line), &bundle));
    assert_int_equal(bundle.discharge_count, 2);
    assert_true(urd_caps_token_descends(bundle.root, root));
    assert_true(urd_caps_token_descends(bundle.discharges[1], discharge));
    urd_caps_bundle_done(&bundle);

    (void)snprintf(line, sizeof line, "%s,", a);
    assert_int_equal(urd_caps_bundle_from_text(line, strlen(line), &bundle), URD_E_INVALID);
    (void)snprintf(line, sizeof line, ",%s", a);
    assert_int_equal(urd_caps_bundle_from_text(line, strlen(line), &bundle), URD_E_INVALID);
    assert_null(bundle.root);

    uint8_t *one, many[20 * 256];
    size_t one_len, len = 0;
    assert_ok(urd_caps_v2_encode(root, &one, &one_len));
    for (int i = 0; i < 18; i++, len += one_len)
        memcpy(many + len, one, one_len);
    assert_int_equal(urd_caps_bundle_decode(many, len, &bundle), URD_E_TOO_BIG);
    assert_ok(urd_caps_bundle_decode(many, len - one_len, &bundle));
    assert_int_equal(bundle.discharge_count, URD_CAPS_DISCHARGES_MAX);
    urd_caps_bundle_done(&bundle);
    assert_int_equal(urd_caps_bundle_decode(many, 2 * one_len - 1, &bundle), URD_E_INVALID);
    assert_int_equal(urd_caps_bundle_decode(many, 0, &bundle), URD_E_INVALID);
    free(one);
    free(a);
    free(b);
    urd_caps_token_free(root);
    urd_caps_token_free(discharge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_exact),
        cmocka_unit_test(every_length_goes_there_and_back),
        cmocka_unit_test(a_token_goes_there_and_back),
        cmocka_unit_test(a_bundle_is_a_root_and_its_discharges),
    };
    return RUN("text", tests);
}
