/* Which worker a thread is.  In a file of its own, not inlined and opaque: a compiler that knew the
 * answer could keep it across a suspension, after which the task may be on another thread. */
#include "runtime/scheduler_internal.h"

struct urd_runtime *urd_runtime_;
uint32_t urd_foreign_;

static __thread struct urd_worker *current;

__attribute__((noinline)) struct urd_worker *urd_worker_current(void)
{
    __asm__ volatile("" ::: "memory");
    return current;
}

__attribute__((noinline)) void urd_worker_current_set(struct urd_worker *worker)
{
    __asm__ volatile("" ::: "memory");
    current = worker;
}

void urd_count_(size_t offset, uint64_t n)
{
    struct urd_worker *w = urd_worker_current();
    if (w != NULL) { /* its only writer */
        uint64_t *at = (uint64_t *)((char *)&w->counters + offset);
        __atomic_store_n(at, *at + n, __ATOMIC_RELAXED);
    } else if (urd_runtime_ != NULL) {
        (void)__atomic_fetch_add((uint64_t *)((char *)&urd_runtime_->foreign + offset), n,
                                 __ATOMIC_RELAXED);
    }
}

uint64_t urd_counted_(const struct urd_runtime *runtime, size_t offset)
{
    uint64_t sum = __atomic_load_n((const uint64_t *)((const char *)&runtime->foreign + offset),
                                   __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < runtime->workers_count; i++)
        sum += __atomic_load_n(
            (const uint64_t *)((const char *)&runtime->workers[i].counters + offset),
            __ATOMIC_RELAXED);
    return sum;
}
