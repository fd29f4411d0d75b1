/* The write transaction:
 *
 *     put, delete -> sealed entries in a tree        each operation's state before it is one root
 *     journal_append -> the group's buffer           ... and one length
 *     commit -> group sealed as one more entry -> driver, in key order -> watches
 *
 * Writes stay in memory until the end, so a refused operation is dropped by going back to the root
 * and the length it began with, and the driver never sees it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "storage/journal.h"
#include "storage/kv_internal.h"
#include "storage/value.h"

#define GROUP_BUFFER_KEPT_BYTES (1u << 20) /* a larger one is given back after its transaction */

urd_err storage_tx_begin(struct storage *store, struct storage_tx **ret)
{
    urd_err err = URD_OK;
    if (store->options.read_only) return URD_E_STATE;
    storage_spin_lock(&store->lock);
    if (store->failed)
        err = URD_E_IO;
    else if (store->tx_open)
        err = URD_E_BUSY;
    else
        store->tx_open = true;
    storage_spin_unlock(&store->lock);
    if (err != URD_OK) return err;

    struct storage_tx *tx = &store->tx;
    void *view;
    err = store->driver->view_open(store->impl, true, &view);
    if (err != URD_OK) {
        storage_spin_lock(&store->lock);
        store->tx_open = false;
        if (err == URD_E_IO) store->failed = true;
        storage_spin_unlock(&store->lock);
        return err;
    }
    struct storage_group_buffer group = tx->group;
    group.len = 0;
    *tx = (struct storage_tx){ .view = { .store = store, .driver_view = view },
                               .edit = { .stamp = 1 },
                               .group = group,
                               .lsn = store->last_lsn + 1 };
    tx->view.writes = &tx->writes;
    *ret = tx;
    return URD_OK;
}

/* Give back everything but the driver's view, and let the next transaction begin. */
static void finish(struct storage_tx *tx)
{
    struct storage *store = tx->view.store;
    assert(tx->view.cursors_open == 0);
    storage_tree_drop(&tx->writes);
    storage_tree_edit_done(&tx->edit);
    if (tx->group.cap > GROUP_BUFFER_KEPT_BYTES) {
        free(tx->group.bytes);
        tx->group = (struct storage_group_buffer){ 0 };
    }
    storage_spin_lock(&store->lock);
    store->tx_open = false;
    storage_spin_unlock(&store->lock);
}

void storage_tx_abort(struct storage_tx *tx)
{
    if (tx == NULL) return;
    struct storage *store = tx->view.store;
    store->driver->view_close(store->impl, tx->view.driver_view);
    finish(tx);
}

const char *storage_tx_error(const struct storage_tx *tx)
{
    return tx->view.errmsg;
}

size_t storage_tx_bytes(const struct storage_tx *tx)
{
    return tx->writes.bytes + tx->group.len;
}

bool storage_tx_overflowed(const struct storage_tx *tx)
{
    return tx->overflowed;
}

/* --- writing --------------------------------------------------------------------------------- */

static urd_err doom(struct storage_tx *tx, urd_err err)
{
    if (tx->doomed == URD_OK) tx->doomed = err;
    return err;
}

/* Whether @more bytes in one more key still fit. */
static bool fits(const struct storage_tx *tx, size_t more)
{
    return tx->writes.count < STORAGE_TX_WRITES_MAX &&
           more <= STORAGE_TX_BYTES_MAX - storage_tx_bytes(tx);
}

static urd_err put_entry(struct storage_tx *tx, struct storage_entry *entry)
{
    urd_err err = storage_tree_put(&tx->writes, &tx->edit, entry);
    tx->mutations++;
    if (err != URD_OK) storage_entry_unref(entry);
    return err;
}

static struct storage_entry *sealed_entry(const void *key, size_t key_len, const void *value,
                                          size_t value_len)
{
    struct storage_entry *entry =
        storage_entry_new(key, key_len, STORAGE_VALUE_HEADER_BYTES + value_len);
    if (entry == NULL) return NULL;
    uint8_t *at = storage_entry_value(entry);
    if (value_len != 0) memcpy(at + STORAGE_VALUE_HEADER_BYTES, value, value_len);
    storage_value_seal(key, key_len, at + STORAGE_VALUE_HEADER_BYTES, value_len, at);
    return entry;
}

urd_err storage_tx_put(struct storage_tx *tx, const struct storage_key *key, const void *value,
                       size_t value_len)
{
    if (key->len == 0) return doom(tx, URD_E_INVALID);
    if (key->len > STORAGE_KEY_BYTES_MAX || value_len > STORAGE_VALUE_BYTES_MAX)
        return doom(tx, URD_E_TOO_BIG);
    if (!fits(tx, key->len + STORAGE_VALUE_HEADER_BYTES + value_len)) {
        tx->overflowed = true;
        return doom(tx, URD_E_TOO_BIG);
    }
    struct storage_entry *entry = sealed_entry(key->bytes, key->len, value, value_len);
    if (entry == NULL) return doom(tx, URD_E_NOMEM);
    urd_err err = put_entry(tx, entry);
    return err == URD_OK ? URD_OK : doom(tx, err);
}

