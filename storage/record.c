#include "storage/record.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "storage/bytes.h"

#define MARK 0x5572u

enum {
    AT_MARK = 0,
    AT_VERSION = 2,
    AT_KIND = 3,
    AT_LENGTH = 4,
    AT_CHECKSUM = 8,
    AT_SAGA = 16,
    AT_SEQ = 32,
    AT_PREV = 40,
    AT_PAYLOAD = 48
};
_Static_assert(AT_PAYLOAD == STORAGE_RECORD_HEADER_BYTES, "layout");

/* Of everything but the checksum's own bytes. */
static uint64_t checksum(const uint8_t *record, size_t size, uint64_t lsn)
{
    uint64_t seed = XXH3_64bits_withSeed(record, AT_CHECKSUM, lsn);
    return XXH3_64bits_withSeed(record + AT_SAGA, size - AT_SAGA, seed);
}

size_t storage_record_size(const struct storage_record *record)
{
    return STORAGE_RECORD_HEADER_BYTES + record->payload_len;
}

void storage_record_seal(const struct storage_record *record, uint8_t *ret)
{
    assert(record->payload_len <= STORAGE_RECORD_PAYLOAD_BYTES_MAX);
    storage_put_u16(ret + AT_MARK, MARK);
    ret[AT_VERSION] = STORAGE_RECORD_VERSION;
    ret[AT_KIND] = record->kind;
    storage_put_u32(ret + AT_LENGTH, record->payload_len);
    memcpy(ret + AT_SAGA, record->saga_id, STORAGE_SAGA_ID_BYTES);
    storage_put_u64(ret + AT_SEQ, record->seq);
    storage_put_u64(ret + AT_PREV, record->prev_lsn);
    if (record->payload_len != 0) memcpy(ret + AT_PAYLOAD, record->payload, record->payload_len);
    storage_put_u64(ret + AT_CHECKSUM, checksum(ret, storage_record_size(record), record->lsn));
}

urd_err storage_record_decode(const uint8_t *bytes, size_t bytes_len, uint64_t lsn,
                              struct storage_record *ret_record, size_t *ret_used)
{
    if (bytes_len < STORAGE_RECORD_HEADER_BYTES) return URD_E_SHORT;
    if (storage_get_u16(bytes + AT_MARK) != MARK) return URD_E_CORRUPT;
    uint32_t payload_len = storage_get_u32(bytes + AT_LENGTH);
    if (payload_len > STORAGE_RECORD_PAYLOAD_BYTES_MAX) return URD_E_TOO_BIG;
    size_t size = STORAGE_RECORD_HEADER_BYTES + payload_len;
    if (bytes_len < size) return URD_E_SHORT;
    if (storage_get_u64(bytes + AT_CHECKSUM) != checksum(bytes, size, lsn)) return URD_E_CORRUPT;
    if (bytes[AT_VERSION] != STORAGE_RECORD_VERSION) return URD_E_VERSION;

    struct storage_record record = { .lsn = lsn,
                                     .seq = storage_get_u64(bytes + AT_SEQ),
                                     .prev_lsn = storage_get_u64(bytes + AT_PREV),
                                     .kind = bytes[AT_KIND],
                                     .payload = bytes + AT_PAYLOAD,
                                     .payload_len = payload_len };
    memcpy(record.saga_id, bytes + AT_SAGA, STORAGE_SAGA_ID_BYTES);
    *ret_record = record;
    *ret_used = size;
    return URD_OK;
}

/* Where behind @at the next record that can be trusted begins; the end when there is none.  A right
 * 64-bit checksum is no accident, so nothing is guessed. */
static size_t resync(const struct storage_group *group, size_t at)
{
    for (at++; at < group->len; at++) {
        struct storage_record record;
        size_t used;
        urd_err err =
            storage_record_decode(group->bytes + at, group->len - at, group->lsn, &record, &used);
        if (err == URD_OK || err == URD_E_VERSION) return at;
    }
    return group->len;
}

urd_err storage_group_next(struct storage_group *group, struct storage_record *ret_record,
                           size_t *ret_at)
{
    assert(group->at <= group->len);
    if (group->at == group->len) return URD_E_NOT_FOUND;
    size_t used, at = group->at;
    urd_err err =
        storage_record_decode(group->bytes + at, group->len - at, group->lsn, ret_record, &used);
    *ret_at = at;
    if (err == URD_OK) {
        group->at += used;
        return URD_OK;
    }
    group->at = resync(group, at);
    return err == URD_E_VERSION ? URD_E_VERSION : URD_E_CORRUPT;
}
