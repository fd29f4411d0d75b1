/* Watches: who wants to know that a prefix changed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "storage/kv_internal.h"

urd_err storage_watch_open(struct storage *store, const struct storage_key *prefix,
                           void (*changed)(void *arg), void *arg, struct storage_watch **ret)
{
    if (prefix->len > STORAGE_KEY_BYTES_MAX) return URD_E_TOO_BIG;
    struct storage_watch *watch = malloc(sizeof *watch);
    if (watch == NULL) return URD_E_NOMEM;
    *watch =
        (struct storage_watch){ .store = store, .prefix = *prefix, .changed = changed, .arg = arg };

    storage_spin_lock(&store->watch_lock);
    bool room = store->watches_open < STORAGE_WATCHES_MAX;
    if (room) {
        store->watches_open++;
        watch->next = store->watches;
        if (watch->next != NULL) watch->next->prev = watch;
        store->watches = watch;
    }
    storage_spin_unlock(&store->watch_lock);
    if (!room) {
        free(watch);
        return URD_E_FULL;
    }
    *ret = watch;
    return URD_OK;
}

void storage_watch_close(struct storage_watch *watch)
{
    if (watch == NULL) return;
    struct storage *store = watch->store;
    storage_spin_lock(&store->watch_lock);
    assert(store->watches_open > 0);
    store->watches_open--;
    if (watch->prev != NULL)
        watch->prev->next = watch->next;
    else
        store->watches = watch->next;
    if (watch->next != NULL) watch->next->prev = watch->prev;
    storage_spin_unlock(&store->watch_lock);
    free(watch);
}

static bool touches(const struct storage_tree *writes, const struct storage_key *prefix)
{
    const struct storage_entry *entry =
        storage_tree_at_or_after(writes, prefix->bytes, prefix->len, false);
    return entry != NULL && entry->key_len >= prefix->len &&
           memcmp(entry->bytes, prefix->bytes, prefix->len) == 0;
}

void storage_watch_tell(struct storage *store, const struct storage_tree *writes)
{
    storage_spin_lock(&store->watch_lock);
    for (const struct storage_watch *w = store->watches; w != NULL; w = w->next)
        if (touches(writes, &w->prefix)) w->changed(w->arg);
    storage_spin_unlock(&store->watch_lock);
}
