/* The sender's books: source first, repair as needed beyond what is on its way, no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fountain/transfer/outflow.h"

#define BLOCKS 4u
#define K      100u
#define MS     UINT64_C(1000000)

struct books {
    struct urd_fountain_outflow outflow;
    uint64_t number;
};

static void books_init(struct books *b, uint32_t slots)
{
    struct urd_fountain_layout l;
    memset(b, 0, sizeof *b);
    assert_int_equal(urd_fountain_layout_init(BLOCKS * K * 64, 64, K, &l), URD_OK);
    assert_int_equal(l.blocks, BLOCKS);
    assert_int_equal(urd_fountain_outflow_init(&b->outflow, &l, slots, 0), URD_OK);
}

static void report(struct books *b, uint64_t came, uint32_t end,
                   const struct urd_fountain_need *needs, unsigned count)
{
    struct urd_fountain_report r = { .window_end = end, .needs_count = (uint8_t)count };
    if (came > 0) {
        r.flags = URD_FOUNTAIN_REPORT_HEARD;
        r.highest = came - 1;
    }
    for (unsigned i = 0; i < count; i++)
        r.needs[i] = needs[i];
    assert_int_equal(urd_fountain_outflow_report(&b->outflow, &r), URD_OK);
}

static void open_all(struct books *b)
{
    struct urd_fountain_slot *slot;
    while ((slot = urd_fountain_outflow_open(&b->outflow)) != NULL)
        urd_fountain_outflow_ready(slot);
}

static void code_all(struct books *b, double p)
{
    struct urd_fountain_slot *slot;
    while ((slot = urd_fountain_outflow_wants_code(&b->outflow, p)) != NULL) {
        slot->coding = true;
        urd_fountain_outflow_coded(slot);
    }
}

/* Send all that is picked; returns how many symbols of @block went, source and repair. */
static unsigned drain(struct books *b, double p, uint32_t block, unsigned *ret_repair)
{
    struct urd_fountain_pick pick;
    unsigned count = 0, repair = 0;
    while (urd_fountain_outflow_pick(&b->outflow, p, 16, &pick)) {
        assert_true(pick.count > 0 && pick.count <= 16);
        for (uint32_t i = 0; i < pick.count; i++)
            urd_fountain_outflow_sent(&b->outflow, pick.slot, b->number++);
        assert_int_equal(pick.repair, pick.esi >= K);
        if (pick.slot->block != block) continue;
        count += pick.count;
        if (pick.repair) repair += pick.count;
    }
    if (ret_repair != NULL) *ret_repair = repair;
    return count;
}

static const struct urd_fountain_need all[] = { { 0, K }, { 1, K }, { 2, K }, { 3, K } };

static void without_loss_each_source_symbol_goes_once(void **state)
{
    (void)state;
    struct books b;
    books_init(&b, 4);
    report(&b, 0, BLOCKS, all, 4);
    open_all(&b);
    assert_null(urd_fountain_outflow_wants_code(&b.outflow, 0));
    struct urd_fountain_pick pick;
    for (uint32_t block = 0; block < BLOCKS; block++)
        for (uint32_t esi = 0; esi < K; esi += 10) {
            assert_true(urd_fountain_outflow_pick(&b.outflow, 0, 10, &pick));
            assert_int_equal(pick.slot->block, block);
            assert_int_equal(pick.esi, esi);
            for (uint32_t i = 0; i < 10; i++)
                urd_fountain_outflow_sent(&b.outflow, pick.slot, b.number++);
        }
    assert_false(urd_fountain_outflow_pick(&b.outflow, 0, 10, &pick));
    code_all(&b, 0);
    assert_false(urd_fountain_outflow_pick(&b.outflow, 0, 10, &pick));
    urd_fountain_outflow_done(&b.outflow);
}

static void what_is_on_its_way_is_not_sent_twice(void **state)
{
    (void)state;
    struct books b;
    books_init(&b, 4);
    report(&b, 0, 2, all, 2); /* not the tail: blocks 2 and 3 are not let in */
    open_all(&b);
    assert_int_equal(drain(&b, 0, 0, NULL), K);
    /* half of block 0 was heard of, 5 of it lost; the other half is on its way */
    struct urd_fountain_need needs[] = { { 0, 55 }, { 1, K } };
    report(&b, 50, 2, needs, 2);
    code_all(&b, 0);
    unsigned repair;
    assert_int_equal(drain(&b, 0, 0, &repair), 5);
    assert_int_equal(repair, 5);
    report(&b, 50, 2, needs, 2); /* the same again: nothing new to do */
    assert_int_equal(drain(&b, 0, 0, NULL), 0);
    urd_fountain_outflow_done(&b.outflow);
}

