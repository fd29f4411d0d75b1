/* A task's life apart from running: made, started in its region, ended, joined. */
#include "runtime/scheduler_internal.h"

#include <assert.h>
#include <stdlib.h>

struct urd_task *urd_task_new(struct urd_runtime *runtime, const struct urd_spawn_options *options,
                              urd_task_fn fn, void *arg, const char *file, int line)
{
    struct urd_task *t = calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    t->id = __atomic_fetch_add(&runtime->next_id, 1, __ATOMIC_RELAXED);
    t->fn = fn;
    t->arg = arg;
    t->name = options != NULL && options->name != NULL ? options->name : "task";
    t->stack_class = options != NULL ? options->stack : URD_STACK_DEFAULT;
    t->file = file;
    t->line = line;
    t->refs = 1;
    return t;
}

void urd_task_unref(struct urd_task *t)
{
    if (__atomic_fetch_sub(&t->refs, 1, __ATOMIC_ACQ_REL) != 1) return;
    if (t->region != NULL) urd_scope_unref(t->region);
    free(t);
}

urd_err urd_task_start(struct urd_task *t, struct urd_scope *region)
{
    urd_spin_lock(&region->lock);
    if (region->state != URD_REGION_OPEN) {
        urd_spin_unlock(&region->lock);
        return URD_E_CLOSED;
    }
    t->region = region;
    (void)__atomic_fetch_add(&region->refs, 1, __ATOMIC_RELAXED);
    t->prev = region->tasks_last;
    if (t->prev != NULL)
        t->prev->next = t;
    else
        region->tasks = t;
    region->tasks_last = t;
    region->live++;
    URD_TRACE(SPAWN, t->id, region->id);
    urd_spin_unlock(&region->lock);
    URD_COUNT(spawned);
    urd_task_ready(t, URD_READY_SPAWNED);
    return URD_OK;
}

static urd_err spawn(struct urd_cx *cx, struct urd_scope *scope,
                     const struct urd_spawn_options *options, urd_task_fn fn, void *arg,
                     const char *file, int line, uint32_t refs, struct urd_task **ret)
{
    if (!urd_cx_gate(cx, URD_GATE_SPAWN)) return URD_E_DENIED;
    struct urd_task *t = urd_task_new(scope->runtime, options, fn, arg, file, line);
    if (t == NULL) return URD_E_NOMEM;
    t->refs = refs;
    t->cx.budget = scope->budget;
    if (options != NULL && !urd_budget_is_zero_(&options->budget)) {
        t->cx.budget = urd_budget_meet(scope->budget, options->budget);
        URD_TRACE(BUDGET_MEET, scope->id, t->id);
    }
    t->cx.gates = scope->gates & cx->gates;
    if (options != NULL && options->gates != 0) t->cx.gates &= options->gates;
    *ret = t; /* before it can run */
    urd_err err = urd_task_start(t, scope);
    if (err != URD_OK) free(t);
    return err;
}

urd_err urd_spawn_(struct urd_cx *cx, struct urd_scope *scope,
                   const struct urd_spawn_options *options, urd_task_fn fn, void *arg,
                   const char *file, int line)
{
    struct urd_task *t;
    return spawn(cx, scope, options, fn, arg, file, line, 1, &t);
}

/* A task that ended because a sibling failed is that failure's consequence, and does not hide it:
 * cancelled is above error in the lattice. */
static bool is_consequence(const struct urd_scope *region, const struct urd_task *t)
{
    return region->policy == URD_REGION_FAIL_FAST && t->outcome.kind == URD_OUTCOME_CANCELLED &&
           t->sibling_failed;
}

