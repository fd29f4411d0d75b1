/* A key length, a key, and bytes, taken twice: as what is stored under the key, which opens only if
 * it seals back to the same; and as a value, which sealed opens as itself and under no other key.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

static void as_stored(const uint8_t *key, size_t key_len, const uint8_t *bytes, size_t len)
{
    struct storage_value raw = { .bytes = bytes, .len = len }, value;
    uint8_t header[STORAGE_VALUE_HEADER_BYTES];
    if (storage_value_open(key, key_len, raw, &value) != URD_OK) return;
    storage_value_seal(key, key_len, value.bytes, value.len, header);
    assert(memcmp(header, bytes, sizeof header) == 0);
}

static void as_value(uint8_t *key, size_t key_len, const uint8_t *bytes, size_t len)
{
    uint8_t *stored = malloc(STORAGE_VALUE_HEADER_BYTES + len);
    assert(stored != NULL);
    storage_value_seal(key, key_len, bytes, len, stored);
    if (len != 0) memcpy(stored + STORAGE_VALUE_HEADER_BYTES, bytes, len);
    struct storage_value raw = { .bytes = stored, .len = STORAGE_VALUE_HEADER_BYTES + len }, value;
    urd_err err = storage_value_open(key, key_len, raw, &value);
    assert(err == URD_OK && value.len == len);
    assert(len == 0 || memcmp(value.bytes, bytes, len) == 0);
    if (key_len > 0) {
        key[key_len / 2] ^= 0x80;
        err = storage_value_open(key, key_len, raw, &value);
        assert(err == URD_E_CORRUPT);
    }
    free(stored);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    uint8_t key[255];
    if (bytes_len == 0 || bytes_len - 1 < bytes[0]) return 0;
    size_t key_len = bytes[0];
    memcpy(key, bytes + 1, key_len);
    as_stored(key, key_len, bytes + 1 + key_len, bytes_len - 1 - key_len);
    as_value(key, key_len, bytes + 1 + key_len, bytes_len - 1 - key_len);
    return 0;
}
