/* The macaroon itself: what adding does, what failing does not. */
#include "tests/unit/caps/fixture.h"

#include "caps/caveat.h"

static const uint8_t link_id[16] = { 0xaa, 0xbb };

static void a_caveat_changes_the_signature_and_nothing_before_it(void **state)
{
    (void)state;
    struct urd_caps_token *t = token_of("k", "id", PREDICATES("a = b"));
    uint8_t before[32];
    memcpy(before, urd_caps_token_signature(t), 32);
    assert_ok(urd_caps_token_add_first_party(t, text_bytes("c = d")));
    assert_memory_not_equal(before, urd_caps_token_signature(t), 32);
    assert_int_equal(urd_caps_token_caveat_count(t), 2);
    assert_memory_equal(urd_caps_token_caveat(t, 0).id.data, "a = b", 5);
    assert_memory_equal(urd_caps_token_caveat(t, 1).id.data, "c = d", 5);
    urd_caps_token_free(t);
}

static void attenuating_appends_a_link_last(void **state)
{
    (void)state;
    struct urd_caps_token *t = token_of("k", "id", NULL);
    const char *const more[] = { "action = saga.*", "uses <= 3" };
    assert_ok(urd_caps_token_attenuate(t, more, 2, link_id, NULL, 0));
    assert_int_equal(urd_caps_token_caveat_count(t), 3);
    static const char want[] = "link = aabb0000000000000000000000000000";
    struct urd_caps_bytes last = urd_caps_token_caveat(t, 2).id;
    assert_int_equal(last.len, sizeof want - 1);
    assert_memory_equal(last.data, want, last.len);
    urd_caps_token_free(t);
}

static void a_failed_attenuation_changes_nothing(void **state)
{
    (void)state;
    struct urd_caps_token *t = token_of("k", "id", PREDICATES("a = b")), *copy;
    const char *const bad[] = { "uses <= 3", "time < soon" };
    char errmsg[128] = "";
    assert_ok(urd_caps_token_clone(t, &copy));
    assert_int_equal(urd_caps_token_attenuate(t, bad, 2, link_id, errmsg, sizeof errmsg),
                     URD_E_INVALID);
    assert_non_null(strstr(errmsg, "time"));
    assert_int_equal(urd_caps_token_caveat_count(t), 1);
    assert_memory_equal(urd_caps_token_signature(t), urd_caps_token_signature(copy), 32);
    /* and it goes on as if nothing had been tried */
    assert_ok(urd_caps_token_add_first_party(t, text_bytes("c = d")));
    assert_ok(urd_caps_token_add_first_party(copy, text_bytes("c = d")));
    assert_memory_equal(urd_caps_token_signature(t), urd_caps_token_signature(copy), 32);
    urd_caps_token_free(t);
    urd_caps_token_free(copy);
}

static void limits_push_back(void **state)
{
    (void)state;
    struct urd_caps_token *t = token_of("k", "id", NULL);
    uint8_t *big = calloc(1, URD_CAPS_TOKEN_BYTES_MAX + 1);
    assert_int_equal(urd_caps_token_add_first_party(t, text_bytes("")), URD_E_INVALID);
    assert_int_equal(urd_caps_token_add_first_party(
                         t, (struct urd_caps_bytes){ big, URD_CAPS_PREDICATE_BYTES_MAX + 1 }),
                     URD_E_TOO_BIG);
    for (int i = 0; i < 15; i++)
        assert_ok(urd_caps_token_add_first_party(
            t, (struct urd_caps_bytes){ big, URD_CAPS_PREDICATE_BYTES_MAX }));
    assert_ok(urd_caps_token_add_first_party(t, (struct urd_caps_bytes){ big, 4094 }));
    uint8_t before[32];
    memcpy(before, urd_caps_token_signature(t), 32);
    assert_int_equal(urd_caps_token_add_first_party(t, text_bytes("a = b")), URD_E_TOO_BIG);
    assert_memory_equal(before, urd_caps_token_signature(t), 32);
    urd_caps_token_free(t);

    t = token_of("k", "id", NULL);
    for (int i = 0; i < URD_CAPS_CAVEATS_MAX; i++)
        assert_ok(urd_caps_token_add_first_party(t, text_bytes("a = b")));
    assert_int_equal(urd_caps_token_add_first_party(t, text_bytes("a = b")), URD_E_TOO_BIG);
    urd_caps_token_free(t);

    struct urd_caps_key key = key_of("k");
    assert_int_equal(
        urd_caps_token_create(&key, (struct urd_caps_bytes){ big, URD_CAPS_TOKEN_BYTES_MAX + 1 },
                              text_bytes(""), &t),
        URD_E_TOO_BIG);
    free(big);
}

