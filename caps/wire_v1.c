#include "caps/wire_v1.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "caps/octets_internal.h"
#include "caps/token_internal.h"
#include "caps/writer_internal.h"

#define PACKET_BYTES_MAX 0xffff

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

/* The length of the packet that begins here, digits included; 0 when it is malformed or cut off. */
static size_t packet_length(const struct reader *r)
{
    size_t len = 0;
    if (r->end - r->at < 4) return 0;
    for (int i = 0; i < 4; i++) {
        int digit = urd_caps_hex_digit(r->at[i]);
        if (digit < 0) return 0;
        len = len << 4 | (size_t)digit;
    }
    return len <= (size_t)(r->end - r->at) ? len : 0;
}

/* Is the next packet well-formed so far and of this key?  The key ends at the first space. */
static bool next_is(const struct reader *r, const char *key)
{
    size_t key_len = strlen(key), len = packet_length(r);
    return len >= 4 + key_len + 2 && memcmp(r->at + 4, key, key_len) == 0 &&
           r->at[4 + key_len] == ' ';
}

static bool take(struct reader *r, const char *key, struct urd_caps_bytes *ret)
{
    if (!next_is(r, key)) return false;
    size_t len = packet_length(r), head = 4 + strlen(key) + 1;
    if (r->at[len - 1] != '\n') return false;
    *ret = (struct urd_caps_bytes){ r->at + head, len - head - 1 };
    r->at += len;
    return true;
}

/* A packet that may be missing, but when it is there is not empty. */
static bool take_optional(struct reader *r, const char *key, struct urd_caps_bytes *ret)
{
    *ret = (struct urd_caps_bytes){ r->at, 0 };
    if (!next_is(r, key)) return true;
    return take(r, key, ret) && ret->len > 0;
}

static urd_err take_token(struct reader *r, struct urd_caps_token *t)
{
    struct urd_caps_bytes location, identifier, signature;
    if (!take(r, "location", &location) || !take(r, "identifier", &identifier))
        return URD_E_INVALID;
    urd_err err = urd_caps_token_set_head(t, location, identifier);
    while (err == URD_OK && next_is(r, "cid")) {
        struct urd_caps_caveat caveat;
        if (!take(r, "cid", &caveat.id) || !take_optional(r, "vid", &caveat.vid) ||
            !take_optional(r, "cl", &caveat.location))
            return URD_E_INVALID;
        err = urd_caps_token_append(t, &caveat);
    }
    if (err != URD_OK) return err;
    if (!take(r, "signature", &signature) || signature.len != URD_CAPS_SIGNATURE_BYTES)
        return URD_E_INVALID;
    memcpy(t->signature, signature.data, signature.len);
    return r->at == r->end ? URD_OK : URD_E_INVALID;
}

urd_err urd_caps_v1_decode(const uint8_t *bytes, size_t bytes_len, struct urd_caps_token **ret)
{
    if (bytes_len > URD_CAPS_TOKEN_BYTES_MAX) return URD_E_TOO_BIG;
    struct urd_caps_token *t;
    urd_err err = urd_caps_token_new(bytes_len, &t);
    if (err != URD_OK) return err;
    struct reader r = { bytes, bytes + bytes_len };
    err = take_token(&r, t);
    if (err != URD_OK) {
        urd_caps_token_free(t);
        return err;
    }
    *ret = t;
    return URD_OK;
}

static void write_packet(struct urd_caps_writer *w, const char *key, struct urd_caps_bytes value)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = 4 + strlen(key) + 1 + value.len + 1;
    if (len > PACKET_BYTES_MAX) {
        w->full = true;
        return;
    }
    for (int shift = 12; shift >= 0; shift -= 4)
        urd_caps_write_byte(w, (uint8_t)hex[len >> shift & 15]);
    urd_caps_write(w, key, strlen(key));
    urd_caps_write_byte(w, ' ');
    urd_caps_write(w, value.data, value.len);
    urd_caps_write_byte(w, '\n');
}

static void write_token(struct urd_caps_writer *w, const struct urd_caps_token *token)
{
    write_packet(w, "location", urd_caps_token_location(token));
    write_packet(w, "identifier", urd_caps_token_identifier(token));
    for (size_t i = 0; i < token->caveat_count; i++) {
        struct urd_caps_caveat caveat = urd_caps_token_caveat(token, i);
        write_packet(w, "cid", caveat.id);
        if (caveat.vid.len > 0) write_packet(w, "vid", caveat.vid);
        if (caveat.location.len > 0) write_packet(w, "cl", caveat.location);
    }
    write_packet(w, "signature",
                 (struct urd_caps_bytes){ token->signature, URD_CAPS_SIGNATURE_BYTES });
}

urd_err urd_caps_v1_encode(const struct urd_caps_token *token, uint8_t **ret_bytes,
                           size_t *ret_bytes_len)
{
    /* digits, key, space and LF of: location 14, identifier 16, signature 15+32; cid 9, vid 9, cl 8
     */
    size_t size = token->block_len + 77 + token->caveat_count * 26;
    if (size > URD_CAPS_TOKEN_BYTES_MAX) size = URD_CAPS_TOKEN_BYTES_MAX;
    struct urd_caps_writer w = { .bytes = malloc(size), .size = size };
    if (w.bytes == NULL) return URD_E_NOMEM;
    write_token(&w, token);
    if (w.full) {
        sodium_memzero(w.bytes, w.size);
        free(w.bytes);
        return URD_E_TOO_BIG;
    }
    *ret_bytes = w.bytes;
    *ret_bytes_len = w.len;
    return URD_OK;
}
