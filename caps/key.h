/* caps/key.h -- a secret made ready for HMAC-SHA256.
 *
 * A macaroon key is never used as it is: it is the *message* of an HMAC under the fixed key
 * "macaroons-key-generator" (padded to 32 bytes with zeros), and what comes out is the key.
 * Source: Birgisson et al., "Macaroons" (NDSS 2014), and the derivation libmacaroons made common.
 */
#ifndef CAPS_KEY_H
#define CAPS_KEY_H

#include <stddef.h>
#include <stdint.h>

#include <sodium.h>

#include "runtime/error.h"

#define URD_CAPS_KEY_BYTES 32

/* A derived key with its HMAC state kept ready, so that a verification starts half way. */
struct urd_caps_key {
    uint8_t bytes[URD_CAPS_KEY_BYTES];
    crypto_auth_hmacsha256_state state;
};

/* Make the cryptography ready; call once before anything else in this library.  Safe to repeat.
 * Errors: URD_E_SYSTEM libsodium found no way to start. */
URD_MUST_USE urd_err urd_caps_init(void);

/* Derive @ret from @secret, @secret_len bytes of any length.  Give back with urd_caps_key_done().
 */
void urd_caps_key_init(struct urd_caps_key *ret, const uint8_t *secret, size_t secret_len);

/* Wipe @key. */
void urd_caps_key_done(struct urd_caps_key *key);

#endif
