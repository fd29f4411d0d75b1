/* The store in front of its driver: opening, snapshots, the reader watchdog. */
#include "storage/kv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/bytes.h"
#include "storage/kv_internal.h"
#include "storage/value.h"

/* --- opening --------------------------------------------------------------------------------- */

static urd_err found_format(struct storage_tx *tx, void *arg)
{
    (void)arg;
    struct storage_key key;
    uint8_t version[4];
    storage_key_meta(&key, STORAGE_META_FORMAT);
    storage_put_u32(version, STORAGE_FORMAT_VERSION);
    return storage_tx_put(tx, &key, version, sizeof version);
}

static urd_err found(struct storage *store, char *errmsg, size_t errmsg_len)
{
    struct storage_tx *tx;
    urd_err err = storage_tx_begin(store, &tx);
    if (err != URD_OK) return err;
    err = storage_tx_run(tx, found_format, NULL);
    if (err == URD_OK)
        err = storage_tx_commit(tx, true);
    else
        storage_tx_abort(tx);
    if (err != URD_OK) snprintf(errmsg, errmsg_len, "writing a new store: %s", urd_err_text(err));
    return err;
}

/* Whether anything is in the store at all. */
static urd_err is_empty(struct storage *store, void *driver_view, bool *ret)
{
    void *cursor;
    struct storage_raw raw;
    urd_err err = store->driver->cursor_open(driver_view, &cursor);
    if (err != URD_OK) return err;
    err = store->driver->cursor_seek(cursor, "", 0, false, &raw);
    store->driver->cursor_close(cursor);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    *ret = err == URD_E_NOT_FOUND;
    return URD_OK;
}

urd_err storage_find_last_lsn(struct storage *store, void *driver_view, uint64_t *ret_lsn)
{
    static const uint8_t behind = STORAGE_TABLE_JOURNAL + 1;
    struct storage_key_reader reader;
    struct storage_raw raw;
    uint64_t lsn = 0;
    void *cursor;
    urd_err err = store->driver->cursor_open(driver_view, &cursor);
    if (err != URD_OK) return err;
    err = store->driver->cursor_seek(cursor, &behind, 1, true, &raw);
    if (err == URD_OK && storage_key_read(&reader, raw.key, raw.key_len, STORAGE_TABLE_JOURNAL) &&
        !storage_key_take_u64(&reader, &lsn))
        err = URD_E_CORRUPT; /* a journal key without lsn: the next one cannot be known */
    store->driver->cursor_close(cursor);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    *ret_lsn = lsn;
    return URD_OK;
}

/* Decide by the format key what this store is; @ret_new: it has nothing yet. */
static urd_err check_format(struct storage *store, bool *ret_new, char *errmsg, size_t errmsg_len)
{
    void *view;
    urd_err err = store->driver->view_open(store->impl, false, &view);
    if (err != URD_OK) goto say;

    struct storage_key key;
    struct storage_value raw, value;
    storage_key_meta(&key, STORAGE_META_FORMAT);
    err = store->driver->view_get(view, key.bytes, key.len, &raw);
    if (err == URD_E_NOT_FOUND) {
        bool empty = false;
        err = is_empty(store, view, &empty);
        if (err == URD_OK && !empty) err = URD_E_CORRUPT;
        if (err == URD_OK) *ret_new = true;
        goto close;
    }
    if (err == URD_OK) err = storage_value_open(key.bytes, key.len, raw, &value);
    if (err == URD_OK && value.len != 4) err = URD_E_CORRUPT;
    if (err == URD_OK && storage_get_u32(value.bytes) != STORAGE_FORMAT_VERSION) {
        snprintf(errmsg, errmsg_len,
                 "the store has format %u and this urd reads %u: copy it with `urd backup` of the "
                 "urd that wrote it and take it over with `urd restore` of this one",
                 storage_get_u32(value.bytes), STORAGE_FORMAT_VERSION);
        store->driver->view_close(store->impl, view);
        return URD_E_VERSION;
    }
    if (err == URD_OK) err = storage_find_last_lsn(store, view, &store->last_lsn);
close:
    store->driver->view_close(store->impl, view);
say:
    if (err != URD_OK) snprintf(errmsg, errmsg_len, "format of the store: %s", urd_err_text(err));
    return err;
}

