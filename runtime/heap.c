#include "runtime/heap_internal.h"

#include <assert.h>

static bool before(const struct urd_heap_node *a, const struct urd_heap_node *b)
{
    if (a->rank != b->rank) return a->rank < b->rank;
    if (a->key != b->key) return a->key < b->key;
    return a->id < b->id;
}

/* Both are roots without siblings; the lesser becomes the other's parent. */
static struct urd_heap_node *meld(struct urd_heap_node *a, struct urd_heap_node *b)
{
    if (a == NULL) return b;
    if (b == NULL) return a;
    if (before(b, a)) {
        struct urd_heap_node *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (b->next != NULL) b->next->prev = b;
    a->child = b;
    return a;
}

/* Meld a list of siblings: in pairs from left to right, then the pairs from right to left. */
static struct urd_heap_node *meld_siblings(struct urd_heap_node *first)
{
    struct urd_heap_node *pairs = NULL;
    while (first != NULL) {
        struct urd_heap_node *a = first, *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b != NULL) b->next = b->prev = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    struct urd_heap_node *root = NULL;
    while (pairs != NULL) {
        struct urd_heap_node *a = pairs;
        pairs = a->next;
        a->next = NULL;
        root = meld(root, a);
    }
    return root;
}

void urd_heap_insert(struct urd_heap *heap, struct urd_heap_node *node)
{
    assert(!node->linked);
    node->child = node->next = node->prev = NULL;
    node->linked = true;
    heap->root = meld(heap->root, node);
}

void urd_heap_remove(struct urd_heap *heap, struct urd_heap_node *node)
{
    assert(node->linked);
    node->linked = false;
    struct urd_heap_node *below = meld_siblings(node->child);
    if (node == heap->root) {
        heap->root = below;
        return;
    }
    if (node->prev->child == node)
        node->prev->child = node->next;
    else
        node->prev->next = node->next;
    if (node->next != NULL) node->next->prev = node->prev;
    heap->root = meld(heap->root, below);
}
