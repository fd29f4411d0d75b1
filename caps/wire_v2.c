#include "caps/wire_v2.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "caps/token_internal.h"
#include "caps/writer_internal.h"

enum { VERSION = 2, EOS = 0, LOCATION = 1, IDENTIFIER = 2, VID = 4, SIGNATURE = 6 };

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static size_t left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

static bool next_is(const struct reader *r, uint8_t type)
{
    return left(r) > 0 && *r->at == type;
}

static bool take(struct reader *r, uint8_t type)
{
    if (!next_is(r, type)) return false;
    r->at++;
    return true;
}

/* LEB128: seven bits a byte, low first; no more bytes than the value needs.  Lengths beyond three
 * bytes are beyond every limit. */
static bool take_length(struct reader *r, size_t *ret)
{
    size_t value = 0;
    for (unsigned shift = 0; shift < 21; shift += 7) {
        if (left(r) == 0) return false;
        uint8_t byte = *r->at++;
        value |= (size_t)(byte & 0x7f) << shift;
        if (byte & 0x80) continue;
        if (byte == 0 && shift > 0) return false;
        *ret = value;
        return true;
    }
    return false;
}

static bool take_field(struct reader *r, uint8_t type, struct urd_caps_bytes *ret)
{
    size_t len;
    if (!take(r, type) || !take_length(r, &len) || len > left(r)) return false;
    *ret = (struct urd_caps_bytes){ r->at, len };
    r->at += len;
    return true;
}

/* A field that may be missing, but when it is there is not empty. */
static bool take_optional(struct reader *r, uint8_t type, struct urd_caps_bytes *ret)
{
    *ret = (struct urd_caps_bytes){ r->at, 0 };
    if (!next_is(r, type)) return true;
    return take_field(r, type, ret) && ret->len > 0;
}

static urd_err take_caveat(struct reader *r, struct urd_caps_token *t)
{
    struct urd_caps_caveat caveat;
    if (!take_optional(r, LOCATION, &caveat.location)) return URD_E_INVALID;
    if (!take_field(r, IDENTIFIER, &caveat.id)) return URD_E_INVALID;
    if (caveat.id.len > URD_CAPS_PREDICATE_BYTES_MAX) return URD_E_TOO_BIG;
    if (!take_optional(r, VID, &caveat.vid)) return URD_E_INVALID;
    if (!take(r, EOS)) return URD_E_INVALID;
    return urd_caps_token_append(t, &caveat);
}

static urd_err take_token(struct reader *r, struct urd_caps_token *t)
{
    struct urd_caps_bytes location, identifier, signature;
    if (!take_optional(r, LOCATION, &location) || !take_field(r, IDENTIFIER, &identifier) ||
        !take(r, EOS))
        return URD_E_INVALID;
    urd_err err = urd_caps_token_set_head(t, location, identifier);
    while (err == URD_OK && !take(r, EOS))
        err = take_caveat(r, t);
    if (err != URD_OK) return err;
    if (!take_field(r, SIGNATURE, &signature) || signature.len != URD_CAPS_SIGNATURE_BYTES)
        return URD_E_INVALID;
    memcpy(t->signature, signature.data, signature.len);
    return URD_OK;
}

urd_err urd_caps_v2_decode_first(const uint8_t *bytes, size_t bytes_len, size_t *ret_used,
                                 struct urd_caps_token **ret)
{
    if (bytes_len == 0) return URD_E_INVALID;
    if (bytes[0] != VERSION) return URD_E_VERSION;
    if (bytes_len > URD_CAPS_TOKEN_BYTES_MAX) bytes_len = URD_CAPS_TOKEN_BYTES_MAX;

    struct urd_caps_token *t;
    urd_err err = urd_caps_token_new(bytes_len, &t);
    if (err != URD_OK) return err;
    struct reader r = { bytes + 1, bytes + bytes_len };
    err = take_token(&r, t);
    if (err != URD_OK) {
        urd_caps_token_free(t);
        return err;
    }
    *ret_used = (size_t)(r.at - bytes);
    *ret = t;
    return URD_OK;
}

urd_err urd_caps_v2_decode(const uint8_t *bytes, size_t bytes_len, struct urd_caps_token **ret)
{
    struct urd_caps_token *t;
    size_t used;
    if (bytes_len > URD_CAPS_TOKEN_BYTES_MAX) return URD_E_TOO_BIG;
    urd_err err = urd_caps_v2_decode_first(bytes, bytes_len, &used, &t);
    if (err != URD_OK) return err;
    if (used != bytes_len) {
        urd_caps_token_free(t);
        return URD_E_INVALID;
    }
    *ret = t;
    return URD_OK;
}

static void write_field(struct urd_caps_writer *w, uint8_t type, struct urd_caps_bytes field)
{
    urd_caps_write_byte(w, type);
    size_t len = field.len;
    for (; len >= 0x80; len >>= 7)
        urd_caps_write_byte(w, (uint8_t)(0x80 | (len & 0x7f)));
    urd_caps_write_byte(w, (uint8_t)len);
    urd_caps_write(w, field.data, field.len);
}

static void write_optional(struct urd_caps_writer *w, uint8_t type, struct urd_caps_bytes field)
{
    if (field.len > 0) write_field(w, type, field);
}

static void write_token(struct urd_caps_writer *w, const struct urd_caps_token *token)
{
    urd_caps_write_byte(w, VERSION);
    write_optional(w, LOCATION, urd_caps_token_location(token));
    write_field(w, IDENTIFIER, urd_caps_token_identifier(token));
    urd_caps_write_byte(w, EOS);
    for (size_t i = 0; i < token->caveat_count; i++) {
        struct urd_caps_caveat caveat = urd_caps_token_caveat(token, i);
        if (caveat.id.len > URD_CAPS_PREDICATE_BYTES_MAX) w->full = true;
        write_optional(w, LOCATION, caveat.location);
        write_field(w, IDENTIFIER, caveat.id);
        write_optional(w, VID, caveat.vid);
        urd_caps_write_byte(w, EOS);
    }
    urd_caps_write_byte(w, EOS);
    write_field(w, SIGNATURE,
                (struct urd_caps_bytes){ token->signature, URD_CAPS_SIGNATURE_BYTES });
}

urd_err urd_caps_v2_encode(const struct urd_caps_token *token, uint8_t **ret_bytes,
                           size_t *ret_bytes_len)
{
    /* 1 version, 4+4 for the two fields of the head, 12+1 a caveat, 1+1 ends, 34 signature */
    size_t size = token->block_len + 48 + token->caveat_count * 13;
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
