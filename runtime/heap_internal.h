/* runtime/heap_internal.h -- an intrusive priority queue, for timers and for the timed lane.
 *
 * A pairing heap: no memory of its own, so arming a timer cannot fail; insert O(1), take and cancel
 * O(log n) amortised.  Order is total (rank, key, id), so the same inserts always come out alike.
 * Source: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap" (Algorithmica 1986). */
#ifndef RUNTIME_HEAP_INTERNAL_H
#define RUNTIME_HEAP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct urd_heap_node {
    struct urd_heap_node *child, *next;
    struct urd_heap_node *prev; /* left sibling; the parent for a first child */
    uint64_t rank, key, id;     /* lower first, in this order; set before insertion */
    bool linked;
};

struct urd_heap {
    struct urd_heap_node *root; /* the first; NULL: empty */
};

void urd_heap_insert(struct urd_heap *heap, struct urd_heap_node *node);
/* Take @node, which is in @heap, out of it. */
void urd_heap_remove(struct urd_heap *heap, struct urd_heap_node *node);

#endif
