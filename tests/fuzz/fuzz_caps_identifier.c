/* Any bytes: what decodes as an identifier encodes back to the same bytes. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "caps/identifier.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct urd_caps_identifier identifier;
    uint8_t again[URD_CAPS_IDENTIFIER_BYTES_MAX];
    size_t again_len;
    if (urd_caps_identifier_decode(bytes, bytes_len, &identifier) != URD_OK) return 0;
    urd_err err = urd_caps_identifier_encode(&identifier, again, &again_len);
    assert(err == URD_OK && again_len == bytes_len && memcmp(again, bytes, bytes_len) == 0);
    return 0;
}
