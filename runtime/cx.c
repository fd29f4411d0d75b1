/* The effects of a cx that are not files of their own: time, entropy, checkpoints, masks. */
#include "runtime/cx.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/scheduler_internal.h"

bool urd_cx_gate(struct urd_cx *cx, unsigned gate)
{
    if ((cx->gates & gate) == gate) return true;
    cx->denials++;
    URD_COUNT(denials);
    return false;
}

const sigset_t *urd_cx_signals(struct urd_cx *cx)
{
    return &urd_task_of(cx)->region->runtime->signals;
}

struct urd_poller *urd_cx_poller(struct urd_cx *cx)
{
    return urd_task_of(cx)->region->runtime->poller;
}

static const struct urd_world *world_of(struct urd_cx *cx)
{
    return urd_task_of(cx)->region->runtime->world;
}

const struct urd_world *urd_cx_world_(struct urd_cx *cx)
{
    return world_of(cx);
}

uint64_t urd_cx_now(struct urd_cx *cx)
{
    return urd_worker_now(urd_task_of(cx)->worker);
}

urd_err urd_cx_wall(struct urd_cx *cx, int64_t *ret_ns)
{
    if (!urd_cx_gate(cx, URD_GATE_CLOCK)) return URD_E_DENIED;
    const struct urd_world *world = world_of(cx);
    *ret_ns = world->clock->wall_ns(world->clock_impl);
    return URD_OK;
}

urd_err urd_cx_random(struct urd_cx *cx, void *ret, size_t len)
{
    if (!urd_cx_gate(cx, URD_GATE_RANDOM)) return URD_E_DENIED;
    const struct urd_world *world = world_of(cx);
    if (world->entropy == NULL) return URD_E_UNSUPPORTED;
    return world->entropy->fill(world->entropy_impl, ret, len);
}

/* ---- checkpoints ---- */

static urd_err checkpoint_cancelled(struct urd_task *t)
{
    if (!t->cancel_seen) {
        t->cancel_seen = true;
        URD_TRACE(CANCEL_ACK, t->id, urd_task_cancelled(t));
    }
    URD_TRACE(CHECKPOINT_CANCELLED, t->id, urd_task_cancelled(t));
    return URD_E_CANCELLED;
}

urd_err urd_task_checkpoint(struct urd_task *t)
{
    assert(!t->no_suspend);
    assert(t->worker->current == t); /* a cx is used by its own task only */
    t->worker->now_fresh = false;
    enum urd_cancel_reason reason = urd_task_cancelled(t);
    if (urd_task_masked(t)) {
        if (reason != URD_CANCEL_NONE) URD_TRACE(CHECKPOINT_MASKED, t->id, reason);
        return URD_OK;
    }
    if (reason != URD_CANCEL_NONE) return checkpoint_cancelled(t);
    struct urd_budget *budget = &t->cx.budget;
    if (budget->deadline_ns != URD_FOREVER && budget->deadline_ns <= urd_worker_now(t->worker))
        return URD_E_TIMEOUT;
    if (budget->poll_quota != URD_FOREVER) {
        if (budget->poll_quota == 0) return URD_E_TIMEOUT;
        budget->poll_quota--;
    }
    URD_TRACE(CHECKPOINT_PASS, t->id, budget->poll_quota);
    return URD_OK;
}

urd_err urd_checkpoint(struct urd_cx *cx)
{
    return urd_task_checkpoint(urd_task_of(cx));
}

urd_err urd_yield(struct urd_cx *cx)
{
    struct urd_task *t = urd_task_of(cx);
    urd_err err = urd_task_checkpoint(t);
    if (err != URD_OK) return err;
    URD_TRACE(YIELD, t->id, t->region->id);
    urd_task_leave(t, URD_LEAVE_YIELD);
    return URD_OK;
}

urd_err urd_sleep_until(struct urd_cx *cx, uint64_t deadline_ns)
{
    struct urd_task *t = urd_task_of(cx);
    if (!urd_cx_gate(cx, URD_GATE_TIMER)) return URD_E_DENIED;
    urd_err err = urd_task_checkpoint(t);
    if (err != URD_OK) return err;
    bool ends_earlier = !urd_task_masked(t) && t->cx.budget.deadline_ns < deadline_ns;
    err = urd_park(t, NULL, NULL, deadline_ns);
    if (err == URD_E_TIMEOUT && !ends_earlier) return URD_OK; /* that is what it waited for */
    return err;
}

urd_err urd_sleep(struct urd_cx *cx, uint64_t duration_ns)
{
    urd_task_of(cx)->worker->now_fresh = false;
    uint64_t now = urd_cx_now(cx);
    return urd_sleep_until(cx, duration_ns < URD_FOREVER - now ? now + duration_ns : URD_FOREVER);
}

enum urd_cancel_reason urd_cx_cancelled(const struct urd_cx *cx)
{
    return urd_task_cancelled(urd_task_of(cx));
}

/* ---- budget and gates ---- */

struct urd_budget urd_cx_budget(const struct urd_cx *cx)
{
    return cx->budget;
}

void urd_cx_narrow(struct urd_cx *cx, unsigned gates, struct urd_budget budget)
{
    cx->gates &= gates;
    cx->budget = urd_budget_meet(cx->budget, budget);
    URD_TRACE(BUDGET_MEET, urd_task_of(cx)->region->id, urd_task_of(cx)->id);
}

urd_err urd_cx_spend(struct urd_cx *cx, uint64_t units)
{
    if (cx->budget.cost_quota == URD_FOREVER) return URD_OK;
    if (units > cx->budget.cost_quota) return URD_E_TIMEOUT;
    cx->budget.cost_quota -= units;
    return URD_OK;
}

uint64_t urd_cx_denials(const struct urd_cx *cx)
{
    return cx->denials;
}

/* ---- masks ---- */

void urd_mask_(struct urd_cx *cx, urd_mask_token *m) URD_TRUSTED
{
    struct urd_task *t = urd_task_of(cx);
    if (t->mask_depth >= URD_MASK_DEPTH_MAX) {
        (void)fprintf(stderr, "urd: panic: task %s (%s:%d) masks more than %u deep\n", t->name,
                      t->file, t->line, URD_MASK_DEPTH_MAX);
        abort();
    }
    t->mask_depth++;
    m->cx = cx;
}

void urd_unmask_(struct urd_cx *cx, urd_mask_token *m) URD_TRUSTED
{
    struct urd_task *t = urd_task_of(cx);
    assert(m->cx == cx && t->mask_depth > 0);
    m->cx = NULL;
    t->mask_depth--;
    if (t->mask_depth == 0 && urd_task_cancelled(t) != URD_CANCEL_NONE) urd_cancel_unshield(t);
}
