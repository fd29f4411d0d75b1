#include "runtime/lock_internal.h"

#include <sched.h>

#define LOOKS 100 /* about a microsecond; held longer, the holder was taken off its core */

void urd_spin_wait_(const uint32_t *lock)
{
    for (unsigned i = 0; i < LOOKS; i++) {
        if (__atomic_load_n(lock, __ATOMIC_RELAXED) == 0) return;
        urd_pause();
    }
    (void)sched_yield();
}
