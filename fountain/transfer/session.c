/* Offers and what comes of two of them.  Keys and sealing are datagram.c's. */
#include "fountain/transfer/session.h"

#include <sodium.h>
#include <string.h>

#include "fountain/transfer/wire_internal.h"

#define OFFER_VERSION 1u
#define FLAG_AES      1u

urd_err urd_fountain_offer_make(struct urd_cx *cx, struct urd_fountain_offer *ret)
{
    if (sodium_init() < 0) return URD_E_SYSTEM;
    struct urd_fountain_offer offer = { .aes = crypto_aead_aes256gcm_is_available() == 1 };
    urd_err err = urd_cx_random(cx, &offer.id, sizeof offer.id);
    if (err == URD_OK) err = urd_cx_random(cx, offer.secret, sizeof offer.secret);
    if (err == URD_OK) *ret = offer;
    urd_fountain_offer_done(&offer);
    return err;
}

void urd_fountain_offer_encode(const struct urd_fountain_offer *offer,
                               uint8_t ret[static URD_FOUNTAIN_OFFER_LEN])
{
    struct wire_writer w = { .bytes = ret, .cap = URD_FOUNTAIN_OFFER_LEN };
    wire_put_uint(&w, OFFER_VERSION, 1);
    wire_put_uint(&w, offer->aes ? FLAG_AES : 0, 1);
    wire_put_uint(&w, offer->id, 8);
    wire_put(&w, offer->secret, sizeof offer->secret);
    assert(w.len == URD_FOUNTAIN_OFFER_LEN);
}

urd_err urd_fountain_offer_decode(const uint8_t *bytes, size_t bytes_len,
                                  struct urd_fountain_offer *ret)
{
    struct wire_reader r = { .bytes = bytes, .len = bytes_len };
    uint8_t version = (uint8_t)wire_take_uint(&r, 1), flags = (uint8_t)wire_take_uint(&r, 1);
    uint64_t id = wire_take_uint(&r, 8);
    const uint8_t *secret = wire_take(&r, URD_FOUNTAIN_SECRET_LEN);
    if (secret == NULL) return URD_E_SHORT;
    if (version != OFFER_VERSION) return URD_E_VERSION;
    if (flags > FLAG_AES || wire_left(&r) > 0) return URD_E_INVALID;
    *ret = (struct urd_fountain_offer){ .id = id, .aes = (flags & FLAG_AES) != 0 };
    memcpy(ret->secret, secret, URD_FOUNTAIN_SECRET_LEN);
    return URD_OK;
}

void urd_fountain_agree(const struct urd_fountain_offer *sender,
                        const struct urd_fountain_offer *receiver,
                        struct urd_fountain_agreement *ret)
{
    ret->id = sender->id ^ receiver->id;
    ret->aes = sender->aes && receiver->aes;
    memcpy(ret->secret, sender->secret, URD_FOUNTAIN_SECRET_LEN);
    memcpy(ret->secret + URD_FOUNTAIN_SECRET_LEN, receiver->secret, URD_FOUNTAIN_SECRET_LEN);
}

void urd_fountain_offer_done(struct urd_fountain_offer *offer)
{
    sodium_memzero(offer, sizeof *offer);
}

void urd_fountain_agreement_done(struct urd_fountain_agreement *agreement)
{
    sodium_memzero(agreement, sizeof *agreement);
}
