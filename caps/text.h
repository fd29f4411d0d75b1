/* caps/text.h -- tokens as people pass them on: one line of URL-safe base64.
 *
 * Written: base64url without padding of the v2 bytes.  Read: either alphabet, with or without
 * (exact) padding, no white space, no stray bits; v2 or v1 inside.  A bundle is a root token and
 * its bound discharges, a comma between each two. */
#ifndef CAPS_TEXT_H
#define CAPS_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "caps/token.h"
#include "runtime/error.h"

#define URD_CAPS_DISCHARGES_MAX 16

/* Bytes of base64url text, with NUL, for @bytes_len bytes. */
#define URD_CAPS_BASE64_SIZE(bytes_len) (((bytes_len) + 2) / 3 * 4 + 1)
#define URD_CAPS_TOKEN_TEXT_SIZE_MAX    URD_CAPS_BASE64_SIZE(URD_CAPS_TOKEN_BYTES_MAX)

/* Decode base64 text of at most URD_CAPS_TOKEN_TEXT_SIZE_MAX letters.
 * @ret  room for @text_len / 4 * 3 + 3 bytes.   Errors: URD_E_INVALID, URD_E_TOO_BIG, URD_E_NOMEM.
 */
URD_MUST_USE urd_err urd_caps_base64_decode(const char *text, size_t text_len, uint8_t *ret,
                                            size_t *ret_len);

/* Encode, NUL-terminated; @ret has room for URD_CAPS_BASE64_SIZE(@bytes_len). */
void urd_caps_base64_encode(const uint8_t *bytes, size_t bytes_len, char *ret);

/* Read one token.  @ret is owned by the caller; give back with urd_caps_token_free().
 * Errors: URD_E_INVALID, URD_E_VERSION, URD_E_TOO_BIG, URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_token_from_text(const char *text, size_t text_len,
                                              struct urd_caps_token **ret);

/* Write one token.  @ret_text is NUL-terminated and a secret: wipe it (sodium_memzero), then
 * free(). Errors: URD_E_TOO_BIG, URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_token_to_text(const struct urd_caps_token *token, char **ret_text);

/* A root token and what discharges it. */
struct urd_caps_bundle {
    struct urd_caps_token *root;
    struct urd_caps_token *discharges[URD_CAPS_DISCHARGES_MAX];
    size_t discharge_count;
};

/* Read a bundle from text, or from v2 tokens one after the other.  Give back with
 * urd_caps_bundle_done(). Errors, @ret untouched: as for a token; URD_E_TOO_BIG too many
 * discharges. */
URD_MUST_USE urd_err urd_caps_bundle_from_text(const char *text, size_t text_len,
                                               struct urd_caps_bundle *ret);
URD_MUST_USE urd_err urd_caps_bundle_decode(const uint8_t *bytes, size_t bytes_len,
                                            struct urd_caps_bundle *ret);

/* Wipe and release what a bundle holds. */
void urd_caps_bundle_done(struct urd_caps_bundle *bundle);

#endif
