/* The trace: the table has its thirty-five rules, and a run emits what it did, in order. */
#include <string.h>

#include "runtime/channel.h"
#include "runtime/trace.h"
#include "tests/unit/runtime/in_tasks.h"

static void the_table_has_thirty_five_rules_each_with_a_meaning(void **state)
{
    (void)state;
    assert_int_equal(URD_RULE_COUNT, 35);
    for (unsigned i = 0; i < URD_RULE_COUNT; i++) {
        const struct urd_rule_info *info = urd_rule_info(i);
        assert_non_null(info);
        assert_true(strlen(info->name) > 0 && strlen(info->precondition) > 0);
        assert_true(strlen(info->effect) > 0);
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(info->name, urd_rule_info(j)->name);
    }
    assert_null(urd_rule_info(URD_RULE_COUNT));
}

static void finalizer(void *arg)
{
    (void)arg;
}

static urd_err sleeps(struct urd_cx *cx, void *arg)
{
    (void)arg;
    return urd_sleep_until(cx, URD_FOREVER);
}

static urd_err a_bit_of_all(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_channel *channel;
    urd_err err = URD_OK;
    CHECK(urd_channel_new(4, 1, &channel) == URD_OK);
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_scope_defer(urd_region_scope(r), finalizer, NULL) == URD_OK);
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, sleeps, NULL) == URD_OK);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    urd_region_close(cx, r, NULL);
    URD_PERMIT(p);
    if (!urd_channel_reserve(cx, channel, p, &err)) return err;
    urd_permit_abort(p);
    urd_channel_free(channel);
    return urd_yield(cx);
}

#define EVENTS 1000
static struct urd_event_record events[EVENTS];

/* Where @rule first happens at or after @from; EVENTS when it does not. */
static size_t find(size_t count, size_t from, enum urd_rule rule)
{
    for (size_t i = from; i < count; i++)
        if (events[i].rule == rule) return i;
    return EVENTS;
}

static void a_run_is_told_in_order(void **state)
{
    (void)state;
    static const enum urd_rule story[] = {
        URD_RULE_REGION_OPEN,
        URD_RULE_SPAWN,
        URD_RULE_START,
        URD_RULE_REGION_OPEN,
        URD_RULE_SPAWN,
        URD_RULE_BLOCK,
        URD_RULE_TIMER_FIRE,
        URD_RULE_WAKE,
        URD_RULE_CLOSE_BEGIN,
        URD_RULE_CLOSE_CANCEL_CHILDREN,
        URD_RULE_CANCEL_PROPAGATE,
        URD_RULE_CANCEL_REQUEST,
        URD_RULE_CLOSE_AWAIT,
        URD_RULE_COMPLETE_ERR,
        URD_RULE_CANCEL_DRAINED,
        URD_RULE_CLOSE_RUN_FINALIZER,
        URD_RULE_CLOSE_COMPLETE,
        URD_RULE_RESERVE,
        URD_RULE_ABORT,
        URD_RULE_YIELD,
        URD_RULE_COMPLETE_OK,
        URD_RULE_CLOSE_COMPLETE,
    };
    assert_int_equal(urd_trace_start(EVENTS), URD_OK);
    assert_int_equal(urd_trace_start(EVENTS), URD_E_BUSY);
    assert_int_equal(run_with(1, a_bit_of_all, NULL).kind, URD_OUTCOME_OK);
    size_t count = urd_trace_read(events, EVENTS), at = 0;
    assert_int_equal(urd_trace_lost(), 0);
    urd_trace_stop();
    for (size_t i = 1; i < count; i++)
        assert_true(events[i].number > events[i - 1].number);
    for (unsigned i = 0; i < sizeof story / sizeof *story; i++) {
        size_t found = find(count, at, story[i]);
        if (found == EVENTS) print_message("missing: %s\n", urd_rule_info(story[i])->name);
        assert_true(found < EVENTS);
        at = found + 1;
    }
}

static urd_err yields(struct urd_cx *cx, void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        CHECK(urd_yield(cx) == URD_OK);
    return URD_OK;
}

static void a_full_ring_keeps_the_newest_and_says_what_it_lost(void **state)
{
    (void)state;
    assert_int_equal(urd_trace_start(0), URD_E_INVALID);
    assert_int_equal(urd_trace_start(50), URD_OK);
    assert_int_equal(run_with(1, yields, NULL).kind, URD_OUTCOME_OK);
    size_t count = urd_trace_read(events, EVENTS);
    assert_int_equal(count, 50);
    assert_true(urd_trace_lost() > 1900);
    assert_true(find(count, 0, URD_RULE_COMPLETE_OK) < EVENTS);
    assert_int_equal(find(count, 0, URD_RULE_REGION_OPEN), EVENTS);
    urd_trace_stop();
    assert_int_equal(run_with(1, yields, NULL).kind, URD_OUTCOME_OK);
    assert_int_equal(urd_trace_read(events, EVENTS), 0); /* off is off */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_thirty_five_rules_each_with_a_meaning),
        cmocka_unit_test(a_run_is_told_in_order),
        cmocka_unit_test(a_full_ring_keeps_the_newest_and_says_what_it_lost),
    };
    return cmocka_run_group_tests_name("runtime/trace", tests, NULL, NULL);
}
