/* What a saga holds open, one row a step, and what becomes of it when the step is undone or the
 * saga ends. */
#include <string.h>

#include "saga/builtin_internal.h"

urd_err saga_held_put(struct storage_tx *tx, const struct saga_builtin_op *op,
                      enum saga_held_kind kind, const char *name, uint64_t number)
{
    struct storage_key key;
    uint8_t bytes[SAGA_HELD_ROW_BYTES_MAX];
    struct saga_held held = { .kind = kind, .number = number };
    memcpy(held.name, name, strlen(name) + 1); /* checked: SAGA_NAME_BYTES_MAX */
    saga_held_key(&key, op->saga, op->step);
    return storage_tx_put(tx, &key, bytes, saga_held_encode(&held, bytes));
}

/* One row. */
static urd_err visit_item(struct storage_tx *tx, const struct storage_item *item,
                          saga_held_fn visit, void *arg)
{
    struct saga_held held;
    uint8_t id[SAGA_ID_BYTES];
    uint32_t step = 0;
    if (!saga_held_key_parse(item->key, item->key_len, id, &step)) return URD_E_CORRUPT;
    urd_err err = saga_held_decode(item->value, &held);
    return err == URD_OK ? visit(tx, arg, step, &held) : err;
}

static bool damaged(urd_err err)
{
    return err == URD_E_CORRUPT || err == URD_E_VERSION;
}

static urd_err each(struct storage_tx *tx, const uint8_t saga[SAGA_ID_BYTES], bool pass_over,
                    saga_held_fn visit, void *arg)
{
    struct storage_key prefix;
    struct storage_cursor *cursor;
    saga_held_prefix(&prefix, saga);
    struct storage_range range = { .prefix = &prefix };
    urd_err err = storage_tx_range(tx, &range, &cursor);
    if (err != URD_OK) return err;
    do {
        struct storage_item item;
        err = storage_cursor_next(cursor, &item);
        if (err == URD_OK) err = visit_item(tx, &item, visit, arg);
    } while (err == URD_OK || (pass_over && damaged(err)));
    storage_cursor_close(cursor);
    return err == URD_E_NOT_FOUND ? URD_OK : err;
}

urd_err saga_held_each(struct storage_tx *tx, const uint8_t saga[SAGA_ID_BYTES], saga_held_fn visit,
                       void *arg)
{
    return each(tx, saga, false, visit, arg);
}

struct settle {
    const uint8_t *saga;
    bool committed;
};

static urd_err settle(struct storage_tx *tx, void *arg, uint32_t step, const struct saga_held *held)
{
    const struct settle *s = arg;
    struct storage_key key;
    urd_err err = URD_OK;
    switch (held->kind) {
    case SAGA_HELD_AMOUNT:
        err = saga_amount_settle(tx, held, s->committed);
        break;
    case SAGA_HELD_SENT:
        err = s->committed ? saga_message_show(tx, held) : saga_message_remove(tx, held);
        break;
    case SAGA_HELD_TAKEN: /* not undone: of a saga that went back it is what its author let stay */
        err = saga_message_remove(tx, held);
        break;
    case SAGA_HELD_LEASE: /* outlives the saga */
        break;
    }
    if (err != URD_OK) return err;
    saga_held_key(&key, s->saga, step);
    return storage_tx_delete(tx, &key);
}

urd_err saga_builtin_settle(struct storage_tx *tx, const uint8_t id[SAGA_ID_BYTES], bool committed)
{
    struct settle s = { id, committed };
    return each(tx, id, true, settle, &s);
}

urd_err saga_builtin_forget(struct storage_tx *tx, const uint8_t id[SAGA_ID_BYTES])
{
    char text[SAGA_ID_TEXT_BYTES];
    saga_id_print(id, text);
    return storage_guard_forget_in(tx, text);
}
