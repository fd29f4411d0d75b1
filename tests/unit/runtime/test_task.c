/* Tasks and joins: each spawned runs once, each joined gives its outcome. */
#include "tests/unit/runtime/in_tasks.h"

static urd_err count_one(struct urd_cx *cx, void *arg)
{
    (void)cx;
    (void)__atomic_fetch_add((uint32_t *)arg, 1, __ATOMIC_RELAXED);
    return URD_OK;
}

static urd_err spawn_many(struct urd_cx *cx, void *arg)
{
    (void)arg;
    const uint32_t many = SCALED(100000u);
    uint32_t ran = 0;
    struct urd_outcome outcome;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (uint32_t i = 0; i < many; i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, count_one, &ran) == URD_OK);
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
    CHECK(ran == many);
    return URD_OK;
}

static void a_hundred_thousand_tasks_each_run_once(void **state)
{
    (void)state;
    run_all(spawn_many, NULL);
}

static urd_err join_one(struct urd_cx *cx, struct urd_scope *scope, uint32_t *ran)
{
    struct urd_outcome outcome;
    urd_err err = URD_OK;
    URD_JOIN(j);
    if (!urd_spawn_join(cx, scope, NULL, count_one, ran, j, &err)) return err;
    urd_join_wait(cx, j, &outcome);
    return outcome.err;
}

static urd_err join_many(struct urd_cx *cx, void *arg)
{
    (void)arg;
    const uint32_t many = SCALED(100000u);
    uint32_t ran = 0;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (uint32_t i = 0; i < many; i++) {
        CHECK(join_one(cx, urd_region_scope(r), &ran) == URD_OK);
        CHECK(__atomic_load_n(&ran, __ATOMIC_RELAXED) == i + 1);
    }
    urd_region_join(cx, r, NULL);
    return URD_OK;
}

static void a_joined_task_has_ended(void **state)
{
    (void)state;
    run_all(join_many, NULL);
}

static urd_err says(struct urd_cx *cx, void *arg)
{
    (void)cx;
    return *(urd_err *)arg;
}

static struct urd_outcome outcome_of(struct urd_cx *cx, struct urd_scope *scope, urd_err said)
{
    struct urd_outcome outcome = { URD_OUTCOME_PANICKED, URD_E_PANIC };
    urd_err err = URD_OK;
    URD_JOIN(j);
    if (!urd_spawn_join(cx, scope, NULL, says, &said, j, &err)) return outcome;
    urd_join_wait(cx, j, &outcome);
    return outcome;
}

static urd_err outcomes(struct urd_cx *cx, void *arg)
{
    (void)arg;
    static const struct urd_region_options collect = { .policy = URD_REGION_COLLECT };
    struct urd_outcome o;
    URD_REGION(r);
    if (!urd_region_open(cx, &collect, r)) return URD_E_NOMEM;
    o = outcome_of(cx, urd_region_scope(r), URD_OK);
    CHECK(o.kind == URD_OUTCOME_OK && o.err == URD_OK);
    o = outcome_of(cx, urd_region_scope(r), URD_E_FULL);
    CHECK(o.kind == URD_OUTCOME_ERROR && o.err == URD_E_FULL);
    o = outcome_of(cx, urd_region_scope(r), URD_E_CANCELLED);
    CHECK(o.kind == URD_OUTCOME_CANCELLED && o.err == URD_E_CANCELLED);
    o = outcome_of(cx, urd_region_scope(r), URD_E_PANIC);
    CHECK(o.kind == URD_OUTCOME_PANICKED && o.err == URD_E_PANIC);
    urd_region_close(cx, r, &o);
    CHECK(o.kind == URD_OUTCOME_PANICKED);
    return URD_OK;
}

static void a_join_gives_the_tasks_own_outcome(void **state)
{
    (void)state;
    run_all(outcomes, NULL);
}

static urd_err sleeps_for_ever(struct urd_cx *cx, void *arg)
{
    *(enum urd_cancel_reason *)arg = URD_CANCEL_NONE;
    urd_err err = urd_sleep_until(cx, URD_FOREVER);
    *(enum urd_cancel_reason *)arg = urd_cx_cancelled(cx);
    return err;
}

