/* caps/grant_internal.h -- how a verification builds a grant. */
#ifndef CAPS_GRANT_INTERNAL_H
#define CAPS_GRANT_INTERNAL_H

#include "caps/grant.h"
#include "caps/identifier.h"
#include "caps/token.h"

/* An empty grant: everything allowed, for ever.  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_grant_new(const struct urd_caps_identifier *identifier,
                                        struct urd_caps_grant **ret);

/* Narrow it, in the order of the chain.
 * Errors: URD_E_TOO_BIG a bound of caps/grant.h is passed; URD_E_INVALID a list is not well-formed.
 */
void urd_caps_grant_expire(struct urd_caps_grant *grant, int64_t expires_s);
URD_MUST_USE urd_err urd_caps_grant_add_link(struct urd_caps_grant *grant, const uint8_t *link);
URD_MUST_USE urd_err urd_caps_grant_add_action(struct urd_caps_grant *grant,
                                               struct urd_caps_bytes list);
URD_MUST_USE urd_err urd_caps_grant_add_resource(struct urd_caps_grant *grant,
                                                 struct urd_caps_bytes list);

#endif
