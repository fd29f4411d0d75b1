/* First byte: which decoder; the rest: a value, or a key.  What decodes encodes to the same bytes.
 */
#include <assert.h>
#include <string.h>

#include "saga/builtin_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

static void same(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    assert(a_len == b_len && memcmp(a, b, a_len) == 0);
}

static void values(uint8_t which, struct storage_value value)
{
    uint8_t again[SAGA_HELD_ROW_BYTES_MAX];
    struct saga_quantity quantity;
    struct saga_queue_row row;
    struct saga_held held;
    if (which == 0 && saga_quantity_decode(value, &quantity) == URD_OK) {
        saga_quantity_encode(&quantity, again);
        assert(quantity.held + quantity.consumed <= quantity.amount);
        same(value.bytes, value.len, again, SAGA_QUANTITY_ROW_BYTES);
    } else if (which == 1 && saga_queue_row_decode(value, &row) == URD_OK) {
        saga_queue_row_encode(&row, again);
        same(value.bytes, value.len, again, SAGA_QUEUE_ROW_BYTES);
    } else if (which == 2 && saga_held_decode(value, &held) == URD_OK) {
        same(value.bytes, value.len, again, saga_held_encode(&held, again));
    }
}

static void keys(const uint8_t *bytes, size_t len)
{
    struct storage_key key;
    char name[SAGA_NAME_BYTES_MAX + 1];
    uint8_t id[SAGA_ID_BYTES];
    enum saga_queue_part part;
    uint64_t position;
    uint32_t step;
    if (saga_quantity_key_parse(bytes, len, name)) {
        saga_quantity_key(&key, name);
    } else if (saga_queue_key_parse(bytes, len, name, &part, &position)) {
        if (part == SAGA_QUEUE_HEADER)
            saga_queue_key(&key, name, part);
        else
            saga_queue_position_key(&key, name, part, position);
    } else if (saga_held_key_parse(bytes, len, id, &step)) {
        saga_held_key(&key, id, step);
    } else {
        return;
    }
    same(bytes, len, key.bytes, key.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    if (bytes_len == 0) return 0;
    struct storage_value value = { bytes + 1, bytes_len - 1 };
    if (bytes[0] < 3)
        values(bytes[0], value);
    else
        keys(bytes + 1, bytes_len - 1);
    return 0;
}
