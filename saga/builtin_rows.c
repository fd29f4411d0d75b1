#include "saga/builtin_rows.h"

#include <assert.h>
#include <string.h>

#include "storage/bytes.h"

/* --- keys ------------------------------------------------------------------------------------- */

void saga_quantity_key(struct storage_key *key, const char *name)
{
    storage_key_init(key, STORAGE_TABLE_ESCROW);
    storage_key_add_text(key, name, strlen(name));
}

void saga_queue_key(struct storage_key *key, const char *name, enum saga_queue_part part)
{
    storage_key_init(key, STORAGE_TABLE_QUEUE);
    storage_key_add_text(key, name, strlen(name));
    storage_key_add_u8(key, (uint8_t)part);
}

void saga_queue_position_key(struct storage_key *key, const char *name, enum saga_queue_part part,
                             uint64_t position)
{
    assert(part != SAGA_QUEUE_HEADER);
    saga_queue_key(key, name, part);
    storage_key_add_u64(key, position);
}

void saga_held_prefix(struct storage_key *key, const uint8_t saga[SAGA_ID_BYTES])
{
    storage_key_init(key, STORAGE_TABLE_HELD);
    storage_key_add_bytes(key, saga, SAGA_ID_BYTES);
}

void saga_held_key(struct storage_key *key, const uint8_t saga[SAGA_ID_BYTES], uint32_t step)
{
    saga_held_prefix(key, saga);
    storage_key_add_u32(key, step);
}

/* A name that could have been written here. */
static bool take_name(struct storage_key_reader *reader, char ret[SAGA_NAME_BYTES_MAX + 1])
{
    char name[SAGA_NAME_BYTES_MAX + 1];
    size_t len;
    if (!storage_key_take_text(reader, name, SAGA_NAME_BYTES_MAX, &len)) return false;
    if (len == 0 || len > SAGA_NAME_BYTES_MAX || memchr(name, '\0', len) != NULL) return false;
    name[len] = '\0';
    memcpy(ret, name, len + 1);
    return true;
}

bool saga_quantity_key_parse(const void *key, size_t key_len,
                             char ret_name[SAGA_NAME_BYTES_MAX + 1])
{
    struct storage_key_reader reader;
    return storage_key_read(&reader, key, key_len, STORAGE_TABLE_ESCROW) &&
           take_name(&reader, ret_name) && reader.left == 0;
}

bool saga_queue_key_parse(const void *key, size_t key_len, char ret_name[SAGA_NAME_BYTES_MAX + 1],
                          enum saga_queue_part *ret_part, uint64_t *ret_position)
{
    struct storage_key_reader reader;
    uint64_t position = 0;
    uint8_t part;
    if (!storage_key_read(&reader, key, key_len, STORAGE_TABLE_QUEUE) ||
        !take_name(&reader, ret_name) || !storage_key_take_u8(&reader, &part) ||
        part > SAGA_QUEUE_READY)
        return false;
    if (part != SAGA_QUEUE_HEADER && !storage_key_take_u64(&reader, &position)) return false;
    if (reader.left != 0) return false;
    *ret_part = (enum saga_queue_part)part;
    *ret_position = position;
    return true;
}

bool saga_held_key_parse(const void *key, size_t key_len, uint8_t ret_saga[SAGA_ID_BYTES],
                         uint32_t *ret_step)
{
    struct storage_key_reader reader;
    return storage_key_read(&reader, key, key_len, STORAGE_TABLE_HELD) &&
           storage_key_take_bytes(&reader, ret_saga, SAGA_ID_BYTES) &&
           storage_key_take_u32(&reader, ret_step) && reader.left == 0;
}

/* --- values ----------------------------------------------------------------------------------- */

void saga_quantity_encode(const struct saga_quantity *row, uint8_t ret[SAGA_QUANTITY_ROW_BYTES])
{
    storage_put_u64(ret, row->amount);
    storage_put_u64(ret + 8, row->held);
    storage_put_u64(ret + 16, row->consumed);
}

void saga_queue_row_encode(const struct saga_queue_row *row, uint8_t ret[SAGA_QUEUE_ROW_BYTES])
{
    storage_put_u64(ret, row->next);
    storage_put_u64(ret + 8, row->len);
}

size_t saga_held_encode(const struct saga_held *row, uint8_t ret[SAGA_HELD_ROW_BYTES_MAX])
{
    size_t len = strlen(row->name);
    assert(len > 0 && len <= SAGA_NAME_BYTES_MAX);
    ret[0] = (uint8_t)row->kind;
    storage_put_u64(ret + 1, row->number);
    memcpy(ret + 9, row->name, len);
    return 9 + len;
}

urd_err saga_quantity_decode(struct storage_value value, struct saga_quantity *ret)
{
    if (value.len != SAGA_QUANTITY_ROW_BYTES) return URD_E_CORRUPT;
    struct saga_quantity row = { .amount = storage_get_u64(value.bytes),
                                 .held = storage_get_u64(value.bytes + 8),
                                 .consumed = storage_get_u64(value.bytes + 16) };
    if (row.amount > SAGA_AMOUNT_MAX || row.held > row.amount ||
        row.consumed > row.amount - row.held)
        return URD_E_CORRUPT;
    *ret = row;
    return URD_OK;
}

urd_err saga_queue_row_decode(struct storage_value value, struct saga_queue_row *ret)
{
    if (value.len != SAGA_QUEUE_ROW_BYTES) return URD_E_CORRUPT;
    struct saga_queue_row row = { .next = storage_get_u64(value.bytes),
                                  .len = storage_get_u64(value.bytes + 8) };
    if (row.next == 0 || row.len >= row.next) return URD_E_CORRUPT;
    *ret = row;
    return URD_OK;
}

urd_err saga_held_decode(struct storage_value value, struct saga_held *ret)
{
    if (value.len < 10 || value.len > SAGA_HELD_ROW_BYTES_MAX ||
        value.bytes[0] < SAGA_HELD_AMOUNT || value.bytes[0] > SAGA_HELD_LEASE ||
        memchr(value.bytes + 9, '\0', value.len - 9) != NULL)
        return URD_E_CORRUPT;
    ret->kind = (enum saga_held_kind)value.bytes[0];
    ret->number = storage_get_u64(value.bytes + 1);
    memcpy(ret->name, value.bytes + 9, value.len - 9);
    ret->name[value.len - 9] = '\0';
    return URD_OK;
}
