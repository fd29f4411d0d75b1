#include "caps/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "caps/wire_v1.h"
#include "caps/wire_v2.h"

/* Rewrite to the URL-safe alphabet and cut exact padding: *@len is the count of letters left. */
static urd_err normalise(char *text, size_t *len)
{
    size_t letters = *len;
    if (letters % 4 == 0 && letters > 0 && text[letters - 1] == '=') {
        letters--;
        if (text[letters - 1] == '=') letters--;
    }
    for (size_t i = 0; i < letters; i++) {
        if (text[i] == '+') text[i] = '-';
        if (text[i] == '/') text[i] = '_';
    }
    *len = letters;
    return letters % 4 == 1 ? URD_E_INVALID : URD_OK;
}

urd_err urd_caps_base64_decode(const char *text, size_t text_len, uint8_t *ret, size_t *ret_len)
{
    if (text_len >= URD_CAPS_TOKEN_TEXT_SIZE_MAX) return URD_E_TOO_BIG;
    if (text_len == 0) {
        *ret_len = 0;
        return URD_OK;
    }
    char *copy = malloc(text_len);
    if (copy == NULL) return URD_E_NOMEM;
    memcpy(copy, text, text_len);
    size_t letters = text_len, len;
    urd_err err = normalise(copy, &letters);
    const char *stop = NULL;
    if (err == URD_OK && (sodium_base642bin(ret, text_len / 4 * 3 + 3, copy, letters, NULL, &len,
                                            &stop, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
                          stop != copy + letters))
        err = URD_E_INVALID;
    sodium_memzero(copy, text_len);
    free(copy);
    if (err == URD_OK) *ret_len = len;
    return err;
}

void urd_caps_base64_encode(const uint8_t *bytes, size_t bytes_len, char *ret)
{
    sodium_bin2base64(ret, URD_CAPS_BASE64_SIZE(bytes_len), bytes, bytes_len,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

urd_err urd_caps_token_from_text(const char *text, size_t text_len, struct urd_caps_token **ret)
{
    if (text_len == 0) return URD_E_INVALID;
    if (text_len >= URD_CAPS_TOKEN_TEXT_SIZE_MAX) return URD_E_TOO_BIG;
    size_t bytes_size = text_len / 4 * 3 + 3, bytes_len;
    uint8_t *bytes = malloc(bytes_size);
    if (bytes == NULL) return URD_E_NOMEM;
    urd_err err = urd_caps_base64_decode(text, text_len, bytes, &bytes_len);
    if (err == URD_OK && bytes_len == 0) err = URD_E_INVALID;
    if (err == URD_OK) /* a v1 token begins with the digits of its first length */
        err = bytes[0] == '0' ? urd_caps_v1_decode(bytes, bytes_len, ret)
                              : urd_caps_v2_decode(bytes, bytes_len, ret);
    sodium_memzero(bytes, bytes_size);
    free(bytes);
    return err;
}

urd_err urd_caps_token_to_text(const struct urd_caps_token *token, char **ret_text)
{
    uint8_t *bytes;
    size_t bytes_len;
    urd_err err = urd_caps_v2_encode(token, &bytes, &bytes_len);
    if (err != URD_OK) return err;
    char *text = malloc(URD_CAPS_BASE64_SIZE(bytes_len));
    if (text == NULL) {
        err = URD_E_NOMEM;
    } else {
        urd_caps_base64_encode(bytes, bytes_len, text);
        *ret_text = text;
    }
    sodium_memzero(bytes, bytes_len);
    free(bytes);
    return err;
}

/* The first token of a bundle is its root. */
static urd_err bundle_add(struct urd_caps_bundle *bundle, struct urd_caps_token *token)
{
    if (bundle->root == NULL) {
        bundle->root = token;
        return URD_OK;
    }
    if (bundle->discharge_count == URD_CAPS_DISCHARGES_MAX) {
        urd_caps_token_free(token);
        return URD_E_TOO_BIG;
    }
    bundle->discharges[bundle->discharge_count++] = token;
    return URD_OK;
}

urd_err urd_caps_bundle_from_text(const char *text, size_t text_len, struct urd_caps_bundle *ret)
{
    struct urd_caps_bundle bundle = { 0 };
    for (const char *at = text, *end = text + text_len; at != NULL;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct urd_caps_token *token;
        urd_err err =
            urd_caps_token_from_text(at, (size_t)((comma == NULL ? end : comma) - at), &token);
        if (err == URD_OK) err = bundle_add(&bundle, token);
        if (err != URD_OK) {
            urd_caps_bundle_done(&bundle);
            return err;
        }
        at = comma == NULL ? NULL : comma + 1;
    }
    *ret = bundle;
    return URD_OK;
}

urd_err urd_caps_bundle_decode(const uint8_t *bytes, size_t bytes_len, struct urd_caps_bundle *ret)
{
    struct urd_caps_bundle bundle = { 0 };
    do {
        struct urd_caps_token *token;
        size_t used = 0;
        urd_err err = urd_caps_v2_decode_first(bytes, bytes_len, &used, &token);
        if (err == URD_OK) err = bundle_add(&bundle, token);
        if (err != URD_OK) {
            urd_caps_bundle_done(&bundle);
            return err;
        }
        assert(used > 0 && used <= bytes_len);
        bytes += used;
        bytes_len -= used;
    } while (bytes_len > 0);
    *ret = bundle;
    return URD_OK;
}

void urd_caps_bundle_done(struct urd_caps_bundle *bundle)
{
    urd_caps_token_free(bundle->root);
    for (size_t i = 0; i < bundle->discharge_count; i++)
        urd_caps_token_free(bundle->discharges[i]);
    *bundle = (struct urd_caps_bundle){ 0 };
}
