#include "storage/value.h"

#include <string.h>
#include <xxhash.h>

#include "storage/bytes.h"

static uint64_t checksum(uint8_t version, const void *key, size_t key_len, const void *value,
                         size_t value_len)
{
    uint64_t seed = XXH3_64bits_withSeed(key, key_len, version);
    return XXH3_64bits_withSeed(value, value_len, seed);
}

void storage_value_seal(const void *key, size_t key_len, const void *value, size_t value_len,
                        uint8_t ret_header[STORAGE_VALUE_HEADER_BYTES])
{
    ret_header[0] = STORAGE_VALUE_VERSION;
    storage_put_u64(ret_header + 1,
                    checksum(STORAGE_VALUE_VERSION, key, key_len, value, value_len));
}

urd_err storage_value_open(const void *key, size_t key_len, struct storage_value raw,
                           struct storage_value *ret)
{
    if (raw.len < STORAGE_VALUE_HEADER_BYTES) return URD_E_CORRUPT;
    uint8_t version = raw.bytes[0];
    struct storage_value value = { .bytes = raw.bytes + STORAGE_VALUE_HEADER_BYTES,
                                   .len = raw.len - STORAGE_VALUE_HEADER_BYTES };
    if (storage_get_u64(raw.bytes + 1) != checksum(version, key, key_len, value.bytes, value.len))
        return URD_E_CORRUPT;
    if (version != STORAGE_VALUE_VERSION) return URD_E_VERSION;
    *ret = value;
    return URD_OK;
}