static void cancel_one(struct urd_cx *cx, struct urd_scope *scope, bool yield_first)
{
    enum urd_cancel_reason why = URD_CANCEL_NONE;
    struct urd_outcome outcome;
    urd_err err = URD_OK;
    URD_JOIN(j);
    if (!urd_spawn_join(cx, scope, NULL, sleeps_for_ever, &why, j, &err)) return;
    if (yield_first) CHECK(urd_yield(cx) == URD_OK);
    urd_join_cancel(cx, j, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_CANCELLED);
    CHECK(why == URD_CANCEL_USER);
}

static urd_err cancel_joined(struct urd_cx *cx, void *arg)
{
    (void)arg;
    static const struct urd_region_options collect = { .policy = URD_REGION_COLLECT };
    URD_REGION(r);
    if (!urd_region_open(cx, &collect, r)) return URD_E_NOMEM;
    for (uint32_t i = 0; i < SCALED(10000u); i++)
        cancel_one(cx, urd_region_scope(r), i % 2 != 0);
    CHECK(urd_scope_live(urd_region_scope(r)) == 0);
    urd_region_close(cx, r, NULL);
    return URD_OK;
}

static void a_cancelled_join_ends_the_task_whether_it_began_or_not(void **state)
{
    (void)state;
    run_all(cancel_joined, NULL);
}

static urd_err joins_a_sleeper(struct urd_cx *cx, void *arg)
{
    enum urd_cancel_reason why = URD_CANCEL_NONE;
    struct urd_outcome outcome = { 0 };
    urd_err err = URD_OK;
    URD_JOIN(j);
    if (!urd_spawn_join(cx, arg, NULL, sleeps_for_ever, &why, j, &err)) return err;
    urd_join_wait(cx, j, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_CANCELLED);
    CHECK(why == URD_CANCEL_PARENT);
    return URD_E_CANCELLED;
}

static urd_err cancel_the_joiner(struct urd_cx *cx, void *arg)
{
    (void)arg;
    static const struct urd_region_options collect = { .policy = URD_REGION_COLLECT };
    struct urd_outcome outcome;
    URD_REGION(sleepers);
    if (!urd_region_open(cx, &collect, sleepers)) return URD_E_NOMEM;
    URD_REGION(joiners);
    if (urd_region_open(cx, &collect, joiners)) {
        CHECK(urd_spawn(cx, urd_region_scope(joiners), NULL, joins_a_sleeper,
                        urd_region_scope(sleepers)) == URD_OK);
        CHECK(urd_sleep(cx, 2 * MS) == URD_OK);
        urd_region_close(cx, joiners, &outcome);
        CHECK(outcome.kind == URD_OUTCOME_CANCELLED);
    }
    CHECK(urd_scope_live(urd_region_scope(sleepers)) == 0);
    urd_region_close(cx, sleepers, NULL);
    return URD_OK;
}

static void a_joiner_that_is_cancelled_cancels_and_awaits(void **state)
{
    (void)state;
    run_all(cancel_the_joiner, NULL);
}

struct tree {
    uint32_t depth;
    uint64_t leaves;
};

static urd_err grow_tree(struct urd_cx *cx, void *arg)
{
    struct tree *me = arg;
    struct tree below[8];
    if (me->depth == 0) {
        me->leaves = 1;
        return URD_OK;
    }
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (unsigned i = 0; i < 8; i++) {
        below[i] = (struct tree){ .depth = me->depth - 1 };
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, grow_tree, &below[i]) == URD_OK);
    }
    urd_region_join(cx, r, NULL);
    for (unsigned i = 0; i < 8; i++)
        me->leaves += below[i].leaves;
    return URD_OK;
}

static void a_tree_of_regions_counts_its_leaves(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct tree tree = { .depth = 4 };
        struct urd_outcome outcome = run_with(worker_counts[i], grow_tree, &tree);
        assert_int_equal(outcome.kind, URD_OUTCOME_OK);
        assert_int_equal(tree.leaves, 8 * 8 * 8 * 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_tasks_each_run_once),
        cmocka_unit_test(a_joined_task_has_ended),
        cmocka_unit_test(a_join_gives_the_tasks_own_outcome),
        cmocka_unit_test(a_cancelled_join_ends_the_task_whether_it_began_or_not),
        cmocka_unit_test(a_joiner_that_is_cancelled_cancels_and_awaits),
        cmocka_unit_test(a_tree_of_regions_counts_its_leaves),
    };
    return cmocka_run_group_tests_name("runtime/task", tests, NULL, NULL);
}
