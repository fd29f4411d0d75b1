/* Named queues.  A message's row is written once and deleted once; what moves is the small row that
 * makes it visible:
 *
 *     Send ──► hidden, held by its saga ──commit──► visible ──Receive──► taken, held by that saga
 *                │ undo, or going back                 ▲────────undo────────┘ │ its saga's end
 *                └──► removed                                                 └──► removed */
#include <string.h>

#include "saga/builtin_internal.h"
#include "saga/json.h"

static urd_err get_header(struct storage_tx *tx, const char *name, struct saga_queue_row *ret)
{
    struct storage_key key;
    struct storage_value value;
    saga_queue_key(&key, name, SAGA_QUEUE_HEADER);
    urd_err err = storage_tx_get(tx, &key, &value);
    return err == URD_OK ? saga_queue_row_decode(value, ret) : err;
}

static urd_err put_header(struct storage_tx *tx, const char *name, const struct saga_queue_row *row)
{
    struct storage_key key;
    uint8_t bytes[SAGA_QUEUE_ROW_BYTES];
    saga_queue_key(&key, name, SAGA_QUEUE_HEADER);
    saga_queue_row_encode(row, bytes);
    return storage_tx_put(tx, &key, bytes, sizeof bytes);
}

/* --- Send ------------------------------------------------------------------------------------- */

urd_err saga_builtin_send(struct storage_tx *tx, struct saga_builtin_op *op)
{
    const char *name = op->input.name, *message = op->input.message;
    struct saga_queue_row row = { .next = 1 };
    struct storage_key key;
    urd_err err = get_header(tx, name, &row);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    if (row.len >= SAGA_QUEUE_MESSAGES_MAX)
        return saga_builtin_retry(op, "queue '%s' is full: it has %u messages", name,
                                  SAGA_QUEUE_MESSAGES_MAX);
    uint64_t position = row.next++;
    row.len++;
    saga_queue_position_key(&key, name, SAGA_QUEUE_MESSAGE, position);
    err = storage_tx_put(tx, &key, message, strlen(message));
    if (err == URD_OK) err = put_header(tx, name, &row);
    if (err == URD_OK) err = saga_held_put(tx, op, SAGA_HELD_SENT, name, position);
    if (err != URD_OK) return err;
    return saga_builtin_done_with(
        op, json_pack("{s:s, s:I}", "queue", name, "position", (json_int_t)position));
}

urd_err saga_message_show(struct storage_tx *tx, const struct saga_held *held)
{
    struct storage_key key;
    saga_queue_position_key(&key, held->name, SAGA_QUEUE_READY, held->number);
    return storage_tx_put(tx, &key, "", 0);
}

urd_err saga_message_remove(struct storage_tx *tx, const struct saga_held *held)
{
    struct saga_queue_row row;
    struct storage_key key;
    urd_err err = get_header(tx, held->name, &row);
    if (err != URD_OK) return err == URD_E_NOT_FOUND ? URD_E_CORRUPT : err;
    if (row.len == 0) return URD_E_CORRUPT;
    row.len--;
    saga_queue_position_key(&key, held->name, SAGA_QUEUE_MESSAGE, held->number);
    err = storage_tx_delete(tx, &key);
    return err == URD_OK ? put_header(tx, held->name, &row) : err;
}

/* --- Receive ---------------------------------------------------------------------------------- */

/* The first visible message, into @ret_key the key of the row that shows it. */
static urd_err first_ready(struct storage_tx *tx, const char *name, struct storage_key *ret_key,
                           uint64_t *ret_position)
{
    struct storage_key prefix;
    struct storage_cursor *cursor;
    struct storage_item item;
    char found[SAGA_NAME_BYTES_MAX + 1];
    enum saga_queue_part part;
    saga_queue_key(&prefix, name, SAGA_QUEUE_READY);
    struct storage_range range = { .prefix = &prefix };
    urd_err err = storage_tx_range(tx, &range, &cursor);
    if (err != URD_OK) return err;
    err = storage_cursor_next(cursor, &item);
    if (err == URD_OK && !saga_queue_key_parse(item.key, item.key_len, found, &part, ret_position))
        err = URD_E_CORRUPT;
    storage_cursor_close(cursor);
    if (err == URD_OK) saga_queue_position_key(ret_key, name, SAGA_QUEUE_READY, *ret_position);
    return err;
}

urd_err saga_builtin_receive(struct storage_tx *tx, struct saga_builtin_op *op)
{
    const char *name = op->input.name;
    struct storage_key ready, key;
    struct storage_value value;
    uint64_t position = 0;
    urd_err err = first_ready(tx, name, &ready, &position);
    if (err == URD_E_NOT_FOUND) return saga_builtin_retry(op, "queue '%s' is empty", name);
    if (err != URD_OK) return err;
    saga_queue_position_key(&key, name, SAGA_QUEUE_MESSAGE, position);
    err = storage_tx_get(tx, &key, &value);
    if (err != URD_OK) return err == URD_E_NOT_FOUND ? URD_E_CORRUPT : err;
    json_t *message;
    err = saga_json_decode((const char *)value.bytes, value.len, SAGA_MESSAGE_BYTES_MAX, &message,
                           NULL, 0);
    if (err != URD_OK) return err == URD_E_NOMEM ? err : URD_E_CORRUPT;
    err = saga_builtin_done_with(op, message);
    if (err == URD_OK) err = storage_tx_delete(tx, &ready);
    if (err == URD_OK) err = saga_held_put(tx, op, SAGA_HELD_TAKEN, name, position);
    return err;
}
