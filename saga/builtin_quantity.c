/* Named quantities: a row each, changed only inside operations.
 *
 *     free ──Reserve──► held by a saga ──Commit, or its saga's commit──► consumed
 *       ▲──────undo, Abort──────┘ */
#include <string.h>

#include "saga/builtin_internal.h"
#include "saga/document_internal.h"

static urd_err get(struct storage_tx *tx, const char *name, struct saga_quantity *ret)
{
    struct storage_key key;
    struct storage_value value;
    saga_quantity_key(&key, name);
    urd_err err = storage_tx_get(tx, &key, &value);
    return err == URD_OK ? saga_quantity_decode(value, ret) : err;
}

static urd_err put(struct storage_tx *tx, const char *name, const struct saga_quantity *quantity)
{
    struct storage_key key;
    uint8_t bytes[SAGA_QUANTITY_ROW_BYTES];
    saga_quantity_key(&key, name);
    saga_quantity_encode(quantity, bytes);
    return storage_tx_put(tx, &key, bytes, sizeof bytes);
}

/* --- Reserve ---------------------------------------------------------------------------------- */

struct own {
    const char *name;
    uint64_t held;
};

static urd_err add_own(struct storage_tx *tx, void *arg, uint32_t step,
                       const struct saga_held *held)
{
    struct own *own = arg;
    (void)tx;
    (void)step;
    if (held->kind == SAGA_HELD_AMOUNT && strcmp(held->name, own->name) == 0)
        own->held += held->number;
    return URD_OK;
}

/* Not enough is free.  What others hold may be given back; what is consumed, or held by this very
 * saga, will not be while it waits. */
static urd_err short_of(struct storage_tx *tx, struct saga_builtin_op *op,
                        const struct saga_quantity *q)
{
    const char *name = op->input.name;
    struct own own = { .name = name };
    urd_err err = saga_held_each(tx, op->saga, add_own, &own);
    if (err != URD_OK) return err;
    if (own.held > q->held) return URD_E_CORRUPT;
    if (op->input.amount > q->amount - q->consumed - own.held)
        return saga_builtin_fail(op,
                                 "not enough of '%s': of %llu, %llu are consumed and %llu held by "
                                 "this saga",
                                 name, (unsigned long long)q->amount,
                                 (unsigned long long)q->consumed, (unsigned long long)own.held);
    return saga_builtin_retry(op, "not enough of '%s': %llu are free, others hold %llu", name,
                              (unsigned long long)(q->amount - q->held - q->consumed),
                              (unsigned long long)(q->held - own.held));
}

urd_err saga_builtin_reserve(struct storage_tx *tx, struct saga_builtin_op *op)
{
    const char *name = op->input.name;
    uint64_t amount = op->input.amount;
    struct saga_quantity q;
    urd_err err = get(tx, name, &q);
    if (err == URD_E_NOT_FOUND) return saga_builtin_fail(op, "there is no quantity '%s'", name);
    if (err != URD_OK) return err;
    if (amount > q.amount - q.held - q.consumed) return short_of(tx, op, &q);
    q.held += amount;
    err = put(tx, name, &q);
    if (err == URD_OK) err = saga_held_put(tx, op, SAGA_HELD_AMOUNT, name, amount);
    if (err != URD_OK) return err;
    return saga_builtin_done_with(
        op, json_pack("{s:s, s:I}", "quantity", name, "amount", (json_int_t)amount));
}

urd_err saga_amount_settle(struct storage_tx *tx, const struct saga_held *held, bool consume)
{
    struct saga_quantity q;
    urd_err err = get(tx, held->name, &q);
    if (err != URD_OK) return err == URD_E_NOT_FOUND ? URD_E_CORRUPT : err;
    if (held->number > q.held) return URD_E_CORRUPT; /* it no longer stands */
    q.held -= held->number;
    if (consume) q.consumed += held->number;
    return put(tx, held->name, &q);
}

/* --- Commit and Abort ------------------------------------------------------------------------- */

struct settle {
    const struct saga_builtin_op *op;
    const char *name; /* NULL: all */
    bool consume;
    uint64_t holds;
};

static urd_err settle(struct storage_tx *tx, void *arg, uint32_t step, const struct saga_held *held)
{
    struct settle *s = arg;
    struct storage_key key;
    if (held->kind != SAGA_HELD_AMOUNT) return URD_OK;
    if (s->name != NULL && strcmp(held->name, s->name) != 0) return URD_OK;
    s->holds++;
    urd_err err = saga_amount_settle(tx, held, s->consume);
    if (err != URD_OK) return err;
    saga_held_key(&key, s->op->saga, step);
    return storage_tx_delete(tx, &key);
}

static urd_err settle_holds(struct storage_tx *tx, struct saga_builtin_op *op, bool consume)
{
    struct settle s = { .op = op, .name = op->input.name, .consume = consume };
    urd_err err = saga_held_each(tx, op->saga, settle, &s);
    if (err != URD_OK) return err;
    return saga_builtin_done_with(op, json_pack("{s:I}", "holds", (json_int_t)s.holds));
}

urd_err saga_builtin_commit(struct storage_tx *tx, struct saga_builtin_op *op)
{
    return settle_holds(tx, op, true);
}

urd_err saga_builtin_abort(struct storage_tx *tx, struct saga_builtin_op *op)
{
    return settle_holds(tx, op, false);
}

/* --- how much there is ------------------------------------------------------------------------ */

struct define {
    const char *name;
    uint64_t amount;
};

static urd_err define(struct storage_tx *tx, void *arg)
{
    const struct define *d = arg;
    struct saga_quantity q = { 0 };
    urd_err err = get(tx, d->name, &q);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    if (d->amount < q.held + q.consumed) return URD_E_STATE;
    q.amount = d->amount;
    return put(tx, d->name, &q);
}

urd_err saga_builtin_define_quantity(struct urd_cx *cx, struct storage_committer *committer,
                                     const char *name, uint64_t amount)
{
    struct define d = { name, amount };
    if (!saga_name_valid(name, SAGA_NAME_BYTES_MAX) || amount > SAGA_AMOUNT_MAX)
        return URD_E_INVALID;
    return storage_commit(cx, committer, define, &d);
}

urd_err saga_builtin_quantity(struct storage_snapshot *snapshot, const char *name,
                              struct saga_quantity *ret)
{
    struct storage_key key;
    struct storage_value value;
    if (!saga_name_valid(name, SAGA_NAME_BYTES_MAX)) return URD_E_INVALID;
    saga_quantity_key(&key, name);
    urd_err err = storage_snapshot_get(snapshot, &key, &value);
    return err == URD_OK ? saga_quantity_decode(value, ret) : err;
}
