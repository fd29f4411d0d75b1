/* Any bytes: v1 never reads past the end, and what it accepts encodes back to the same bytes. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "caps/wire_v1.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct urd_caps_token *token;
    if (urd_caps_v1_decode(bytes, bytes_len, &token) != URD_OK) return 0;

    uint8_t *again;
    size_t again_len;
    urd_err err = urd_caps_v1_encode(token, &again, &again_len);
    assert(err == URD_OK && again_len == bytes_len && memcmp(again, bytes, bytes_len) == 0);
    free(again);
    urd_caps_token_free(token);
    return 0;
}
