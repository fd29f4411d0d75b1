/* seal:  number -> epoch key -> header -> AEAD(header as associated data) -> datagram
 * open:  session? -> epoch near? -> seen before? -> AEAD -> mark as seen
 *
 * Everything before the AEAD is cheap and changes nothing, so a stranger's datagram costs a lookup,
 * and one that guesses the session right costs one failed open. */
#include "fountain/transfer/datagram.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "fountain/transfer/wire_internal.h"

#define KEY_LABEL      "urd fountain datagram 1"
#define NONCE_LEN      12u
#define CLOSE_NAME_MAX 40u
#define DIGEST_LEN     32u

_Static_assert(sizeof(crypto_aead_aes256gcm_state) <=
                   sizeof((struct urd_fountain_key){ 0 }).expanded,
               "the expanded AES key fits");
_Static_assert(crypto_aead_aes256gcm_ABYTES == URD_FOUNTAIN_TAG_LEN &&
                   crypto_aead_chacha20poly1305_ietf_ABYTES == URD_FOUNTAIN_TAG_LEN,
               "both AEADs have the same tag length");

/* Keyed BLAKE2b(secret; label, session id, direction, epoch, AEAD). */
static void key_derive(const struct urd_fountain_agreement *agreement,
                       enum urd_fountain_direction direction, uint32_t epoch,
                       struct urd_fountain_key *ret)
{
    uint8_t bytes[sizeof KEY_LABEL + 14];
    struct wire_writer w = { .bytes = bytes, .cap = sizeof bytes };
    wire_put(&w, KEY_LABEL, sizeof KEY_LABEL);
    wire_put_uint(&w, agreement->id, 8);
    wire_put_uint(&w, direction, 1);
    wire_put_uint(&w, epoch, 4);
    wire_put_uint(&w, agreement->aes, 1);
    crypto_generichash(ret->raw, sizeof ret->raw, bytes, w.len, agreement->secret,
                       sizeof agreement->secret);
    ret->epoch = epoch;
    ret->aes = agreement->aes;
    ret->present = true;
    if (ret->aes) {
        crypto_aead_aes256gcm_state state;
        crypto_aead_aes256gcm_beforenm(&state, ret->raw);
        memcpy(ret->expanded, &state, sizeof state);
        sodium_memzero(&state, sizeof state);
    }
}

static urd_err crypto_ready(const struct urd_fountain_agreement *agreement)
{
    if (sodium_init() < 0) return URD_E_SYSTEM;
    if (agreement->aes && !crypto_aead_aes256gcm_is_available()) return URD_E_SYSTEM;
    return URD_OK;
}

static void nonce_make(uint64_t number, uint8_t ret[static NONCE_LEN])
{
    struct wire_writer w = { .bytes = ret, .cap = NONCE_LEN };
    wire_put_uint(&w, 0, 4);
    wire_put_uint(&w, number, 8);
}

urd_err urd_fountain_sealer_init(struct urd_fountain_sealer *sealer,
                                 const struct urd_fountain_agreement *agreement,
                                 enum urd_fountain_direction direction)
{
    urd_err err = crypto_ready(agreement);
    if (err != URD_OK) return err;
    *sealer = (struct urd_fountain_sealer){ .agreement = *agreement, .direction = direction };
    return URD_OK;
}

void urd_fountain_sealer_done(struct urd_fountain_sealer *sealer)
{
    sodium_memzero(sealer, sizeof *sealer);
}

