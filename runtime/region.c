/* Regions: opened below a task, closed by it when no task of theirs is live. */
#include "runtime/scheduler_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define CLEANUP_BUDGET_NS 5000000000u

struct urd_outcome urd_outcome_join(struct urd_outcome a, struct urd_outcome b)
{
    return b.kind > a.kind ? b : a;
}

struct urd_scope *urd_scope_new(struct urd_runtime *runtime)
{
    struct urd_scope *s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    s->runtime = runtime;
    s->id = __atomic_fetch_add(&runtime->next_id, 1, __ATOMIC_RELAXED);
    s->refs = 1;
    s->budget = URD_BUDGET_INFINITE;
    s->cleanup_budget_ns = CLEANUP_BUDGET_NS;
    s->gates = URD_GATES_ALL;
    s->name = "root";
    return s;
}

void urd_scope_unref(struct urd_scope *scope)
{
    if (__atomic_fetch_sub(&scope->refs, 1, __ATOMIC_ACQ_REL) == 1) free(scope);
}

/* ---- the tree ---- */

/* The first of @region and its siblings that @visitor wants to look into, locked; NULL: none. */
static struct urd_scope *enter(struct urd_scope *region, const struct urd_scope_visitor *visitor,
                               void *arg)
{
    for (; region != NULL; region = region->sibling) {
        urd_spin_lock(&region->lock);
        if (visitor->region(region, arg)) return region;
        urd_spin_unlock(&region->lock);
    }
    return NULL;
}

void urd_scope_walk(struct urd_scope *top, struct urd_task *only,
                    const struct urd_scope_visitor *visitor, void *arg)
{
    urd_spin_lock(&top->lock);
    if ((only != NULL && only->done) || !visitor->region(top, arg)) {
        urd_spin_unlock(&top->lock);
        return;
    }
    struct urd_scope *region = top, *below;
    struct urd_task *t = only != NULL ? only : top->tasks;
    while (t != NULL || region != top) {
        if (t != NULL) {
            visitor->task(t, arg);
            below = enter(t->opened, visitor, arg);
        } else { /* @region is done: on to its next sibling, or its opener's next */
            struct urd_scope *done = region;
            t = done->owner;
            region = done->parent;
            below = enter(done->sibling, visitor, arg);
            urd_spin_unlock(&done->lock);
        }
        if (below != NULL) {
            region = below;
            t = below->tasks;
        } else {
            t = t == only ? NULL : t->next;
        }
    }
    urd_spin_unlock(&top->lock);
}

static bool count_region(struct urd_scope *region, void *arg)
{
    *(uint32_t *)arg += region->live;
    return true;
}
static void count_task(struct urd_task *t, void *arg)
{
    (void)t;
    (void)arg;
}

uint32_t urd_scope_live(const struct urd_scope *scope)
{
    static const struct urd_scope_visitor visitor = { .region = count_region, .task = count_task };
    uint32_t live = 0;
    urd_scope_walk((struct urd_scope *)(uintptr_t)scope, NULL, &visitor, &live);
    return live;
}

void urd_scope_cancel(struct urd_cx *cx, struct urd_scope *scope, enum urd_cancel_reason reason)
{
    (void)cx;
    assert(reason > URD_CANCEL_NONE && reason <= URD_CANCEL_FUEL);
    urd_cancel_tree(scope, NULL, reason);
}

/* ---- opening ---- */

static void inherit(struct urd_scope *s, struct urd_task *t,
                    const struct urd_region_options *options)
{
    static const struct urd_region_options none = { 0 };
    const struct urd_region_options *o = options != NULL ? options : &none;
    s->parent = t->region;
    s->owner = t;
    s->name = o->name != NULL ? o->name : t->region->name;
    s->policy = o->policy;
    s->budget =
        urd_budget_is_zero_(&o->budget) ? t->cx.budget : urd_budget_meet(t->cx.budget, o->budget);
    if (o->cleanup_budget_ns != 0) s->cleanup_budget_ns = o->cleanup_budget_ns;
    s->gates = o->gates != 0 ? t->cx.gates & o->gates : t->cx.gates;
    s->pinned = o->pinned || t->region->pinned != NULL ? t->worker : NULL;
    s->shielded = urd_task_masked(t);
    URD_TRACE(BUDGET_MEET, s->id, t->id);
}

