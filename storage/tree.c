/* How a change is made: walk down counting, set that many nodes aside, then copy (or, under our own
 * stamp, reuse) each node on the way.  After the counting nothing can fail. */
#include "storage/tree_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "storage/bytes.h"

struct storage_tree_node {
    struct storage_tree_node *left, *right;
    struct storage_entry *entry;
    uint64_t stamp;
    uint32_t priority;
    uint32_t refs;
};

struct storage_entry *storage_entry_new(const void *key, size_t key_len, size_t value_len)
{
    assert(key_len <= STORAGE_KEY_BYTES_MAX && value_len <= UINT32_MAX);
    struct storage_entry *entry = malloc(sizeof *entry + key_len + value_len);
    if (entry == NULL) return NULL;
    entry->refs = 1;
    entry->key_len = (uint16_t)key_len;
    entry->value_len = (uint32_t)value_len;
    entry->deleted = false;
    memcpy(entry->bytes, key, key_len);
    return entry;
}

void storage_entry_ref(struct storage_entry *entry)
{
    __atomic_fetch_add(&entry->refs, 1, __ATOMIC_RELAXED);
}

void storage_entry_unref(struct storage_entry *entry)
{
    if (entry != NULL && __atomic_sub_fetch(&entry->refs, 1, __ATOMIC_ACQ_REL) == 0) free(entry);
}

uint8_t *storage_entry_value(struct storage_entry *entry)
{
    return entry->bytes + entry->key_len;
}

size_t storage_entry_size(const struct storage_entry *entry)
{
    return (size_t)entry->key_len + entry->value_len;
}

static int order(const void *key, size_t key_len, const struct storage_entry *entry)
{
    return storage_compare(key, key_len, entry->bytes, entry->key_len);
}

/* --- versions -------------------------------------------------------------------------------- */

static struct storage_tree_node *node_ref(struct storage_tree_node *node)
{
    if (node != NULL) __atomic_fetch_add(&node->refs, 1, __ATOMIC_RELAXED);
    return node;
}

