/* Offers: both sides come to the same, and never twice to the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fountain/transfer/session.h"
#include "runtime/runtime.h"

static urd_err make_two(struct urd_cx *cx, void *arg)
{
    struct urd_fountain_offer *offers = arg;
    urd_err err = urd_fountain_offer_make(cx, &offers[0]);
    return err == URD_OK ? urd_fountain_offer_make(cx, &offers[1]) : err;
}

static void both_sides_agree_and_each_offer_is_new(void **state)
{
    (void)state;
    struct urd_fountain_offer offers[2], decoded;
    struct urd_fountain_agreement a, b;
    uint8_t bytes[URD_FOUNTAIN_OFFER_LEN];
    assert_int_equal(urd_runtime_run(NULL, make_two, offers, NULL), URD_OK);
    assert_true(offers[0].id != offers[1].id);
    assert_memory_not_equal(offers[0].secret, offers[1].secret, 32);
    urd_fountain_offer_encode(&offers[1], bytes);
    assert_int_equal(urd_fountain_offer_decode(bytes, sizeof bytes, &decoded), URD_OK);
    urd_fountain_agree(&offers[0], &decoded, &a);
    urd_fountain_agree(&offers[0], &offers[1], &b);
    assert_true(a.id == b.id && a.aes == b.aes);
    assert_memory_equal(a.secret, b.secret, sizeof a.secret);
}

static void aes_is_used_only_when_both_have_it(void **state)
{
    (void)state;
    struct urd_fountain_agreement a;
    for (unsigned i = 0; i < 4; i++) {
        struct urd_fountain_offer s = { .aes = i & 1 }, r = { .aes = i & 2 };
        urd_fountain_agree(&s, &r, &a);
        assert_int_equal(a.aes, i == 3);
    }
}

static void malformed_offers_are_refused(void **state)
{
    (void)state;
    struct urd_fountain_offer offer = { .id = 5 }, out = { .id = 99 };
    uint8_t bytes[URD_FOUNTAIN_OFFER_LEN + 1] = { 0 };
    urd_fountain_offer_encode(&offer, bytes);
    for (size_t cut = 0; cut < URD_FOUNTAIN_OFFER_LEN; cut++)
        assert_int_equal(urd_fountain_offer_decode(bytes, cut, &out), URD_E_SHORT);
    assert_int_equal(urd_fountain_offer_decode(bytes, sizeof bytes, &out), URD_E_INVALID);
    bytes[1] = 2;
    assert_int_equal(urd_fountain_offer_decode(bytes, URD_FOUNTAIN_OFFER_LEN, &out), URD_E_INVALID);
    bytes[0] = 2;
    assert_int_equal(urd_fountain_offer_decode(bytes, URD_FOUNTAIN_OFFER_LEN, &out), URD_E_VERSION);
    assert_int_equal(out.id, 99);
}

static void secrets_are_wiped(void **state)
{
    (void)state;
    static const uint8_t zeroes[64];
    struct urd_fountain_offer offer;
    struct urd_fountain_agreement agreement;
    memset(&offer, 0x5a, sizeof offer);
    memset(&agreement, 0x5a, sizeof agreement);
    urd_fountain_offer_done(&offer);
    urd_fountain_agreement_done(&agreement);
    assert_memory_equal(offer.secret, zeroes, sizeof offer.secret);
    assert_memory_equal(agreement.secret, zeroes, sizeof agreement.secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_agree_and_each_offer_is_new),
        cmocka_unit_test(aes_is_used_only_when_both_have_it),
        cmocka_unit_test(malformed_offers_are_refused),
        cmocka_unit_test(secrets_are_wiped),
    };
    return cmocka_run_group_tests_name("fountain/transfer/session", tests, NULL, NULL);
}
