/* fountain/transfer/datagram.h -- sealed datagrams: the outside and the small messages inside.
 *
 * A datagram (big endian): session 64, epoch 32, number in epoch 32, send time 32 (microseconds of
 * the sender's clock, wrapping), all clear and all authenticated; sealed payload; tag 16 bytes.
 * The packet number is epoch * 2^23 + number.
 *
 * A payload begins with its type:
 *   DATA       type 8, symbols 8, zero 16, part 32, SBN 8, ESI 24, then the symbols (consecutive
 *              ESIs of one block)
 *   REPORT     report.h
 *   CHALLENGE  type 8, 8 random bytes          RESPONSE  type 8, the same bytes back
 *   DIGESTS    type 8, count 8, first block 32, digests of 32 bytes (block after the last: the
 * root) CLOSE      type 8, length 8, name of an error code (`URD_OK`: all is well) */
#ifndef FOUNTAIN_TRANSFER_DATAGRAM_H
#define FOUNTAIN_TRANSFER_DATAGRAM_H

#include "fountain/transfer/session.h"

#define URD_FOUNTAIN_EPOCH_DATAGRAMS  (UINT64_C(1) << 23)
#define URD_FOUNTAIN_FAILED_OPENS_MAX (UINT64_C(1) << 36)
#define URD_FOUNTAIN_REPLAY_WINDOW    8192u /* datagrams that may be late by so many */
#define URD_FOUNTAIN_DATAGRAM_MAX     2048u /* bytes, sealed */
#define URD_FOUNTAIN_PAYLOAD_MAX      (URD_FOUNTAIN_DATAGRAM_MAX - URD_FOUNTAIN_SEAL_LEN)
#define URD_FOUNTAIN_DATA_HEADER_LEN  12u
#define URD_FOUNTAIN_CHALLENGE_LEN    8u
#define URD_FOUNTAIN_DIGESTS_MAX      40u /* in one datagram: no longer than one of data */
#define URD_FOUNTAIN_IP_UDP_LEN       28u /* counted into rates */

enum urd_fountain_direction {
    URD_FOUNTAIN_TO_RECEIVER, /* data */
    URD_FOUNTAIN_TO_SENDER    /* reports */
};

/* An AEAD key, expanded. */
struct urd_fountain_key {
    uint32_t epoch;
    bool present;
    bool aes;
    uint8_t raw[32];
    uint8_t expanded[512] __attribute__((aligned(16))); /* crypto_aead_aes256gcm_state */
};

/* One direction, sending end.  Belongs to one task. */
struct urd_fountain_sealer {
    struct urd_fountain_agreement agreement;
    enum urd_fountain_direction direction;
    uint64_t next; /* packet number of the next datagram */
    struct urd_fountain_key key;
};

/* One direction, receiving end.  Belongs to one task. */
struct urd_fountain_opener {
    struct urd_fountain_agreement agreement;
    enum urd_fountain_direction direction;
    uint64_t next;     /* highest packet number accepted, plus 1 */
    uint64_t accepted; /* datagrams that opened */
    uint64_t bytes;    /* of those, sealed */
    uint64_t failed;   /* datagrams that did not open */
    uint64_t replay[URD_FOUNTAIN_REPLAY_WINDOW / 64];
    struct urd_fountain_key keys[3]; /* of the epochs before, at and after the highest */
};

struct urd_fountain_opened {
    uint8_t *payload; /* in the datagram's own bytes */
    size_t payload_len;
    uint64_t number;
    uint32_t time_us; /* the sender's clock */
    bool newest;      /* no later one was accepted before */
};

/* @agreement is copied; wipe with _done.  Errors of init: URD_E_SYSTEM no crypto, or an agreement
 * on AES without hardware for it. */
URD_MUST_USE urd_err urd_fountain_sealer_init(struct urd_fountain_sealer *sealer,
                                              const struct urd_fountain_agreement *agreement,
                                              enum urd_fountain_direction direction);
void urd_fountain_sealer_done(struct urd_fountain_sealer *sealer);
/* Seal in place: the payload stands at @datagram + HEADER_LEN, @payload_len bytes of at least 1 and
 * at most PAYLOAD_MAX; TAG_LEN bytes behind it are free.  Returns the datagram's length. */
size_t urd_fountain_seal(struct urd_fountain_sealer *sealer, uint32_t time_us, uint8_t *datagram,
                         size_t payload_len);

URD_MUST_USE urd_err urd_fountain_opener_init(struct urd_fountain_opener *opener,
                                              const struct urd_fountain_agreement *agreement,
                                              enum urd_fountain_direction direction);
void urd_fountain_opener_done(struct urd_fountain_opener *opener);
/* Open an untrusted datagram in place.  Nothing but the count of failed ones changes on an error:
 * URD_E_SHORT, URD_E_INVALID (no datagram of this session, or of an epoch that cannot be now),
 * URD_E_EXISTS (a replay, or older than the window), URD_E_CORRUPT (forged or damaged: its bytes
 * are garbage now), URD_E_CLOSED (too many of those: end the session). */
URD_MUST_USE urd_err urd_fountain_open(struct urd_fountain_opener *opener, uint8_t *datagram,
                                       size_t len, struct urd_fountain_opened *ret);

/* The session id a datagram claims.  Errors: URD_E_SHORT. */
URD_MUST_USE urd_err urd_fountain_datagram_session(const uint8_t *datagram, size_t len,
                                                   uint64_t *ret_id);

enum urd_fountain_message_type {
    URD_FOUNTAIN_MESSAGE_DATA = 1,
    URD_FOUNTAIN_MESSAGE_REPORT = 2,
    URD_FOUNTAIN_MESSAGE_CHALLENGE = 3,
    URD_FOUNTAIN_MESSAGE_RESPONSE = 4,
    URD_FOUNTAIN_MESSAGE_CLOSE = 5,
    URD_FOUNTAIN_MESSAGE_DIGESTS = 6
};

/* A small message, decoded; REPORT is decoded by report.h from the same payload. */
struct urd_fountain_message {
    enum urd_fountain_message_type type;
    uint8_t challenge[URD_FOUNTAIN_CHALLENGE_LEN]; /* CHALLENGE, RESPONSE */
    urd_err close;                                 /* CLOSE */
    uint32_t digests_first;                        /* DIGESTS */
    uint8_t digests_count;
    const uint8_t *digests;
    uint32_t part; /* DATA, from here on */
    uint8_t sbn;
    uint8_t symbols_count;
    uint32_t esi; /* of the first symbol */
    const uint8_t *symbols;
};

/* Decode an opened, still untrusted payload; symbols are @symbol_bytes long (0: this end takes no
 * data).  Errors: URD_E_SHORT, URD_E_INVALID. */
URD_MUST_USE urd_err urd_fountain_message_decode(const uint8_t *payload, size_t payload_len,
                                                 uint32_t symbol_bytes,
                                                 struct urd_fountain_message *ret);
/* Encode to @ret (room for PAYLOAD_MAX); returns the length.  DATA: only the header is written;
 * DIGESTS: all of it. */
size_t urd_fountain_message_encode(const struct urd_fountain_message *message, uint8_t *ret);

#endif
