/* After a start: every open saga is folded from its journal and goes on where that ends.  One that
 * cannot be folded is left as it lies, counted, and shown; nothing is guessed. */
#include <stdlib.h>
#include <string.h>

#include "saga/engine_internal.h"
#include "storage/journal.h"

/* The snapshot is let go between sagas, so that a long recovery holds no old pages. */
#define IDS_AT_ONCE 256u

static urd_err next_ids(struct urd_cx *cx, struct saga_engine *engine, const uint8_t *after,
                        uint8_t (*ret)[SAGA_ID_BYTES], uint32_t *ret_len)
{
    struct storage_snapshot *snapshot;
    struct storage_cursor *cursor = NULL;
    struct storage_key prefix, from;
    struct storage_range range = { .prefix = &prefix, .after = true };
    uint32_t len = 0;

    storage_key_init(&prefix, STORAGE_TABLE_OPEN);
    if (after != NULL) {
        saga_open_key(&from, after);
        range.from = &from;
    }
    urd_err err =
        storage_snapshot_begin(engine->options.store, "saga.recover", urd_cx_now(cx), &snapshot);
    if (err != URD_OK) return err;
    err = storage_snapshot_range(snapshot, &range, &cursor);
    while (err == URD_OK && len < IDS_AT_ONCE) {
        struct storage_item item;
        err = storage_cursor_next(cursor, &item);
        /* The key is all there is to it: a damaged mark still marks. */
        bool damaged = err == URD_E_CORRUPT || err == URD_E_VERSION;
        if (damaged) err = URD_OK;
        if (err == URD_OK && item.key_len >= SAGA_ID_BYTES)
            memcpy(ret[len++], item.key + item.key_len - SAGA_ID_BYTES, SAGA_ID_BYTES);
    }
    storage_cursor_close(cursor);
    storage_snapshot_end(snapshot);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    *ret_len = len;
    return URD_OK;
}

static bool means_damage(urd_err err)
{
    return err == URD_E_CORRUPT || err == URD_E_VERSION || err == URD_E_NOT_FOUND ||
           err == URD_E_TOO_BIG;
}

static urd_err
recover_one(struct urd_cx *cx, struct saga_engine *engine, const uint8_t id[SAGA_ID_BYTES],
            urd_err (*found)(void *arg, struct saga *saga, const struct saga_header *header),
            void *arg)
{
    struct storage_snapshot *snapshot;
    struct saga_header header;
    struct saga *saga;
    urd_err err =
        storage_snapshot_begin(engine->options.store, "saga.recover", urd_cx_now(cx), &snapshot);
    if (err != URD_OK) return err;
    err = saga_fold(snapshot, id, &header, &saga, NULL, 0);
    storage_snapshot_end(snapshot);
    if (err == URD_OK) err = found(arg, saga, &header);
    if (!means_damage(err)) return err;
    atomic_fetch_add(&engine->quarantined, 1);
    return URD_OK;
}

urd_err saga_recover(struct urd_cx *cx, struct saga_engine *engine,
                     urd_err (*found)(void *arg, struct saga *saga,
                                      const struct saga_header *header),
                     void *arg)
{
    uint8_t last[SAGA_ID_BYTES];
    bool begun = false;
    uint32_t len = 0;
    urd_err err;
    uint8_t(*ids)[SAGA_ID_BYTES] = calloc(IDS_AT_ONCE, sizeof ids[0]);
    if (ids == NULL) return URD_E_NOMEM;
    do {
        err = next_ids(cx, engine, begun ? last : NULL, ids, &len);
        for (uint32_t i = 0; i < len && err == URD_OK; i++) {
            err = recover_one(cx, engine, ids[i], found, arg);
            memcpy(last, ids[i], sizeof last);
            begun = true;
        }
    } while (err == URD_OK && len == IDS_AT_ONCE);
    free(ids);
    return err;
}

static urd_err newest(void *arg, const struct storage_record *stored)
{
    struct saga_record record;
    int64_t *last_ns = arg;
    if (saga_record_decode(stored->kind, stored->payload, stored->payload_len, &record) != URD_OK)
        return URD_OK; /* its saga is quarantined when it is folded */
    if (record.at_ns > *last_ns) *last_ns = record.at_ns;
    saga_record_done(&record);
    return URD_OK;
}

urd_err saga_last_instant(struct urd_cx *cx, struct saga_engine *engine, int64_t *ret_ns)
{
    struct storage_snapshot *snapshot;
    uint64_t lsn;
    int64_t last_ns = 0;
    urd_err err =
        storage_snapshot_begin(engine->options.store, "saga.clock", urd_cx_now(cx), &snapshot);
    if (err != URD_OK) return err;
    err = storage_journal_last(snapshot, &lsn);
    if (err == URD_OK && lsn > 0) err = storage_journal_walk(snapshot, lsn, newest, NULL, &last_ns);
    storage_snapshot_end(snapshot);
    if (err == URD_OK) *ret_ns = last_ns;
    return err;
}
