/* The cx: gates hold, checkpoints tell, masks postpone, budgets end things; a cancel reaches a task
 * in every call that blocks. */
#include <string.h>

#include "runtime/blocking.h"
#include "runtime/channel.h"
#include "runtime/sync.h"
#include "tests/unit/runtime/in_tasks.h"

/* ---- a cancel at every blocking call ---- */

struct things {
    struct urd_event event;
    struct urd_notify notify;
    struct urd_mutex mutex;
    struct urd_semaphore semaphore;
    struct urd_channel *full, *empty;
};

static urd_err at_yield(struct urd_cx *cx, struct things *t)
{
    (void)t;
    return urd_yield(cx);
}
static urd_err at_checkpoint(struct urd_cx *cx, struct things *t)
{
    (void)t;
    urd_err err = urd_checkpoint(cx);
    if (err == URD_OK) (void)!urd_yield(cx); /* the worker is to get to the others, too */
    return err;
}
static urd_err at_sleep(struct urd_cx *cx, struct things *t)
{
    (void)t;
    return urd_sleep(cx, 3600ull * 1000 * MS);
}
static urd_err at_sleep_until(struct urd_cx *cx, struct things *t)
{
    (void)t;
    return urd_sleep_until(cx, URD_FOREVER);
}
static urd_err at_event(struct urd_cx *cx, struct things *t)
{
    return urd_event_wait(cx, &t->event, URD_FOREVER);
}
static urd_err at_notify(struct urd_cx *cx, struct things *t)
{
    return urd_notify_wait(cx, &t->notify, URD_FOREVER);
}
static urd_err at_mutex(struct urd_cx *cx, struct things *t)
{
    urd_err err = URD_OK;
    URD_GUARD(g);
    if (!urd_mutex_lock(cx, &t->mutex, g, &err)) return err;
    urd_mutex_unlock(g);
    return URD_OK;
}
static urd_err at_semaphore(struct urd_cx *cx, struct things *t)
{
    return urd_semaphore_acquire(cx, &t->semaphore, 1, URD_FOREVER);
}
static urd_err at_reserve(struct urd_cx *cx, struct things *t)
{
    urd_err err = URD_OK;
    URD_PERMIT(p);
    if (!urd_channel_reserve(cx, t->full, p, &err)) return err;
    urd_permit_abort(p);
    return URD_OK;
}
static urd_err at_send(struct urd_cx *cx, struct things *t)
{
    return urd_channel_send(cx, t->full, &(uint32_t){ 1 });
}
static urd_err at_receive(struct urd_cx *cx, struct things *t)
{
    uint32_t item;
    return urd_channel_receive(cx, t->empty, &item, URD_FOREVER);
}

typedef urd_err (*blocking_call)(struct urd_cx *cx, struct things *t);
static const blocking_call calls[] = {
    at_yield, at_checkpoint, at_sleep,   at_sleep_until, at_event,   at_notify,
    at_mutex, at_semaphore,  at_reserve, at_send,        at_receive,
};
#define CALLS (sizeof calls / sizeof *calls)

struct caller {
    struct things *things;
    blocking_call call;
    uint32_t *said_cancelled; /* atomic */
};

static urd_err call_until_told(struct urd_cx *cx, void *arg)
{
    struct caller *me = arg;
    urd_err err = URD_OK;
    while (err == URD_OK)
        err = me->call(cx, me->things);
    CHECK(err == URD_E_CANCELLED);
    CHECK(me->call(cx, me->things) == URD_E_CANCELLED); /* and at once the second time */
    CHECK(urd_cx_cancelled(cx) == URD_CANCEL_USER);
    (void)__atomic_add_fetch(me->said_cancelled, 1, __ATOMIC_RELAXED);
    return err;
}

static void cancel_calls(struct urd_cx *cx, struct things *things, uint64_t after_ns)
{
    struct caller callers[CALLS];
    uint32_t said = 0;
    struct urd_outcome outcome;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return;
    for (unsigned i = 0; i < CALLS; i++) {
        callers[i] = (struct caller){ things, calls[i], &said };
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, call_until_told, &callers[i]) == URD_OK);
    }
    if (after_ns > 0) CHECK(urd_sleep(cx, after_ns) == URD_OK);
    urd_scope_cancel(cx, urd_region_scope(r), URD_CANCEL_USER);
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_CANCELLED && said == CALLS);
}

static urd_err cancel_everywhere(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct things things = { .mutex = URD_MUTEX_INIT, .semaphore = URD_SEMAPHORE_INIT(0) };
    urd_err err = URD_OK;
    CHECK(urd_channel_new(4, 1, &things.full) == URD_OK);
    CHECK(urd_channel_new(4, 1, &things.empty) == URD_OK);
    CHECK(urd_channel_try_send(things.full, &(uint32_t){ 1 }) == URD_OK);
    URD_GUARD(g);
    if (!urd_mutex_lock(cx, &things.mutex, g, &err)) return err;
    for (uint32_t round = 0; round < SCALED(200u); round++)
        cancel_calls(cx, &things, (round % 4) * 20000);
    urd_mutex_unlock(g);
    CHECK(things.event.waiters.head == NULL && things.notify.waiters.head == NULL);
    CHECK(things.mutex.waiters.head == NULL && things.semaphore.waiters.head == NULL);
    urd_channel_free(things.full); /* asserts that nobody waits */
    urd_channel_free(things.empty);
    return URD_OK;
}

