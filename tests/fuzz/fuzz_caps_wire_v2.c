/* Any bytes: v2 never reads past the end, what it accepts encodes back to the same bytes, and the
 * same bytes as a bundle, as text and in words do no harm either. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "caps/explain.h"
#include "caps/text.h"
#include "caps/wire_v2.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

static void ignore(void *arg, const struct urd_caps_explanation *e)
{
    *(size_t *)arg += strlen(e->text) + strlen(e->words) + strlen(e->handle);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct urd_caps_token *token;
    struct urd_caps_bundle bundle;
    if (urd_caps_bundle_decode(bytes, bytes_len, &bundle) == URD_OK) urd_caps_bundle_done(&bundle);
    if (urd_caps_v2_decode(bytes, bytes_len, &token) != URD_OK) return 0;

    uint8_t *again;
    size_t again_len, letters = 0;
    urd_err err = urd_caps_v2_encode(token, &again, &again_len);
    assert(err == URD_OK && again_len == bytes_len && memcmp(again, bytes, bytes_len) == 0);
    free(again);
    err = urd_caps_explain(token, ignore, &letters);
    assert(err == URD_OK && letters > 0);
    urd_caps_token_free(token);
    return 0;
}
