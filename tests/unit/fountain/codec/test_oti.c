/* Object transmission information: what is written is read back, and nonsense is refused. */
#include "tests/unit/fountain/codec/helpers.h"

#include "fountain/codec/fountain.h"

static const struct urd_fountain_oti good = { .F = 100000, .T = 1280, .Z = 3, .N = 2, .Al = 8 };

static urd_err validate_with(void (*change)(struct urd_fountain_oti *oti))
{
    struct urd_fountain_oti oti = good;
    change(&oti);
    return urd_fountain_oti_validate(&oti);
}

static void no_length(struct urd_fountain_oti *oti)
{
    oti->F = 0;
}
static void no_symbol(struct urd_fountain_oti *oti)
{
    oti->T = 0;
}
static void no_block(struct urd_fountain_oti *oti)
{
    oti->Z = 0;
}
static void no_sub_block(struct urd_fountain_oti *oti)
{
    oti->N = 0;
}
static void no_alignment(struct urd_fountain_oti *oti)
{
    oti->Al = 0;
}
static void misaligned(struct urd_fountain_oti *oti)
{
    oti->T = 1281;
}
static void too_many_sub_blocks(struct urd_fountain_oti *oti)
{
    oti->N = 1280 / 8 + 1;
}
static void more_blocks_than_symbols(struct urd_fountain_oti *oti)
{
    oti->F = 2560;
}
static void too_long(struct urd_fountain_oti *oti)
{
    *oti = (struct urd_fountain_oti){
        .F = URD_FOUNTAIN_F_MAX + 1, .T = 65535, .Z = 255, .N = 1, .Al = 1
    };
}
static void block_too_big(struct urd_fountain_oti *oti)
{
    oti->F = UINT64_C(1280) * 3 * URD_FOUNTAIN_K_MAX + 1;
}

static void parameters_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    assert_int_equal(urd_fountain_oti_validate(&good), URD_OK);
    assert_int_equal(validate_with(no_length), URD_E_INVALID);
    assert_int_equal(validate_with(no_symbol), URD_E_INVALID);
    assert_int_equal(validate_with(no_block), URD_E_INVALID);
    assert_int_equal(validate_with(no_sub_block), URD_E_INVALID);
    assert_int_equal(validate_with(no_alignment), URD_E_INVALID);
    assert_int_equal(validate_with(misaligned), URD_E_INVALID);
    assert_int_equal(validate_with(too_many_sub_blocks), URD_E_INVALID);
    assert_int_equal(validate_with(more_blocks_than_symbols), URD_E_INVALID);
    assert_int_equal(validate_with(too_long), URD_E_TOO_BIG);
    assert_int_equal(validate_with(block_too_big), URD_E_TOO_BIG);
}

static void the_largest_object_is_accepted(void **state)
{
    (void)state;
    struct urd_fountain_oti oti = {
        .F = URD_FOUNTAIN_F_MAX, .T = 65535, .Z = 255, .N = 1, .Al = 1
    };
    assert_int_equal(urd_fountain_oti_validate(&oti), URD_OK);
}

static void twelve_bytes_are_read_back(void **state)
{
    (void)state;
    uint8_t bytes[URD_FOUNTAIN_OTI_LEN];
    struct urd_fountain_oti oti = { 0 };
    urd_fountain_oti_encode(&good, bytes);
    assert_int_equal(bytes[5], 0);
    assert_int_equal(urd_fountain_oti_parse(bytes, sizeof bytes, &oti), URD_OK);
    assert_true(oti.F == good.F && oti.T == good.T && oti.Z == good.Z && oti.N == good.N &&
                oti.Al == good.Al);

    bytes[5] = 0xff; /* reserved: ignored */
    assert_int_equal(urd_fountain_oti_parse(bytes, sizeof bytes, &oti), URD_OK);
}

static void bad_bytes_leave_the_result_alone(void **state)
{
    (void)state;
    uint8_t bytes[URD_FOUNTAIN_OTI_LEN];
    struct urd_fountain_oti oti = { .F = 77 };
    urd_fountain_oti_encode(&good, bytes);
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_int_equal(urd_fountain_oti_parse(bytes, len, &oti), URD_E_SHORT);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(urd_fountain_oti_parse(bytes, sizeof bytes, &oti), URD_E_INVALID);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(urd_fountain_oti_parse(bytes, sizeof bytes, &oti), URD_E_TOO_BIG);
    assert_true(oti.F == 77);
}

