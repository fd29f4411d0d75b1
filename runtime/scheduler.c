/* A worker's turn:
 *
 *     next task of the lanes -> (first time: a stack) -> switch to it -> it leaves -> what it said:
 *         yielded   back into the lanes
 *         parked    nothing, or into the lanes if it was woken meanwhile
 *         done      stack given back, region told
 *
 * and every so many turns a look at the timers and the descriptors, so that neither starves. */
#include "runtime/scheduler_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define TURNS_PER_TIMERS 16u
#define TURNS_PER_POLL   64u

uint64_t urd_runtime_now(const struct urd_runtime *runtime)
{
    return runtime->world->clock->monotonic_ns(runtime->world->clock_impl);
}

uint64_t urd_worker_now(struct urd_worker *worker)
{
    if (!worker->now_fresh) {
        uint64_t now = urd_runtime_now(worker->runtime);
        if (now > worker->now_ns) worker->now_ns = now;
        worker->now_fresh = true;
        URD_TRACE(TICK, worker->index, worker->now_ns);
    }
    return worker->now_ns;
}

void urd_task_leave(struct urd_task *t, enum urd_leave leave)
{
    t->leave = leave;
    urd_context_switch(&t->stack->context, &t->worker->context, false);
}

/* A task's body has returned: it may leave nothing of its own open. */
static void body_ended(struct urd_task *t, urd_err err)
{
    if (t->mask_depth != 0 || t->opened != NULL) {
        (void)fprintf(stderr, "urd: panic: task %s (%s:%d) returned with a %s open\n", t->name,
                      t->file, t->line, t->opened != NULL ? "region" : "mask");
        abort();
    }
    t->outcome.err = err;
    if (err == URD_OK) {
        t->outcome.kind = URD_OUTCOME_OK;
        URD_TRACE(COMPLETE_OK, t->id, t->region->id);
    } else if (err == URD_E_PANIC) {
        t->outcome.kind = URD_OUTCOME_PANICKED;
        URD_TRACE(COMPLETE_PANIC, t->id, t->region->id);
    } else {
        t->outcome.kind = err == URD_E_CANCELLED ? URD_OUTCOME_CANCELLED : URD_OUTCOME_ERROR;
        URD_TRACE(COMPLETE_ERR, t->id, t->region->id);
    }
}

/* What every stack runs: one task after another, as they are put on it. */
void urd_stack_run(void *arg)
{
    struct urd_stack *stack = arg;
    urd_context_entered();
    while (stack->task != NULL) {
        struct urd_task *t = stack->task;
        body_ended(t, t->fn(&t->cx, t->arg));
        urd_task_leave(t, URD_LEAVE_DONE);
    }
    urd_context_switch(&stack->context, &urd_worker_current()->context, true);
}

static void after(struct urd_worker *w, struct urd_task *t)
{
    switch (t->leave) {
    case URD_LEAVE_YIELD:
        urd_task_ready(t, URD_READY_YIELDED);
        break;
    case URD_LEAVE_PARK:
        if (__atomic_fetch_or(&t->handoff, URD_HANDOFF_LEFT, __ATOMIC_ACQ_REL) != 0)
            urd_task_ready(t, t->ready_how);
        break;
    case URD_LEAVE_DONE:
        urd_stack_give(&w->runtime->stacks, &w->stacks, t->stack);
        t->stack = NULL;
        urd_task_end(t);
        break;
    }
}

static void dispatch(struct urd_worker *w, struct urd_task *t)
{
    t->worker = w;
    w->now_fresh = false;
    __atomic_store_n(&w->dispatches, w->dispatches + 1, __ATOMIC_RELAXED);
    if (t->stack == NULL) {
        t->stack = urd_stack_take(&w->runtime->stacks, &w->stacks, t->stack_class, urd_stack_run);
        if (t->stack == NULL) { /* it never begins */
            t->outcome = (struct urd_outcome){ URD_OUTCOME_ERROR, URD_E_NOMEM };
            URD_TRACE(COMPLETE_ERR, t->id, t->region->id);
            urd_task_end(t);
            return;
        }
        t->stack->task = t;
        URD_TRACE(START, t->id, w->index);
    }
    w->current = t;
    urd_context_switch(&w->context, &t->stack->context, false);
    w->current = NULL;
    after(w, t);
}

void urd_worker_run(struct urd_worker *w)
{
    struct urd_runtime *rt = w->runtime;
    urd_worker_current_set(w);
    urd_context_of_thread(&w->context);
    for (;;) {
        w->turns++;
        w->now_fresh = false;
        if (w->turns % TURNS_PER_TIMERS == 0 &&
            __atomic_load_n(&w->next_timer_ns, __ATOMIC_RELAXED) != URD_FOREVER)
            urd_timers_fire(w, urd_worker_now(w));
        if (w->turns % TURNS_PER_POLL == 0) urd_worker_poll(w);

        struct urd_task *t = urd_lanes_next(w);
        if (t != NULL)
            dispatch(w, t);
        else if (__atomic_load_n(&rt->stopping, __ATOMIC_SEQ_CST) != 0)
            break;
        else
            urd_worker_idle(w);
    }
    urd_stack_cache_flush(&rt->stacks, &w->stacks);
}
