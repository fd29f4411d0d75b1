/* The revoked set: it only grows, merging commutes, and numbers tell what is new. */
#include "tests/unit/caps/world.h"

static const uint8_t seed[16] = { 9 };

static struct urd_caps_revoked *new_set(size_t max)
{
    struct urd_caps_revoked *set;
    assert_ok(urd_caps_revoked_new(seed, max, &set));
    return set;
}

static struct urd_caps_revocation entry_of(enum urd_caps_revocation_kind kind, unsigned id,
                                           int64_t expires_s)
{
    struct urd_caps_revocation e = { .kind = kind, .expires_s = expires_s };
    memcpy(e.token_id, &id, sizeof id);
    memcpy(e.root_key_id, &id, sizeof id);
    return e;
}

static uint64_t add(struct urd_caps_revoked *set, struct urd_caps_revocation e)
{
    uint64_t sequence;
    assert_ok(urd_caps_revoked_add(set, &e, &sequence));
    return sequence;
}

static bool has(const struct urd_caps_revoked *set, unsigned id, int64_t issued_at_s)
{
    struct urd_caps_identifier identifier = { .issued_at_s = issued_at_s };
    memcpy(identifier.token_id, &id, sizeof id);
    memset(identifier.root_key_id, 0xee, 8);
    return urd_caps_revoked_has_token(set, &identifier);
}

static void an_entry_reads_back_as_written(void **state)
{
    (void)state;
    for (unsigned kind = 1; kind <= 4; kind++) {
        struct urd_caps_revocation e = { .kind = kind, .expires_s = 77, .before_s = 66 }, back;
        uint8_t bytes[URD_CAPS_REVOCATION_BYTES_MAX], again[URD_CAPS_REVOCATION_BYTES_MAX];
        size_t len, again_len;
        memset(e.token_id, 1, 16);
        memset(e.link, 2, 16);
        memset(e.root_key_id, 3, 8);
        assert_ok(urd_caps_revocation_encode(&e, bytes, &len));
        assert_ok(urd_caps_revocation_decode(bytes, len, &back));
        assert_ok(urd_caps_revocation_encode(&back, again, &again_len));
        assert_int_equal(len, again_len);
        assert_memory_equal(bytes, again, len);
        assert_int_equal(back.kind, kind);
        assert_int_equal(back.expires_s, 77);
        assert_int_equal(back.before_s, kind == URD_CAPS_REVOKE_BEFORE ? 66 : 0);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(urd_caps_revocation_decode(bytes, cut, &back), URD_E_INVALID);
        bytes[0] = 5;
        assert_int_equal(urd_caps_revocation_decode(bytes, len, &back), URD_E_INVALID);
        bytes[0] = (uint8_t)kind;
        bytes[1] = 0x80; /* before 1970 */
        assert_int_equal(urd_caps_revocation_decode(bytes, len, &back), URD_E_INVALID);
    }
}

static void numbers_rise_and_what_is_known_gets_none(void **state)
{
    (void)state;
    struct urd_caps_revoked *set = new_set(100);
    struct urd_caps_revocation e;
    uint64_t sequence;
    assert_int_equal(add(set, entry_of(URD_CAPS_REVOKE_TOKEN, 1, 50)), 1);
    assert_int_equal(add(set, entry_of(URD_CAPS_REVOKE_TOKEN, 2, 50)), 2);
    assert_int_equal(add(set, entry_of(URD_CAPS_REVOKE_TOKEN, 1, 50)), 0);
    assert_int_equal(add(set, entry_of(URD_CAPS_REVOKE_TOKEN, 1, 40)), 0);
    assert_int_equal(add(set, entry_of(URD_CAPS_REVOKE_TOKEN, 1, 60)), 3); /* it says more */
    assert_int_equal(urd_caps_revoked_count(set), 2);
    assert_true(urd_caps_revoked_next(set, 0, &e, &sequence));
    assert_int_equal(sequence, 2);
    assert_true(urd_caps_revoked_next(set, 2, &e, &sequence));
    assert_int_equal(sequence, 3);
    assert_int_equal(e.expires_s, 60);
    assert_false(urd_caps_revoked_next(set, 3, &e, &sequence));
    assert_int_equal(urd_caps_revoked_last(set), 3);
    urd_caps_revoked_free(set);
}

