/* What there is, read from the store: durable facts only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saga/engine_internal.h"
#include "saga/view.h"
#include "storage/journal.h"

#define LIST_DEFAULT    100u
#define LIST_MAX        10000u
#define HISTORY_DEFAULT 1000u
/* Sagas looked at before a list gives up its snapshot's time: far more than it takes in 5 s. */
#define LIST_VISITS_MAX 1000000u

static urd_err snapshot(struct urd_cx *cx, struct saga_engine *engine, const char *name,
                        struct storage_snapshot **ret)
{
    return storage_snapshot_begin(engine->options.store, name, urd_cx_now(cx), ret);
}

urd_err saga_engine_look(struct urd_cx *cx, struct saga_engine *engine,
                         const uint8_t id[SAGA_ID_BYTES], struct saga_moment *ret)
{
    struct storage_snapshot *s;
    struct saga_header header;
    urd_err err = snapshot(cx, engine, "saga.look", &s);
    if (err != URD_OK) return err;
    err = saga_header_read(s, id, &header);
    storage_snapshot_end(s);
    if (err != URD_OK) return err;
    if (!saga_state_ended(header.state)) return URD_E_CORRUPT;
    ret->state = header.state;
    ret->seq = header.seq;
    return URD_OK;
}

static json_t *header_json(const uint8_t id[SAGA_ID_BYTES], const struct saga_header *header)
{
    char text[SAGA_ID_TEXT_BYTES];
    json_t *row = json_object();
    saga_id_print(id, text);
    saga_view_text(row, "id", text);
    saga_view_text(row, "name", header->name);
    saga_view_text(row, "state", saga_state_name(header->state));
    saga_view_time(row, "accepted", header->accepted_ns);
    saga_view_time(row, "updated", header->updated_ns);
    saga_view_int(row, "seq", (int64_t)header->seq);
    return row;
}

/* Its journal is gone; that it was, and how it ended, is still known. */
static json_t *tombstone_json(const uint8_t id[SAGA_ID_BYTES], const struct saga_header *header)
{
    json_t *row = header_json(id, header);
    saga_view_bool(row, "removed", true);
    return row;
}

urd_err saga_engine_show(struct urd_cx *cx, struct saga_engine *engine,
                         const uint8_t id[SAGA_ID_BYTES], json_t **ret)
{
    struct storage_snapshot *s;
    struct saga_header header;
    struct saga *saga = NULL;
    urd_err err = snapshot(cx, engine, "saga.show", &s);
    if (err != URD_OK) return err;
    err = saga_header_read(s, id, &header);
    if (err == URD_OK && header.lsn != 0) err = saga_fold(s, id, NULL, &saga, NULL, 0);
    storage_snapshot_end(s);
    if (err != URD_OK) return err;
    json_t *json = header.lsn == 0 ? tombstone_json(id, &header) : saga_json(saga);
    saga_free(saga);
    if (json == NULL) return URD_E_NOMEM;
    *ret = json;
    return URD_OK;
}

urd_err saga_engine_name(struct urd_cx *cx, struct saga_engine *engine,
                         const uint8_t id[SAGA_ID_BYTES], char *ret)
{
    struct storage_snapshot *s;
    struct saga_header header;
    urd_err err = snapshot(cx, engine, "saga.name", &s);
    if (err != URD_OK) return err;
    err = saga_header_read(s, id, &header);
    storage_snapshot_end(s);
    if (err == URD_OK) (void)strcpy(ret, header.name);
    return err;
}

/* --- history ---------------------------------------------------------------------------------- */

struct history {
    uint64_t since_seq;
    uint32_t limit;
    struct saga_document *document; /* names of steps; NULL until Accepted */
    json_t *rows;
};

static urd_err history_one(void *arg, const struct storage_record *stored)
{
    struct history *h = arg;
    struct saga_record record;
    urd_err err = saga_record_decode(stored->kind, stored->payload, stored->payload_len, &record);
    if (err != URD_OK) return err;
    if (record.kind == SAGA_ACCEPTED_RECORD)
        err = saga_document_decode(record.document, strlen(record.document), &h->document, NULL, 0);
    if (err == URD_OK && stored->seq >= h->since_seq && json_array_size(h->rows) < h->limit) {
        json_t *row = saga_record_json(&record, stored->seq, h->document);
        if (json_array_append_new(h->rows, row) != 0) err = URD_E_NOMEM;
    }
    saga_record_done(&record);
    return err;
}

