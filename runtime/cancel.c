/* A cancel goes down the tree: regions and tasks in order, parents before children, one unit of
 * fuel a hop.  The fuel given at the top is at least the size of the tree; should the tree outgrow
 * it (by regions opened under masks meanwhile), the rest is told so by the reason FUEL.
 *
 * The walk holds the locks of its path, so neither the tasks of a region nor the regions of a task
 * change while it is there, and a task cannot end in the middle of being cancelled. */
#include "runtime/scheduler_internal.h"

#include <stdio.h>

struct cancelling {
    struct urd_scope *top;
    bool only_one; /* a task and what is below it; the top region itself is not cancelled */
    enum urd_cancel_reason reason;
    uint64_t fuel;
    uint64_t now_ns;
};

static enum urd_cancel_reason stronger(enum urd_cancel_reason a, enum urd_cancel_reason b)
{
    return a > b ? a : b;
}

static enum urd_cancel_reason spend_fuel(struct cancelling *c, enum urd_cancel_reason reason)
{
    if (c->fuel == 0) return URD_CANCEL_FUEL;
    c->fuel--;
    return reason;
}

/* What is below the region or the task first asked is cancelled because its parent is. */
static enum urd_cancel_reason reason_in(const struct cancelling *c, const struct urd_scope *region)
{
    return region == c->top ? c->reason : stronger(c->reason, URD_CANCEL_PARENT);
}

static bool cancel_region(struct urd_scope *region, void *arg)
{
    struct cancelling *c = arg;
    bool top = region == c->top;
    if (!top && region->shielded) return false;
    if (top && c->only_one) return true;
    enum urd_cancel_reason reason = spend_fuel(c, reason_in(c, region));
    URD_TRACE(CANCEL_PROPAGATE, region->id, reason);
    if (region->cancel_reason == URD_CANCEL_NONE)
        region->cleanup_deadline_ns = c->now_ns + region->cleanup_budget_ns;
    region->cancel_reason = stronger(region->cancel_reason, reason);
    if (region->state == URD_REGION_OPEN) region->state = URD_REGION_CLOSING;
    /* its closer has a cleanup budget to watch now */
    urd_unpark_all(urd_waitlist_claim_all(&region->closer));
    return true;
}

static void cancel_task(struct urd_task *t, void *arg)
{
    struct cancelling *c = arg;
    uint32_t reason = (uint32_t)spend_fuel(c, reason_in(c, t->region));
    uint32_t old = (uint32_t)urd_task_cancelled(t);
    if (old >= reason) return;
    if (old == URD_CANCEL_NONE) {
        t->cleanup_deadline_ns = c->now_ns + t->region->cleanup_budget_ns;
        t->sibling_failed = reason == URD_CANCEL_SIBLING_FAILED;
        URD_COUNT(cancels);
        URD_TRACE(CANCEL_REQUEST, t->id, reason);
    } else {
        URD_TRACE(CANCEL_STRENGTHEN, t->id, reason);
    }
    /* written only here, under the region's lock */
    __atomic_store_n(&t->cancel_reason, reason, __ATOMIC_SEQ_CST);
    if (urd_task_claim_cancel(t)) urd_unpark(t);
}

void urd_cancel_tree(struct urd_scope *top, struct urd_task *only, enum urd_cancel_reason reason)
{
    static const struct urd_scope_visitor visitor = { .region = cancel_region,
                                                      .task = cancel_task };
    struct urd_runtime *rt = top->runtime;
    struct cancelling c = {
        .top = top,
        .only_one = only != NULL,
        .reason = reason,
        .fuel = URD_COUNTED(rt, spawned) + URD_COUNTED(rt, regions_opened) + 2,
        .now_ns = urd_runtime_now(rt),
    };
    urd_scope_walk(top, only, &visitor, &c);
}

void urd_cancel_unshield(struct urd_task *t)
{
    /* its opener is this task, so none is opened or closed meanwhile */
    for (struct urd_scope *r = t->opened; r != NULL; r = r->sibling) {
        urd_spin_lock(&t->region->lock);
        bool shielded = r->shielded;
        r->shielded = false;
        urd_spin_unlock(&t->region->lock);
        if (shielded) urd_cancel_tree(r, NULL, URD_CANCEL_PARENT);
    }
}

#define REPORTS_MAX 16u /* tasks named of one region */

void urd_cancel_report_overruns(struct urd_scope *region, struct urd_task *only)
{
    struct {
        const char *name, *file;
        int line;
        uint64_t id;
    } late[REPORTS_MAX];
    uint32_t count = 0, more = 0;
    uint64_t now = urd_runtime_now(region->runtime);

    urd_spin_lock(&region->lock);
    if (only == NULL) region->overruns_reported = true;
    for (struct urd_task *t = region->tasks; t != NULL; t = t->next) {
        if ((only != NULL && t != only) || t->overrun_reported) continue;
        if (t->cleanup_deadline_ns == 0 || t->cleanup_deadline_ns > now) continue;
        t->overrun_reported = true;
        URD_COUNT(overruns);
        URD_TRACE(CANCEL_EXPIRE, t->id, region->id);
        if (count == REPORTS_MAX) {
            more++;
            continue;
        }
        late[count].name = t->name;
        late[count].file = t->file;
        late[count].line = t->line;
        late[count].id = t->id;
        count++;
    }
    const char *name = region->name;
    urd_spin_unlock(&region->lock);

    for (uint32_t i = 0; i < count; i++)
        (void)fprintf(stderr,
                      "urd: task %s (%s:%d, id %llu) of region %s was cancelled and has not ended "
                      "within its cleanup budget; still waiting for it\n",
                      late[i].name, late[i].file, late[i].line, (unsigned long long)late[i].id,
                      name);
    if (more > 0) (void)fprintf(stderr, "urd: and %u more of region %s\n", more, name);
}
