/* Blocks tile the object, sub-symbols go where section 4.4.1.2 puts them, and come back. */
#include "tests/unit/fountain/codec/helpers.h"

#include "fountain/codec/fountain.h"

static void parts_sum_up_and_differ_by_one(void **state)
{
    (void)state;
    for (uint32_t I = 0; I < 300; I++) {
        for (uint32_t J = 1; J < 40; J++) {
            struct urd_fountain_partition p = urd_fountain_partition(I, J);
            assert_true(p.JL * p.IL + p.JS * p.IS == I);
            assert_true(p.JL + p.JS == J);
            assert_true(p.IL - p.IS <= 1);
        }
    }
}

static void blocks_tile_the_object(void **state)
{
    (void)state;
    uint32_t random = 7;
    for (unsigned i = 0; i < 500; i++) {
        struct urd_fountain_oti oti = { .F = 1 + next_random(&random) % 100000,
                                        .T = (uint16_t)(1 + next_random(&random) % 100),
                                        .Z = (uint8_t)(1 + next_random(&random) % 255),
                                        .N = 1,
                                        .Al = 1 };
        if (urd_fountain_oti_validate(&oti) != URD_OK) continue;
        uint64_t end = 0;
        struct urd_fountain_block block;
        for (uint32_t sbn = 0; sbn < oti.Z; sbn++) {
            assert_int_equal(urd_fountain_block_of(&oti, sbn, &block), URD_OK);
            assert_true(block.offset == end);
            assert_true(block.K > 0 && block.len > 0);
            if (sbn + 1u < oti.Z)
                assert_true(block.len == (uint64_t)block.K * oti.T);
            else
                assert_true(block.len + oti.T > (uint64_t)block.K * oti.T);
            end += block.len;
        }
        assert_true(end == oti.F);
        assert_int_equal(urd_fountain_block_of(&oti, oti.Z, &block), URD_E_INVALID);
    }
}

/* Byte @at of symbol @i, straight from the RFC: find its sub-block, then its place there. */
static size_t place_in_block(const struct urd_fountain_oti *oti, uint32_t K, uint32_t i,
                             uint32_t at)
{
    struct urd_fountain_partition p = urd_fountain_partition(oti->T / oti->Al, oti->N);
    size_t sub_block = 0;
    for (uint32_t n = 0;; n++) {
        uint32_t width = (uint32_t)(n < p.JL ? p.IL : p.IS) * oti->Al;
        if (at < width) return sub_block + (size_t)i * width + at;
        at -= width;
        sub_block += (size_t)K * width;
    }
}

static void sub_symbols_go_to_their_place_and_back(void **state)
{
    (void)state;
    static const struct urd_fountain_oti otis[] = {
        { .F = 1, .T = 24, .Z = 1, .N = 1, .Al = 4 },  { .F = 1, .T = 24, .Z = 1, .N = 6, .Al = 4 },
        { .F = 1, .T = 40, .Z = 1, .N = 3, .Al = 4 },  { .F = 1, .T = 7, .Z = 1, .N = 7, .Al = 1 },
        { .F = 1, .T = 120, .Z = 1, .N = 4, .Al = 8 },
    };
    const uint32_t K = 13;
    for (size_t c = 0; c < COUNT_OF(otis); c++) {
        const struct urd_fountain_oti *oti = &otis[c];
        size_t len = (size_t)K * oti->T;
        uint8_t *block = random_bytes(len, 3), *symbols = random_bytes(len, 4);
        uint8_t *back = random_bytes(len, 5);
        urd_fountain_interleave(oti, K, block, symbols);
        for (uint32_t i = 0; i < K; i++)
            for (uint32_t at = 0; at < oti->T; at++)
                assert_int_equal(symbols[i * oti->T + at], block[place_in_block(oti, K, i, at)]);
        urd_fountain_deinterleave(oti, K, symbols, back);
        assert_memory_equal(back, block, len);
        if (oti->N == 1) assert_memory_equal(symbols, block, len);
        free(block);
        free(symbols);
        free(back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_sum_up_and_differ_by_one),
        cmocka_unit_test(blocks_tile_the_object),
        cmocka_unit_test(sub_symbols_go_to_their_place_and_back),
    };
    return cmocka_run_group_tests_name("fountain/codec/partition", tests, NULL, NULL);
}
