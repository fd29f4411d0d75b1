/* caps/hmac_internal.h -- the links a macaroon's signature is chained from.
 *
 * sig_0 = HMAC(key, identifier); first party: HMAC(sig, predicate);
 * third party: HMAC(sig, HMAC(sig, vid) || HMAC(sig, cid)), vid before cid. */
#ifndef CAPS_HMAC_INTERNAL_H
#define CAPS_HMAC_INTERNAL_H

#include "caps/key.h"
#include "caps/token.h"

/* HMAC-SHA256 of @msg under the 32 bytes @key; @ret (32 bytes) may be @key. */
void urd_caps_hmac(uint8_t *ret, const uint8_t *key, struct urd_caps_bytes msg);

/* HMAC-SHA256 of @msg under a prepared key. */
void urd_caps_hmac_prepared(uint8_t *ret, const struct urd_caps_key *key,
                            struct urd_caps_bytes msg);

/* HMAC(@key, HMAC(@key, @first) || HMAC(@key, @second)); @ret may be @key. */
void urd_caps_hmac_two(uint8_t *ret, const uint8_t *key, struct urd_caps_bytes first,
                       struct urd_caps_bytes second);

/* What a discharge with chain signature @signature carries once bound to a root token. */
void urd_caps_hmac_bind(uint8_t *ret, const uint8_t *root_signature, const uint8_t *signature);

/* Replace @signature by the one after @caveat. */
void urd_caps_hmac_caveat(uint8_t *signature, const struct urd_caps_caveat *caveat);

#endif
