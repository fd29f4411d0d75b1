/* caps/verify.h -- may this request be done under this token?
 *
 * In order: the identifier is one of ours, its root key is known, every chain is computed to its
 * end and compared in constant time; only then revocation, and only then the caveats, all of them.
 * Nothing here reads a clock or remembers anything: the request says what time it is, the caller
 * spends what urd_caps_verify() says is to be spent. */
#ifndef CAPS_VERIFY_H
#define CAPS_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#include "caps/caveat.h"
#include "caps/chain.h"
#include "caps/grant.h"
#include "caps/identifier.h"
#include "caps/key.h"
#include "caps/revocation.h"
#include "caps/token.h"
#include "runtime/error.h"

#define URD_CAPS_COUNTER_KEY_BYTES 32
#define URD_CAPS_SPENDS_MAX        16

/* The root key with this id, or NULL when there is none; borrowed until the verification returns.
 */
typedef const struct urd_caps_key *(*urd_caps_root_key_fn)(
    void *arg, const uint8_t root_key_id[URD_CAPS_ROOT_KEY_ID_BYTES]);

/* Whom a verification asks. */
struct urd_caps_verifier {
    urd_caps_root_key_fn root_key;
    void *root_key_arg;
    const struct urd_caps_revoked *revoked; /* NULL: nothing is */
};

/* One counter that this use spends.  Whoever narrows the token further still spends the same one.
 */
struct urd_caps_spend {
    uint8_t
        counter_key[URD_CAPS_COUNTER_KEY_BYTES]; /* hash of the chain's signature at the caveat */
    uint64_t count_max;                          /* N */
    uint64_t window_ns;                          /* 0: `uses`; else `rate`, any window of it */
};

/* All that this use spends, at the node that minted the token. */
struct urd_caps_spends {
    char home[URD_CAPS_NODE_NAME_BYTES_MAX + 1];
    size_t count;
    struct urd_caps_spend items[URD_CAPS_SPENDS_MAX];
};

/* Why not: the kind for the client, the sentence for the log.  Neither holds any part of a
 * signature. */
struct urd_caps_refusal {
    enum urd_caps_kind kind;
    char message[256];
};

/* Verify @bundle, a root token and its bound discharges, for @request.
 *
 * @ret_grant    owned by the caller; give back with urd_caps_grant_free().
 * @ret_spends   what has to be spent before the request is done; refuse it when that fails.
 * @ret_refusal  may be NULL; written on URD_E_DENIED, URD_E_REVOKED and URD_E_INVALID only.
 * Errors: URD_E_DENIED; URD_E_REVOKED token, branch or root key; URD_E_INVALID not minted by Urd,
 * or the request's action or resource is not well-formed; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_verify(const struct urd_caps_verifier *verifier,
                                     const struct urd_caps_bundle *bundle,
                                     const struct urd_caps_request *request,
                                     struct urd_caps_grant **ret_grant,
                                     struct urd_caps_spends *ret_spends,
                                     struct urd_caps_refusal *ret_refusal);

#endif
