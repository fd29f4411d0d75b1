/* Stacks lie in slabs, each slot a guard and a stack, the stack's descriptor at its top:
 *
 *     | guard | stack ... <- grows down | descriptor | guard | stack ...
 *
 * The first frame begins a little lower in each (colouring): else the hot lines of all stacks would
 * fall into one set of the cache. */
#include "runtime/stack_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/lock_internal.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) 0u
#define VALGRIND_STACK_DEREGISTER(id)      (void)(id)
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13: a guard that splits no mapping */
#endif

#define PAGE_BYTES   4096u
#define GUARD_BYTES  (4 * PAGE_BYTES) /* more than one: a large frame could step over one */
#define COLOURS      16u
#define COLOUR_BYTES 64u
#define KEEP_BYTES   (2 * PAGE_BYTES) /* what an unused stack's own frame and descriptor need */
#define WARM_MAX     1024u            /* unused stacks in the pool that keep their memory */

static const struct {
    uint32_t stack_bytes, slots;
} classes[URD_STACK_CLASSES] = {
    [URD_STACK_DEFAULT] = { URD_STACK_SCALE * (64u << 10), 32 },
    [URD_STACK_SMALL] = { URD_STACK_SCALE * (16u << 10), 64 },
    [URD_STACK_LARGE] = { URD_STACK_SCALE * (256u << 10), 8 },
};

struct urd_stack_slab {
    struct urd_stack_slab *next;
    char *memory;
    uint32_t used; /* slots cut off so far */
};

static size_t slot_bytes(enum urd_stack_class c)
{
    return GUARD_BYTES + classes[c].stack_bytes;
}

static struct urd_stack_slab *slab_new(enum urd_stack_class c)
{
    struct urd_stack_slab *slab = calloc(1, sizeof *slab);
    if (slab == NULL) return NULL;
    size_t bytes = slot_bytes(c) * classes[c].slots;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) {
        free(slab);
        return NULL;
    }
    (void)madvise(memory, bytes, MADV_NOHUGEPAGE); /* else an idle task costs a huge page's share */
    slab->memory = memory;
    return slab;
}

static bool guard(char *place)
{
    return madvise(place, GUARD_BYTES, MADV_GUARD_INSTALL) == 0 ||
           mprotect(place, GUARD_BYTES, PROT_NONE) == 0;
}

/* The next slot of the class's newest slab, as a stack; the pool's lock is held. */
static struct urd_stack *cut(struct urd_stack_pool *pool, enum urd_stack_class c,
                             void (*run)(void *stack))
{
    struct urd_stack_slab *slab = pool->of[c].slabs;
    if (slab == NULL || slab->used == classes[c].slots) {
        slab = slab_new(c);
        if (slab == NULL) return NULL;
        slab->next = pool->of[c].slabs;
        pool->of[c].slabs = slab;
    }
    char *place = slab->memory + slot_bytes(c) * slab->used;
    if (!guard(place)) return NULL;
    char *bottom = place + GUARD_BYTES, *top = bottom + classes[c].stack_bytes;
    struct urd_stack *stack =
        (struct urd_stack *)((uintptr_t)(top - sizeof *stack) & ~(uintptr_t)(COLOUR_BYTES - 1));
    memset(stack, 0, sizeof *stack);
    stack->stack_class = c;
    stack->bytes = classes[c].stack_bytes;
    stack->valgrind_id = (unsigned)VALGRIND_STACK_REGISTER(bottom, top);
    char *begin = (char *)stack - (slab->used % COLOURS) * COLOUR_BYTES;
    urd_context_make(&stack->context, bottom, (size_t)(top - bottom), begin, run, stack);
    slab->used++;
    return stack;
}

/* Written under the pool's lock, read without it as a hint. */
static void unused_count_set(struct urd_stack_pool *pool, enum urd_stack_class c, uint32_t count)
{
    __atomic_store_n(&pool->of[c].unused_count, count, __ATOMIC_RELAXED);
}

struct urd_stack *urd_stack_take(struct urd_stack_pool *pool, struct urd_stack_cache *cache,
                                 enum urd_stack_class c, void (*run)(void *stack))
{
    struct urd_stack *stack = cache->unused[c];
    if (stack != NULL) {
        cache->unused[c] = stack->next;
        cache->unused_count[c]--;
        return stack;
    }
    urd_spin_lock(&pool->of[c].lock);
    stack = pool->of[c].unused;
    if (stack != NULL) {
        pool->of[c].unused = stack->next;
        unused_count_set(pool, c, pool->of[c].unused_count - 1);
    } else {
        stack = cut(pool, c, run);
    }
    urd_spin_unlock(&pool->of[c].lock);
    return stack;
}

/* Give an unused stack's memory back to the system, but for the frame that waits on it. */
static void cool(struct urd_stack *stack)
{
#if URD_STACK_SCALE == 1
    size_t bytes = stack->context.stack_bytes;
    (void)madvise((void *)(uintptr_t)stack->context.bottom, bytes - KEEP_BYTES, MADV_DONTNEED);
#else
    (void)stack;
#endif
}

static void give_to_pool(struct urd_stack_pool *pool, struct urd_stack *stack)
{
    enum urd_stack_class c = stack->stack_class;
    if (__atomic_load_n(&pool->of[c].unused_count, __ATOMIC_RELAXED) >= WARM_MAX) cool(stack);
    urd_spin_lock(&pool->of[c].lock);
    stack->next = pool->of[c].unused;
    pool->of[c].unused = stack;
    unused_count_set(pool, c, pool->of[c].unused_count + 1);
    urd_spin_unlock(&pool->of[c].lock);
}

void urd_stack_give(struct urd_stack_pool *pool, struct urd_stack_cache *cache,
                    struct urd_stack *stack)
{
    enum urd_stack_class c = stack->stack_class;
    stack->task = NULL;
    if (cache->unused_count[c] >= URD_STACK_CACHE_MAX) {
        give_to_pool(pool, stack);
        return;
    }
    stack->next = cache->unused[c];
    cache->unused[c] = stack;
    cache->unused_count[c]++;
}

void urd_stack_cache_flush(struct urd_stack_pool *pool, struct urd_stack_cache *cache)
{
    for (unsigned c = 0; c < URD_STACK_CLASSES; c++) {
        while (cache->unused[c] != NULL) {
            struct urd_stack *stack = cache->unused[c];
            cache->unused[c] = stack->next;
            give_to_pool(pool, stack);
        }
        cache->unused_count[c] = 0;
    }
}

void urd_stack_pool_done(struct urd_stack_pool *pool, struct urd_context *thread)
{
    for (unsigned c = 0; c < URD_STACK_CLASSES; c++) {
        while (pool->of[c].unused != NULL) {
            struct urd_stack *stack = pool->of[c].unused;
            pool->of[c].unused = stack->next;
            urd_context_switch(thread, &stack->context, false);
            urd_context_done(&stack->context);
            VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
        }
        while (pool->of[c].slabs != NULL) {
            struct urd_stack_slab *slab = pool->of[c].slabs;
            pool->of[c].slabs = slab->next;
            (void)munmap(slab->memory, slot_bytes((enum urd_stack_class)c) * classes[c].slots);
            free(slab);
        }
    }
}
