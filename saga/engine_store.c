/* The engine's writes.  Every commit appends records to the journal and, in the same transaction,
 * moves the saga's header (and its key, labels and open mark at its ends), so the index never lies.
 * Each compares the engine's fence first: one that was taken over from can write nothing. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "saga/engine_internal.h"
#include "storage/committer.h"
#include "storage/journal.h"
#include "storage/lease.h"

#define FENCE       "saga"
#define FENCE_LEN   4u
#define INCARNATION (STORAGE_META_ROOMS + 0u)

#define FULL_WAIT_NS     50000000ull
#define FULL_WAIT_MAX_NS 2000000000ull

/* One commit of one saga's records. */
struct commit {
    struct saga_run *run;
    uint32_t records_len;
    struct saga_header header;
    bool first;
    /* answers, set by each run of the operation anew */
    uint64_t lsn;
    bool existed;
    struct saga_key_row row;
};

static urd_err append_records(struct storage_tx *tx, struct commit *c)
{
    const struct saga_run *run = c->run;
    uint64_t seq = run->durable_seq, prev_lsn = run->lsn, lsn = 0;
    for (uint32_t i = 0; i < c->records_len; i++) {
        const struct saga_encoded *record = &run->records[i];
        urd_err err = storage_tx_journal_append(tx, run->saga->id, ++seq, prev_lsn, record->kind,
                                                record->bytes, record->len, &lsn);
        if (err != URD_OK) return err;
        prev_lsn = lsn;
    }
    c->lsn = lsn;
    return URD_OK;
}

static urd_err put_header(struct storage_tx *tx, struct commit *c)
{
    struct storage_key key;
    uint8_t bytes[SAGA_HEADER_BYTES_MAX];
    c->header.lsn = c->lsn;
    saga_header_key(&key, c->run->saga->id);
    return storage_tx_put(tx, &key, bytes, saga_header_encode(&c->header, bytes));
}

/* Whether the key is free, or names this very document. */
static urd_err check_key(struct storage_tx *tx, struct commit *c)
{
    const struct saga *saga = c->run->saga;
    struct storage_key key;
    struct storage_value value;
    uint8_t bytes[SAGA_KEY_ROW_BYTES];

    c->existed = false;
    if (saga->key == NULL) return URD_OK;
    saga_idempotency_key(&key, saga->document->name, saga->key);
    urd_err err = storage_tx_get(tx, &key, &value);
    if (err == URD_OK) {
        err = saga_key_row_decode(value.bytes, value.len, &c->row);
        if (err != URD_OK) return err;
        if (memcmp(c->row.digest, saga->digest, SAGA_DIGEST_BYTES) != 0) return URD_E_CONFLICT;
        c->existed = true;
        return URD_OK;
    }
    if (err != URD_E_NOT_FOUND) return err;
    memcpy(c->row.id, saga->id, SAGA_ID_BYTES);
    memcpy(c->row.digest, saga->digest, SAGA_DIGEST_BYTES);
    c->row.accepted_ns = saga->accepted_ns;
    saga_key_row_encode(&c->row, bytes);
    return storage_tx_put(tx, &key, bytes, sizeof bytes);
}

static urd_err put_indexes(struct storage_tx *tx, const struct saga *saga)
{
    static const uint8_t mark = 1;
    struct storage_key key;
    saga_open_key(&key, saga->id);
    urd_err err = storage_tx_put(tx, &key, &mark, sizeof mark);
    for (uint32_t i = 0; i < saga->document->labels_len && err == URD_OK; i++) {
        const struct saga_label *label = &saga->document->labels[i];
        saga_label_key(&key, label->name, label->value, saga->id);
        err = storage_tx_put(tx, &key, &mark, sizeof mark);
    }
    return err;
}

static urd_err settle_end(struct storage_tx *tx, const struct commit *c)
{
    struct storage_key key;
    saga_open_key(&key, c->run->saga->id);
    urd_err err = storage_tx_delete(tx, &key);
    if (err != URD_OK) return err;
    return saga_builtin_settle(tx, c->run->saga->id, c->header.state == SAGA_COMMITTED);
}

static urd_err commit_op(struct storage_tx *tx, void *arg)
{
    struct commit *c = arg;
    urd_err err = storage_fence_check(tx, FENCE, FENCE_LEN, c->run->engine->fence);
    if (err != URD_OK) return err;
    if (c->first) {
        err = check_key(tx, c);
        if (err != URD_OK || c->existed) return err;
        err = put_indexes(tx, c->run->saga);
        if (err != URD_OK) return err;
    }
    err = append_records(tx, c);
    if (err != URD_OK) return err;
    err = put_header(tx, c);
    if (err != URD_OK) return err;
    return saga_state_ended(c->header.state) ? settle_end(tx, c) : URD_OK;
}