urd_err saga_engine_history(struct urd_cx *cx, struct saga_engine *engine,
                            const uint8_t id[SAGA_ID_BYTES], uint64_t since_seq, uint32_t limit,
                            json_t **ret)
{
    struct history h = { .since_seq = since_seq, .limit = limit == 0 ? HISTORY_DEFAULT : limit };
    struct saga_header header;
    struct storage_snapshot *s;

    urd_err err = snapshot(cx, engine, "saga.history", &s);
    if (err != URD_OK) return err;
    h.rows = json_array();
    err = h.rows == NULL ? URD_E_NOMEM : saga_header_read(s, id, &header);
    if (err == URD_OK && header.lsn != 0) {
        err = storage_journal_history(s, header.lsn, id, history_one, &h);
        if (err == URD_E_NOT_FOUND) err = URD_E_CORRUPT;
    }
    storage_snapshot_end(s);
    saga_document_free(h.document);
    if (err != URD_OK) {
        json_decref(h.rows);
        return err;
    }
    *ret = h.rows;
    return URD_OK;
}

/* --- list ------------------------------------------------------------------------------------- */

struct listing {
    const struct saga_filter *filter;
    enum saga_state state; /* if filter->state is set */
    uint32_t limit;
    json_t *rows;
};

static bool wanted(const struct listing *l, const struct saga_header *header)
{
    const struct saga_filter *f = l->filter;
    if (f->state != NULL && header->state != l->state) return false;
    if (f->name != NULL && strcmp(f->name, header->name) != 0) return false;
    if (header->accepted_ns < f->since_ns) return false;
    return f->may_see == NULL || f->may_see(f->arg, header->name);
}

static urd_err list_row(const struct listing *l, const uint8_t id[SAGA_ID_BYTES],
                        const struct saga_header *header)
{
    return json_array_append_new(l->rows, header_json(id, header)) == 0 ? URD_OK : URD_E_NOMEM;
}

/* One item of the saga table, or of a label's index. */
static urd_err list_item(const struct listing *l, struct storage_snapshot *s,
                         const struct storage_item *item, bool labelled)
{
    uint8_t id[SAGA_ID_BYTES];
    struct saga_header header;
    urd_err err;
    if (item->key_len < SAGA_ID_BYTES) return URD_OK;
    memcpy(id, item->key + item->key_len - SAGA_ID_BYTES, SAGA_ID_BYTES);
    err = labelled ? saga_header_read(s, id, &header)
                   : saga_header_decode(item->value.bytes, item->value.len, &header);
    if (err != URD_OK) return URD_OK; /* damaged: verify reports it, lists leave it out */
    return wanted(l, &header) ? list_row(l, id, &header) : URD_OK;
}

static urd_err walk(const struct listing *l, struct storage_snapshot *s)
{
    const struct saga_filter *f = l->filter;
    bool labelled = f->label_name != NULL && f->label_value != NULL;
    struct storage_key prefix;
    struct storage_range range = { .prefix = &prefix, .reverse = true };
    struct storage_cursor *cursor;

    if (labelled)
        saga_label_key(&prefix, f->label_name, f->label_value, NULL);
    else
        storage_key_init(&prefix, STORAGE_TABLE_SAGA);
    urd_err err = storage_snapshot_range(s, &range, &cursor);
    if (err != URD_OK) return err;
    for (uint32_t i = 0; i < LIST_VISITS_MAX && json_array_size(l->rows) < l->limit; i++) {
        struct storage_item item;
        err = storage_cursor_next(cursor, &item);
        if (err == URD_E_CORRUPT || err == URD_E_VERSION) continue;
        if (err == URD_OK) err = list_item(l, s, &item, labelled);
        if (err != URD_OK) break;
    }
    storage_cursor_close(cursor);
    return err == URD_E_NOT_FOUND || err == URD_E_CORRUPT || err == URD_E_VERSION ? URD_OK : err;
}

urd_err saga_engine_list(struct urd_cx *cx, struct saga_engine *engine,
                         const struct saga_filter *filter, json_t **ret)
{
    struct listing l = { .filter = filter };
    struct storage_snapshot *s;

    if (filter->state != NULL && !saga_state_from_name(filter->state, &l.state))
        return URD_E_INVALID;
    l.limit = filter->limit == 0 ? LIST_DEFAULT : filter->limit;
    if (l.limit > LIST_MAX) l.limit = LIST_MAX;
    urd_err err = snapshot(cx, engine, "saga.list", &s);
    if (err != URD_OK) return err;
    l.rows = json_array();
    err = l.rows == NULL ? URD_E_NOMEM : walk(&l, s);
    storage_snapshot_end(s);
    if (err != URD_OK) {
        json_decref(l.rows);
        return err;
    }
    *ret = l.rows;
    return URD_OK;
}