urd_err storage_open(const struct storage_driver *driver, void *impl,
                     const struct storage_open_options *options, struct storage **ret, char *errmsg,
                     size_t errmsg_len)
{
    bool is_new = false;
    struct storage *store = calloc(1, sizeof *store);
    if (store == NULL) return URD_E_NOMEM;
    store->driver = driver;
    store->impl = impl;
    store->options = *options;

    urd_err err = check_format(store, &is_new, errmsg, errmsg_len);
    if (err == URD_OK && is_new && options->read_only) err = URD_E_NOT_FOUND;
    if (err == URD_OK && is_new) err = found(store, errmsg, errmsg_len);
    if (err != URD_OK) {
        free(store->tx.group.bytes);
        free(store);
        return err;
    }
    *ret = store;
    return URD_OK;
}

void storage_close(struct storage *store)
{
    if (store == NULL) return;
    assert(store->snapshots_open == 0 && !store->tx_open && store->watches_open == 0);
    store->driver->close(store->impl);
    free(store->tx.group.bytes);
    free(store);
}

void storage_info(struct storage *store, struct storage_info *ret)
{
    struct storage_info info = { .driver = store->driver->name };
    store->driver->info(store->impl, &info);
    storage_spin_lock(&store->lock);
    info.commits = store->commits;
    info.last_lsn = store->last_lsn;
    info.snapshots_open = store->snapshots_open;
    info.full = store->full;
    info.failed = store->failed;
    storage_spin_unlock(&store->lock);
    *ret = info;
}

urd_err storage_backup(struct storage *store, const char *path, char *errmsg, size_t errmsg_len)
{
    if (store->driver->backup == NULL) {
        snprintf(errmsg, errmsg_len, "the %s driver has no files to copy", store->driver->name);
        return URD_E_UNSUPPORTED;
    }
    return store->driver->backup(store->impl, path, errmsg, errmsg_len);
}

/* --- snapshots ------------------------------------------------------------------------------- */

urd_err storage_snapshot_begin(struct storage *store, const char *name, uint64_t now_ns,
                               struct storage_snapshot **ret)
{
    storage_spin_lock(&store->lock);
    bool room = store->snapshots_open < STORAGE_SNAPSHOTS_MAX;
    if (room) store->snapshots_open++;
    storage_spin_unlock(&store->lock);
    if (!room) return URD_E_FULL;

    urd_err err = URD_E_NOMEM;
    struct storage_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL) goto fail;
    err = store->driver->view_open(store->impl, false, &snapshot->view.driver_view);
    if (err != URD_OK) goto fail_snapshot;
    snapshot->view.store = store;
    snapshot->name = name;
    snapshot->began_ns = now_ns;

    storage_spin_lock(&store->lock);
    snapshot->next = store->snapshots;
    if (snapshot->next != NULL) snapshot->next->prev = snapshot;
    store->snapshots = snapshot;
    storage_spin_unlock(&store->lock);
    *ret = snapshot;
    return URD_OK;

fail_snapshot:
    free(snapshot);
fail:
    storage_spin_lock(&store->lock);
    store->snapshots_open--;
    storage_spin_unlock(&store->lock);
    return err;
}

