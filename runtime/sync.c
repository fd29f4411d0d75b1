/* Events, notifies, mutexes, semaphores: a lock, a count or flag, a list of those who wait.
 *
 * Givers claim waiters under the lock and let them run after unlocking, so that a waiter that runs
 * finds nobody in its memory.  What is given (a wake, the mutex, units) passes from hand to hand; a
 * waiter that was cancelled first is passed over. */
#include "runtime/sync.h"

#include <assert.h>

#include "runtime/scheduler_internal.h"

/* ---- event ---- */

void urd_event_set(struct urd_event *event)
{
    urd_spin_lock(&event->lock);
    __atomic_store_n(&event->set, 1, __ATOMIC_RELEASE);
    struct urd_task *waiters = urd_waitlist_claim_all(&event->waiters);
    urd_spin_unlock(&event->lock);
    urd_unpark_all(waiters);
}

bool urd_event_is_set(const struct urd_event *event)
{
    if (__atomic_load_n(&event->set, __ATOMIC_ACQUIRE) == 0) return false;
    /* the setter may still be in it, and the caller may be about to free it */
    while (__atomic_load_n(&event->lock, __ATOMIC_ACQUIRE) != 0)
        urd_spin_wait_(&event->lock);
    return true;
}

void urd_event_reset(struct urd_event *event)
{
    urd_spin_lock(&event->lock);
    assert(event->waiters.head == NULL);
    __atomic_store_n(&event->set, 0, __ATOMIC_RELEASE);
    urd_spin_unlock(&event->lock);
}

urd_err urd_event_wait(struct urd_cx *cx, struct urd_event *event, uint64_t deadline_ns)
{
    struct urd_task *t = urd_task_of(cx);
    urd_err err = urd_task_checkpoint(t);
    if (err != URD_OK) return err;
    urd_spin_lock(&event->lock);
    if (event->set != 0) {
        urd_spin_unlock(&event->lock);
        return URD_OK;
    }
    return urd_park(t, &event->waiters, &event->lock, deadline_ns);
}

/* ---- notify ---- */

void urd_notify_one(struct urd_notify *notify)
{
    urd_spin_lock(&notify->lock);
    struct urd_task *t = urd_waitlist_claim(&notify->waiters);
    if (t == NULL) notify->pending = 1;
    urd_spin_unlock(&notify->lock);
    if (t != NULL) urd_unpark(t);
}

void urd_notify_all(struct urd_notify *notify)
{
    urd_spin_lock(&notify->lock);
    struct urd_task *waiters = urd_waitlist_claim_all(&notify->waiters);
    if (waiters == NULL) notify->pending = 1;
    urd_spin_unlock(&notify->lock);
    urd_unpark_all(waiters);
}

urd_err urd_notify_wait(struct urd_cx *cx, struct urd_notify *notify, uint64_t deadline_ns)
{
    struct urd_task *t = urd_task_of(cx);
    urd_err err = urd_task_checkpoint(t);
    if (err != URD_OK) return err;
    urd_spin_lock(&notify->lock);
    if (notify->pending != 0) {
        notify->pending = 0;
        urd_spin_unlock(&notify->lock);
        return URD_OK;
    }
    return urd_park(t, &notify->waiters, &notify->lock, deadline_ns);
}

/* ---- mutex ---- */

bool urd_mutex_lock_(struct urd_cx *cx, struct urd_mutex *mutex, urd_guard *g,
                     urd_err *ret_err) URD_TRUSTED
{
    struct urd_task *t = urd_task_of(cx);
    urd_err err = urd_task_checkpoint(t);
    if (err == URD_OK) {
        urd_spin_lock(&mutex->lock);
        if (mutex->held == 0) {
            mutex->held = 1;
            urd_spin_unlock(&mutex->lock);
        } else {
            err = urd_park(t, &mutex->waiters, &mutex->lock, URD_FOREVER);
        }
    }
    if (err != URD_OK) {
        *ret_err = err;
        return false;
    }
    g->mutex = mutex;
    return true;
}

void urd_mutex_unlock_(urd_guard *g) URD_TRUSTED
{
    struct urd_mutex *mutex = g->mutex;
    assert(mutex != NULL);
    g->mutex = NULL;
    urd_spin_lock(&mutex->lock);
    assert(mutex->held == 1);
    struct urd_task *next = urd_waitlist_claim(&mutex->waiters); /* it stays held, by the next */
    if (next == NULL) mutex->held = 0;
    urd_spin_unlock(&mutex->lock);
    if (next != NULL) urd_unpark(next);
}

/* ---- semaphore ---- */

/* Claim those at the head whose wish can be met, chained by run_next.  One that asks for more than
 * there is holds up those behind it: else it might never get its turn. */
static struct urd_task *semaphore_grant(struct urd_semaphore *semaphore)
{
    struct urd_task *first = NULL, *last = NULL;
    while (semaphore->waiters.head != NULL) {
        struct urd_task *head = semaphore->waiters.head;
        if (head->wait_n > semaphore->available) break;
        struct urd_task *t = urd_waitlist_claim_head(&semaphore->waiters);
        if (t == NULL) continue; /* it was cancelled, and is out of the list now */
        semaphore->available -= t->wait_n;
        t->run_next = NULL;
        if (last != NULL)
            last->run_next = t;
        else
            first = t;
        last = t;
    }
    return first;
}

urd_err urd_semaphore_acquire(struct urd_cx *cx, struct urd_semaphore *semaphore, uint32_t n,
                              uint64_t deadline_ns)
{
    struct urd_task *t = urd_task_of(cx);
    urd_err err = urd_task_checkpoint(t);
    if (err != URD_OK) return err;
    urd_spin_lock(&semaphore->lock);
    if (semaphore->waiters.head == NULL && semaphore->available >= n) {
        semaphore->available -= n;
        urd_spin_unlock(&semaphore->lock);
        return URD_OK;
    }
    t->wait_n = n;
    err = urd_park(t, &semaphore->waiters, &semaphore->lock, deadline_ns);
    if (err != URD_OK) { /* it may have held up those behind it */
        urd_spin_lock(&semaphore->lock);
        struct urd_task *granted = semaphore_grant(semaphore);
        urd_spin_unlock(&semaphore->lock);
        urd_unpark_all(granted);
    }
    return err;
}

urd_err urd_semaphore_try_acquire(struct urd_semaphore *semaphore, uint32_t n)
{
    urd_spin_lock(&semaphore->lock);
    bool there = semaphore->waiters.head == NULL && semaphore->available >= n;
    if (there) semaphore->available -= n;
    urd_spin_unlock(&semaphore->lock);
    return there ? URD_OK : URD_E_BUSY;
}

void urd_semaphore_release(struct urd_semaphore *semaphore, uint32_t n)
{
    urd_spin_lock(&semaphore->lock);
    assert(semaphore->available <= UINT32_MAX - n);
    semaphore->available += n;
    struct urd_task *granted = semaphore_grant(semaphore);
    urd_spin_unlock(&semaphore->lock);
    urd_unpark_all(granted);
}
