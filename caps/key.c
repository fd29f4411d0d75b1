#include "caps/key.h"

#include <assert.h>
#include <string.h>

#include "caps/hmac_internal.h"

static_assert(URD_CAPS_KEY_BYTES == crypto_auth_hmacsha256_KEYBYTES, "HMAC-SHA256 keys");
static_assert(URD_CAPS_SIGNATURE_BYTES == crypto_auth_hmacsha256_BYTES, "HMAC-SHA256 output");

/* 23 letters, padded with zeros to a key. */
static const uint8_t generator[URD_CAPS_KEY_BYTES] = "macaroons-key-generator";

urd_err urd_caps_init(void)
{
    return sodium_init() < 0 ? URD_E_SYSTEM : URD_OK;
}

void urd_caps_key_init(struct urd_caps_key *ret, const uint8_t *secret, size_t secret_len)
{
    urd_caps_hmac(ret->bytes, generator, (struct urd_caps_bytes){ secret, secret_len });
    crypto_auth_hmacsha256_init(&ret->state, ret->bytes, sizeof ret->bytes);
}

void urd_caps_key_done(struct urd_caps_key *key)
{
    sodium_memzero(key, sizeof *key);
}

void urd_caps_hmac(uint8_t *ret, const uint8_t *key, struct urd_caps_bytes msg)
{
    crypto_auth_hmacsha256(ret, msg.data, msg.len, key);
}

void urd_caps_hmac_prepared(uint8_t *ret, const struct urd_caps_key *key, struct urd_caps_bytes msg)
{
    crypto_auth_hmacsha256_state state = key->state;
    crypto_auth_hmacsha256_update(&state, msg.data, msg.len);
    crypto_auth_hmacsha256_final(&state, ret);
    sodium_memzero(&state, sizeof state);
}

void urd_caps_hmac_two(uint8_t *ret, const uint8_t *key, struct urd_caps_bytes first,
                       struct urd_caps_bytes second)
{
    uint8_t both[2 * URD_CAPS_SIGNATURE_BYTES];
    urd_caps_hmac(both, key, first);
    urd_caps_hmac(both + URD_CAPS_SIGNATURE_BYTES, key, second);
    urd_caps_hmac(ret, key, (struct urd_caps_bytes){ both, sizeof both });
    sodium_memzero(both, sizeof both);
}

void urd_caps_hmac_bind(uint8_t *ret, const uint8_t *root_signature, const uint8_t *signature)
{
    static const uint8_t zero[URD_CAPS_KEY_BYTES];
    urd_caps_hmac_two(ret, zero,
                      (struct urd_caps_bytes){ root_signature, URD_CAPS_SIGNATURE_BYTES },
                      (struct urd_caps_bytes){ signature, URD_CAPS_SIGNATURE_BYTES });
}

void urd_caps_hmac_caveat(uint8_t *signature, const struct urd_caps_caveat *caveat)
{
    if (caveat->vid.len > 0)
        urd_caps_hmac_two(signature, signature, caveat->vid, caveat->id);
    else
        urd_caps_hmac(signature, signature, caveat->id);
}