void storage_snapshot_end(struct storage_snapshot *snapshot)
{
    if (snapshot == NULL) return;
    assert(snapshot->view.cursors_open == 0);
    struct storage *store = snapshot->view.store;
    store->driver->view_close(store->impl, snapshot->view.driver_view);

    storage_spin_lock(&store->lock);
    if (snapshot->prev != NULL)
        snapshot->prev->next = snapshot->next;
    else
        store->snapshots = snapshot->next;
    if (snapshot->next != NULL) snapshot->next->prev = snapshot->prev;
    store->snapshots_open--;
    storage_spin_unlock(&store->lock);
    free(snapshot);
}

urd_err storage_view_blame(struct storage_view *view, const void *key, size_t key_len, urd_err err)
{
    char name[160];
    storage_key_print(key, key_len, name, sizeof name);
    snprintf(view->errmsg, sizeof view->errmsg, "%s: %s", name, urd_err_text(err));
    return err;
}

urd_err storage_view_get_raw(struct storage_view *view, const struct storage_key *key,
                             struct storage_value *ret)
{
    if (key->len > STORAGE_KEY_BYTES_MAX) return URD_E_TOO_BIG;
    if (view->writes != NULL) {
        struct storage_entry *entry = storage_tree_find(view->writes, key->bytes, key->len);
        if (entry != NULL && entry->deleted) return URD_E_NOT_FOUND;
        if (entry != NULL) {
            *ret = (struct storage_value){ .bytes = storage_entry_value(entry),
                                           .len = entry->value_len };
            return URD_OK;
        }
    }
    urd_err err = view->store->driver->view_get(view->driver_view, key->bytes, key->len, ret);
    if (err != URD_OK && err != URD_E_NOT_FOUND)
        return storage_view_blame(view, key->bytes, key->len, err);
    return err;
}

urd_err storage_view_get(struct storage_view *view, const struct storage_key *key,
                         struct storage_value *ret)
{
    struct storage_value raw;
    urd_err err = storage_view_get_raw(view, key, &raw);
    if (err != URD_OK) return err;
    err = storage_value_open(key->bytes, key->len, raw, ret);
    if (err != URD_OK) return storage_view_blame(view, key->bytes, key->len, err);
    return URD_OK;
}

urd_err storage_snapshot_get(struct storage_snapshot *snapshot, const struct storage_key *key,
                             struct storage_value *ret)
{
    return storage_view_get(&snapshot->view, key, ret);
}

urd_err storage_snapshot_range(struct storage_snapshot *snapshot, const struct storage_range *range,
                               struct storage_cursor **ret)
{
    return storage_view_range(&snapshot->view, range, false, ret);
}

const char *storage_snapshot_error(const struct storage_snapshot *snapshot)
{
    return snapshot->view.errmsg;
}

/* The oldest snapshot that should be reported and was not yet; false when there is none. */
static bool take_old(struct storage *store, uint64_t now_ns, char *ret_line, size_t cap)
{
    bool taken = false;
    storage_spin_lock(&store->lock);
    for (struct storage_snapshot *s = store->snapshots; s != NULL && !taken; s = s->next) {
        if (s->reported || now_ns < s->began_ns || now_ns - s->began_ns <= STORAGE_READER_OLD_NS)
            continue;
        s->reported = taken = true;
        snprintf(ret_line, cap, "storage: reader '%s' open for %llu s: no page is reused behind it",
                 s->name, (unsigned long long)((now_ns - s->began_ns) / 1000000000ull));
    }
    storage_spin_unlock(&store->lock);
    return taken;
}

uint32_t storage_readers_check(struct storage *store, uint64_t now_ns)
{
    char line[STORAGE_ERRMSG_BYTES_MAX];
    uint32_t old = 0;
    while (take_old(store, now_ns, line, sizeof line))
        if (store->options.report != NULL) store->options.report(store->options.report_arg, line);

    storage_spin_lock(&store->lock);
    for (const struct storage_snapshot *s = store->snapshots; s != NULL; s = s->next)
        old += s->reported;
    storage_spin_unlock(&store->lock);
    if (store->driver->readers_check != NULL) store->driver->readers_check(store->impl);
    return old;
}
