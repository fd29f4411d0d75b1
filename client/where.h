/* client/where.h -- whom to ask and what to show: flags beat environment beats profile beats node
 * directory.
 *
 * A node directory (URD_HOME) tells the address of its node, its CA and admin.cap; a profile
 * (URD_PROFILE) is what `urd invite --client` printed: the same three in one file. */
#ifndef CLIENT_WHERE_H
#define CLIENT_WHERE_H

#include "caps/text.h"
#include "client/session.h"

/* Fill in @client's nodes, trust and tokens.  Errors: URD_E_CONFIG nothing names a node, nothing
 * says whom to trust, or a file is not readable; URD_E_DENIED a token that does not parse;
 * URD_E_INVALID a profile that does not. */
URD_MUST_USE urd_err client_where(struct urd_cx *cx, const struct urd_client_options *options,
                                  struct urd_client *client, char *errmsg);

/* Read a token as the command line gives it: "-" (standard input), "@FILE", or its text; with
 * @or_file the name of a file that is there, too.  *@ret_text is one line, a secret for
 * client_text_wipe().  *@ret_shown: it was given as text, which on a command line shows in the list
 * of processes.  Errors: URD_E_TOO_BIG; URD_E_NOT_FOUND and the rest of runtime/file.h. */
URD_MUST_USE urd_err client_token_text(struct urd_cx *cx, const char *given, bool or_file,
                                       char **ret_text, bool *ret_shown, char *errmsg);
/* Wipe and free; NULL is allowed. */
void client_text_wipe(char *text);

/* The tokens of @bundle as the wire carries them, at most NODE_TOKENS_MAX.  Give back with
 * client_tokens_done(). */
URD_MUST_USE urd_err client_tokens_encode(const struct urd_caps_bundle *bundle,
                                          ProtobufCBinaryData *ret_tokens, size_t *ret_count);
/* Wipe and free the bytes of @count tokens, leaving them empty. */
void client_tokens_done(ProtobufCBinaryData *tokens, size_t count);

#endif
