/* fountain/codec/arena_internal.h -- many arrays, one allocation: lay out with no memory to learn
 * the size, allocate, lay out again. */
#ifndef FOUNTAIN_CODEC_ARENA_INTERNAL_H
#define FOUNTAIN_CODEC_ARENA_INTERNAL_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define URD_FOUNTAIN_CACHE_LINE ((size_t)64)

struct urd_fountain_arena {
    uint8_t *base; /* NULL while sizing */
    size_t used;
};

static inline size_t urd_fountain_round_up(size_t value, size_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/* An array of @count things of @size bytes, on a cache line of its own; NULL while sizing.  Sizes
 * follow from K, T and table 2, so a sum that overflows is our bug. */
static inline void *urd_fountain_carve(struct urd_fountain_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    bool overflow = __builtin_mul_overflow(count, size, &bytes) ||
                    bytes > SIZE_MAX - arena->used - URD_FOUNTAIN_CACHE_LINE;
    assert(!overflow);
    void *array = arena->base != NULL ? arena->base + arena->used : NULL;
    arena->used += urd_fountain_round_up(bytes, URD_FOUNTAIN_CACHE_LINE);
    return array;
}

/* Memory for what was sized, and start over.  False when there is none. */
static inline bool urd_fountain_arena_allocate(struct urd_fountain_arena *arena)
{
    arena->base = aligned_alloc(URD_FOUNTAIN_CACHE_LINE,
                                arena->used > 0 ? arena->used : URD_FOUNTAIN_CACHE_LINE);
    arena->used = 0;
    return arena->base != NULL;
}

#endif