static void begin(struct saga_run *run, struct commit *ret)
{
    const struct saga *saga = run->saga;
    *ret = (struct commit){ .run = run, .records_len = run->records_len };
    ret->header.state = saga->state;
    ret->header.seq = saga->seq;
    ret->header.accepted_ns = saga->accepted_ns;
    ret->header.updated_ns = saga->updated_ns;
    (void)strcpy(ret->header.name, saga->document->name); /* checked: SAGA_NAME_BYTES_MAX */
    assert(saga->seq == run->durable_seq + run->records_len);
}

static void drop_records(struct saga_run *run, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        run->records_bytes -= run->records[i].len;
        free(run->records[i].bytes);
    }
    assert(len == run->records_len); /* a saga's task appends nothing while it commits */
    run->records_len = 0;
    run->ride_until_ns = SAGA_NEVER_NS;
    run->urgent = false;
}

static void count_state(struct saga_run *run, enum saga_state to)
{
    struct saga_engine *e = run->engine;
    atomic_fetch_sub(&e->by_state[run->durable_state], 1);
    atomic_fetch_add(&e->by_state[to], 1);
    run->durable_state = to;
    if (to == SAGA_COMMITTED) atomic_fetch_add(&e->committed, 1);
    if (to == SAGA_COMPENSATED) atomic_fetch_add(&e->compensated, 1);
}

/* It is durable. */
static void settle(struct saga_run *run, const struct commit *c)
{
    run->lsn = c->lsn;
    run->durable_seq = c->header.seq;
    drop_records(run, c->records_len);
}

urd_err saga_run_commit(struct urd_cx *cx, struct saga_run *run)
{
    uint64_t wait_ns = FULL_WAIT_NS;
    struct commit c;

    if (run->records_len == 0) return URD_OK;
    begin(run, &c);
    for (;;) {
        /* What was accepted must get to its end on a full store too: these writes may use the
         * reserve. */
        urd_err err = storage_commit_ending(cx, run->engine->options.committer, commit_op, &c);
        if (err == URD_OK) break;
        if (urd_err_classify(err) != URD_CLASS_RETRY || err == URD_E_TIMEOUT) return err;
        err = urd_sleep(cx, wait_ns);
        if (err != URD_OK) return err;
        if (wait_ns < FULL_WAIT_MAX_NS) wait_ns *= 2;
    }
    settle(run, &c);
    if (c.header.state != run->durable_state) count_state(run, c.header.state);
    return URD_OK;
}

urd_err saga_run_commit_first(struct urd_cx *cx, struct saga_run *run, bool *ret_existed,
                              uint8_t ret_existing[SAGA_ID_BYTES])
{
    struct commit c;
    begin(run, &c);
    c.first = true;
    urd_err err = storage_commit(cx, run->engine->options.committer, commit_op, &c);
    if (err != URD_OK) return err;
    *ret_existed = c.existed;
    if (c.existed) {
        memcpy(ret_existing, c.row.id, SAGA_ID_BYTES);
        return URD_OK;
    }
    settle(run, &c);
    run->durable_state = c.header.state;
    atomic_fetch_add(&run->engine->by_state[c.header.state], 1);
    return URD_OK;
}

/* --- the epoch -------------------------------------------------------------------------------- */

struct raise {
    uint64_t counter;
    uint32_t incarnation;
};

static urd_err raise_op(struct storage_tx *tx, void *arg)
{
    struct raise *r = arg;
    struct storage_key key;
    struct storage_value value;
    storage_key_meta(&key, INCARNATION);
    urd_err err = storage_tx_get(tx, &key, &value);
    r->incarnation = 0;
    if (err == URD_OK) {
        if (value.len != 4) return URD_E_CORRUPT;
        for (unsigned i = 0; i < 4; i++)
            r->incarnation = (r->incarnation << 8) | value.bytes[i];
    } else if (err != URD_E_NOT_FOUND) {
        return err;
    }
    return storage_fence_take(tx, FENCE, FENCE_LEN, &r->counter);
}

urd_err saga_engine_raise(struct urd_cx *cx, struct saga_engine *engine)
{
    struct raise r;
    urd_err err = storage_commit_ending(cx, engine->options.committer, raise_op, &r);
    if (err != URD_OK) return err;
    engine->fence = r.counter;
    engine->epoch = ((uint64_t)r.incarnation << 40) | r.counter;
    return URD_OK;
}

static urd_err restored_op(struct storage_tx *tx, void *arg)
{
    struct raise r;
    struct storage_key key;
    uint8_t bytes[4];
    (void)arg;
    urd_err err = raise_op(tx, &r);
    if (err != URD_OK) return err;
    if (r.incarnation == UINT16_MAX) return URD_E_TOO_BIG;
    r.incarnation++;
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(r.incarnation >> (24 - 8 * i));
    storage_key_meta(&key, INCARNATION);
    return storage_tx_put(tx, &key, bytes, sizeof bytes);
}

urd_err saga_store_restored(struct storage *store)
{
    struct storage_tx *tx;
    urd_err err = storage_tx_begin(store, &tx);
    if (err != URD_OK) return err;
    err = storage_tx_run(tx, restored_op, NULL);
    if (err != URD_OK) {
        storage_tx_abort(tx);
        return err;
    }
    return storage_tx_commit(tx, true);
}
