/* Finished sagas make room.  Of one that ended `retention` ago only its header stays, so that its
 * id and end are still known (and its key's row, which names its digest); `key_retention` later
 * those go too.
 *
 *     ended ──retention──► tombstone (header without a journal) ──key_retention──► gone
 *
 * Removed in small batches, each a commit of its own; a crash between two leaves records that
 * nobody asks for any more. */
#include <stdlib.h>
#include <string.h>

#include "saga/engine_internal.h"
#include "storage/committer.h"
#include "storage/journal.h"

#define AT_ONCE       256u /* rows looked at under one snapshot */
#define TRIMS_AT_ONCE 16u  /* journal groups rewritten in one commit */
#define EVERY_MAX_NS  3600000000000ull
#define EVERY_MIN_NS  10000000ull

/* --- a saga's journal ------------------------------------------------------------------------- */

struct removal {
    struct saga_engine *engine;
    uint8_t id[SAGA_ID_BYTES];
    struct saga_header header;
    struct saga *saga; /* for its labels */
    uint64_t *lsns;
    uint32_t lsns_len, lsns_room, trimmed;
};

static urd_err note_lsn(void *arg, const struct storage_record *record)
{
    struct removal *r = arg;
    if (r->lsns_len > 0 && r->lsns[r->lsns_len - 1] == record->lsn) return URD_OK;
    if (r->lsns_len == r->lsns_room) {
        uint32_t room = r->lsns_room == 0 ? 16 : 2 * r->lsns_room;
        uint64_t *grown = realloc(r->lsns, room * sizeof grown[0]);
        if (grown == NULL) return URD_E_NOMEM;
        r->lsns = grown;
        r->lsns_room = room;
    }
    r->lsns[r->lsns_len++] = record->lsn;
    return URD_OK;
}

static bool of_another(void *arg, const struct storage_record *record)
{
    const struct removal *r = arg;
    return memcmp(record->saga_id, r->id, SAGA_ID_BYTES) != 0;
}

static urd_err bury_op(struct storage_tx *tx, void *arg)
{
    struct removal *r = arg;
    struct storage_key key;
    uint8_t bytes[SAGA_HEADER_BYTES_MAX];
    urd_err err = saga_builtin_forget(tx, r->id);
    for (uint32_t i = 0; i < r->saga->document->labels_len && err == URD_OK; i++) {
        const struct saga_label *label = &r->saga->document->labels[i];
        saga_label_key(&key, label->name, label->value, r->id);
        err = storage_tx_delete(tx, &key);
    }
    if (err != URD_OK) return err;
    struct saga_header header = r->header;
    header.lsn = 0;
    saga_header_key(&key, r->id);
    return storage_tx_put(tx, &key, bytes, saga_header_encode(&header, bytes));
}

static urd_err trim_op(struct storage_tx *tx, void *arg)
{
    struct removal *r = arg;
    for (uint32_t i = 0; i < TRIMS_AT_ONCE && r->trimmed + i < r->lsns_len; i++) {
        urd_err err = storage_tx_journal_trim(tx, r->lsns[r->trimmed + i], of_another, r);
        if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    }
    return URD_OK;
}

static urd_err bury(struct urd_cx *cx, struct saga_engine *e, const uint8_t id[SAGA_ID_BYTES])
{
    struct removal r = { .engine = e };
    struct storage_snapshot *snapshot;
    memcpy(r.id, id, SAGA_ID_BYTES);
    urd_err err = storage_snapshot_begin(e->options.store, "saga.sweep", urd_cx_now(cx), &snapshot);
    if (err != URD_OK) return err;
    err = saga_fold(snapshot, id, &r.header, &r.saga, NULL, 0);
    if (err == URD_OK) err = storage_journal_history(snapshot, r.header.lsn, id, note_lsn, &r);
    storage_snapshot_end(snapshot);
    if (err == URD_OK) err = storage_commit_ending(cx, e->options.committer, bury_op, &r);
    for (r.trimmed = 0; err == URD_OK && r.trimmed < r.lsns_len; r.trimmed += TRIMS_AT_ONCE)
        err = storage_commit_ending(cx, e->options.committer, trim_op, &r);
    free(r.lsns);
    saga_free(r.saga);
    return err;
}

/* --- tombstones and keys ---------------------------------------------------------------------- */

static urd_err delete_op(struct storage_tx *tx, void *key)
{
    return storage_tx_delete(tx, key);
}

static urd_err forget(struct urd_cx *cx, struct saga_engine *e, const uint8_t id[SAGA_ID_BYTES])
{
    struct storage_key key;
    saga_header_key(&key, id);
    return storage_commit_ending(cx, e->options.committer, delete_op, &key);
}

enum due { DUE_NOTHING, DUE_BURY, DUE_FORGET };

static enum due what_is_due(const struct saga_engine *e, const struct saga_header *header,
                            int64_t now_ns)
{
    int64_t rest_ns = now_ns - header->updated_ns;
    if (!saga_state_ended(header->state) || rest_ns < (int64_t)e->options.retention_ns)
        return DUE_NOTHING;
    if (header->lsn != 0) return DUE_BURY;
    bool forgotten = rest_ns >= (int64_t)(e->options.retention_ns + e->options.key_retention_ns);
    return forgotten ? DUE_FORGET : DUE_NOTHING;
}