urd_err storage_tx_delete(struct storage_tx *tx, const struct storage_key *key)
{
    if (key->len == 0) return doom(tx, URD_E_INVALID);
    if (key->len > STORAGE_KEY_BYTES_MAX) return doom(tx, URD_E_TOO_BIG);
    if (!fits(tx, key->len)) {
        tx->overflowed = true;
        return doom(tx, URD_E_TOO_BIG);
    }
    struct storage_entry *entry = storage_entry_new(key->bytes, key->len, 0);
    if (entry == NULL) return doom(tx, URD_E_NOMEM);
    entry->deleted = true;
    urd_err err = put_entry(tx, entry);
    return err == URD_OK ? URD_OK : doom(tx, err);
}

urd_err storage_tx_get(struct storage_tx *tx, const struct storage_key *key,
                       struct storage_value *ret)
{
    return storage_view_get(&tx->view, key, ret);
}

urd_err storage_tx_range(struct storage_tx *tx, const struct storage_range *range,
                         struct storage_cursor **ret)
{
    return storage_view_range(&tx->view, range, false, ret);
}

urd_err storage_tx_run(struct storage_tx *tx, storage_op_fn run, void *arg)
{
    struct storage_tree before = storage_tree_copy(&tx->writes);
    size_t group_len = tx->group.len;
    urd_err doomed = tx->doomed;
    storage_tree_edit_begin(&tx->edit); /* what was written so far is shared with @before */
    tx->doomed = URD_OK;
    tx->overflowed = false;

    urd_err err = run(tx, arg);
    if (err == URD_OK) err = tx->doomed;
    tx->doomed = doomed;
    if (err == URD_OK) {
        storage_tree_drop(&before);
        return URD_OK;
    }
    storage_tree_drop(&tx->writes);
    tx->writes = before;
    storage_tree_edit_begin(&tx->edit);
    tx->group.len = group_len;
    return err;
}

/* --- the journal's group --------------------------------------------------------------------- */

uint64_t storage_tx_journal_lsn(const struct storage_tx *tx)
{
    return tx->lsn;
}

static urd_err group_room(struct storage_group_buffer *group, size_t more)
{
    if (group->len + more <= group->cap) return URD_OK;
    size_t cap = group->cap == 0 ? 4096 : group->cap;
    while (cap < group->len + more)
        cap *= 2;
    uint8_t *bytes = realloc(group->bytes, cap);
    if (bytes == NULL) return URD_E_NOMEM;
    group->bytes = bytes;
    group->cap = cap;
    return URD_OK;
}

urd_err storage_tx_journal_append(struct storage_tx *tx,
                                  const uint8_t saga_id[STORAGE_SAGA_ID_BYTES], uint64_t seq,
                                  uint64_t prev_lsn, uint8_t kind, const void *payload,
                                  size_t payload_len, uint64_t *ret_lsn)
{
    if (seq == 0 || (seq == 1) != (prev_lsn == 0) || prev_lsn > tx->lsn)
        return doom(tx, URD_E_INVALID);
    if (payload_len > STORAGE_RECORD_PAYLOAD_BYTES_MAX) return doom(tx, URD_E_TOO_BIG);

    struct storage_record record = { .lsn = tx->lsn,
                                     .seq = seq,
                                     .prev_lsn = prev_lsn,
                                     .kind = kind,
                                     .payload = payload,
                                     .payload_len = (uint32_t)payload_len };
    memcpy(record.saga_id, saga_id, STORAGE_SAGA_ID_BYTES);
    size_t size = storage_record_size(&record);
    if (size > STORAGE_GROUP_BYTES_MAX - tx->group.len || !fits(tx, size)) {
        tx->overflowed = true;
        return doom(tx, URD_E_TOO_BIG);
    }
    urd_err err = group_room(&tx->group, size);
    if (err != URD_OK) return doom(tx, err);
    storage_record_seal(&record, tx->group.bytes + tx->group.len);
    tx->group.len += size;
    tx->mutations++;
    *ret_lsn = tx->lsn;
    return URD_OK;
}

static urd_err put_group(struct storage_tx *tx)
{
    struct storage_key key;
    storage_key_init(&key, STORAGE_TABLE_JOURNAL);
    storage_key_add_u64(&key, tx->lsn);
    struct storage_entry *entry = sealed_entry(key.bytes, key.len, tx->group.bytes, tx->group.len);
    return entry == NULL ? URD_E_NOMEM : put_entry(tx, entry);
}

/* --- commit ---------------------------------------------------------------------------------- */

static void note_outcome(struct storage_tx *tx, urd_err err)
{
    struct storage *store = tx->view.store;
    storage_spin_lock(&store->lock);
    if (err == URD_OK) {
        store->commits++;
        store->full = false;
        if (tx->group.len != 0) store->last_lsn = tx->lsn;
    } else if (err == URD_E_STORAGE_FULL) {
        store->full = true;
    } else if (err == URD_E_IO) {
        store->failed = true;
    }
    storage_spin_unlock(&store->lock);
}

urd_err storage_tx_commit(struct storage_tx *tx, bool use_reserve)
{
    struct storage *store = tx->view.store;
    assert(tx->view.cursors_open == 0);
    urd_err err = tx->doomed;
    if (err == URD_OK && tx->group.len != 0) err = put_group(tx);
    if (err != URD_OK || tx->writes.count == 0) {
        storage_tx_abort(tx);
        return err;
    }
    err = store->driver->commit(store->impl, tx->view.driver_view, &tx->writes, use_reserve);
    if (err != URD_OK && err != URD_E_STORAGE_FULL && err != URD_E_NOMEM && err != URD_E_TOO_BIG)
        err = URD_E_IO;
    note_outcome(tx, err);
    if (err == URD_OK) storage_watch_tell(store, &tx->writes);
    finish(tx);
    return err;
}
