/* v2 JSON: one shape, read strictly. */
#include "tests/unit/caps/fixture.h"

#include "caps/wire_v2j.h"

#define SIG "\"s64\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\""

static urd_err decode(const char *text)
{
    struct urd_caps_token *t;
    size_t len = strlen(text);
    char *exact = malloc(len + 1);
    memcpy(exact, text, len);
    urd_err err = urd_caps_v2j_decode(exact, len, &t);
    free(exact);
    if (err == URD_OK) urd_caps_token_free(t);
    return err;
}

static void a_token_reads_and_writes_back(void **state)
{
    (void)state;
    static const char text[] =
        "{\"v\":2,\"l\":\"loc\",\"i64\":\"AP8\",\"c\":[{\"i\":\"a = \xc3\xa4\"},"
        "{\"i64\":\"Igo\",\"l\":\"x\"}]," SIG "}";
    struct urd_caps_token *t;
    char *again;
    assert_ok(urd_caps_v2j_decode(text, sizeof text - 1, &t));
    assert_int_equal(urd_caps_token_identifier(t).len, 2);
    assert_int_equal(urd_caps_token_caveat_count(t), 2);
    assert_ok(urd_caps_v2j_encode(t, &again));
    assert_string_equal(again, text);
    free(again);
    urd_caps_token_free(t);
    for (size_t cut = 0; cut < sizeof text - 1; cut++) {
        char part[sizeof text];
        memcpy(part, text, cut);
        part[cut] = '\0';
        assert_int_equal(decode(part), URD_E_INVALID);
    }
}

static void strings_are_unescaped(void **state)
{
    (void)state;
    static const char text[] =
        "{\"i\":\"\\u0041\\n\\\"\\u00e4\\u20AC\\ud83d\\ude00\", \"v\" : \"2\" ,\n" SIG "\t}";
    static const char want[] = "A\n\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
    struct urd_caps_token *t;
    assert_ok(urd_caps_v2j_decode(text, sizeof text - 1, &t));
    assert_int_equal(urd_caps_token_identifier(t).len, sizeof want - 1);
    assert_memory_equal(urd_caps_token_identifier(t).data, want, sizeof want - 1);
    assert_int_equal(urd_caps_token_caveat_count(t), 0);
    urd_caps_token_free(t);
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"v\":2," SIG "}",     /* no identifier */
        "{\"i\":\"x\"," SIG "}", /* no version */
        "{\"v\":2,\"i\":\"x\"}", /* no signature */
        "{\"v\":22,\"i\":\"x\"," SIG "}",
        "{\"v\":2.0,\"i\":\"x\"," SIG "}",
        "{\"v\":2,\"i\":\"x\",\"i\":\"x\"," SIG "}",    /* twice */
        "{\"v\":2,\"i\":\"x\",\"i64\":\"eA\"," SIG "}", /* both forms */
        "{\"v\":2,\"v\":2,\"i\":\"x\"," SIG "}",
        "{\"v\":2,\"i\":\"x\",\"z\":1," SIG "}", /* unknown key */
        "{\"v\":2,\"i\":1," SIG "}",
        "{\"v\":2,\"i\":\"x\"," SIG ",}",
        "{\"v\":2,\"i\":\"x\"," SIG "}x",
        "{\"v\":2,\"i\":\"\\x\"," SIG "}",
        "{\"v\":2,\"i\":\"\\ud83d\"," SIG "}", /* half a pair */
        "{\"v\":2,\"i\":\"\\ude00\"," SIG "}",
        "{\"v\":2,\"i\":\"\n\"," SIG "}",                     /* raw control */
        "{\"v\":2,\"i\":\"\xc0\xaf\"," SIG "}",               /* overlong */
        "{\"v\":2,\"i\":\"\xed\xa0\x80\"," SIG "}",           /* a surrogate */
        "{\"v\":2,\"i\":\"x\",\"c\":[{\"i\":\"\"}]," SIG "}", /* empty predicate */
        "{\"v\":2,\"i\":\"x\",\"c\":[{}]," SIG "}",
        "{\"v\":2,\"i\":\"x\",\"c\":[{\"i\":\"a\",\"v64\":\"eA\"}]," SIG "}", /* short vid */
        "{\"v\":2,\"i\":\"x\",\"c\":[{\"i\":\"a\",\"v64\":\"\"}]," SIG "}",   /* empty vid */
        "{\"v\":2,\"i\":\"x\",\"c\":[{\"i\":\"a\"},]," SIG "}",
        "{\"v\":2,\"i\":\"x\",\"s64\":\"eA\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (decode(bad[i]) != URD_E_INVALID) fail_msg("not refused: %s", bad[i]);
    assert_int_equal(decode("{\"v\":1,\"i\":\"x\"," SIG "}"), URD_E_VERSION);
    assert_ok(decode("{\"v\":2,\"i\":\"x\"," SIG "}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_reads_and_writes_back),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(anything_else_is_refused),
    };
    return RUN("wire_v2j", tests);
}