size_t urd_fountain_seal(struct urd_fountain_sealer *sealer, uint32_t time_us, uint8_t *datagram,
                         size_t payload_len)
{
    assert(payload_len > 0 && payload_len <= URD_FOUNTAIN_PAYLOAD_MAX);
    uint64_t number = sealer->next++;
    uint32_t epoch = (uint32_t)(number / URD_FOUNTAIN_EPOCH_DATAGRAMS);
    if (!sealer->key.present || sealer->key.epoch != epoch)
        key_derive(&sealer->agreement, sealer->direction, epoch, &sealer->key);

    struct wire_writer w = { .bytes = datagram, .cap = URD_FOUNTAIN_HEADER_LEN };
    wire_put_uint(&w, sealer->agreement.id, 8);
    wire_put_uint(&w, epoch, 4);
    wire_put_uint(&w, number % URD_FOUNTAIN_EPOCH_DATAGRAMS, 4);
    wire_put_uint(&w, time_us, 4);

    uint8_t nonce[NONCE_LEN], *payload = datagram + URD_FOUNTAIN_HEADER_LEN;
    nonce_make(number, nonce);
    if (sealer->key.aes)
        crypto_aead_aes256gcm_encrypt_detached_afternm(
            payload, payload + payload_len, NULL, payload, payload_len, datagram,
            URD_FOUNTAIN_HEADER_LEN, NULL, nonce, (const void *)sealer->key.expanded);
    else
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(
            payload, payload + payload_len, NULL, payload, payload_len, datagram,
            URD_FOUNTAIN_HEADER_LEN, NULL, nonce, sealer->key.raw);
    return URD_FOUNTAIN_SEAL_LEN + payload_len;
}

urd_err urd_fountain_opener_init(struct urd_fountain_opener *opener,
                                 const struct urd_fountain_agreement *agreement,
                                 enum urd_fountain_direction direction)
{
    urd_err err = crypto_ready(agreement);
    if (err != URD_OK) return err;
    *opener = (struct urd_fountain_opener){ .agreement = *agreement, .direction = direction };
    return URD_OK;
}

void urd_fountain_opener_done(struct urd_fountain_opener *opener)
{
    sodium_memzero(opener, sizeof *opener);
}

static struct urd_fountain_key *opener_key(struct urd_fountain_opener *opener, uint32_t epoch)
{
    struct urd_fountain_key *key = &opener->keys[epoch % 3];
    if (!key->present || key->epoch != epoch)
        key_derive(&opener->agreement, opener->direction, epoch, key);
    return key;
}

static bool replay_seen(const struct urd_fountain_opener *opener, uint64_t number)
{
    if (number >= opener->next) return false;
    if (opener->next - number > URD_FOUNTAIN_REPLAY_WINDOW) return true;
    return opener->replay[number / 64 % (URD_FOUNTAIN_REPLAY_WINDOW / 64)] >> (number % 64) & 1;
}

static void replay_mark(struct urd_fountain_opener *opener, uint64_t number)
{
    if (number >= opener->next) {
        uint64_t clear = number + 1 - opener->next;
        if (clear >= URD_FOUNTAIN_REPLAY_WINDOW) {
            memset(opener->replay, 0, sizeof opener->replay);
        } else {
            for (uint64_t n = opener->next; n <= number; n++)
                opener->replay[n / 64 % (URD_FOUNTAIN_REPLAY_WINDOW / 64)] &=
                    ~(UINT64_C(1) << (n % 64));
        }
        opener->next = number + 1;
    }
    opener->replay[number / 64 % (URD_FOUNTAIN_REPLAY_WINDOW / 64)] |= UINT64_C(1) << (number % 64);
}

static bool aead_open(const struct urd_fountain_key *key, uint64_t number, uint8_t *datagram,
                      size_t payload_len)
{
    uint8_t nonce[NONCE_LEN], *payload = datagram + URD_FOUNTAIN_HEADER_LEN;
    nonce_make(number, nonce);
    if (key->aes)
        return crypto_aead_aes256gcm_decrypt_detached_afternm(
                   payload, NULL, payload, payload_len, payload + payload_len, datagram,
                   URD_FOUNTAIN_HEADER_LEN, nonce, (const void *)key->expanded) == 0;
    return crypto_aead_chacha20poly1305_ietf_decrypt_detached(
               payload, NULL, payload, payload_len, payload + payload_len, datagram,
               URD_FOUNTAIN_HEADER_LEN, nonce, key->raw) == 0;
}