static void a_clone_is_alike_and_apart(void **state)
{
    (void)state;
    struct urd_caps_token *t = minted("k", 1, PREDICATES("a = b", "c = d")), *copy;
    assert_ok(urd_caps_token_clone(t, &copy));
    assert_true(urd_caps_token_descends(copy, t) && urd_caps_token_descends(t, copy));
    assert_memory_equal(urd_caps_token_signature(t), urd_caps_token_signature(copy), 32);
    assert_ok(urd_caps_token_add_first_party(copy, text_bytes("e = f")));
    assert_int_equal(urd_caps_token_caveat_count(t), 2);
    urd_caps_token_free(t);
    assert_memory_equal(urd_caps_token_location(copy).data, "urd", 3);
    urd_caps_token_free(copy);
}

static void descent_is_a_common_beginning(void **state)
{
    (void)state;
    struct urd_caps_token *parent = minted("k", 1, PREDICATES("a = b"));
    struct urd_caps_token *child = minted("k", 1, PREDICATES("a = b", "c = d"));
    struct urd_caps_token *sibling = minted("k", 1, PREDICATES("a = x", "c = d"));
    struct urd_caps_token *stranger = minted("k", 2, PREDICATES("a = b", "c = d"));
    assert_true(urd_caps_token_descends(child, parent));
    assert_false(urd_caps_token_descends(parent, child));
    assert_false(urd_caps_token_descends(sibling, parent));
    assert_false(urd_caps_token_descends(stranger, parent));
    urd_caps_token_free(parent);
    urd_caps_token_free(child);
    urd_caps_token_free(sibling);
    urd_caps_token_free(stranger);
}

static void minting_under_a_parent_keeps_all_its_caveats(void **state)
{
    (void)state;
    struct urd_caps_key key = key_of("k");
    struct urd_caps_identifier id = identifier_of(9);
    struct urd_caps_token *parent = minted("k", 1, PREDICATES("action = saga.*", "odd caveat"));
    struct urd_caps_token *child;
    assert_ok(urd_caps_token_mint_under(&key, &id, parent, &child));
    assert_int_equal(urd_caps_token_caveat_count(child), 2);
    assert_memory_equal(urd_caps_token_caveat(child, 1).id.data, "odd caveat", 10);
    urd_caps_token_free(child);

    assert_ok(urd_caps_token_add_first_party(parent, text_bytes("uses <= 1")));
    assert_int_equal(urd_caps_token_mint_under(&key, &id, parent, &child), URD_E_UNSUPPORTED);
    urd_caps_token_free(parent);

    uint8_t nonce[24] = { 0 };
    parent = minted("k", 1, NULL);
    assert_ok(
        urd_caps_token_add_third_party(parent, text_bytes("loc"), text_bytes("x"), &key, nonce));
    assert_int_equal(urd_caps_token_mint_under(&key, &id, parent, &child), URD_E_UNSUPPORTED);
    urd_caps_token_free(parent);
}

static void binding_depends_on_the_root(void **state)
{
    (void)state;
    struct urd_caps_token *a = token_of("k", "a", NULL), *b = token_of("k", "b", NULL);
    struct urd_caps_token *one = token_of("d", "x", NULL), *other = token_of("d", "x", NULL);
    urd_caps_token_bind(one, a);
    urd_caps_token_bind(other, b);
    assert_memory_not_equal(urd_caps_token_signature(one), urd_caps_token_signature(other), 32);
    urd_caps_token_free(a);
    urd_caps_token_free(b);
    urd_caps_token_free(one);
    urd_caps_token_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caveat_changes_the_signature_and_nothing_before_it),
        cmocka_unit_test(attenuating_appends_a_link_last),
        cmocka_unit_test(a_failed_attenuation_changes_nothing),
        cmocka_unit_test(limits_push_back),
        cmocka_unit_test(a_clone_is_alike_and_apart),
        cmocka_unit_test(descent_is_a_common_beginning),
        cmocka_unit_test(minting_under_a_parent_keeps_all_its_caveats),
        cmocka_unit_test(binding_depends_on_the_root),
    };
    return RUN("token", tests);
}
