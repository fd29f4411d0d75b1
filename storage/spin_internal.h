/* storage/spin_internal.h -- a lock for a few instructions, between workers and pool threads.
 *
 * Storage is used where no task runs (the blocking pool), so the runtime's mutex does not do; what
 * is guarded here is short (a list, a root pointer) and never waits. */
#ifndef STORAGE_SPIN_INTERNAL_H
#define STORAGE_SPIN_INTERNAL_H

#include <sched.h>
#include <stdbool.h>

struct storage_spin {
    bool held;
};

static inline void storage_spin_lock(struct storage_spin *spin)
{
    for (unsigned tries = 0; __atomic_exchange_n(&spin->held, true, __ATOMIC_ACQUIRE); tries++)
        if (tries >= 100) sched_yield(); /* the holder may be off its core */
}

static inline void storage_spin_unlock(struct storage_spin *spin)
{
    __atomic_store_n(&spin->held, false, __ATOMIC_RELEASE);
}

#endif