urd_err urd_fountain_open(struct urd_fountain_opener *opener, uint8_t *datagram, size_t len,
                          struct urd_fountain_opened *ret)
{
    if (opener->failed >= URD_FOUNTAIN_FAILED_OPENS_MAX) return URD_E_CLOSED;
    if (len <= URD_FOUNTAIN_SEAL_LEN) return URD_E_SHORT;
    struct wire_reader r = { .bytes = datagram, .len = len };
    uint64_t id = wire_take_uint(&r, 8);
    uint32_t epoch = (uint32_t)wire_take_uint(&r, 4), number32 = (uint32_t)wire_take_uint(&r, 4);
    uint32_t time_us = (uint32_t)wire_take_uint(&r, 4);
    if (id != opener->agreement.id || number32 >= URD_FOUNTAIN_EPOCH_DATAGRAMS)
        return URD_E_INVALID;
    uint32_t epoch_now =
        opener->next == 0 ? 0 : (uint32_t)((opener->next - 1) / URD_FOUNTAIN_EPOCH_DATAGRAMS);
    if (epoch > epoch_now + 1 || epoch + 1 < epoch_now) return URD_E_INVALID;
    uint64_t number = epoch * URD_FOUNTAIN_EPOCH_DATAGRAMS + number32;
    if (replay_seen(opener, number)) return URD_E_EXISTS;

    size_t payload_len = len - URD_FOUNTAIN_SEAL_LEN;
    if (!aead_open(opener_key(opener, epoch), number, datagram, payload_len)) {
        opener->failed++;
        return URD_E_CORRUPT;
    }
    bool newest = number >= opener->next;
    replay_mark(opener, number);
    opener->accepted++;
    opener->bytes += len;
    *ret = (struct urd_fountain_opened){ .payload = datagram + URD_FOUNTAIN_HEADER_LEN,
                                         .payload_len = payload_len,
                                         .number = number,
                                         .time_us = time_us,
                                         .newest = newest };
    return URD_OK;
}

urd_err urd_fountain_datagram_session(const uint8_t *datagram, size_t len, uint64_t *ret_id)
{
    if (len <= URD_FOUNTAIN_SEAL_LEN) return URD_E_SHORT;
    struct wire_reader r = { .bytes = datagram, .len = len };
    *ret_id = wire_take_uint(&r, 8);
    return URD_OK;
}

static urd_err data_decode(struct wire_reader *r, uint32_t symbol_bytes,
                           struct urd_fountain_message *m)
{
    m->symbols_count = (uint8_t)wire_take_uint(r, 1);
    uint32_t zero = (uint32_t)wire_take_uint(r, 2);
    m->part = (uint32_t)wire_take_uint(r, 4);
    m->sbn = (uint8_t)wire_take_uint(r, 1);
    m->esi = (uint32_t)wire_take_uint(r, 3);
    if (r->short_) return URD_E_SHORT;
    if (zero != 0 || m->symbols_count == 0 || symbol_bytes == 0) return URD_E_INVALID;
    if (wire_left(r) != (size_t)m->symbols_count * symbol_bytes) return URD_E_INVALID;
    if (m->esi + m->symbols_count > UINT32_C(1) << 24) return URD_E_INVALID;
    m->symbols = wire_take(r, wire_left(r));
    return URD_OK;
}

static urd_err digests_decode(struct wire_reader *r, struct urd_fountain_message *m)
{
    m->digests_count = (uint8_t)wire_take_uint(r, 1);
    m->digests_first = (uint32_t)wire_take_uint(r, 4);
    if (m->digests_count == 0 || m->digests_count > URD_FOUNTAIN_DIGESTS_MAX) return URD_E_INVALID;
    m->digests = wire_take(r, (size_t)m->digests_count * DIGEST_LEN);
    return m->digests == NULL ? URD_E_SHORT : URD_OK;
}

