/* The cut of a stream: every byte in exactly one block, both ways of naming a block agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fountain/codec/fountain.h"
#include "fountain/transfer/layout.h"

static const uint64_t sizes[] = { 1,       63,        64,        1280,          1281,
                                  1310720, 67108864,  267386880, 267386881,     (1u << 30) + 5,
                                  5000001, 999999937, 1u << 31,  8589934592 + 1 };

static void blocks_cover_the_stream_without_gap_or_overlap(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct urd_fountain_layout layout;
        assert_int_equal(urd_fountain_layout_init(sizes[i], 1280, 1024, &layout), URD_OK);
        uint64_t at = 0;
        for (uint32_t block = 0; block < layout.blocks; block++) {
            struct urd_fountain_extent e;
            urd_fountain_layout_extent(&layout, block, &e);
            assert_int_equal(e.offset, at);
            assert_true(e.K <= 1024 && e.len <= e.K * 1280 && e.len > (e.K - 1) * 1280);
            at += e.len;
            uint32_t back;
            assert_int_equal(urd_fountain_layout_block(&layout, e.part, e.sbn, &back), URD_OK);
            assert_int_equal(back, block);
        }
        assert_int_equal(at, sizes[i]);
    }
}

static void each_part_is_a_valid_rfc_6330_object_with_the_same_blocks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct urd_fountain_layout layout;
        assert_int_equal(urd_fountain_layout_init(sizes[i], 1152, 1024, &layout), URD_OK);
        struct urd_fountain_oti oti = { .T = 1152, .N = 1, .Al = 8 };
        for (uint32_t block = 0; block < layout.blocks; block++) {
            struct urd_fountain_extent e;
            urd_fountain_layout_extent(&layout, block, &e);
            uint32_t first = e.part * URD_FOUNTAIN_PART_BLOCKS, Z = layout.blocks - first;
            oti.Z = (uint8_t)(Z > URD_FOUNTAIN_PART_BLOCKS ? URD_FOUNTAIN_PART_BLOCKS : Z);
            oti.F = layout.total_bytes - e.part * layout.part_bytes;
            if (oti.F > layout.part_bytes) oti.F = layout.part_bytes;
            assert_true(oti.F <= URD_FOUNTAIN_PART_BYTES_MAX);
            assert_int_equal(urd_fountain_oti_validate(&oti), URD_OK);
            struct urd_fountain_block b;
            assert_int_equal(urd_fountain_block_of(&oti, e.sbn, &b), URD_OK);
            assert_int_equal(b.offset + e.part * layout.part_bytes, e.offset);
            assert_int_equal(b.len, e.len);
            assert_int_equal(b.K, e.K);
        }
    }
}

static void an_empty_stream_has_no_blocks(void **state)
{
    (void)state;
    struct urd_fountain_layout layout;
    uint32_t block = 7;
    assert_int_equal(urd_fountain_layout_init(0, 1280, 1024, &layout), URD_OK);
    assert_int_equal(layout.blocks, 0);
    assert_int_equal(urd_fountain_layout_block(&layout, 0, 0, &block), URD_E_INVALID);
    assert_int_equal(block, 7);
}

static void what_a_stranger_may_not_ask_for_is_refused(void **state)
{
    (void)state;
    struct urd_fountain_layout layout = { .blocks = 42 };
    assert_int_equal(urd_fountain_layout_init(1, 0, 1024, &layout), URD_E_INVALID);
    assert_int_equal(urd_fountain_layout_init(1, 1281, 1024, &layout), URD_E_INVALID);
    assert_int_equal(urd_fountain_layout_init(1, 1284, 1024, &layout), URD_E_INVALID);
    assert_int_equal(urd_fountain_layout_init(1, 1280, 15, &layout), URD_E_INVALID);
    assert_int_equal(urd_fountain_layout_init(1, 1280, 4097, &layout), URD_E_INVALID);
    assert_int_equal(urd_fountain_layout_init(UINT64_MAX, 1280, 1024, &layout), URD_E_TOO_BIG);
    assert_int_equal(urd_fountain_layout_init(URD_FOUNTAIN_STREAM_BYTES_MAX, 64, 16, &layout),
                     URD_E_TOO_BIG);
    assert_int_equal(layout.blocks, 42);
}

static void the_suggested_cut_fits_every_allowed_stream(void **state)
{
    (void)state;
    struct urd_fountain_layout layout;
    for (uint64_t bytes = 1; bytes <= URD_FOUNTAIN_STREAM_BYTES_MAX; bytes *= 2)
        assert_int_equal(urd_fountain_layout_init(
                             bytes, 1280, urd_fountain_layout_block_symbols(bytes), &layout),
                         URD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_cover_the_stream_without_gap_or_overlap),
        cmocka_unit_test(each_part_is_a_valid_rfc_6330_object_with_the_same_blocks),
        cmocka_unit_test(an_empty_stream_has_no_blocks),
        cmocka_unit_test(what_a_stranger_may_not_ask_for_is_refused),
        cmocka_unit_test(the_suggested_cut_fits_every_allowed_stream),
    };
    return cmocka_run_group_tests_name("fountain/transfer/layout", tests, NULL, NULL);
}
