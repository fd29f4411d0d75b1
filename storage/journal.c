/* How a history is read:
 *
 *     newest lsn -> its group -> this saga's records in it -> the first one's prev_lsn -> ...
 * backwards then the groups found, oldest first, each record visited forwards
 *
 * The first pass proves that nothing is missing (seq falls by one down to 1), so a visitor never
 * sees half a history.  Groups are read without the check over the whole value: each record has its
 * own, and a damaged neighbour is no reason to lose a saga. */
#include "storage/journal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/bytes.h"
#include "storage/kv_internal.h"
#include "storage/value.h"

static void journal_key(uint64_t lsn, struct storage_key *ret)
{
    storage_key_init(ret, STORAGE_TABLE_JOURNAL);
    storage_key_add_u64(ret, lsn);
}

/* The records inside a raw value; a value shorter than its header has none. */
static struct storage_group group_of(uint64_t lsn, struct storage_value raw)
{
    if (raw.len < STORAGE_VALUE_HEADER_BYTES) return (struct storage_group){ .lsn = lsn };
    return (struct storage_group){ .bytes = raw.bytes + STORAGE_VALUE_HEADER_BYTES,
                                   .len = raw.len - STORAGE_VALUE_HEADER_BYTES,
                                   .lsn = lsn };
}

static urd_err get_group(struct storage_view *view, uint64_t lsn, struct storage_group *ret)
{
    struct storage_key key;
    struct storage_value raw;
    journal_key(lsn, &key);
    urd_err err = storage_view_get_raw(view, &key, &raw);
    if (err == URD_OK) *ret = group_of(lsn, raw);
    return err;
}

urd_err storage_journal_last(struct storage_snapshot *snapshot, uint64_t *ret_lsn)
{
    urd_err err = storage_find_last_lsn(snapshot->view.store, snapshot->view.driver_view, ret_lsn);
    if (err == URD_E_CORRUPT)
        snprintf(snapshot->view.errmsg, sizeof snapshot->view.errmsg,
                 "journal: the newest key has no lsn");
    return err;
}

/* --- history --------------------------------------------------------------------------------- */

/* The groups a saga's records are in, newest first. */
struct chain {
    uint64_t *lsns;
    size_t count, cap;
};

static urd_err chain_add(struct chain *chain, uint64_t lsn)
{
    if (chain->count == STORAGE_HISTORY_GROUPS_MAX) return URD_E_TOO_BIG;
    if (chain->count == chain->cap) {
        size_t cap = chain->cap == 0 ? 16 : 2 * chain->cap;
        uint64_t *lsns = realloc(chain->lsns, cap * sizeof *lsns);
        if (lsns == NULL) return URD_E_NOMEM;
        chain->lsns = lsns;
        chain->cap = cap;
    }
    chain->lsns[chain->count++] = lsn;
    return URD_OK;
}

static urd_err blame_history(struct storage_view *view, const uint8_t *saga_id, uint64_t lsn,
                             uint64_t seq, const char *what, urd_err err)
{
    char id[2 * STORAGE_SAGA_ID_BYTES + 1];
    for (size_t i = 0; i < STORAGE_SAGA_ID_BYTES; i++)
        snprintf(id + 2 * i, 3, "%02x", saga_id[i]);
    snprintf(view->errmsg, sizeof view->errmsg, "journal: saga %s, lsn %llu, seq %llu: %s", id,
             (unsigned long long)lsn, (unsigned long long)seq, what);
    return err;
}

/* What one group has of a saga. */
struct share {
    uint64_t first_seq, last_seq; /* 0: nothing */
    uint64_t prev_lsn;            /* of the first */
    bool ordered;                 /* seq rises by one, and inside the group the chain stays in it */
    urd_err flaw;                 /* something in the group could not be read; URD_OK: no */
};