static urd_err close_decode(struct wire_reader *r, struct urd_fountain_message *m)
{
    char name[CLOSE_NAME_MAX + 1];
    size_t len = wire_take_uint(r, 1);
    if (len > CLOSE_NAME_MAX) return URD_E_INVALID;
    const uint8_t *bytes = wire_take(r, len);
    if (bytes == NULL) return URD_E_SHORT;
    if (memchr(bytes, '\0', len) != NULL) return URD_E_INVALID;
    memcpy(name, bytes, len);
    name[len] = '\0';
    if (!urd_err_from_name(name, &m->close)) m->close = URD_E_FAILED; /* a newer peer's code */
    return URD_OK;
}

urd_err urd_fountain_message_decode(const uint8_t *payload, size_t payload_len,
                                    uint32_t symbol_bytes, struct urd_fountain_message *ret)
{
    struct wire_reader r = { .bytes = payload, .len = payload_len };
    struct urd_fountain_message m = { .type =
                                          (enum urd_fountain_message_type)wire_take_uint(&r, 1) };
    if (r.short_) return URD_E_SHORT;
    urd_err err = URD_OK;
    const uint8_t *bytes;
    switch (m.type) {
    case URD_FOUNTAIN_MESSAGE_DATA:
        err = data_decode(&r, symbol_bytes, &m);
        break;
    case URD_FOUNTAIN_MESSAGE_CHALLENGE:
    case URD_FOUNTAIN_MESSAGE_RESPONSE:
        bytes = wire_take(&r, URD_FOUNTAIN_CHALLENGE_LEN);
        if (bytes == NULL) return URD_E_SHORT;
        memcpy(m.challenge, bytes, URD_FOUNTAIN_CHALLENGE_LEN);
        break;
    case URD_FOUNTAIN_MESSAGE_CLOSE:
        err = close_decode(&r, &m);
        break;
    case URD_FOUNTAIN_MESSAGE_DIGESTS:
        err = digests_decode(&r, &m);
        break;
    case URD_FOUNTAIN_MESSAGE_REPORT: /* report.h looks at the rest */
        r.at = r.len;
        break;
    default:
        err = URD_E_INVALID;
    }
    if (err == URD_OK && wire_left(&r) > 0) err = URD_E_INVALID;
    if (err == URD_OK) *ret = m;
    return err;
}

size_t urd_fountain_message_encode(const struct urd_fountain_message *message, uint8_t *ret)
{
    struct wire_writer w = { .bytes = ret, .cap = URD_FOUNTAIN_PAYLOAD_MAX };
    wire_put_uint(&w, message->type, 1);
    switch (message->type) {
    case URD_FOUNTAIN_MESSAGE_DATA:
        wire_put_uint(&w, message->symbols_count, 1);
        wire_put_uint(&w, 0, 2);
        wire_put_uint(&w, message->part, 4);
        wire_put_uint(&w, message->sbn, 1);
        wire_put_uint(&w, message->esi, 3);
        assert(w.len == URD_FOUNTAIN_DATA_HEADER_LEN);
        break;
    case URD_FOUNTAIN_MESSAGE_CHALLENGE:
    case URD_FOUNTAIN_MESSAGE_RESPONSE:
        wire_put(&w, message->challenge, URD_FOUNTAIN_CHALLENGE_LEN);
        break;
    case URD_FOUNTAIN_MESSAGE_CLOSE: {
        const char *name = urd_err_name(message->close);
        size_t len = strlen(name);
        assert(len <= CLOSE_NAME_MAX);
        wire_put_uint(&w, len, 1);
        wire_put(&w, name, len);
        break;
    }
    case URD_FOUNTAIN_MESSAGE_DIGESTS:
        wire_put_uint(&w, message->digests_count, 1);
        wire_put_uint(&w, message->digests_first, 4);
        wire_put(&w, message->digests, (size_t)message->digests_count * DIGEST_LEN);
        break;
    case URD_FOUNTAIN_MESSAGE_REPORT:
        break;
    }
    return w.len;
}
