/* caps/wire_v2j.h -- the v2 JSON form of a macaroon, read strictly.
 *
 *     {"v":2, "l":location, "i":identifier, "c":[{"i":id, "l":location, "v64":vid} ...],
 * "s64":signature}
 *
 * Each text field may come as `x` (its bytes as a UTF-8 string) or `x64` (base64, either alphabet),
 * not both and not twice; "v" may be 2 or "2"; "c" may be missing.  Unknown keys are refused.  A
 * predicate may be as long as the token: only the binary v2 form, which Urd itself speaks, bounds
 * it further. */
#ifndef CAPS_WIRE_V2J_H
#define CAPS_WIRE_V2J_H

#include <stddef.h>
#include <stdint.h>

#include "caps/token.h"
#include "runtime/error.h"

/* Read a token that takes all of @text (untrusted, at most URD_CAPS_TOKEN_BYTES_MAX bytes).
 * @ret  owned by the caller; give back with urd_caps_token_free().
 * Errors: URD_E_VERSION; URD_E_INVALID; URD_E_TOO_BIG; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_v2j_decode(const char *text, size_t text_len,
                                         struct urd_caps_token **ret);

/* Write @token without white space; a field is plain when it is UTF-8 that needs no escape, else
 * base64.
 * @ret_text is NUL-terminated and a secret owned by the caller: wipe it, then free().
 * Errors: URD_E_TOO_BIG; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_v2j_encode(const struct urd_caps_token *token, char **ret_text);

#endif
