/* The heap that orders timers: whatever is inserted and removed, the least comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/heap_internal.h"

#define NODES 2000

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static bool comes_before(const struct urd_heap_node *a, const struct urd_heap_node *b)
{
    if (a->rank != b->rank) return a->rank < b->rank;
    if (a->key != b->key) return a->key < b->key;
    return a->id < b->id;
}

static void fill(struct urd_heap *heap, struct urd_heap_node nodes[NODES], uint64_t seed)
{
    for (uint64_t i = 0; i < NODES; i++) {
        nodes[i] = (struct urd_heap_node){ .rank = next_random(&seed) % 3,
                                           .key = next_random(&seed) % 50,
                                           .id = i };
        urd_heap_insert(heap, &nodes[i]);
    }
}

/* Take all that is left; each is after the one before. */
static unsigned drain(struct urd_heap *heap)
{
    unsigned count = 0;
    struct urd_heap_node *last = NULL;
    while (heap->root != NULL) {
        struct urd_heap_node *node = heap->root;
        urd_heap_remove(heap, node);
        assert_false(node->linked);
        if (last != NULL) assert_true(comes_before(last, node));
        last = node;
        count++;
    }
    return count;
}

static void equal_keys_come_out_by_id(void **state)
{
    (void)state;
    static struct urd_heap_node nodes[NODES];
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct urd_heap heap = { 0 };
        fill(&heap, nodes, seed);
        assert_int_equal(drain(&heap), NODES);
    }
}

static void what_is_removed_from_anywhere_stays_out(void **state)
{
    (void)state;
    static struct urd_heap_node nodes[NODES];
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct urd_heap heap = { 0 };
        unsigned removed = 0;
        uint64_t random = seed;
        fill(&heap, nodes, seed);
        for (unsigned i = 0; i < NODES; i++) {
            struct urd_heap_node *node = &nodes[next_random(&random) % NODES];
            if (!node->linked) continue;
            urd_heap_remove(&heap, node);
            removed++;
            if (i % 3 == 0) { /* and back again, at another place */
                node->key = next_random(&random) % 50;
                urd_heap_insert(&heap, node);
                removed--;
            }
        }
        assert_int_equal(drain(&heap), NODES - removed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_keys_come_out_by_id),
        cmocka_unit_test(what_is_removed_from_anywhere_stays_out),
    };
    return cmocka_run_group_tests_name("runtime/heap", tests, NULL, NULL);
}
