/* caps/grant.h -- what a verification that passed hands on.
 *
 * A grant is made by urd_caps_verify() and by nothing else, so a function that takes one cannot be
 * reached unchecked.  It keeps what must outlive the request: who, which token and branch, until
 * when, and the patterns that every further action under it has to match.  Whether its token was
 * revoked since is asked of the revoked set (caps/revocation.h).  A grant never changes, so any
 * number of threads may read it. */
#ifndef CAPS_GRANT_H
#define CAPS_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#define URD_CAPS_NO_EXPIRY            INT64_MAX
#define URD_CAPS_GRANT_ITEMS_MAX      255   /* links; action caveats; resource caveats */
#define URD_CAPS_GRANT_GLOB_BYTES_MAX 16384 /* all patterns of a grant together */
#define URD_CAPS_GRANT_BYTES_MAX      32768 /* encoded */

struct urd_caps_grant; /* opaque */

/* Who this is, for fairness and quotas: the token id in hex, so all that was delegated from one
 * minted token is one subject.  Valid as long as the grant. */
const char *urd_caps_grant_subject(const struct urd_caps_grant *grant);

/* 8 bytes, 16 bytes; the node that minted the token; when it did, unix seconds. */
const uint8_t *urd_caps_grant_root_key_id(const struct urd_caps_grant *grant);
const uint8_t *urd_caps_grant_token_id(const struct urd_caps_grant *grant);
const char *urd_caps_grant_home(const struct urd_caps_grant *grant);
int64_t urd_caps_grant_issued_at_s(const struct urd_caps_grant *grant);

/* The instant of the earliest `time <`, unix seconds, or URD_CAPS_NO_EXPIRY. */
int64_t urd_caps_grant_expires_s(const struct urd_caps_grant *grant);

/* The delegation links in the order of the chain.  @ret_expires_s (may be NULL) is the earliest
 * `time <` before that link: how long a revocation of it has to be kept; URD_CAPS_NO_EXPIRY when
 * there is none. Returns 16 bytes, valid as long as the grant. */
size_t urd_caps_grant_link_count(const struct urd_caps_grant *grant);
const uint8_t *urd_caps_grant_link(const struct urd_caps_grant *grant, size_t index,
                                   int64_t *ret_expires_s);

/* The values of the action and the resource caveats: each a list `GLOB,GLOB`; of each list one
 * pattern has to match.  No list: everything is allowed.  Valid as long as the grant. */
size_t urd_caps_grant_action_count(const struct urd_caps_grant *grant);
const char *urd_caps_grant_action(const struct urd_caps_grant *grant, size_t index);
size_t urd_caps_grant_resource_count(const struct urd_caps_grant *grant);
const char *urd_caps_grant_resource(const struct urd_caps_grant *grant, size_t index);

/* Does the grant allow @action on @resource?  Both NUL-terminated; one that is not well-formed is
 * not allowed.  @resource may be NULL: then only a grant without resource caveats allows. */
bool urd_caps_grant_allows(const struct urd_caps_grant *grant, const char *action,
                           const char *resource);

/* Copy; @ret is owned by the caller.  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_grant_clone(const struct urd_caps_grant *grant,
                                          struct urd_caps_grant **ret);

/* Release; NULL is allowed. */
void urd_caps_grant_free(struct urd_caps_grant *grant);

/* Write a grant for a journal of one's own.  @ret_bytes is owned by the caller: free().  Holds no
 * secret. Integers big-endian: 01 | root-key id 8 | token id 16 | issued 8 | expires 8 | name len
 * 1, name | n 1, n x (link 16, expires 8) | n 1, n x (len 2, action list) | n 1, n x (len 2,
 * resource list). Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_grant_encode(const struct urd_caps_grant *grant, uint8_t **ret_bytes,
                                           size_t *ret_bytes_len);

/* Read one back, for recovery: only ever from one's own durable journal, since the bytes carry no
 * proof. Errors: URD_E_VERSION; URD_E_INVALID; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_grant_decode(const uint8_t *bytes, size_t bytes_len,
                                           struct urd_caps_grant **ret);

#endif