static struct share find_share(struct storage_group group, const uint8_t *saga_id)
{
    struct share share = { .ordered = true, .flaw = URD_OK };
    struct storage_record record;
    size_t at;
    for (;;) {
        urd_err err = storage_group_next(&group, &record, &at);
        if (err == URD_E_NOT_FOUND) return share;
        if (err != URD_OK) {
            share.flaw = err;
            continue;
        }
        if (memcmp(record.saga_id, saga_id, STORAGE_SAGA_ID_BYTES) != 0) continue;
        if (share.last_seq == 0) {
            share.first_seq = record.seq;
            share.prev_lsn = record.prev_lsn;
            if (record.prev_lsn >= group.lsn) share.ordered = false;
        } else if (record.seq != share.last_seq + 1 || record.prev_lsn != group.lsn) {
            share.ordered = false;
        }
        if (record.seq == 0 || (record.seq == 1) != (record.prev_lsn == 0)) share.ordered = false;
        share.last_seq = record.seq;
    }
}

/* One step backwards: what group @lsn has, which must end at @want_seq (0: wherever the history
 * ends). */
static urd_err step_back(struct storage_view *view, const uint8_t *saga_id, uint64_t lsn,
                         uint64_t want_seq, struct share *ret)
{
    struct storage_group group;
    urd_err err = get_group(view, lsn, &group);
    if (err == URD_E_NOT_FOUND && want_seq != 0)
        return blame_history(view, saga_id, lsn, want_seq, "the group is missing", URD_E_CORRUPT);
    if (err != URD_OK) return err;

    struct share share = find_share(group, saga_id);
    bool found = share.last_seq != 0;
    if (found && share.ordered && (want_seq == 0 || share.last_seq == want_seq)) {
        *ret = share;
        return URD_OK;
    }
    if (share.flaw != URD_OK)
        return blame_history(view, saga_id, lsn, want_seq,
                             share.flaw == URD_E_VERSION ? "a record of a newer version"
                                                         : "a damaged record in its group",
                             share.flaw);
    if (!found && want_seq == 0) return URD_E_NOT_FOUND;
    return blame_history(view, saga_id, lsn, want_seq, "records missing or out of order",
                         URD_E_CORRUPT);
}

static urd_err find_chain(struct storage_view *view, const uint8_t *saga_id, uint64_t last_lsn,
                          struct chain *chain)
{
    uint64_t lsn = last_lsn, want_seq = 0;
    for (;;) {
        struct share share;
        urd_err err = step_back(view, saga_id, lsn, want_seq, &share);
        if (err == URD_OK) err = chain_add(chain, lsn);
        if (err != URD_OK) return err;
        if (share.first_seq == 1) return URD_OK;
        assert(share.prev_lsn < lsn); /* so this ends */
        lsn = share.prev_lsn;
        want_seq = share.first_seq - 1;
    }
}

static urd_err visit_share(struct storage_group group, const uint8_t *saga_id,
                           storage_record_fn visit, void *arg)
{
    struct storage_record record;
    size_t at;
    for (;;) {
        urd_err err = storage_group_next(&group, &record, &at);
        if (err == URD_E_NOT_FOUND) return URD_OK;
        if (err != URD_OK || memcmp(record.saga_id, saga_id, STORAGE_SAGA_ID_BYTES) != 0) continue;
        err = visit(arg, &record);
        if (err != URD_OK) return err;
    }
}

urd_err storage_journal_history(struct storage_snapshot *snapshot, uint64_t last_lsn,
                                const uint8_t saga_id[STORAGE_SAGA_ID_BYTES],
                                storage_record_fn visit, void *arg)
{
    struct chain chain = { 0 };
    struct storage_group group;
    urd_err err = find_chain(&snapshot->view, saga_id, last_lsn, &chain);
    for (size_t i = chain.count; err == URD_OK && i-- > 0;) {
        err = get_group(&snapshot->view, chain.lsns[i], &group);
        if (err == URD_OK) err = visit_share(group, saga_id, visit, arg);
    }
    free(chain.lsns);
    return err;
}

/* --- the whole journal ----------------------------------------------------------------------- */