static void a_cancel_is_told_by_every_blocking_call(void **state)
{
    (void)state;
    run_all(cancel_everywhere, NULL);
}

/* ---- a cancelled call has no effect ---- */

static urd_err is_cancelled_first(struct urd_cx *cx, void *arg)
{
    struct things *t = arg;
    uint32_t item = 0;
    CHECK(urd_sleep_until(cx, URD_FOREVER) == URD_E_CANCELLED);
    CHECK(urd_event_wait(cx, &t->event, URD_FOREVER) == URD_E_CANCELLED); /* though it is set */
    CHECK(urd_semaphore_acquire(cx, &t->semaphore, 1, URD_FOREVER) == URD_E_CANCELLED);
    CHECK(t->semaphore.available == 1);
    CHECK(urd_channel_receive(cx, t->full, &item, URD_FOREVER) == URD_E_CANCELLED && item == 0);
    CHECK(urd_channel_len(t->full) == 1);
    CHECK(urd_channel_send(cx, t->empty, &item) == URD_E_CANCELLED);
    CHECK(urd_channel_len(t->empty) == 0);
    return URD_E_CANCELLED;
}

static urd_err no_effect(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct things things = { .semaphore = URD_SEMAPHORE_INIT(1) };
    urd_event_set(&things.event);
    CHECK(urd_channel_new(4, 1, &things.full) == URD_OK);
    CHECK(urd_channel_new(4, 1, &things.empty) == URD_OK);
    CHECK(urd_channel_try_send(things.full, &(uint32_t){ 1 }) == URD_OK);
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, is_cancelled_first, &things) == URD_OK);
    urd_region_close(cx, r, NULL);
    urd_channel_free(things.full);
    urd_channel_free(things.empty);
    return URD_OK;
}

static void a_cancelled_call_has_no_effect_though_it_need_not_wait(void **state)
{
    (void)state;
    run_all(no_effect, NULL);
}

/* ---- masks ---- */

static urd_err masked(struct urd_cx *cx, void *arg)
{
    (void)arg;
    CHECK(urd_sleep_until(cx, URD_FOREVER) == URD_E_CANCELLED);
    URD_MASK(outer);
    urd_mask(cx, outer);
    CHECK(urd_checkpoint(cx) == URD_OK);
    CHECK(urd_cx_cancelled(cx) != URD_CANCEL_NONE); /* true under a mask too */
    uint64_t before = urd_cx_now(cx);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    CHECK(urd_cx_now(cx) >= before + MS);
    struct urd_event never = URD_EVENT_INIT;
    CHECK(urd_event_wait(cx, &never, urd_cx_now(cx) + MS) == URD_E_TIMEOUT); /* its own deadline */
    URD_MASK(inner);
    urd_mask(cx, inner);
    urd_unmask(cx, inner);
    CHECK(urd_yield(cx) == URD_OK); /* still masked */
    urd_unmask(cx, outer);
    CHECK(urd_yield(cx) == URD_E_CANCELLED);
    return URD_E_CANCELLED;
}

static urd_err cancel_the_masked(struct urd_cx *cx, void *arg)
{
    (void)arg;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, masked, NULL) == URD_OK);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    urd_region_close(cx, r, NULL);
    return URD_OK;
}

static void a_mask_postpones_a_cancel_until_it_ends(void **state)
{
    (void)state;
    run_all(cancel_the_masked, NULL);
}

/* ---- gates ---- */

static urd_err shut_out(struct urd_cx *cx, void *arg)
{
    int64_t wall;
    uint8_t byte;
    CHECK(urd_cx_wall(cx, &wall) == URD_E_DENIED);
    CHECK(urd_cx_random(cx, &byte, 1) == URD_E_DENIED);
    CHECK(urd_sleep(cx, 1) == URD_E_DENIED);
    CHECK(urd_spawn(cx, arg, NULL, shut_out, NULL) == URD_E_DENIED);
    URD_REGION(r);
    if (urd_region_open(cx, NULL, r)) {
        CHECK(false);
        urd_region_close(cx, r, NULL);
    }
    CHECK(urd_cx_denials(cx) == 5);
    CHECK(urd_yield(cx) == URD_OK); /* needs no gate */
    return URD_OK;
}

static urd_err passes(struct urd_cx *cx, void *arg)
{
    (void)arg;
    int64_t wall;
    CHECK(urd_cx_wall(cx, &wall) == URD_OK);
    CHECK(urd_sleep(cx, 1) == URD_E_DENIED);
    return URD_OK;
}

