/* caps/token.h -- a macaroon: location, identifier, caveats, signature.
 *
 * Whoever holds a token may add caveats, offline, and never take one away: each caveat replaces the
 * signature by an HMAC under it.  A token is a bearer secret: its memory is wiped when given back,
 * and it is never logged; its token id (caps/identifier.h) may be.
 *
 * Tokens take no locks; any number of threads may read one that nobody changes.
 * Source: Birgisson et al., "Macaroons: Cookies with Contextual Caveats" (NDSS 2014). */
#ifndef CAPS_TOKEN_H
#define CAPS_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

struct urd_caps_key;
struct urd_caps_identifier;

#define URD_CAPS_SIGNATURE_BYTES     32
#define URD_CAPS_VID_BYTES           72 /* nonce 24, Poly1305 tag 16, sealed key 32 */
#define URD_CAPS_NONCE_BYTES         24
#define URD_CAPS_LINK_BYTES          16
#define URD_CAPS_CAVEATS_MAX         64
#define URD_CAPS_PREDICATE_BYTES_MAX 4096
#define URD_CAPS_TOKEN_BYTES_MAX     65536 /* all fields together, and any serialised form */

struct urd_caps_token; /* opaque */

/* Bytes that belong to somebody else. */
struct urd_caps_bytes {
    const uint8_t *data;
    size_t len;
};

/* One caveat, seen in place: valid until the token is changed or freed. */
struct urd_caps_caveat {
    struct urd_caps_bytes id;  /* first party: the predicate; third party: what it discharges */
    struct urd_caps_bytes vid; /* third party: the sealed caveat key, 72 bytes; else len 0 */
    struct urd_caps_bytes location; /* a hint where a discharge is had; not authenticated */
};

/* Make a token without caveats.
 *
 * @key         borrowed for the call.
 * @identifier  any bytes, authenticated.  @location: a hint, may be empty, not authenticated.
 * @ret         owned by the caller; give back with urd_caps_token_free().
 * Errors: URD_E_NOMEM; URD_E_TOO_BIG over URD_CAPS_TOKEN_BYTES_MAX. */
URD_MUST_USE urd_err urd_caps_token_create(const struct urd_caps_key *key,
                                           struct urd_caps_bytes identifier,
                                           struct urd_caps_bytes location,
                                           struct urd_caps_token **ret);

/* The same, with one of Urd's own identifiers.  Also URD_E_INVALID: its node name is not
 * well-formed. */
URD_MUST_USE urd_err urd_caps_token_mint(const struct urd_caps_key *key,
                                         const struct urd_caps_identifier *identifier,
                                         struct urd_caps_bytes location,
                                         struct urd_caps_token **ret);

/* Mint a token that begins with every caveat of @parent, so that it is never wider.
 *
 * Errors: as for mint; URD_E_UNSUPPORTED @parent has a caveat that has no copy: a third-party one
 * (its key is sealed under @parent's chain) or a budget (`uses`, `rate`: the copy would be a second
 * one). Such a token can be attenuated, not minted from. */
URD_MUST_USE urd_err urd_caps_token_mint_under(const struct urd_caps_key *key,
                                               const struct urd_caps_identifier *identifier,
                                               const struct urd_caps_token *parent,
                                               struct urd_caps_token **ret);

/* Append a first-party caveat: any @predicate of 1 .. URD_CAPS_PREDICATE_BYTES_MAX bytes.
 * Errors, with nothing changed: URD_E_INVALID empty; URD_E_TOO_BIG a limit passed; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_token_add_first_party(struct urd_caps_token *token,
                                                    struct urd_caps_bytes predicate);

/* Narrow a token for somebody else: append @predicates, each a caveat that Urd knows, then a link.
 *
 * @predicates  @predicate_count texts, NUL-terminated; may be none.
 * @link        URD_CAPS_LINK_BYTES random bytes: the handle by which this branch can be revoked.
 * @errmsg      may be NULL; says which predicate is wrong and how.
 * Errors, with nothing changed: URD_E_INVALID a predicate is malformed; URD_E_TOO_BIG; URD_E_NOMEM.
 */
URD_MUST_USE urd_err urd_caps_token_attenuate(struct urd_caps_token *token,
                                              const char *const *predicates, size_t predicate_count,
                                              const uint8_t *link, char *errmsg, size_t errmsg_len);

/* Append a third-party caveat: it holds when a discharge for @id, made under @caveat_key, is shown.
 *
 * @caveat_key  the secret shared with the third party, any length (derived like a root key).
 * @nonce       URD_CAPS_NONCE_BYTES bytes never used before with this chain: random ones.
 * Errors, with nothing changed: URD_E_INVALID @id is empty; URD_E_TOO_BIG; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_token_add_third_party(struct urd_caps_token *token,
                                                    struct urd_caps_bytes location,
                                                    struct urd_caps_bytes id,
                                                    const struct urd_caps_key *caveat_key,
                                                    const uint8_t *nonce);

/* Bind @discharge, in place, to @root, which must get no more caveats after this.  A bound
 * discharge is worth nothing with any other root. */
void urd_caps_token_bind(struct urd_caps_token *discharge, const struct urd_caps_token *root);

/* Copy @token; @ret is owned by the caller.  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_token_clone(const struct urd_caps_token *token,
                                          struct urd_caps_token **ret);

/* Wipe and release; NULL is allowed. */
void urd_caps_token_free(struct urd_caps_token *token);

/* The parts, seen in place: valid until the token is changed or freed. */
struct urd_caps_bytes urd_caps_token_location(const struct urd_caps_token *token);
struct urd_caps_bytes urd_caps_token_identifier(const struct urd_caps_token *token);
size_t urd_caps_token_caveat_count(const struct urd_caps_token *token);
struct urd_caps_caveat urd_caps_token_caveat(const struct urd_caps_token *token, size_t index);
const uint8_t *urd_caps_token_signature(const struct urd_caps_token *token);

/* True when @descendant can have been made from @ancestor by adding caveats: one identifier, and
 * its caveats begin with all of the ancestor's.  Says nothing about either signature. */
bool urd_caps_token_descends(const struct urd_caps_token *descendant,
                             const struct urd_caps_token *ancestor);

#endif
