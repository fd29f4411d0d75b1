/* storage/tree_internal.h -- an ordered map whose old versions stay: what a transaction has
 * written, and what the memory driver holds.
 *
 * A treap with copied paths: a version is a root pointer, so a snapshot or the state before an
 * operation costs one reference, and going back is dropping the newer root.  Priorities are hashes
 * of keys, so equal contents have equal shape.  A node made under the current stamp is known to
 * nobody else and is changed in place. */
#ifndef STORAGE_TREE_INTERNAL_H
#define STORAGE_TREE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"
#include "storage/kv.h"

/* A key and what is stored under it, header included; shared by reference. */
struct storage_entry {
    uint32_t refs;
    uint32_t value_len;
    uint16_t key_len;
    bool deleted;
    uint8_t bytes[]; /* key, then value */
};

/* A new entry with room for @value_len bytes after the key, reference count 1; NULL: no memory. */
struct storage_entry *storage_entry_new(const void *key, size_t key_len, size_t value_len);
void storage_entry_ref(struct storage_entry *entry);
void storage_entry_unref(struct storage_entry *entry); /* NULL is allowed */
uint8_t *storage_entry_value(struct storage_entry *entry);
size_t storage_entry_size(const struct storage_entry *entry); /* key and value, bytes */

struct storage_tree_node;

/* One version.  All zero: empty. */
struct storage_tree {
    struct storage_tree_node *root;
    size_t count; /* entries */
    size_t bytes; /* of keys and values */
};

/* Who may change nodes in place, and nodes set aside so that no change fails half-way. */
struct storage_tree_edit {
    uint64_t stamp;
    struct storage_tree_node *spare;
    uint32_t spare_count;
};

/* From now on every node made so far is shared. */
void storage_tree_edit_begin(struct storage_tree_edit *edit);
void storage_tree_edit_done(struct storage_tree_edit *edit); /* frees what was set aside */

/* Another reference to the version @tree. */
struct storage_tree storage_tree_copy(const struct storage_tree *tree);
/* Drop the version; empties *@tree. */
void storage_tree_drop(struct storage_tree *tree);

/* Put @entry (the reference is taken over on success), replacing one of its key.
 * Errors: URD_E_NOMEM, nothing changed. */
URD_MUST_USE urd_err storage_tree_put(struct storage_tree *tree, struct storage_tree_edit *edit,
                                      struct storage_entry *entry);
/* Remove @key if it is there.  Errors: URD_E_NOMEM, nothing changed. */
URD_MUST_USE urd_err storage_tree_remove(struct storage_tree *tree, struct storage_tree_edit *edit,
                                         const void *key, size_t key_len);

/* Borrowed, or NULL. */
struct storage_entry *storage_tree_find(const struct storage_tree *tree, const void *key,
                                        size_t key_len);
/* The first at @key or behind it; @strict: behind it. */
struct storage_entry *storage_tree_at_or_after(const struct storage_tree *tree, const void *key,
                                               size_t key_len, bool strict);
/* The last before @key. */
struct storage_entry *storage_tree_before(const struct storage_tree *tree, const void *key,
                                          size_t key_len);
/* The very last. */
struct storage_entry *storage_tree_last(const struct storage_tree *tree);

/* Visit all in order; anything but URD_OK stops and is the answer. */
urd_err storage_tree_each(const struct storage_tree *tree,
                          urd_err (*visit)(void *arg, struct storage_entry *entry), void *arg);

#endif
