/* caps/revocation.h -- the revoked set: what no longer counts, and nothing else.
 *
 * The set only grows (each entry is joined with what is there: later instants win), so sets that
 * were merged in any order, any number of times, are equal, and nodes need not agree on anything to
 * share it. Entries get numbers in the order in which this set took them; a peer that has all up to
 * n asks for what comes after n.  Nothing is stored here: the node journals an entry and its
 * number, and restores them.
 *
 * An entry may go once every token it could refuse has expired anyway (urd_caps_revoked_expire).
 * One writer at a time and no reader beside it. */
#ifndef CAPS_REVOCATION_H
#define CAPS_REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caps/grant.h"
#include "caps/identifier.h"
#include "caps/token.h"
#include "runtime/error.h"

#define URD_CAPS_REVOCATION_BYTES_MAX (1 + 8 + 32)
#define URD_CAPS_REVOKED_ENTRIES_MAX  (1u << 20)
#define URD_CAPS_REVOKED_SEED_BYTES   16

enum urd_caps_revocation_kind {
    URD_CAPS_REVOKE_TOKEN = 1, /* a token and everything delegated from it */
    URD_CAPS_REVOKE_LINK = 2,  /* one branch of a token */
    URD_CAPS_REVOKE_KEY = 3,   /* everything minted under a root key */
    URD_CAPS_REVOKE_BEFORE = 4 /* what a root key minted before an instant */
};

struct urd_caps_revocation {
    enum urd_caps_revocation_kind kind;
    uint8_t token_id[URD_CAPS_TOKEN_ID_BYTES];       /* TOKEN, LINK */
    uint8_t link[URD_CAPS_LINK_BYTES];               /* LINK */
    uint8_t root_key_id[URD_CAPS_ROOT_KEY_ID_BYTES]; /* KEY, BEFORE */
    int64_t before_s;  /* BEFORE: unix seconds; what was issued at that very second is kept */
    int64_t expires_s; /* kept until then, unix seconds, or URD_CAPS_NO_EXPIRY */
};

/* Write an entry; fields that its kind does not have are ignored.  @ret has room for
 * URD_CAPS_REVOCATION_BYTES_MAX.  Big-endian: kind 1 | expires 8 | token id 16 [link 16] or
 * root-key id 8 [before 8].   Errors: URD_E_INVALID an unknown kind or an instant out of bounds. */
URD_MUST_USE urd_err urd_caps_revocation_encode(const struct urd_caps_revocation *entry,
                                                uint8_t *ret, size_t *ret_len);

/* Read one from untrusted bytes; what its kind does not have is zero.  Errors: URD_E_INVALID. */
URD_MUST_USE urd_err urd_caps_revocation_decode(const uint8_t *bytes, size_t bytes_len,
                                                struct urd_caps_revocation *ret);

struct urd_caps_revoked; /* opaque */

/* An empty set of at most @entries_max (1 .. URD_CAPS_REVOKED_ENTRIES_MAX) entries.
 * @seed  URD_CAPS_REVOKED_SEED_BYTES random bytes: links are chosen by strangers, so hashing is
 * keyed.
 * @ret   owned by the caller; give back with urd_caps_revoked_free().   Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_revoked_new(const uint8_t *seed, size_t entries_max,
                                          struct urd_caps_revoked **ret);

/* Release; NULL is allowed. */
void urd_caps_revoked_free(struct urd_caps_revoked *set);

/* Join @entry into the set.  @ret_sequence is its new number, or 0 when the set knew as much
 * already. Errors, nothing changed: URD_E_INVALID as for encode; URD_E_FULL; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_revoked_add(struct urd_caps_revoked *set,
                                          const struct urd_caps_revocation *entry,
                                          uint64_t *ret_sequence);

/* Put back an entry under the number it had; numbers must rise from call to call.
 * Errors: as for add; URD_E_INVALID also when @sequence does not rise. */
URD_MUST_USE urd_err urd_caps_revoked_restore(struct urd_caps_revoked *set,
                                              const struct urd_caps_revocation *entry,
                                              uint64_t sequence);

/* Join all of @other.  Errors: as for add; what was joined before it stays. */
URD_MUST_USE urd_err urd_caps_revoked_merge(struct urd_caps_revoked *set,
                                            const struct urd_caps_revoked *other);

/* Drop the entries that expire at or before @now_s: pass the clock less what clocks may differ by.
 * Numbers of the others stay. */
void urd_caps_revoked_expire(struct urd_caps_revoked *set, int64_t now_s);

/* How many entries there are; the number given last, 0 when none was. */
size_t urd_caps_revoked_count(const struct urd_caps_revoked *set);
uint64_t urd_caps_revoked_last(const struct urd_caps_revoked *set);

/* The first entry with a number above @after.  False, and nothing written, when there is none. */
URD_MUST_USE bool urd_caps_revoked_next(const struct urd_caps_revoked *set, uint64_t after,
                                        struct urd_caps_revocation *ret, uint64_t *ret_sequence);

/* Is the token with this identifier revoked as a whole: by its id or by its root key? */
bool urd_caps_revoked_has_token(const struct urd_caps_revoked *set,
                                const struct urd_caps_identifier *identifier);

/* Is this branch of the token revoked?  Says nothing about the token as a whole. */
bool urd_caps_revoked_has_link(const struct urd_caps_revoked *set, const uint8_t *token_id,
                               const uint8_t *link);

/* Is what @grant was given for revoked by now: token, root key or any link of its chain? */
bool urd_caps_revoked_has_grant(const struct urd_caps_revoked *set,
                                const struct urd_caps_grant *grant);

#endif
