/* caps/wire_v2.h -- the v2 binary form of a macaroon, read strictly.
 *
 *     02 | [01 len location] | 02 len identifier | 00
 *        | { [01 len location] | 02 len id | [04 48 vid] | 00 } ... | 00 | 06 20 signature
 *
 * len is LEB128, minimal; an empty location is left out.  Stricter than others: no trailing byte,
 * id of a caveat 1 .. URD_CAPS_PREDICATE_BYTES_MAX bytes, vid exactly 72, signature exactly 32, at
 * most URD_CAPS_CAVEATS_MAX caveats and URD_CAPS_TOKEN_BYTES_MAX bytes; so whatever is accepted
 * encodes back to the same bytes. */
#ifndef CAPS_WIRE_V2_H
#define CAPS_WIRE_V2_H

#include <stddef.h>
#include <stdint.h>

#include "caps/token.h"
#include "runtime/error.h"

/* Read a token that takes all of @bytes (untrusted).
 * @ret  owned by the caller; give back with urd_caps_token_free().
 * Errors: URD_E_VERSION; URD_E_INVALID; URD_E_TOO_BIG; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_v2_decode(const uint8_t *bytes, size_t bytes_len,
                                        struct urd_caps_token **ret);

/* The same for the first of several tokens one after the other; @ret_used is where it ends. */
URD_MUST_USE urd_err urd_caps_v2_decode_first(const uint8_t *bytes, size_t bytes_len,
                                              size_t *ret_used, struct urd_caps_token **ret);

/* Write @token.  @ret_bytes is a secret owned by the caller: wipe it, then free().
 * Errors: URD_E_TOO_BIG it came from a form with wider limits; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_v2_encode(const struct urd_caps_token *token, uint8_t **ret_bytes,
                                        size_t *ret_bytes_len);

#endif
