/* Any text: reading a bundle never reads past the end, and a token in it is written as text that
 * reads back as the same token. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "caps/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct urd_caps_bundle bundle;
    struct urd_caps_token *back;
    char *text;
    if (urd_caps_bundle_from_text((const char *)bytes, bytes_len, &bundle) != URD_OK) return 0;
    urd_err err = urd_caps_token_to_text(bundle.root, &text);
    assert(err == URD_OK || err == URD_E_TOO_BIG); /* v1 has wider limits */
    if (err == URD_OK) {
        err = urd_caps_token_from_text(text, strlen(text), &back);
        assert(err == URD_OK && urd_caps_token_descends(back, bundle.root));
        urd_caps_token_free(back);
        free(text);
    }
    urd_caps_bundle_done(&bundle);
    return 0;
}