static urd_err narrow_then_spawn(struct urd_cx *cx, void *arg)
{
    /* the region's gates are wider than this task's own: a child gets no more than its parent */
    struct urd_spawn_options greedy = { .gates = URD_GATES_ALL };
    urd_cx_narrow(cx, URD_GATE_SPAWN | URD_GATE_CLOCK, URD_BUDGET_INFINITE);
    CHECK(urd_spawn(cx, arg, &greedy, passes, NULL) == URD_OK);
    return URD_OK;
}

static urd_err gates(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_region_options narrow = { .gates = URD_GATE_NET };
    struct urd_outcome outcome;
    struct urd_runtime_stats stats;
    URD_REGION(r);
    if (!urd_region_open(cx, &narrow, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, shut_out, urd_region_scope(r)) == URD_OK);
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
    urd_runtime_stats(cx, &stats);
    CHECK(stats.gate_denials == 5);
    URD_REGION(wide);
    if (!urd_region_open(cx, NULL, wide)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(wide), NULL, narrow_then_spawn, urd_region_scope(wide)) ==
          URD_OK);
    urd_region_join(cx, wide, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
    return URD_OK;
}

static void a_shut_gate_denies_and_counts_and_a_child_has_no_more_than_its_parent(void **state)
{
    (void)state;
    run_all(gates, NULL);
}

/* ---- budget ---- */

static urd_err spends(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_budget budget = URD_BUDGET_INFINITE;
    CHECK(urd_cx_spend(cx, 1ull << 60) == URD_OK);
    budget.cost_quota = 10;
    budget.poll_quota = 3;
    urd_cx_narrow(cx, URD_GATES_ALL, budget);
    CHECK(urd_cx_spend(cx, 7) == URD_OK);
    CHECK(urd_cx_spend(cx, 4) == URD_E_TIMEOUT);
    CHECK(urd_cx_budget(cx).cost_quota == 3); /* nothing was spent */
    CHECK(urd_cx_spend(cx, 3) == URD_OK);
    for (int i = 0; i < 3; i++)
        CHECK(urd_checkpoint(cx) == URD_OK);
    CHECK(urd_checkpoint(cx) == URD_E_TIMEOUT);
    CHECK(urd_yield(cx) == URD_E_TIMEOUT);
    return URD_OK;
}

static void a_quota_is_spent_once(void **state)
{
    (void)state;
    run_all(spends, NULL);
}

/* A loop of checkpoints without anything to wait for sees its deadline come. */
static urd_err spins(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_budget budget = URD_BUDGET_INFINITE;
    budget.deadline_ns = urd_cx_now(cx) + 2 * MS;
    urd_cx_narrow(cx, URD_GATES_ALL, budget);
    urd_err err;
    while ((err = urd_checkpoint(cx)) == URD_OK) {
    }
    CHECK(err == URD_E_TIMEOUT && urd_cx_now(cx) >= budget.deadline_ns);
    return URD_OK;
}

static void a_checkpoint_sees_the_deadline_pass(void **state)
{
    (void)state;
    run_all(spins, NULL);
}

/* ---- time and entropy ---- */

static urd_err reads_clocks(struct urd_cx *cx, void *arg)
{
    (void)arg;
    int64_t wall = 0;
    uint8_t a[32] = { 0 }, b[32] = { 0 };
    uint64_t last = urd_cx_now(cx);
    CHECK(urd_cx_wall(cx, &wall) == URD_OK && wall > 1600000000ll * 1000000000);
    CHECK(urd_cx_random(cx, a, sizeof a) == URD_OK && urd_cx_random(cx, b, sizeof b) == URD_OK);
    CHECK(memcmp(a, b, sizeof a) != 0);
    for (int i = 0; i < 100; i++) {
        CHECK(urd_sleep(cx, 10000) == URD_OK);
        CHECK(urd_cx_now(cx) >= last + 10000);
        last = urd_cx_now(cx);
    }
    CHECK(urd_sleep_until(cx, 1) == URD_OK); /* long past */
    return URD_OK;
}

static void time_goes_on_and_entropy_differs(void **state)
{
    (void)state;
    run_all(reads_clocks, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancel_is_told_by_every_blocking_call),
        cmocka_unit_test(a_cancelled_call_has_no_effect_though_it_need_not_wait),
        cmocka_unit_test(a_mask_postpones_a_cancel_until_it_ends),
        cmocka_unit_test(a_shut_gate_denies_and_counts_and_a_child_has_no_more_than_its_parent),
        cmocka_unit_test(a_quota_is_spent_once),
        cmocka_unit_test(a_checkpoint_sees_the_deadline_pass),
        cmocka_unit_test(time_goes_on_and_entropy_differs),
    };
    return cmocka_run_group_tests_name("runtime/cx", tests, NULL, NULL);
}