static void expected_loss_is_sent_ahead(void **state)
{
    (void)state;
    struct books b;
    unsigned repair;
    books_init(&b, 4);
    report(&b, 0, 2, all, 2);
    open_all(&b);
    code_all(&b, 0.2);
    (void)drain(&b, 0.2, 0, &repair);
    assert_true(repair >= 24 && repair <= 26); /* 100 / 0.8 - 100 */
    urd_fountain_outflow_done(&b.outflow);
}

static void at_the_tail_a_margin_is_added(void **state)
{
    (void)state;
    struct books b;
    unsigned repair;
    books_init(&b, 4);
    report(&b, 0, BLOCKS, all, 4);
    open_all(&b);
    code_all(&b, 0.2);
    (void)drain(&b, 0.2, 3, &repair);
    assert_true(repair > 35 && repair < 60);
    urd_fountain_outflow_done(&b.outflow);
}

static void what_is_not_heard_of_for_long_counts_as_gone(void **state)
{
    (void)state;
    struct books b;
    books_init(&b, 4);
    report(&b, 0, 2, all, 2);
    open_all(&b);
    urd_fountain_outflow_tick(&b.outflow, 1000 * MS, 100 * MS);
    assert_int_equal(drain(&b, 0, 0, NULL), K);
    for (uint64_t ms = 1001; ms < 1080; ms++)
        urd_fountain_outflow_tick(&b.outflow, ms * MS, 100 * MS);
    code_all(&b, 0);
    assert_int_equal(drain(&b, 0, 0, NULL), 0);
    for (uint64_t ms = 1080; ms < 1120; ms++)
        urd_fountain_outflow_tick(&b.outflow, ms * MS, 100 * MS);
    code_all(&b, 0);
    assert_int_equal(drain(&b, 0, 0, NULL), K);
    urd_fountain_outflow_done(&b.outflow);
}

static void finished_blocks_make_room_and_may_come_back(void **state)
{
    (void)state;
    struct books b;
    books_init(&b, 2);
    report(&b, 0, 4, all, 4);
    struct urd_fountain_slot *first = urd_fountain_outflow_open(&b.outflow);
    assert_non_null(first);
    struct urd_fountain_slot *second = urd_fountain_outflow_open(&b.outflow);
    assert_int_equal(second->block, 1);
    assert_null(urd_fountain_outflow_open(&b.outflow));
    urd_fountain_outflow_ready(second);
    report(&b, 0, 4, all + 2, 2); /* 0 and 1 are finished; 0 is being read still */
    assert_int_equal(urd_fountain_outflow_open(&b.outflow)->block, 2);
    assert_null(urd_fountain_outflow_open(&b.outflow));
    urd_fountain_outflow_ready(first);
    struct urd_fountain_need again[] = { { 1, K }, { 2, K } };
    report(&b, 0, 4, again, 2); /* 1 was wrong */
    assert_int_equal(urd_fountain_outflow_open(&b.outflow)->block, 1);
    urd_fountain_outflow_done(&b.outflow);
}

static void a_report_of_blocks_that_are_not_is_refused(void **state)
{
    (void)state;
    struct books b;
    books_init(&b, 2);
    struct urd_fountain_report r = { .window_end = BLOCKS + 1 };
    assert_int_equal(urd_fountain_outflow_report(&b.outflow, &r), URD_E_INVALID);
    assert_false(b.outflow.reported);
    urd_fountain_outflow_done(&b.outflow);
}

static void more_on_its_way_than_can_be_kept_counts_as_gone(void **state)
{
    (void)state;
    struct books b;
    books_init(&b, 2);
    report(&b, 0, 4, all, 4);
    open_all(&b);
    struct urd_fountain_slot *slot = &b.outflow.slots[0];
    for (uint32_t i = 0; i < URD_FOUNTAIN_OUTFLOW_RING + 500; i++)
        urd_fountain_outflow_sent(&b.outflow, i % 3 ? slot : NULL, b.number += 1 + i % 2);
    assert_true(slot->inflight <= URD_FOUNTAIN_OUTFLOW_RING);
    report(&b, b.number + 1, 4, all, 4);
    assert_int_equal(slot->inflight, 0);
    urd_fountain_outflow_done(&b.outflow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_loss_each_source_symbol_goes_once),
        cmocka_unit_test(what_is_on_its_way_is_not_sent_twice),
        cmocka_unit_test(expected_loss_is_sent_ahead),
        cmocka_unit_test(at_the_tail_a_margin_is_added),
        cmocka_unit_test(what_is_not_heard_of_for_long_counts_as_gone),
        cmocka_unit_test(finished_blocks_make_room_and_may_come_back),
        cmocka_unit_test(a_report_of_blocks_that_are_not_is_refused),
        cmocka_unit_test(more_on_its_way_than_can_be_kept_counts_as_gone),
    };
    return cmocka_run_group_tests_name("fountain/transfer/outflow", tests, NULL, NULL);
}
