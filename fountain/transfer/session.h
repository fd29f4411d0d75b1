/* fountain/transfer/session.h -- agreeing on a session, its keys, sealing and opening datagrams.
 *
 * Each start or resume of a transfer makes a new session: each side makes an offer, the offers
 * cross over RPC, and both derive the same id (the XOR of both halves) and secret (the sender's 32
 * bytes, then the receiver's).  Secrets live in memory only.
 *
 * A key is keyed BLAKE2b(secret; label, session id, direction, epoch, AEAD): one per direction and
 * epoch, a new epoch every 2^23 datagrams.  The AEAD is AES-256-GCM when both sides have it in
 * hardware, else ChaCha20-Poly1305 (IETF).  The nonce is the packet number, which counts all
 * datagrams of a direction and never repeats; the whole clear header is associated data. */
#ifndef FOUNTAIN_TRANSFER_SESSION_H
#define FOUNTAIN_TRANSFER_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/cx.h"
#include "runtime/error.h"

#define URD_FOUNTAIN_SECRET_LEN 32u
#define URD_FOUNTAIN_OFFER_LEN  42u
#define URD_FOUNTAIN_HEADER_LEN 20u
#define URD_FOUNTAIN_TAG_LEN    16u
#define URD_FOUNTAIN_SEAL_LEN   (URD_FOUNTAIN_HEADER_LEN + URD_FOUNTAIN_TAG_LEN)

/* One side's half of a session. */
struct urd_fountain_offer {
    uint64_t id;
    uint8_t secret[URD_FOUNTAIN_SECRET_LEN];
    bool aes; /* this side has AES-256-GCM in hardware */
};

/* What both sides know: wipe with urd_fountain_agreement_done(). */
struct urd_fountain_agreement {
    uint64_t id;
    uint8_t secret[2 * URD_FOUNTAIN_SECRET_LEN];
    bool aes;
};

/* Make a fresh offer.  Errors: those of urd_cx_random(); URD_E_SYSTEM the crypto library does not
 * start. */
URD_MUST_USE urd_err urd_fountain_offer_make(struct urd_cx *cx, struct urd_fountain_offer *ret);
/* The offer's bytes for an RPC field: version 8, flags 8, id 64, secret. */
void urd_fountain_offer_encode(const struct urd_fountain_offer *offer,
                               uint8_t ret[static URD_FOUNTAIN_OFFER_LEN]);
/* Decode an untrusted offer.  Errors: URD_E_SHORT, URD_E_INVALID, URD_E_VERSION. */
URD_MUST_USE urd_err urd_fountain_offer_decode(const uint8_t *bytes, size_t bytes_len,
                                               struct urd_fountain_offer *ret);
/* Join the halves. */
void urd_fountain_agree(const struct urd_fountain_offer *sender,
                        const struct urd_fountain_offer *receiver,
                        struct urd_fountain_agreement *ret);
void urd_fountain_offer_done(struct urd_fountain_offer *offer);
void urd_fountain_agreement_done(struct urd_fountain_agreement *agreement);

#endif