void urd_task_end(struct urd_task *t)
{
    struct urd_scope *region = t->region;
    struct urd_task *closer = NULL;
    if (urd_task_cancelled(t) != URD_CANCEL_NONE) URD_TRACE(CANCEL_DRAINED, t->id, region->id);

    urd_spin_lock(&region->lock);
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        region->tasks = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    else
        region->tasks_last = t->prev;
    t->done = true;
    region->live--;
    if (!is_consequence(region, t)) region->outcome = urd_outcome_join(region->outcome, t->outcome);
    if (region->live == 0) closer = urd_waitlist_claim_all(&region->closer);
    urd_spin_unlock(&region->lock);
    URD_COUNT(ended);

    bool failed = t->outcome.kind == URD_OUTCOME_ERROR || t->outcome.kind == URD_OUTCOME_PANICKED;
    if (failed && region->policy == URD_REGION_FAIL_FAST)
        urd_cancel_tree(region, NULL, URD_CANCEL_SIBLING_FAILED);
    urd_unpark_all(closer);
    urd_event_set(&t->ended);
    urd_task_unref(t);
}

/* ---- joining ---- */

bool urd_spawn_join_(struct urd_cx *cx, struct urd_scope *scope,
                     const struct urd_spawn_options *options, urd_task_fn fn, void *arg,
                     urd_join *j, urd_err *ret_err) URD_TRUSTED
{
    struct urd_task *t;
    urd_err err = spawn(cx, scope, options, fn, arg, "joined task", 0, 2, &t);
    if (err != URD_OK) {
        *ret_err = err;
        return false;
    }
    j->task = t;
    j->id = t->id; /* the join holds a reference: @t is valid though it may have ended */
    URD_COUNT(reserved);
    URD_TRACE(RESERVE, 0, t->id);
    return true;
}

static void join_settle(struct urd_join *j, struct urd_outcome *ret)
{
    struct urd_task *t = j->task;
    if (ret != NULL) *ret = t->outcome;
    URD_TRACE(JOIN_READY, t->id, 0);
    URD_TRACE(COMMIT, 0, t->id);
    URD_COUNT(settled);
    j->task = NULL;
    urd_task_unref(t);
}

/* Wait for @t's end whatever happens, saying so once when it outlives its cleanup budget. */
static void await_end(struct urd_task *me, struct urd_task *t)
{
    for (;;) {
        urd_spin_lock(&t->region->lock);
        uint64_t until = t->overrun_reported || t->cleanup_deadline_ns == 0
                             ? URD_FOREVER
                             : t->cleanup_deadline_ns;
        urd_spin_unlock(&t->region->lock);
        urd_spin_lock(&t->ended.lock);
        if (t->ended.set != 0) {
            urd_spin_unlock(&t->ended.lock);
            return;
        }
        URD_TRACE(JOIN_BLOCK, me->id, t->id);
        if (urd_park_masked(me, &t->ended.waiters, &t->ended.lock, until) == URD_E_TIMEOUT)
            urd_cancel_report_overruns(t->region, t);
    }
}

void urd_join_wait_(struct urd_cx *cx, urd_join *j, struct urd_outcome *ret) URD_TRUSTED
{
    struct urd_task *me = urd_task_of(cx), *t = j->task;
    assert(t != NULL && t->id == j->id);
    urd_spin_lock(&t->ended.lock);
    urd_err err = URD_OK;
    if (t->ended.set != 0) {
        urd_spin_unlock(&t->ended.lock);
    } else {
        URD_TRACE(JOIN_BLOCK, me->id, t->id);
        err = urd_park(me, &t->ended.waiters, &t->ended.lock, URD_FOREVER);
    }
    if (err != URD_OK) {
        urd_cancel_tree(t->region, t,
                        err == URD_E_TIMEOUT ? URD_CANCEL_DEADLINE : URD_CANCEL_PARENT);
        await_end(me, t);
    }
    join_settle(j, ret);
}

void urd_join_cancel_(struct urd_cx *cx, urd_join *j, struct urd_outcome *ret) URD_TRUSTED
{
    struct urd_task *t = j->task;
    assert(t != NULL && t->id == j->id);
    urd_cancel_tree(t->region, t, URD_CANCEL_USER);
    await_end(urd_task_of(cx), t);
    join_settle(j, ret);
}

void urd_join_detach_(urd_join *j) URD_TRUSTED
{
    struct urd_task *t = j->task;
    assert(t != NULL && t->id == j->id);
    URD_TRACE(DETACH, t->id, 0);
    URD_TRACE(TRANSFER, 0, t->id);
    URD_COUNT(settled);
    j->task = NULL;
    urd_task_unref(t);
}
