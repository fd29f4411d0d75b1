/* node/profile.h -- a client profile: where a cluster is, whom to trust, what to show.
 *
 *     # comment
 *     [profile]
 *     cluster = urd
 *     node = a=tls+tcp://10.0.0.1:7000      (several)
 *     cap = ...
 *     -----BEGIN CERTIFICATE----- ...       the CA, to the end
 *
 * One decoder, of untrusted text. */
#ifndef NODE_PROFILE_H
#define NODE_PROFILE_H

#include "node/command.h"

#define NODE_PROFILE_BYTES_MAX 262144u

/* As node_command_profile(). */
URD_MUST_USE urd_err node_profile_parse(const char *text, size_t text_len, struct node_place *ret,
                                        char *errmsg, size_t errmsg_len);
/* Write @place as a profile; *@ret_text is a secret for node_secret_free().  Errors: URD_E_NOMEM.
 */
URD_MUST_USE urd_err node_profile_format(const struct node_place *place, char **ret_text);

#endif
