/* runtime/stack_internal.h -- pooled stacks, by class.
 *
 * A stack is taken at a task's first dispatch and given back when the task returns, so a task that
 * has not run costs no stack and one that follows another runs on memory still in the cache.
 * Below each stack lies a guard: running off its end is a fault, not a neighbour overwritten. */
#ifndef RUNTIME_STACK_INTERNAL_H
#define RUNTIME_STACK_INTERNAL_H

#include <stdint.h>

#include "runtime/region.h"
#include "runtime/switch_internal.h"

#define URD_STACK_CLASSES 3u

/* Sanitizers' frames are larger. */
#if defined(URD_ASAN) || defined(URD_TSAN)
#define URD_STACK_SCALE 4u
#else
#define URD_STACK_SCALE 1u
#endif

struct urd_task;

struct urd_stack {
    struct urd_context context;
    struct urd_task *task; /* whom it runs */
    struct urd_stack *next;
    enum urd_stack_class stack_class;
    uint32_t bytes;
    unsigned valgrind_id;
};

struct urd_stack_pool {
    struct {
        uint32_t lock;
        struct urd_stack *unused;
        uint32_t unused_count;
        struct urd_stack_slab *slabs;
    } of[URD_STACK_CLASSES];
};

/* What a worker keeps for itself, to spare the pool's lock. */
#define URD_STACK_CACHE_MAX 32u
struct urd_stack_cache {
    struct urd_stack *unused[URD_STACK_CLASSES];
    uint32_t unused_count[URD_STACK_CLASSES];
};

/* A stack on which @run(stack) begins when first switched to; NULL: out of memory.  One that was
 * used before goes on in the @run it was in. */
struct urd_stack *urd_stack_take(struct urd_stack_pool *pool, struct urd_stack_cache *cache,
                                 enum urd_stack_class stack_class, void (*run)(void *stack));
void urd_stack_give(struct urd_stack_pool *pool, struct urd_stack_cache *cache,
                    struct urd_stack *stack);
/* Give @cache's stacks back to @pool. */
void urd_stack_cache_flush(struct urd_stack_pool *pool, struct urd_stack_cache *cache);
/* Unmap all.  Each stack that ever ran is first switched to from @thread with task NULL, so that
 * its @run can leave it for the last time.  All have been given back. */
void urd_stack_pool_done(struct urd_stack_pool *pool, struct urd_context *thread);

#endif
