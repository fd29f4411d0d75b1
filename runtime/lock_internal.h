/* runtime/lock_internal.h -- the one lock of the runtime's own data: a few instructions held, never
 * across a suspension.
 *
 * Unlocking is a single store, the holder's last touch of the lock: whoever takes the lock next may
 * free the memory it lives in.  A futex lock could not promise that (it wakes after it unlocks).
 *
 * Order: a region before the regions below it; any of them, or a wait list's lock, before a
 * worker's.  A worker's two locks (lanes, timers) are taken last and never together. */
#ifndef RUNTIME_LOCK_INTERNAL_H
#define RUNTIME_LOCK_INTERNAL_H

#include <stdint.h>

static inline void urd_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Wait until @lock looks free, giving the processor away when its holder seems to be off it. */
void urd_spin_wait_(const uint32_t *lock);

static inline void urd_spin_lock(uint32_t *lock)
{
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0)
        urd_spin_wait_(lock);
}

static inline void urd_spin_unlock(uint32_t *lock)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

#endif