static void node_unref(struct storage_tree_node *node)
{
    while (node != NULL && __atomic_sub_fetch(&node->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        struct storage_tree_node *right = node->right;
        node_unref(node->left); /* as deep as the tree is high */
        storage_entry_unref(node->entry);
        free(node);
        node = right;
    }
}

struct storage_tree storage_tree_copy(const struct storage_tree *tree)
{
    node_ref(tree->root);
    return *tree;
}

void storage_tree_drop(struct storage_tree *tree)
{
    node_unref(tree->root);
    *tree = (struct storage_tree){ 0 };
}

/* --- editing --------------------------------------------------------------------------------- */

void storage_tree_edit_begin(struct storage_tree_edit *edit)
{
    edit->stamp++;
}

void storage_tree_edit_done(struct storage_tree_edit *edit)
{
    while (edit->spare != NULL) {
        struct storage_tree_node *node = edit->spare;
        edit->spare = node->right;
        free(node);
    }
    edit->spare_count = 0;
}

static urd_err set_aside(struct storage_tree_edit *edit, uint32_t count)
{
    while (edit->spare_count < count) {
        struct storage_tree_node *node = malloc(sizeof *node);
        if (node == NULL) return URD_E_NOMEM;
        node->right = edit->spare;
        edit->spare = node;
        edit->spare_count++;
    }
    return URD_OK;
}

static struct storage_tree_node *take_spare(struct storage_tree_edit *edit)
{
    struct storage_tree_node *node = edit->spare;
    assert(node != NULL);
    edit->spare = node->right;
    edit->spare_count--;
    return node;
}

/* @node, or a copy of it that is ours to change; the reference to @node is used up. */
static struct storage_tree_node *own(struct storage_tree_edit *edit, struct storage_tree_node *node)
{
    if (node->stamp == edit->stamp) return node;
    struct storage_tree_node *copy = take_spare(edit);
    *copy = (struct storage_tree_node){ .left = node_ref(node->left),
                                        .right = node_ref(node->right),
                                        .entry = node->entry,
                                        .stamp = edit->stamp,
                                        .priority = node->priority,
                                        .refs = 1 };
    storage_entry_ref(copy->entry);
    node_unref(node);
    return copy;
}

static struct storage_tree_node *rotate_right(struct storage_tree_node *node)
{
    struct storage_tree_node *up = node->left;
    node->left = up->right;
    up->right = node;
    return up;
}

static struct storage_tree_node *rotate_left(struct storage_tree_node *node)
{
    struct storage_tree_node *up = node->right;
    node->right = up->left;
    up->left = node;
    return up;
}

struct put {
    struct storage_tree *tree;
    struct storage_tree_edit *edit;
    struct storage_entry *entry;
};

static struct storage_tree_node *put_below(struct put *put, struct storage_tree_node *node)
{
    struct storage_entry *entry = put->entry;
    if (node == NULL) {
        struct storage_tree_node *leaf = take_spare(put->edit);
        *leaf = (struct storage_tree_node){ .entry = entry,
                                            .stamp = put->edit->stamp,
                                            .priority =
                                                (uint32_t)XXH3_64bits(entry->bytes, entry->key_len),
                                            .refs = 1 };
        put->tree->count++;
        put->tree->bytes += storage_entry_size(entry);
        return leaf;
    }
    node = own(put->edit, node);
    int side = order(entry->bytes, entry->key_len, node->entry);
    if (side == 0) {
        put->tree->bytes += storage_entry_size(entry) - storage_entry_size(node->entry);
        storage_entry_unref(node->entry);
        node->entry = entry;
    } else if (side < 0) {
        node->left = put_below(put, node->left);
        if (node->left->priority > node->priority) node = rotate_right(node);
    } else {
        node->right = put_below(put, node->right);
        if (node->right->priority > node->priority) node = rotate_left(node);
    }
    return node;
}

/* Nodes on the way to @key and to both its neighbours below it: all that a change may copy. */
static uint32_t path_length(const struct storage_tree *tree, const void *key, size_t key_len)
{
    uint32_t length = 0;
    const struct storage_tree_node *node = tree->root;
    while (node != NULL) {
        length++;
        int side = order(key, key_len, node->entry);
        if (side == 0) break;
        node = side < 0 ? node->left : node->right;
    }
    if (node == NULL) return length;
    for (const struct storage_tree_node *n = node->left; n != NULL; n = n->right)
        length++;
    for (const struct storage_tree_node *n = node->right; n != NULL; n = n->left)
        length++;
    return length;
}

urd_err storage_tree_put(struct storage_tree *tree, struct storage_tree_edit *edit,
                         struct storage_entry *entry)
{
    urd_err err = set_aside(edit, path_length(tree, entry->bytes, entry->key_len) + 1);
    if (err != URD_OK) return err;
    struct put put = { .tree = tree, .edit = edit, .entry = entry };
    tree->root = put_below(&put, tree->root);
    return URD_OK;
}

/* One tree of two, all keys of @left before those of @right. */
static struct storage_tree_node *join(struct storage_tree_edit *edit,
                                      struct storage_tree_node *left,
                                      struct storage_tree_node *right)
{
    if (left == NULL) return right;
    if (right == NULL) return left;
    if (left->priority > right->priority) {
        left = own(edit, left);
        left->right = join(edit, left->right, right);
        return left;
    }
    right = own(edit, right);
    right->left = join(edit, left, right->left);
    return right;
}

static struct storage_tree_node *remove_below(struct storage_tree_edit *edit,
                                              struct storage_tree_node *node, const void *key,
                                              size_t key_len)
{
    int side = order(key, key_len, node->entry);
    if (side == 0) {
        struct storage_tree_node *left = node_ref(node->left), *right = node_ref(node->right);
        node_unref(node);
        return join(edit, left, right);
    }
    node = own(edit, node);
    if (side < 0)
        node->left = remove_below(edit, node->left, key, key_len);
    else
        node->right = remove_below(edit, node->right, key, key_len);
    return node;
}

urd_err storage_tree_remove(struct storage_tree *tree, struct storage_tree_edit *edit,
                            const void *key, size_t key_len)
{
    const struct storage_entry *entry = storage_tree_find(tree, key, key_len);
    if (entry == NULL) return URD_OK;
    urd_err err = set_aside(edit, path_length(tree, key, key_len));
    if (err != URD_OK) return err;
    tree->count--;
    tree->bytes -= storage_entry_size(entry);
    tree->root = remove_below(edit, tree->root, key, key_len);
    return URD_OK;
}

/* --- looking --------------------------------------------------------------------------------- */

struct storage_entry *storage_tree_find(const struct storage_tree *tree, const void *key,
                                        size_t key_len)
{
    const struct storage_tree_node *node = tree->root;
    while (node != NULL) {
        int side = order(key, key_len, node->entry);
        if (side == 0) return node->entry;
        node = side < 0 ? node->left : node->right;
    }
    return NULL;
}

struct storage_entry *storage_tree_at_or_after(const struct storage_tree *tree, const void *key,
                                               size_t key_len, bool strict)
{
    struct storage_entry *best = NULL;
    const struct storage_tree_node *node = tree->root;
    while (node != NULL) {
        int side = order(key, key_len, node->entry);
        if (side < 0 || (side == 0 && !strict)) {
            best = node->entry;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return best;
}

struct storage_entry *storage_tree_before(const struct storage_tree *tree, const void *key,
                                          size_t key_len)
{
    struct storage_entry *best = NULL;
    const struct storage_tree_node *node = tree->root;
    while (node != NULL) {
        if (order(key, key_len, node->entry) > 0) {
            best = node->entry;
            node = node->right;
        } else {
            node = node->left;
        }
    }
    return best;
}

struct storage_entry *storage_tree_last(const struct storage_tree *tree)
{
    const struct storage_tree_node *node = tree->root;
    if (node == NULL) return NULL;
    while (node->right != NULL)
        node = node->right;
    return node->entry;
}

static urd_err each_below(const struct storage_tree_node *node,
                          urd_err (*visit)(void *arg, struct storage_entry *entry), void *arg)
{
    for (; node != NULL; node = node->right) {
        urd_err err = each_below(node->left, visit, arg);
        if (err == URD_OK) err = visit(arg, node->entry);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

urd_err storage_tree_each(const struct storage_tree *tree,
                          urd_err (*visit)(void *arg, struct storage_entry *entry), void *arg)
{
    return each_below(tree->root, visit, arg);
}