static void tell_flaw(const struct storage_item *item, uint64_t lsn, size_t at, urd_err flaw_err,
                      void (*flaw)(void *arg, const struct storage_flaw *flaw), void *arg)
{
    char sentence[STORAGE_ERRMSG_BYTES_MAX];
    if (flaw == NULL) return;
    snprintf(sentence, sizeof sentence, "journal: lsn %llu, byte %zu: %s", (unsigned long long)lsn,
             at, urd_err_text(flaw_err));
    flaw(arg,
         &(struct storage_flaw){
             .err = flaw_err, .key = item->key, .key_len = item->key_len, .sentence = sentence });
}

static urd_err walk_group(const struct storage_item *item, storage_record_fn visit,
                          void (*flaw)(void *arg, const struct storage_flaw *flaw), void *arg)
{
    struct storage_key_reader reader;
    struct storage_record record;
    uint64_t lsn = 0;
    size_t at = 0;
    if (!storage_key_read(&reader, item->key, item->key_len, STORAGE_TABLE_JOURNAL) ||
        !storage_key_take_u64(&reader, &lsn) || reader.left != 0 ||
        item->value.len < STORAGE_VALUE_HEADER_BYTES) {
        tell_flaw(item, lsn, 0, URD_E_CORRUPT, flaw, arg);
        return URD_OK;
    }
    struct storage_group group = group_of(lsn, item->value);
    for (;;) {
        urd_err err = storage_group_next(&group, &record, &at);
        if (err == URD_E_NOT_FOUND) return URD_OK;
        if (err != URD_OK) {
            tell_flaw(item, lsn, at, err, flaw, arg);
            continue;
        }
        err = visit(arg, &record);
        if (err != URD_OK) return err;
    }
}

urd_err storage_journal_walk(struct storage_snapshot *snapshot, uint64_t from_lsn,
                             storage_record_fn visit,
                             void (*flaw)(void *arg, const struct storage_flaw *flaw), void *arg)
{
    struct storage_key prefix, from;
    struct storage_cursor *cursor;
    struct storage_item item;
    storage_key_init(&prefix, STORAGE_TABLE_JOURNAL);
    journal_key(from_lsn, &from);
    struct storage_range range = { .prefix = &prefix, .from = &from };
    urd_err err = storage_view_range(&snapshot->view, &range, true, &cursor);
    if (err != URD_OK) return err;
    while ((err = storage_cursor_next(cursor, &item)) == URD_OK)
        if ((err = walk_group(&item, visit, flaw, arg)) != URD_OK) break;
    storage_cursor_close(cursor);
    return err == URD_E_NOT_FOUND ? URD_OK : err;
}

/* --- trimming -------------------------------------------------------------------------------- */

/* Copy to @ret what stays of @group: kept records, and damage as it lies. */
static size_t copy_kept(struct storage_group group,
                        bool (*keep)(void *arg, const struct storage_record *record), void *arg,
                        uint8_t *ret)
{
    size_t len = 0, at = 0;
    struct storage_record record;
    for (;;) {
        urd_err err = storage_group_next(&group, &record, &at);
        if (err == URD_E_NOT_FOUND) return len;
        if (err == URD_OK && !keep(arg, &record)) continue;
        memcpy(ret + len, group.bytes + at, group.at - at);
        len += group.at - at;
    }
}

urd_err storage_tx_journal_trim(struct storage_tx *tx, uint64_t lsn,
                                bool (*keep)(void *arg, const struct storage_record *record),
                                void *arg)
{
    struct storage_key key;
    struct storage_group group;
    urd_err err = get_group(&tx->view, lsn, &group);
    if (err != URD_OK) return err;
    journal_key(lsn, &key);
    uint8_t *kept = malloc(group.len + 1);
    if (kept == NULL) return URD_E_NOMEM;

    size_t kept_len = copy_kept(group, keep, arg, kept);
    bool newest = lsn + 1 == tx->lsn;
    if (kept_len == 0 && !newest)
        err = storage_tx_delete(tx, &key);
    else if (kept_len != group.len)
        err = storage_tx_put(tx, &key, kept, kept_len);
    free(kept);
    return err;
}
