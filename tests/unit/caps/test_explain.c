/* A token in words, and the handles by which it is revoked. */
#include "tests/unit/caps/fixture.h"

#include "caps/explain.h"

struct told {
    unsigned count;
    enum urd_caps_kind kinds[16];
    char words[16][160];
    char handles[16][URD_CAPS_HANDLE_TEXT_BYTES];
    char texts[16][160];
};

static void note(void *arg, const struct urd_caps_explanation *e)
{
    struct told *t = arg;
    t->kinds[t->count] = e->kind;
    (void)snprintf(t->words[t->count], sizeof t->words[0], "%s", e->words);
    (void)snprintf(t->handles[t->count], sizeof t->handles[0], "%s", e->handle);
    (void)snprintf(t->texts[t->count], sizeof t->texts[0], "%s", e->text);
    t->count++;
}

static void every_caveat_has_words_and_links_have_handles(void **state)
{
    (void)state;
    struct urd_caps_token *t = minted(
        "k", 1,
        PREDICATES("action = saga.*", "rate <= 10/1m", "link = aa000000000000000000000000000000",
                   "time < 2030-01-01T00:00:00Z", "node = b", "what\nis this"));
    struct urd_caps_key key = key_of("s");
    uint8_t nonce[24] = { 0 };
    assert_ok(
        urd_caps_token_add_third_party(t, text_bytes("https://x/"), text_bytes("id"), &key, nonce));
    struct told told = { .count = 0 };
    assert_ok(urd_caps_explain(t, note, &told));
    assert_int_equal(told.count, 8);
    assert_int_equal(told.kinds[0], URD_CAPS_IDENTIFIER);
    assert_string_equal(told.handles[0], "01010101010101010101010101010101");
    assert_string_equal(told.words[0], "minted by node a at 2001-09-09T01:46:40Z with root key "
                                       "0101010101010101");
    assert_string_equal(told.words[1], "only actions that match one of saga.*");
    assert_string_equal(told.handles[1], "");
    assert_string_equal(told.words[2], "at most 10 uses in any 1m, over the whole cluster");
    assert_string_equal(told.handles[3],
                        "01010101010101010101010101010101/aa000000000000000000000000000000");
    assert_string_equal(told.words[4], "until 2030-01-01T00:00:00Z");
    assert_string_equal(told.words[5], "only when the request has node = b");
    assert_int_equal(told.kinds[6], URD_CAPS_UNKNOWN);
    assert_string_equal(told.texts[6], "what\\x0ais this");
    assert_int_equal(told.kinds[7], URD_CAPS_THIRD_PARTY);
    assert_non_null(strstr(told.words[7], "https://x/"));
    urd_caps_token_free(t);
}

static void a_foreign_token_is_shown_without_handles(void **state)
{
    (void)state;
    struct urd_caps_token *t =
        token_of("k", "keyid", PREDICATES("link = aa000000000000000000000000000000"));
    struct told told = { .count = 0 };
    assert_ok(urd_caps_explain(t, note, &told));
    assert_string_equal(told.words[0], "not minted by Urd");
    assert_string_equal(told.texts[0], "keyid");
    assert_string_equal(told.handles[0], "");
    assert_string_equal(told.handles[1], "");
    urd_caps_token_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_caveat_has_words_and_links_have_handles),
        cmocka_unit_test(a_foreign_token_is_shown_without_handles),
    };
    return RUN("explain", tests);
}