/* Put @s among the regions @t has opened; false when @t is to end. */
static bool link_below(struct urd_scope *s, struct urd_task *t)
{
    urd_spin_lock(&t->region->lock);
    bool ending = urd_task_cancelled(t) != URD_CANCEL_NONE || t->region->state != URD_REGION_OPEN;
    bool allowed = !ending || urd_task_masked(t);
    if (allowed) {
        s->sibling = t->opened;
        t->opened = s;
    }
    urd_spin_unlock(&t->region->lock);
    return allowed;
}

bool urd_region_open_(struct urd_cx *cx, const struct urd_region_options *options,
                      urd_region *r) URD_TRUSTED
{
    struct urd_task *t = urd_task_of(cx);
    if (!urd_cx_gate(cx, URD_GATE_SPAWN)) return false;
    struct urd_scope *s = urd_scope_new(t->region->runtime);
    if (s == NULL) return false;
    inherit(s, t, options);
    if (!link_below(s, t)) {
        free(s);
        return false;
    }
    if (s->pinned != NULL) t->pins++; /* the opener shares the memory, too */
    URD_COUNT(regions_opened);
    URD_TRACE(REGION_OPEN, s->id, t->id);
    r->scope = s;
    return true;
}

struct urd_scope *urd_region_scope_(const urd_region *r)
{
    return r->scope;
}

urd_err urd_scope_defer(struct urd_scope *scope, void (*fn)(void *arg), void *arg)
{
    struct urd_finalizer *f = malloc(sizeof *f);
    if (f == NULL) return URD_E_NOMEM;
    f->fn = fn;
    f->arg = arg;
    urd_spin_lock(&scope->lock);
    bool open = scope->state == URD_REGION_OPEN;
    if (open) {
        f->next = scope->finalizers;
        scope->finalizers = f;
    }
    urd_spin_unlock(&scope->lock);
    if (!open) free(f);
    return open ? URD_OK : URD_E_CLOSED;
}

/* ---- the ledger ---- */

urd_err urd_scope_owe_(struct urd_scope *scope, struct urd_owed *owed, const char *what,
                       const char *file, int line)
{
    urd_spin_lock(&scope->lock);
    bool open = scope->state == URD_REGION_OPEN;
    if (open) {
        *owed = (struct urd_owed){
            .scope = scope, .next = scope->owed, .what = what, .file = file, .line = line
        };
        if (owed->next != NULL) owed->next->prev = owed;
        scope->owed = owed;
        URD_TRACE(RESERVE, 0, scope->id);
    }
    urd_spin_unlock(&scope->lock);
    if (open) URD_COUNT(reserved);
    return open ? URD_OK : URD_E_CLOSED;
}

void urd_scope_settle(struct urd_owed *owed)
{
    struct urd_scope *scope = owed->scope;
    assert(scope != NULL); /* settled twice */
    urd_spin_lock(&scope->lock);
    if (owed->prev != NULL)
        owed->prev->next = owed->next;
    else
        scope->owed = owed->next;
    if (owed->next != NULL) owed->next->prev = owed->prev;
    owed->scope = NULL;
    URD_TRACE(COMMIT, 0, scope->id);
    urd_spin_unlock(&scope->lock);
    URD_COUNT(settled);
}

static void panic_if_owed(struct urd_scope *s)
{
    if (s->owed == NULL) return;
    URD_TRACE(LEAK, 0, s->id);
    (void)fprintf(stderr, "urd: panic: region %s ends with a %s unsettled, made at %s:%d\n",
                  s->name, s->owed->what, s->owed->file, s->owed->line);
    abort();
}

/* ---- closing ---- */

