/* client/where.h -- whom to ask and what to show: flags beat environment beats profile beats node
 * directory.
 *
 * A profile (`urd invite --client`) is INI:
 *
 *     [cluster]  ca = one line of base64 (the CA certificate, DER)
 *     [nodes]    NAME = URL
 *     [cap]      token = text
 *
 * A node directory tells the address of its node while that runs, its CA, and admin.cap. */
#ifndef CLIENT_WHERE_H
#define CLIENT_WHERE_H

#include "client/session.h"

/* Fill in @client's nodes, trust and tokens.  Errors: URD_E_CONFIG nothing names a node, or a file
 * is not readable; URD_E_INVALID a token or profile that does not parse. */
URD_MUST_USE urd_err client_where(struct urd_cx *cx, const struct urd_client_options *options,
                                  struct urd_client *client, char *errmsg);

/* Read a token as the command line gives it: "-" (standard input), "@FILE", the name of a file that
 * is there, or its text.  *@ret_text is a secret for sodium_memzero() and free(). */
URD_MUST_USE urd_err client_token_text(struct urd_cx *cx, const char *given, char **ret_text,
                                       char *errmsg);

#endif
