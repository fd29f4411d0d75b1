/* Any bytes: what decodes as a grant encodes back to the same bytes, and may be asked anything. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "caps/grant.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct urd_caps_grant *grant;
    if (urd_caps_grant_decode(bytes, bytes_len, &grant) != URD_OK) return 0;

    uint8_t *again;
    size_t again_len;
    urd_err err = urd_caps_grant_encode(grant, &again, &again_len);
    assert(err == URD_OK && again_len == bytes_len && memcmp(again, bytes, bytes_len) == 0);
    free(again);
    assert(!urd_caps_grant_allows(grant, "saga.submit", "saga/../x"));
    (void)urd_caps_grant_allows(grant, "saga.submit", "saga/x");
    urd_caps_grant_free(grant);
    return 0;
}
