/* caps/wire_v1.h -- the v1 packet form of a macaroon, read strictly.
 *
 *     packet = LLLL key SP value LF      LLLL: the packet's whole length, 4 lower-case hex digits
 *     token  = location, identifier, { cid, [vid], [cl] } ..., signature
 *
 * For exchange with older tools.  Stricter than others: exact order, nothing after the signature,
 * no empty cid, vid or cl; so whatever is accepted encodes back to the same bytes. */
#ifndef CAPS_WIRE_V1_H
#define CAPS_WIRE_V1_H

#include <stddef.h>
#include <stdint.h>

#include "caps/token.h"
#include "runtime/error.h"

/* Read a token that takes all of @bytes (untrusted).
 * @ret  owned by the caller; give back with urd_caps_token_free().
 * Errors: URD_E_INVALID; URD_E_TOO_BIG; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_v1_decode(const uint8_t *bytes, size_t bytes_len,
                                        struct urd_caps_token **ret);

/* Write @token.  @ret_bytes is a secret owned by the caller: wipe it, then free().
 * Errors: URD_E_TOO_BIG a field does not fit a packet, or all of it the limit; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_v1_encode(const struct urd_caps_token *token, uint8_t **ret_bytes,
                                        size_t *ret_bytes_len);

#endif