static void issued_before_joins_to_the_later_instant(void **state)
{
    (void)state;
    struct urd_caps_revoked *set = new_set(100);
    struct urd_caps_revocation e = { .kind = URD_CAPS_REVOKE_BEFORE,
                                     .before_s = 100,
                                     .expires_s = 1000 };
    memset(e.root_key_id, 0xee, 8);
    (void)add(set, e);
    assert_true(has(set, 5, 99));
    assert_false(has(set, 5, 100));
    e.before_s = 50;
    e.expires_s = 2000;
    (void)add(set, e); /* earlier instant, later expiry: each joins on its own */
    assert_true(has(set, 5, 99));
    urd_caps_revoked_expire(set, 1500);
    assert_true(has(set, 5, 99));
    urd_caps_revoked_expire(set, 2000);
    assert_false(has(set, 5, 99));
    urd_caps_revoked_free(set);
}

static struct urd_caps_revocation random_entry(unsigned *seed_)
{
    unsigned r = *seed_ = *seed_ * 1103515245u + 12345u;
    struct urd_caps_revocation e = entry_of((enum urd_caps_revocation_kind)(1 + (r >> 8) % 4),
                                            (r >> 10) % 300, (r >> 4) % 1000);
    e.link[0] = (uint8_t)((r >> 20) % 3);
    e.before_s = (r >> 12) % 500;
    return e;
}

static bool equal_sets(const struct urd_caps_revoked *a, const struct urd_caps_revoked *b)
{
    /* every entry of a is known to a copy of b, and the other way round */
    struct urd_caps_revoked *copy = new_set(10000);
    assert_ok(urd_caps_revoked_merge(copy, b));
    uint64_t before = urd_caps_revoked_last(copy);
    assert_ok(urd_caps_revoked_merge(copy, a));
    bool equal = urd_caps_revoked_last(copy) == before &&
                 urd_caps_revoked_count(a) == urd_caps_revoked_count(b);
    urd_caps_revoked_free(copy);
    return equal;
}

static void merging_in_any_order_gives_one_set(void **state)
{
    (void)state;
    unsigned r = 4;
    struct urd_caps_revoked *a = new_set(10000), *b = new_set(10000), *ab = new_set(10000),
                            *ba = new_set(10000);
    for (int i = 0; i < 2000; i++)
        (void)add(i % 3 == 0 ? a : b, random_entry(&r));
    assert_false(equal_sets(a, b));
    assert_ok(urd_caps_revoked_merge(ab, a));
    assert_ok(urd_caps_revoked_merge(ab, b));
    assert_ok(urd_caps_revoked_merge(ba, b));
    assert_ok(urd_caps_revoked_merge(ba, a));
    assert_ok(urd_caps_revoked_merge(ba, b));
    assert_ok(urd_caps_revoked_merge(ba, ba));
    assert_true(equal_sets(ab, ba));
    urd_caps_revoked_free(a);
    urd_caps_revoked_free(b);
    urd_caps_revoked_free(ab);
    urd_caps_revoked_free(ba);
}

/* A peer that asks "what came after n" until nothing does has all of it. */
static void exchange_by_number_catches_up(void **state)
{
    (void)state;
    unsigned r = 77;
    struct urd_caps_revoked *here = new_set(10000), *there = new_set(10000);
    uint64_t heard = 0;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 100; i++)
            (void)add(here, random_entry(&r));
        if (round == 10) urd_caps_revoked_expire(here, 200);
        if (round == 10) urd_caps_revoked_expire(there, 200);
        struct urd_caps_revocation e;
        while (urd_caps_revoked_next(here, heard, &e, &heard))
            (void)add(there, e);
        assert_int_equal(heard, urd_caps_revoked_last(here));
        assert_true(equal_sets(here, there));
    }
    urd_caps_revoked_free(here);
    urd_caps_revoked_free(there);
}

static void restoring_keeps_the_numbers(void **state)
{
    (void)state;
    unsigned r = 5;
    struct urd_caps_revoked *set = new_set(10000), *back = new_set(10000);
    for (int i = 0; i < 500; i++) { /* the node journals what gets a number */
        struct urd_caps_revocation e = random_entry(&r);
        uint64_t sequence = add(set, e);
        if (sequence > 0) assert_ok(urd_caps_revoked_restore(back, &e, sequence));
    }
    assert_true(equal_sets(set, back));
    assert_int_equal(urd_caps_revoked_last(set), urd_caps_revoked_last(back));
    struct urd_caps_revocation e = entry_of(URD_CAPS_REVOKE_TOKEN, 1, 5000);
    assert_int_equal(urd_caps_revoked_restore(back, &e, 3), URD_E_INVALID);
    assert_ok(urd_caps_revoked_restore(back, &e, 5000));
    assert_ok(urd_caps_revoked_restore(back, &e, 5001)); /* known already; the number counts */
    assert_int_equal(urd_caps_revoked_last(back), 5001);
    urd_caps_revoked_free(set);
    urd_caps_revoked_free(back);
}