static void derived_parameters_are_valid_and_fit_working_memory(void **state)
{
    (void)state;
    uint32_t random = 1;
    unsigned derived = 0;
    for (unsigned i = 0; i < 3000; i++) {
        struct urd_fountain_wish wish = {
            .F = UINT64_C(1) << (next_random(&random) % 36) | (next_random(&random) & 0xff),
            .P_prime = (uint16_t)(1 + next_random(&random) % 65535),
            .Al = (uint8_t)(1 + next_random(&random) % 8),
            .SS = (uint16_t)(1 + next_random(&random) % 16),
            .WS = UINT64_C(1) << (next_random(&random) % 30),
        };
        struct urd_fountain_oti oti;
        urd_err err = urd_fountain_oti_derive(&wish, &oti);
        if (err != URD_OK) {
            assert_true(err == URD_E_INVALID || err == URD_E_TOO_BIG);
            continue;
        }
        derived++;
        struct urd_fountain_block block;
        assert_int_equal(urd_fountain_oti_validate(&oti), URD_OK);
        assert_int_equal(urd_fountain_block_of(&oti, 0, &block), URD_OK);
        uint64_t sub_symbol = (oti.T / oti.Al + oti.N - 1) / oti.N * oti.Al;
        assert_true(block.K * sub_symbol <= wish.WS);
    }
    assert_true(derived > 300);
}

static void wishes_without_an_answer_are_refused(void **state)
{
    (void)state;
    const struct urd_fountain_wish fine = {
        .F = 1000000, .P_prime = 1280, .Al = 8, .SS = 8, .WS = 1 << 20
    };
    struct urd_fountain_oti oti;
    assert_int_equal(urd_fountain_oti_derive(&fine, &oti), URD_OK);

    struct urd_fountain_wish wish = fine;
    wish.F = 0;
    assert_int_equal(urd_fountain_oti_derive(&wish, &oti), URD_E_INVALID);
    wish = fine;
    wish.Al = 0;
    assert_int_equal(urd_fountain_oti_derive(&wish, &oti), URD_E_INVALID);
    wish = fine;
    wish.SS = 0;
    assert_int_equal(urd_fountain_oti_derive(&wish, &oti), URD_E_INVALID);
    wish = fine;
    wish.SS = 161; /* larger than a symbol */
    assert_int_equal(urd_fountain_oti_derive(&wish, &oti), URD_E_INVALID);
    wish = fine;
    wish.P_prime = 7; /* below Al */
    assert_int_equal(urd_fountain_oti_derive(&wish, &oti), URD_E_INVALID);
    wish = fine;
    wish.WS = 639; /* ten sub-symbols of 64 bytes do not fit */
    assert_int_equal(urd_fountain_oti_derive(&wish, &oti), URD_E_INVALID);
    wish.WS = 640;
    wish.F = UINT64_C(255) * 10 * 1280;
    assert_int_equal(urd_fountain_oti_derive(&wish, &oti), URD_OK);
    wish.F++; /* a 256th block */
    assert_int_equal(urd_fountain_oti_derive(&wish, &oti), URD_E_TOO_BIG);
}

static void payload_ids_are_read_back(void **state)
{
    (void)state;
    static const uint32_t esis[] = { 0, 1, 255, 256, 65536, URD_FOUNTAIN_ESI_MAX };
    for (size_t i = 0; i < COUNT_OF(esis); i++) {
        uint8_t bytes[URD_FOUNTAIN_PAYLOAD_ID_LEN], sbn;
        uint32_t esi;
        urd_fountain_payload_id_encode(200, esis[i], bytes);
        urd_fountain_payload_id_parse(bytes, &sbn, &esi);
        assert_int_equal(sbn, 200);
        assert_int_equal(esi, esis[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_that_contradict_each_other_are_refused),
        cmocka_unit_test(the_largest_object_is_accepted),
        cmocka_unit_test(twelve_bytes_are_read_back),
        cmocka_unit_test(bad_bytes_leave_the_result_alone),
        cmocka_unit_test(derived_parameters_are_valid_and_fit_working_memory),
        cmocka_unit_test(wishes_without_an_answer_are_refused),
        cmocka_unit_test(payload_ids_are_read_back),
    };
    return cmocka_run_group_tests_name("fountain/codec/oti", tests, NULL, NULL);
}