/* Wait until no task of @s is live.  Not cancelled yet, the caller's cancel or budget cancels it;
 * cancelled, its tasks are named once their cleanup budget is over.  On return its lock is held. */
static void await_tasks(struct urd_task *t, struct urd_scope *s)
{
    for (;;) {
        urd_spin_lock(&s->lock);
        if (s->live == 0) return;
        bool cancelled = s->cancel_reason != URD_CANCEL_NONE;
        if (cancelled && s->state == URD_REGION_CLOSING) s->state = URD_REGION_DRAINING;
        URD_TRACE(CLOSE_AWAIT, s->id, s->live);
        if (cancelled) {
            uint64_t until = s->overruns_reported ? URD_FOREVER : s->cleanup_deadline_ns;
            if (urd_park_masked(t, &s->closer, &s->lock, until) == URD_E_TIMEOUT)
                urd_cancel_report_overruns(s, NULL);
            continue;
        }
        urd_err err = urd_park(t, &s->closer, &s->lock, URD_FOREVER);
        if (err == URD_OK) continue;
        urd_cancel_tree(s, NULL, err == URD_E_TIMEOUT ? URD_CANCEL_DEADLINE : URD_CANCEL_PARENT);
    }
}

static void finalize(struct urd_task *t, struct urd_scope *s)
{
    bool could_not_suspend = t->no_suspend;
    t->no_suspend = true;
    t->mask_depth++;
    while (s->finalizers != NULL) {
        struct urd_finalizer *f = s->finalizers;
        s->finalizers = f->next;
        f->fn(f->arg);
        free(f);
        URD_TRACE(CLOSE_RUN_FINALIZER, s->id, t->id);
    }
    t->mask_depth--;
    t->no_suspend = could_not_suspend;
}

static void unlink_below(struct urd_scope *s)
{
    urd_spin_lock(&s->parent->lock);
    struct urd_scope **at = &s->owner->opened;
    while (*at != s)
        at = &(*at)->sibling;
    *at = s->sibling;
    urd_spin_unlock(&s->parent->lock);
    if (s->pinned != NULL) s->owner->pins--;
}

static void close_quiet(struct urd_task *t, struct urd_scope *s, struct urd_outcome *ret)
{
    s->state = URD_REGION_FINALIZING; /* under its lock, taken by await_tasks() */
    urd_spin_unlock(&s->lock);
    finalize(t, s);
    panic_if_owed(s);
    urd_spin_lock(&s->lock);
    s->state = URD_REGION_CLOSED;
    struct urd_outcome outcome = s->outcome;
    urd_spin_unlock(&s->lock);
    unlink_below(s);
    URD_TRACE(CLOSE_COMPLETE, s->id, outcome.kind);
    URD_COUNT(regions_closed);
    urd_scope_unref(s);
    if (ret != NULL) *ret = outcome;
}

void urd_region_close_(struct urd_cx *cx, urd_region *r, struct urd_outcome *ret) URD_TRUSTED
{
    struct urd_task *t = urd_task_of(cx);
    struct urd_scope *s = r->scope;
    assert(s != NULL);
    r->scope = NULL;
    URD_TRACE(CLOSE_BEGIN, s->id, t->id);
    URD_TRACE(CLOSE_CANCEL_CHILDREN, s->id, t->id);
    enum urd_cancel_reason why = urd_task_cancelled(t);
    urd_cancel_tree(s, NULL, why > URD_CANCEL_PARENT ? why : URD_CANCEL_PARENT);
    await_tasks(t, s);
    close_quiet(t, s, ret);
}

void urd_region_join_(struct urd_cx *cx, urd_region *r, struct urd_outcome *ret) URD_TRUSTED
{
    struct urd_task *t = urd_task_of(cx);
    struct urd_scope *s = r->scope;
    assert(s != NULL);
    r->scope = NULL;
    await_tasks(t, s);
    URD_TRACE(CLOSE_BEGIN, s->id, t->id);
    close_quiet(t, s, ret);
}
