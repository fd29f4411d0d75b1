/* The key schedule: known answers, and the prepared state gives what the plain one gives. */
#include "tests/unit/caps/fixture.h"

#include "caps/hmac_internal.h"

static void known_answer(const char *secret, const char *identifier, const char *signature_hex)
{
    struct urd_caps_token *t = token_of(secret, identifier, NULL);
    char hex[65];
    sodium_bin2hex(hex, sizeof hex, urd_caps_token_signature(t), 32);
    assert_string_equal(hex, signature_hex);
    urd_caps_token_free(t);
}

/* From the public vectors: fp-0-0. */
static void the_first_link_is_the_public_one(void **state)
{
    (void)state;
    known_answer("k", "keyid", "81743b22ad176fa1efb742ad1a3c89e3eab1c3512b79d58812a350b1070a6932");
}

static void a_prepared_key_gives_the_same_link(void **state)
{
    (void)state;
    struct urd_caps_key key = key_of("a secret");
    uint8_t plain[32], prepared[32];
    urd_caps_hmac(plain, key.bytes, text_bytes("message"));
    urd_caps_hmac_prepared(prepared, &key, text_bytes("message"));
    assert_memory_equal(plain, prepared, 32);
}

static void vid_comes_before_cid(void **state)
{
    (void)state;
    struct urd_caps_key key = key_of("k");
    uint8_t one[32], other[32];
    urd_caps_hmac_two(one, key.bytes, text_bytes("a"), text_bytes("b"));
    urd_caps_hmac_two(other, key.bytes, text_bytes("b"), text_bytes("a"));
    assert_memory_not_equal(one, other, 32);

    struct urd_caps_caveat caveat = { .id = text_bytes("b"), .vid = text_bytes("a") };
    uint8_t signature[32];
    memcpy(signature, key.bytes, 32);
    urd_caps_hmac_caveat(signature, &caveat);
    assert_memory_equal(signature, one, 32);
}

static void done_wipes(void **state)
{
    (void)state;
    static const struct urd_caps_key zero;
    struct urd_caps_key key = key_of("k");
    assert_memory_not_equal(&key, &zero, sizeof key);
    urd_caps_key_done(&key);
    assert_memory_equal(&key, &zero, sizeof key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_link_is_the_public_one),
        cmocka_unit_test(a_prepared_key_gives_the_same_link),
        cmocka_unit_test(vid_comes_before_cid),
        cmocka_unit_test(done_wipes),
    };
    return RUN("key", tests);
}
