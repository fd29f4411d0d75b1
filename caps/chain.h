/* caps/chain.h -- the MACs of a root token and its discharges, computed once and whole.
 *
 * This is the half of a verification that knows keys and no caveat: it walks every chain to its
 * end, also after one has failed, and compares in constant time.  The other half asks a predicate
 * about each caveat of the chains that hold.
 *
 * Discharges: one that nobody asks for is ignored; of several with one id any that holds will do;
 * one already on the path to itself is not followed; at most URD_CAPS_DISCHARGES_MAX,
 * URD_CAPS_DEPTH_MAX deep, and URD_CAPS_VISITS_MAX chains walked in all, so that hostile sets of
 * discharges cost no more. */
#ifndef CAPS_CHAIN_H
#define CAPS_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caps/key.h"
#include "caps/text.h"
#include "caps/token.h"
#include "runtime/error.h"

#define URD_CAPS_DEPTH_MAX  8
#define URD_CAPS_VISITS_MAX 64

struct urd_caps_chain; /* opaque */

/* One first-party caveat where it stands. */
struct urd_caps_site {
    struct urd_caps_bytes predicate;
    const uint8_t *signature; /* of its chain, the link of this caveat included; 32 bytes */
    unsigned depth;           /* 0: in the root; else in a discharge */
};

/* Does this caveat hold? */
typedef bool (*urd_caps_predicate_fn)(void *arg, const struct urd_caps_site *site);

/* Why a chain does not admit. */
enum urd_caps_chain_answer {
    URD_CAPS_CHAIN_HOLDS,
    URD_CAPS_CHAIN_BAD_SIGNATURE, /* of the root */
    URD_CAPS_CHAIN_PREDICATE,     /* a first-party caveat was refused */
    URD_CAPS_CHAIN_DISCHARGE,     /* a third-party caveat has no discharge whose MAC holds */
    URD_CAPS_CHAIN_LIMIT          /* the discharges ask for more work than is done */
};

/* Walk @root and those of @discharges that are asked for.
 *
 * @key         the root key of @root.
 * @root, @discharges  borrowed; must outlive the chain.
 * @ret         owned by the caller, holds signatures: give back with urd_caps_chain_free().
 * Errors: URD_E_TOO_BIG too many discharges; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_chain_new(const struct urd_caps_key *key,
                                        const struct urd_caps_token *root,
                                        const struct urd_caps_token *const *discharges,
                                        size_t discharge_count, struct urd_caps_chain **ret);

/* Wipe and release; NULL is allowed. */
void urd_caps_chain_free(struct urd_caps_chain *chain);

/* Does the root's MAC hold?  Nothing below means anything unless it does. */
bool urd_caps_chain_mac_holds(const struct urd_caps_chain *chain);

/* Ask @holds about the caveats of every chain whose MAC holds, and choose a discharge for each
 * third-party caveat.  @ret_refused is what refused, written for the answers PREDICATE and
 * DISCHARGE. */
enum urd_caps_chain_answer urd_caps_chain_evaluate(struct urd_caps_chain *chain,
                                                   urd_caps_predicate_fn holds, void *arg,
                                                   struct urd_caps_bytes *ret_refused);

/* After URD_CAPS_CHAIN_HOLDS: show @visit each caveat that was counted on, in the order of the
 * chain, the caveats of a discharge in place of the caveat it discharges; stops at the first false
 * and returns it. */
bool urd_caps_chain_each(const struct urd_caps_chain *chain, urd_caps_predicate_fn visit,
                         void *arg);

#endif
