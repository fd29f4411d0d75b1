/* The first byte says what the rest is.
 *
 *   0  a lsn and the bytes of a group: walking it ends, goes forward, and every record that is
 * accepted seals back to the bytes it was read from 1  the fields of a record: sealed, it decodes
 * to the same; with any one byte changed it does not */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/bytes.h"
#include "storage/record.h"

#define FIELDS_BYTES (8u + STORAGE_SAGA_ID_BYTES + 8u + 8u + 1u + 2u)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

static void seals_back(const struct storage_record *record, const uint8_t *bytes, size_t len)
{
    uint8_t *again = malloc(len);
    assert(again != NULL && storage_record_size(record) == len);
    storage_record_seal(record, again);
    assert(memcmp(again, bytes, len) == 0);
    free(again);
}

static void walk(const uint8_t *bytes, size_t len, uint64_t lsn)
{
    struct storage_group group = { .bytes = bytes, .len = len, .lsn = lsn };
    struct storage_record record;
    size_t at = 0, before = 0;
    urd_err err;
    while ((err = storage_group_next(&group, &record, &at)) != URD_E_NOT_FOUND) {
        assert(at == before && group.at > at && group.at <= len);
        if (err == URD_OK) seals_back(&record, bytes + at, group.at - at);
        before = group.at;
    }
    assert(group.at == len);
}

static void round_trip(const uint8_t *fields, const uint8_t *payload, size_t payload_len)
{
    struct storage_record record = { .lsn = storage_get_u64(fields),
                                     .seq = storage_get_u64(fields + 24),
                                     .prev_lsn = storage_get_u64(fields + 32),
                                     .kind = fields[40],
                                     .payload = payload,
                                     .payload_len = (uint32_t)payload_len },
                          back;
    memcpy(record.saga_id, fields + 8, STORAGE_SAGA_ID_BYTES);
    size_t size = storage_record_size(&record), used, odd = storage_get_u16(fields + 41) % size;
    uint8_t *bytes = malloc(size);
    assert(bytes != NULL);
    storage_record_seal(&record, bytes);
    urd_err err = storage_record_decode(bytes, size, record.lsn, &back, &used);
    assert(err == URD_OK && used == size && back.seq == record.seq && back.kind == record.kind &&
           back.prev_lsn == record.prev_lsn && back.payload_len == payload_len &&
           memcmp(back.saga_id, record.saga_id, STORAGE_SAGA_ID_BYTES) == 0 &&
           memcmp(back.payload, payload, payload_len) == 0);
    bytes[odd] ^= 1;
    err = storage_record_decode(bytes, size, record.lsn, &back, &used);
    assert(err != URD_OK);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    if (bytes_len >= 9 && bytes[0] == 0)
        walk(bytes + 9, bytes_len - 9, storage_get_u64(bytes + 1));
    else if (bytes_len > FIELDS_BYTES && bytes[0] == 1)
        round_trip(bytes + 1, bytes + 1 + FIELDS_BYTES, bytes_len - 1 - FIELDS_BYTES);
    return 0;
}
