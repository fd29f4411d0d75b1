/* Any text: v2 JSON never reads past the end; what it accepts is written in a form that reads back
 * as the same token, and is written the same again.  (Base64 may make a token larger than the
 * limit.) */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "caps/wire_v2j.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct urd_caps_token *token, *back;
    char *text, *again;
    if (urd_caps_v2j_decode((const char *)bytes, bytes_len, &token) != URD_OK) return 0;
    urd_err err = urd_caps_v2j_encode(token, &text);
    assert(err == URD_OK || err == URD_E_TOO_BIG);
    if (err == URD_OK) {
        err = urd_caps_v2j_decode(text, strlen(text), &back);
        assert(err == URD_OK);
        assert(urd_caps_token_descends(back, token) && urd_caps_token_descends(token, back));
        err = urd_caps_v2j_encode(back, &again);
        assert(err == URD_OK && strcmp(text, again) == 0);
        free(again);
        free(text);
        urd_caps_token_free(back);
    }
    urd_caps_token_free(token);
    return 0;
}
