/* caps/identifier.h -- what a token's identifier says: which root key, which token, when, where.
 *
 * Bytes, authenticated by the signature, integers big-endian:
 *
 *     01 | root-key id 8 | token id 16 | issued-at 8, unix seconds | name length 1 | node name */
#ifndef CAPS_IDENTIFIER_H
#define CAPS_IDENTIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#define URD_CAPS_ROOT_KEY_ID_BYTES    8
#define URD_CAPS_TOKEN_ID_BYTES       16
#define URD_CAPS_NODE_NAME_BYTES_MAX  63
#define URD_CAPS_IDENTIFIER_BYTES_MAX (1 + 8 + 16 + 8 + 1 + URD_CAPS_NODE_NAME_BYTES_MAX)

/* A handle is TOKENID or TOKENID/LINK, lower-case hex; with its NUL. */
#define URD_CAPS_HANDLE_TEXT_BYTES (32 + 1 + 32 + 1)

struct urd_caps_identifier {
    uint8_t root_key_id[URD_CAPS_ROOT_KEY_ID_BYTES];
    uint8_t token_id[URD_CAPS_TOKEN_ID_BYTES];   /* random */
    int64_t issued_at_s;                         /* unix seconds, 0 .. URD_CAPS_TIME_S_MAX */
    char node[URD_CAPS_NODE_NAME_BYTES_MAX + 1]; /* who minted it and keeps its budgets */
};

/* A node's name: 1 .. 63 of A-Z a-z 0-9 . _ -, NUL-terminated. */
bool urd_caps_node_name_ok(const char *name);

/* Write @identifier to @ret_bytes, room for URD_CAPS_IDENTIFIER_BYTES_MAX.
 * Errors: URD_E_INVALID the node name or the instant is out of bounds. */
URD_MUST_USE urd_err urd_caps_identifier_encode(const struct urd_caps_identifier *identifier,
                                                uint8_t *ret_bytes, size_t *ret_bytes_len);

/* Read an identifier from untrusted @bytes.
 * Errors: URD_E_VERSION another version; URD_E_INVALID not one of Urd's. */
URD_MUST_USE urd_err urd_caps_identifier_decode(const uint8_t *bytes, size_t bytes_len,
                                                struct urd_caps_identifier *ret);

/* Write the handle by which a token, or with @link one branch of it, is revoked.  @link may be
 * NULL. */
void urd_caps_handle_format(const uint8_t *token_id, const uint8_t *link,
                            char ret[URD_CAPS_HANDLE_TEXT_BYTES]);

/* Read one back, strictly.  @ret_has_link says whether @ret_link was written.  Errors:
 * URD_E_INVALID. */
URD_MUST_USE urd_err urd_caps_handle_parse(const char *text, uint8_t *ret_token_id,
                                           uint8_t *ret_link, bool *ret_has_link);

#endif