static void a_full_set_says_so_and_still_joins(void **state)
{
    (void)state;
    struct urd_caps_revoked *set = new_set(2);
    uint64_t sequence = 99;
    struct urd_caps_revocation e = entry_of(URD_CAPS_REVOKE_TOKEN, 3, 10);
    (void)add(set, entry_of(URD_CAPS_REVOKE_TOKEN, 1, 10));
    (void)add(set, entry_of(URD_CAPS_REVOKE_TOKEN, 2, 20));
    assert_int_equal(urd_caps_revoked_add(set, &e, &sequence), URD_E_FULL);
    assert_int_equal(sequence, 99);
    for (int i = 0; i < 1000; i++) /* growing what is there needs no room that stays */
        assert_true(add(set, entry_of(URD_CAPS_REVOKE_TOKEN, 2, 21 + i)) > 0);
    assert_int_equal(urd_caps_revoked_count(set), 2);
    urd_caps_revoked_expire(set, 10);
    assert_ok(urd_caps_revoked_add(set, &e, &sequence));
    e.kind = 0;
    assert_int_equal(urd_caps_revoked_add(set, &e, &sequence), URD_E_INVALID);
    urd_caps_revoked_free(set);
}

static void many_entries_are_all_found(void **state)
{
    (void)state;
    struct urd_caps_revoked *set = new_set(100000);
    for (unsigned i = 0; i < 50000; i++)
        (void)add(set, entry_of(URD_CAPS_REVOKE_TOKEN, 2 * i, i % 2 == 0 ? 5 : 50));
    urd_caps_revoked_expire(set, 5);
    assert_int_equal(urd_caps_revoked_count(set), 25000);
    for (unsigned i = 0; i < 50000; i++) {
        assert_int_equal(has(set, 2 * i, 0), i % 2 == 1);
        assert_false(has(set, 2 * i + 1, 0));
    }
    urd_caps_revoked_free(set);
}

static void a_grant_given_earlier_is_found_revoked(void **state)
{
    (void)state;
    struct urd_caps_request r = a_request(NULL, NULL);
    struct urd_caps_token *t =
        minted("root", 1, PREDICATES("link = aa000000000000000000000000000000"));
    struct answer a = ask(t, NULL, &r);
    assert_ok(a.err);
    struct urd_caps_revoked *set = new_set(10);
    struct urd_caps_revocation e = { .kind = URD_CAPS_REVOKE_LINK,
                                     .expires_s = URD_CAPS_NO_EXPIRY };
    memset(e.token_id, 1, 16);
    (void)add(set, e);
    assert_false(urd_caps_revoked_has_grant(set, a.grant));
    e.link[0] = 0xaa;
    (void)add(set, e);
    assert_true(urd_caps_revoked_has_grant(set, a.grant));
    urd_caps_revoked_free(set);

    set = new_set(10);
    e.kind = URD_CAPS_REVOKE_KEY;
    memset(e.root_key_id, 1, 8);
    (void)add(set, e);
    assert_true(urd_caps_revoked_has_grant(set, a.grant));
    urd_caps_revoked_free(set);
    urd_caps_grant_free(a.grant);
    urd_caps_token_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_reads_back_as_written),
        cmocka_unit_test(numbers_rise_and_what_is_known_gets_none),
        cmocka_unit_test(issued_before_joins_to_the_later_instant),
        cmocka_unit_test(merging_in_any_order_gives_one_set),
        cmocka_unit_test(exchange_by_number_catches_up),
        cmocka_unit_test(restoring_keeps_the_numbers),
        cmocka_unit_test(a_full_set_says_so_and_still_joins),
        cmocka_unit_test(many_entries_are_all_found),
        cmocka_unit_test(a_grant_given_earlier_is_found_revoked),
    };
    return RUN("revocation", tests);
}