struct row {
    struct storage_key key;
    uint8_t id[SAGA_ID_BYTES];
    enum due due;
};

struct chunk {
    enum storage_table table;
    struct storage_key after; /* len 0: from the beginning */
    struct row *rows;
    uint32_t len;
    bool last;
};

/* Is row @item of the saga table, or of the key table, due? */
static enum due judge(const struct saga_engine *e, struct storage_snapshot *snapshot,
                      const struct chunk *c, const struct storage_item *item, int64_t now_ns,
                      uint8_t ret_id[SAGA_ID_BYTES])
{
    struct saga_header header;
    struct saga_key_row key_row;
    if (c->table == STORAGE_TABLE_SAGA) {
        if (item->key_len < SAGA_ID_BYTES ||
            saga_header_decode(item->value.bytes, item->value.len, &header) != URD_OK)
            return DUE_NOTHING;
        memcpy(ret_id, item->key + item->key_len - SAGA_ID_BYTES, SAGA_ID_BYTES);
        return what_is_due(e, &header, now_ns);
    }
    if (saga_key_row_decode(item->value.bytes, item->value.len, &key_row) != URD_OK)
        return DUE_NOTHING;
    return saga_header_read(snapshot, key_row.id, &header) == URD_E_NOT_FOUND ? DUE_FORGET
                                                                              : DUE_NOTHING;
}

static urd_err look(struct urd_cx *cx, struct saga_engine *e, struct chunk *c)
{
    struct storage_snapshot *snapshot;
    struct storage_cursor *cursor = NULL;
    struct storage_key prefix;
    struct storage_range range = { .prefix = &prefix, .after = true };
    int64_t now_ns = saga_engine_now(cx, e);
    uint32_t seen = 0;

    storage_key_init(&prefix, c->table);
    if (c->after.len > 0) range.from = &c->after;
    c->len = 0;
    urd_err err = storage_snapshot_begin(e->options.store, "saga.sweep", urd_cx_now(cx), &snapshot);
    if (err != URD_OK) return err;
    err = storage_snapshot_range(snapshot, &range, &cursor);
    struct storage_key at = c->after;
    while (err == URD_OK && seen < AT_ONCE) {
        struct storage_item item;
        struct row *row = &c->rows[c->len];
        err = storage_cursor_next(cursor, &item);
        bool damaged = err == URD_E_CORRUPT || err == URD_E_VERSION;
        if (damaged) err = URD_OK;
        if (err != URD_OK) break;
        seen++;
        at.len = (uint16_t)item.key_len;
        memcpy(at.bytes, item.key, item.key_len);
        row->due = damaged ? DUE_NOTHING : judge(e, snapshot, c, &item, now_ns, row->id);
        row->key = at;
        if (row->due != DUE_NOTHING) c->len++;
    }
    c->after = at;
    c->last = err == URD_E_NOT_FOUND;
    storage_cursor_close(cursor);
    storage_snapshot_end(snapshot);
    return err == URD_E_NOT_FOUND ? URD_OK : err;
}

static urd_err clear(struct urd_cx *cx, struct saga_engine *e, const struct chunk *c)
{
    for (uint32_t i = 0; i < c->len; i++) {
        struct row *row = &c->rows[i];
        urd_err err;
        if (c->table == STORAGE_TABLE_KEY)
            err = storage_commit_ending(cx, e->options.committer, delete_op, &row->key);
        else
            err = row->due == DUE_BURY ? bury(cx, e, row->id) : forget(cx, e, row->id);
        /* What is damaged stays as it lies. */
        if (err == URD_E_CORRUPT || err == URD_E_VERSION || err == URD_E_NOT_FOUND) continue;
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err sweep(struct urd_cx *cx, struct saga_engine *e, enum storage_table table,
                     struct row *rows)
{
    struct chunk c = { .table = table, .rows = rows };
    while (!c.last) {
        urd_err err = look(cx, e, &c);
        if (err == URD_OK) err = clear(cx, e, &c);
        if (err == URD_OK) err = urd_yield(cx);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

urd_err saga_sweep_task(struct urd_cx *cx, void *engine)
{
    struct saga_engine *e = engine;
    uint64_t every_ns = e->options.retention_ns / 8;
    if (every_ns > EVERY_MAX_NS) every_ns = EVERY_MAX_NS;
    if (every_ns < EVERY_MIN_NS) every_ns = EVERY_MIN_NS;
    struct row *rows = calloc(AT_ONCE, sizeof rows[0]);
    urd_err err = rows == NULL ? URD_E_NOMEM : URD_OK;
    while (err == URD_OK) {
        err = urd_sleep(cx, every_ns);
        if (err == URD_OK) err = sweep(cx, e, STORAGE_TABLE_SAGA, rows);
        if (err == URD_OK) err = sweep(cx, e, STORAGE_TABLE_KEY, rows);
        /* Full or busy: there is another time. */
        if (urd_err_classify(err) == URD_CLASS_RETRY) err = URD_OK;
    }
    free(rows);
    return URD_OK; /* an engine whose store is gone learns it from its sagas */
}
