/* runtime/sync.h -- waiting for one another: event, notify, mutex, semaphore.
 *
 * All live in the caller's memory, need no cleanup, and may be used from any worker.  Every wait is
 * a checkpoint and cancel-correct: a cancelled waiter holds nothing.  Waiters are served first in,
 * first out. */
#ifndef RUNTIME_SYNC_H
#define RUNTIME_SYNC_H

#include "runtime/cx.h"

/* Intrusive list of parked tasks; private to the runtime. */
struct urd_waitlist {
    void *head, *tail;
};

/* An event is set once, by any task *or foreign thread* (nng's callbacks, the blocking pool), and
 * wakes all that wait.  It must stay valid until urd_event_set() has returned: the setter touches
 * nothing of it after the waiter can run, so it may live on the waiter's stack. */
struct urd_event {
    uint32_t lock;
    uint32_t set;
    struct urd_waitlist waiters;
};
#define URD_EVENT_INIT ((struct urd_event){ 0 })
void urd_event_set(struct urd_event *event);
bool urd_event_is_set(const struct urd_event *event);
/* Make an event usable again; nobody may be waiting. */
void urd_event_reset(struct urd_event *event);
/* Blocks until set or @deadline_ns.  Errors: URD_E_TIMEOUT, URD_E_CANCELLED. */
URD_MUST_USE urd_err urd_event_wait(struct urd_cx *cx, struct urd_event *event,
                                    uint64_t deadline_ns);

/* A notify wakes tasks that wait at this moment; a wake with nobody waiting is kept (once) for the
 * next waiter, so a check-then-wait loop loses nothing.  Any task or foreign thread may wake. */
struct urd_notify {
    uint32_t lock;
    uint32_t pending;
    struct urd_waitlist waiters;
};
#define URD_NOTIFY_INIT ((struct urd_notify){ 0 })
void urd_notify_one(struct urd_notify *notify);
void urd_notify_all(struct urd_notify *notify);
URD_MUST_USE urd_err urd_notify_wait(struct urd_cx *cx, struct urd_notify *notify,
                                     uint64_t deadline_ns);

/* A mutex for tasks: waiting parks, never spins for long.  May be held across a yield, with care.
 */
struct urd_mutex {
    uint32_t lock;
    uint32_t held;
    struct urd_waitlist waiters;
};
#define URD_MUTEX_INIT ((struct urd_mutex){ 0 })
typedef struct URD_KIND("lock") urd_guard {
    struct urd_mutex *mutex;
} urd_guard;
#define URD_GUARD(g) URD_DECL(urd_guard, g)
bool urd_mutex_lock_(struct urd_cx *cx, struct urd_mutex *mutex, urd_guard *g, urd_err *ret_err)
    URD_MAYGIVE(g);
URD_INLINE bool urd_mutex_lock_i_(struct urd_cx *cx, struct urd_mutex *mutex, urd_guard *g,
                                  urd_err *ret_err, bool *held) URD_MAYGIVE(g) URD_TRUSTED;
URD_INLINE bool urd_mutex_lock_i_(struct urd_cx *cx, struct urd_mutex *mutex, urd_guard *g,
                                  urd_err *ret_err, bool *held)
{
    return *held = urd_mutex_lock_(cx, mutex, g, ret_err);
}
void urd_mutex_unlock_(urd_guard *g) URD_TAKES(g);
/* Blocks.  False sets @ret_err: URD_E_CANCELLED, URD_E_TIMEOUT. */
#define urd_mutex_lock(cx, mutex, g, ret_err) urd_mutex_lock_i_(cx, mutex, g, ret_err, &g##_ob_)
#define urd_mutex_unlock(g)                   URD_REL(g, urd_mutex_unlock_(g))

/* A counting semaphore; acquire takes @n at once or waits for them. */
struct urd_semaphore {
    uint32_t lock;
    uint32_t available;
    struct urd_waitlist waiters;
};
#define URD_SEMAPHORE_INIT(n) ((struct urd_semaphore){ .available = (n) })
URD_MUST_USE urd_err urd_semaphore_acquire(struct urd_cx *cx, struct urd_semaphore *semaphore,
                                           uint32_t n, uint64_t deadline_ns);
/* Errors: URD_E_BUSY fewer than @n there. */
URD_MUST_USE urd_err urd_semaphore_try_acquire(struct urd_semaphore *semaphore, uint32_t n);
void urd_semaphore_release(struct urd_semaphore *semaphore, uint32_t n);

#endif
