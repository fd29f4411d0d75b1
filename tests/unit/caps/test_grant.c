/* Grants: what they allow, and that they survive a journal. */
#include "tests/unit/caps/world.h"

static struct urd_caps_grant *grant_of(const char *const *predicates)
{
    struct urd_caps_request r = a_request("saga.submit", "saga/trip");
    struct urd_caps_token *t = minted("root", 1, predicates);
    struct answer a = ask(t, NULL, &r);
    assert_ok(a.err);
    urd_caps_token_free(t);
    return a.grant;
}

static void every_list_has_to_match(void **state)
{
    (void)state;
    struct urd_caps_grant *g =
        grant_of(PREDICATES("action = saga.*,step.*", "resource = saga/*,do/hotel.*",
                            "resource = **", "action = saga.submit,step.Reserve"));
    assert_true(urd_caps_grant_allows(g, "step.Reserve", "do/hotel.hold"));
    assert_false(urd_caps_grant_allows(g, "step.Commit", "do/hotel.hold"));
    assert_false(urd_caps_grant_allows(g, "step.Reserve", "do/flight.hold"));
    assert_false(urd_caps_grant_allows(g, "step.Reserve", NULL));
    assert_false(urd_caps_grant_allows(g, "step.Reserve", "do/../do/hotel.hold"));
    assert_false(urd_caps_grant_allows(g, "step Reserve", "do/hotel.hold"));
    urd_caps_grant_free(g);
}

static void without_lists_everything_well_formed_is_allowed(void **state)
{
    (void)state;
    static const char *const none[] = { NULL };
    struct urd_caps_grant *g = grant_of(none);
    assert_true(urd_caps_grant_allows(g, "cap.mint", NULL));
    assert_true(urd_caps_grant_allows(g, "file.send", "file/b/x"));
    assert_false(urd_caps_grant_allows(g, "", "file/b/x"));
    assert_false(urd_caps_grant_allows(g, "file.send", "/x"));
    assert_int_equal(urd_caps_grant_expires_s(g), URD_CAPS_NO_EXPIRY);
    urd_caps_grant_free(g);
}

static void a_grant_survives_the_journal(void **state)
{
    (void)state;
    struct urd_caps_grant *g = grant_of(PREDICATES(
        "time < 2031-01-01T00:00:00Z", "action = saga.*", "resource = saga/*",
        "link = aa000000000000000000000000000000", "link = bb000000000000000000000000000000",
        "link = cc000000000000000000000000000000", "resource = **", "resource = *,*/*"));
    struct urd_caps_grant *back, *copy;
    uint8_t *bytes, *again;
    size_t len, again_len;
    assert_ok(urd_caps_grant_encode(g, &bytes, &len));
    assert_ok(urd_caps_grant_decode(bytes, len, &back));
    assert_ok(urd_caps_grant_encode(back, &again, &again_len));
    assert_int_equal(len, again_len);
    assert_memory_equal(bytes, again, len);
    assert_string_equal(urd_caps_grant_subject(back), urd_caps_grant_subject(g));
    assert_int_equal(urd_caps_grant_expires_s(back), 1924992000);
    assert_int_equal(urd_caps_grant_link_count(back), 3);
    assert_int_equal(urd_caps_grant_resource_count(back), 3);
    assert_true(urd_caps_grant_allows(back, "saga.submit", "saga/x"));
    assert_false(urd_caps_grant_allows(back, "saga.submit", "do/x"));
    assert_ok(urd_caps_grant_clone(back, &copy));
    assert_string_equal(urd_caps_grant_action(copy, 0), "saga.*");
    urd_caps_grant_free(copy);
    urd_caps_grant_free(back);
    free(again);

    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(urd_caps_grant_decode(bytes, cut, &back), URD_E_INVALID);
    uint8_t *longer = calloc(1, len + 1);
    memcpy(longer, bytes, len);
    assert_int_equal(urd_caps_grant_decode(longer, len + 1, &back), URD_E_INVALID);
    free(longer);
    bytes[0] = 2;
    assert_int_equal(urd_caps_grant_decode(bytes, len, &back), URD_E_VERSION);
    bytes[0] = 1;
    bytes[33] = 0x80; /* expires before 1970 */
    assert_int_equal(urd_caps_grant_decode(bytes, len, &back), URD_E_INVALID);
    bytes[33] = 0;
    bytes[len - 1] = '/'; /* a list that is not well-formed */
    assert_int_equal(urd_caps_grant_decode(bytes, len, &back), URD_E_INVALID);
    free(bytes);
    urd_caps_grant_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_list_has_to_match),
        cmocka_unit_test(without_lists_everything_well_formed_is_allowed),
        cmocka_unit_test(a_grant_survives_the_journal),
    };
    return RUN("grant", tests);
}
