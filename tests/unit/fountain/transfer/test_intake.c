/* The receiver's books: a bounded window, each block once, wrong ones again but not for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fountain/transfer/intake.h"

#define BLOCKS 20u

static struct urd_fountain_layout layout(void)
{
    struct urd_fountain_layout l;
    assert_int_equal(urd_fountain_layout_init(BLOCKS * 16 * 64, 64, 16, &l), URD_OK);
    assert_int_equal(l.blocks, BLOCKS);
    return l;
}

static void digest_of(uint32_t block, uint8_t ret[32])
{
    memset(ret, 0, 32);
    memcpy(ret, &block, 4);
    ret[31] = 1;
}

static struct urd_fountain_digests *board_full(void)
{
    struct urd_fountain_digests *board;
    assert_int_equal(urd_fountain_digests_new(BLOCKS, &board), URD_OK);
    for (uint32_t block = 0; block < BLOCKS; block++) {
        uint8_t digest[32];
        digest_of(block, digest);
        assert_int_equal(urd_fountain_digests_put(board, block, digest), URD_OK);
    }
    return board;
}

static void write_block(struct urd_fountain_intake *intake, uint32_t block, bool right)
{
    uint8_t digest[32];
    struct urd_fountain_intake_open *entry = urd_fountain_intake_find(intake, block);
    assert_non_null(entry);
    assert_int_equal(entry->need, 16);
    digest_of(right ? block : block + 1000, digest);
    urd_fountain_intake_written(intake, entry, digest);
}

static void the_window_slides_and_never_grows(void **state)
{
    (void)state;
    struct urd_fountain_layout l = layout();
    struct urd_fountain_intake intake;
    struct urd_fountain_report report = { 0 };
    assert_int_equal(urd_fountain_intake_init(&intake, &l, 4, NULL, 0), URD_OK);
    assert_int_equal(intake.window_end, 4);
    assert_null(urd_fountain_intake_find(&intake, 4));
    write_block(&intake, 2, true);
    assert_int_equal(intake.window_end, 5);
    assert_null(urd_fountain_intake_find(&intake, 2));
    urd_fountain_intake_report(&intake, &report);
    static const uint32_t want[] = { 0, 1, 3, 4 };
    assert_int_equal(report.needs_count, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(report.needs[i].block, want[i]);
    assert_int_equal(report.flags, 0);
    for (uint32_t block = 0; block < BLOCKS; block++)
        if (block != 2) write_block(&intake, block, true);
    report.flags = 0;
    urd_fountain_intake_report(&intake, &report);
    assert_int_equal(report.flags, URD_FOUNTAIN_REPORT_ENOUGH);
    assert_int_equal(report.window_end, BLOCKS);
    urd_fountain_intake_done(&intake);
}

static void a_wrong_block_is_opened_again_and_given_up_at_last(void **state)
{
    (void)state;
    struct urd_fountain_layout l = layout();
    struct urd_fountain_intake intake;
    struct urd_fountain_digests *board = board_full();
    assert_int_equal(urd_fountain_intake_init(&intake, &l, 4, NULL, 0), URD_OK);
    write_block(&intake, 0, true);
    for (unsigned tries = 1; tries < URD_FOUNTAIN_BLOCK_TRIES_MAX; tries++) {
        write_block(&intake, 1, false);
        assert_int_equal(urd_fountain_intake_verify(&intake, board), URD_OK);
        /* the window is full: it waits until there is room */
        uint32_t other = intake.open[0].block == 1 ? intake.open[1].block : intake.open[0].block;
        write_block(&intake, other, true);
        assert_non_null(urd_fountain_intake_find(&intake, 1));
        assert_true(intake.open_count <= 4);
    }
    write_block(&intake, 1, false);
    assert_int_equal(urd_fountain_intake_verify(&intake, board), URD_E_CORRUPT);
    urd_fountain_intake_done(&intake);
    urd_fountain_digests_free(board);
}

static void only_what_is_right_is_committed_and_only_once(void **state)
{
    (void)state;
    struct urd_fountain_layout l = layout();
    struct urd_fountain_intake intake;
    struct urd_fountain_digests *board = board_full();
    struct urd_fountain_finished blocks[BLOCKS];
    assert_int_equal(urd_fountain_intake_init(&intake, &l, 8, NULL, 0), URD_OK);
    write_block(&intake, 0, true);
    write_block(&intake, 1, false);
    write_block(&intake, 2, true);
    assert_int_equal(urd_fountain_intake_take_right(&intake, blocks, BLOCKS), 0);
    assert_int_equal(urd_fountain_intake_verify(&intake, board), URD_OK);
    assert_int_equal(urd_fountain_intake_take_right(&intake, blocks, 1), 1);
    assert_int_equal(urd_fountain_intake_take_right(&intake, blocks + 1, BLOCKS), 1);
    assert_int_equal(blocks[0].block + blocks[1].block, 2);
    urd_fountain_intake_committed(&intake, blocks, 2);
    assert_int_equal(intake.finished, 2);
    assert_int_equal(urd_fountain_intake_take_right(&intake, blocks, BLOCKS), 0);
    urd_fountain_intake_done(&intake);
    urd_fountain_digests_free(board);
}

static void journalled_blocks_are_not_asked_for_unless_they_turn_out_wrong(void **state)
{
    (void)state;
    struct urd_fountain_layout l = layout();
    struct urd_fountain_intake intake;
    struct urd_fountain_digests *board = board_full();
    struct urd_fountain_finished finished[] = { { .block = 0 }, { .block = 1 }, { .block = 19 } };
    digest_of(0, finished[0].digest);
    digest_of(1, finished[2].digest); /* wrong */
    digest_of(1, finished[1].digest);
    assert_int_equal(urd_fountain_intake_init(&intake, &l, 4, finished, 3), URD_OK);
    assert_null(urd_fountain_intake_find(&intake, 0));
    assert_non_null(urd_fountain_intake_find(&intake, 2));
    assert_int_equal(intake.bytes_before, 3 * 16 * 64);
    assert_int_equal(urd_fountain_intake_verify(&intake, board), URD_OK);
    assert_int_equal(intake.finished, 2);
    for (uint32_t block = 2; block < BLOCKS; block++) /* 19 too */
        write_block(&intake, block, true);
    assert_int_equal(urd_fountain_intake_verify(&intake, board), URD_OK);
    assert_int_equal(intake.right_count, 18);
    urd_fountain_intake_done(&intake);

    finished[0].block = BLOCKS;
    assert_int_equal(urd_fountain_intake_init(&intake, &l, 4, finished, 1), URD_E_INVALID);
    urd_fountain_digests_free(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_slides_and_never_grows),
        cmocka_unit_test(a_wrong_block_is_opened_again_and_given_up_at_last),
        cmocka_unit_test(only_what_is_right_is_committed_and_only_once),
        cmocka_unit_test(journalled_blocks_are_not_asked_for_unless_they_turn_out_wrong),
    };
    return cmocka_run_group_tests_name("fountain/transfer/intake", tests, NULL, NULL);
}
