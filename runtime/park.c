/* Parking: a task waits in at most one list and at most one timer, and may be cancelled; of those
 * who would wake it exactly one does.
 *
 *     the task, holding the list's lock: handoff := 0, into the list, claim := ARMED, unlock,
 *         timer armed, cancel looked at once more, stack left (handoff |= LEFT)
 *     a waker, under the lock that led it to the task: claim ARMED -> CLAIMED, or it was too late;
 *         then, lock or no lock: handoff |= WOKEN
 *
 * Who sets the second handoff bit makes the task ready.  A claimed task cannot run before its waker
 * has unparked it, so the waker may use the task's fields until then, and nothing of it after.
 * The task, running again, takes itself out of what still leads to it, under the locks: after that
 * no late waker can find it.
 *
 * A cancel request and a task about to park: the task arms, then looks at the request; the
 * canceller makes the request, then looks at the claim.  Both sequentially consistent: one of them
 * sees the other. */
#include "runtime/scheduler_internal.h"

#include <assert.h>

static bool claim(struct urd_task *t, bool for_cancel, enum urd_wake why)
{
    uint32_t armed = URD_CLAIM_ARMED_CANCELLABLE;
    bool won = __atomic_compare_exchange_n(&t->claim, &armed, URD_CLAIM_CLAIMED, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    if (!won && !for_cancel && armed == URD_CLAIM_ARMED)
        won = __atomic_compare_exchange_n(&t->claim, &armed, URD_CLAIM_CLAIMED, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    if (won) t->woken_by = why;
    return won;
}

bool urd_task_claim_cancel(struct urd_task *t)
{
    return claim(t, true, URD_WAKE_CANCELLED);
}

static void unpark(struct urd_task *t, enum urd_ready how)
{
    bool foreign = urd_worker_current() == NULL;
    if (foreign) (void)__atomic_fetch_add(&urd_foreign_, 1, __ATOMIC_SEQ_CST);
    URD_TRACE(WAKE, t->id, t->woken_by);
    t->ready_how = how;
    if (__atomic_fetch_or(&t->handoff, URD_HANDOFF_WOKEN, __ATOMIC_ACQ_REL) != 0)
        urd_task_ready(t, how);
    if (foreign) (void)__atomic_fetch_sub(&urd_foreign_, 1, __ATOMIC_SEQ_CST);
}

void urd_unpark(struct urd_task *t)
{
    unpark(t, URD_READY_WOKEN);
}

static void unpark_in_order(struct urd_task *chain)
{
    while (chain != NULL) {
        struct urd_task *t = chain;
        chain = t->run_next;
        t->run_next = NULL;
        unpark(t, URD_READY_IN_ORDER);
    }
}

void urd_unpark_all(struct urd_task *chain)
{
    if (chain != NULL && chain->run_next == NULL)
        urd_unpark(chain);
    else
        unpark_in_order(chain);
}

static void waitlist_append(struct urd_waitlist *list, struct urd_task *t)
{
    struct urd_task *last = list->tail;
    t->wait_next = NULL;
    t->wait_prev = last;
    if (last != NULL)
        last->wait_next = t;
    else
        list->head = t;
    list->tail = t;
    t->waiting = true;
}

static void waitlist_remove(struct urd_waitlist *list, struct urd_task *t)
{
    if (t->wait_prev != NULL)
        t->wait_prev->wait_next = t->wait_next;
    else
        list->head = t->wait_next;
    if (t->wait_next != NULL)
        t->wait_next->wait_prev = t->wait_prev;
    else
        list->tail = t->wait_prev;
    t->waiting = false;
}

struct urd_task *urd_waitlist_claim_head(struct urd_waitlist *list)
{
    struct urd_task *t = list->head;
    waitlist_remove(list, t);
    return claim(t, false, URD_WAKE_GIVEN) ? t : NULL;
}

struct urd_task *urd_waitlist_claim(struct urd_waitlist *list)
{
    struct urd_task *t = NULL;
    while (t == NULL && list->head != NULL)
        t = urd_waitlist_claim_head(list);
    return t;
}

struct urd_task *urd_waitlist_claim_all(struct urd_waitlist *list)
{
    struct urd_task *first = NULL, *last = NULL, *t;
    while ((t = urd_waitlist_claim(list)) != NULL) {
        t->run_next = NULL;
        if (last != NULL)
            last->run_next = t;
        else
            first = t;
        last = t;
    }
    return first;
}

static void next_timer_set(struct urd_worker *w)
{
    uint64_t next = w->timers.root != NULL ? w->timers.root->key : URD_FOREVER;
    __atomic_store_n(&w->next_timer_ns, next, __ATOMIC_RELAXED);
}

static void timer_arm(struct urd_task *t, uint64_t deadline_ns)
{
    struct urd_worker *w = t->worker;
    t->timer_worker = w;
    t->timer.rank = 0;
    t->timer.key = deadline_ns;
    t->timer.id = t->id;
    urd_spin_lock(&w->timer_lock);
    urd_heap_insert(&w->timers, &t->timer);
    next_timer_set(w);
    urd_spin_unlock(&w->timer_lock);
}

static void timer_disarm(struct urd_task *t)
{
    struct urd_worker *w = t->timer_worker;
    if (w == NULL) return;
    urd_spin_lock(&w->timer_lock);
    if (t->timer.linked) {
        urd_heap_remove(&w->timers, &t->timer);
        next_timer_set(w);
    }
    urd_spin_unlock(&w->timer_lock);
    t->timer_worker = NULL;
}

void urd_timers_fire(struct urd_worker *w, uint64_t now_ns)
{
    struct urd_task *first = NULL, *last = NULL;
    urd_spin_lock(&w->timer_lock);
    while (w->timers.root != NULL && w->timers.root->key <= now_ns) {
        struct urd_task *t =
            (struct urd_task *)((char *)w->timers.root - offsetof(struct urd_task, timer));
        urd_heap_remove(&w->timers, &t->timer);
        if (!claim(t, false, URD_WAKE_TIMEOUT)) continue;
        URD_TRACE(TIMER_FIRE, t->id, t->timer.key);
        t->run_next = NULL;
        if (last != NULL)
            last->run_next = t;
        else
            first = t;
        last = t;
    }
    next_timer_set(w);
    urd_spin_unlock(&w->timer_lock);
    unpark_in_order(first);
}

static void list_leave(struct urd_task *t, struct urd_waitlist *list, uint32_t *lock)
{
    if (list == NULL) return;
    urd_spin_lock(lock);
    if (t->waiting) waitlist_remove(list, t);
    urd_spin_unlock(lock);
}

static urd_err park(struct urd_task *t, struct urd_waitlist *list, uint32_t *lock,
                    uint64_t deadline_ns, bool cancellable)
{
    assert(!t->no_suspend); /* a finalizer may not block */
    if (cancellable && t->cx.budget.deadline_ns < deadline_ns)
        deadline_ns = t->cx.budget.deadline_ns;
    if (deadline_ns != URD_FOREVER && deadline_ns <= urd_worker_now(t->worker)) {
        if (list != NULL) urd_spin_unlock(lock);
        return URD_E_TIMEOUT;
    }
    __atomic_store_n(&t->handoff, 0, __ATOMIC_RELAXED);
    if (list != NULL) waitlist_append(list, t);
    __atomic_store_n(&t->claim, cancellable ? URD_CLAIM_ARMED_CANCELLABLE : URD_CLAIM_ARMED,
                     __ATOMIC_SEQ_CST);
    if (list != NULL) urd_spin_unlock(lock);
    if (deadline_ns != URD_FOREVER) timer_arm(t, deadline_ns);

    bool late = cancellable && urd_task_cancelled(t) != URD_CANCEL_NONE && urd_task_claim_cancel(t);
    if (!late) { /* else it was cancelled before it could sleep, and nobody else will wake it */
        URD_TRACE(BLOCK, t->id, t->region->id);
        URD_COUNT(parks);
        urd_task_leave(t, URD_LEAVE_PARK);
    }

    __atomic_store_n(&t->claim, URD_CLAIM_NONE, __ATOMIC_RELAXED);
    timer_disarm(t);
    if (t->woken_by == URD_WAKE_GIVEN) return URD_OK;
    list_leave(t, list, lock);
    return t->woken_by == URD_WAKE_CANCELLED ? URD_E_CANCELLED : URD_E_TIMEOUT;
}

urd_err urd_park(struct urd_task *t, struct urd_waitlist *list, uint32_t *lock,
                 uint64_t deadline_ns)
{
    return park(t, list, lock, deadline_ns, !urd_task_masked(t));
}

urd_err urd_park_masked(struct urd_task *t, struct urd_waitlist *list, uint32_t *lock,
                        uint64_t deadline_ns)
{
    return park(t, list, lock, deadline_ns, false);
}
