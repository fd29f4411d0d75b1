/* fountain/transfer/wire_internal.h -- big-endian fields: a writer that cannot overrun and a reader
 * that remembers having run out. */
#ifndef FOUNTAIN_TRANSFER_WIRE_INTERNAL_H
#define FOUNTAIN_TRANSFER_WIRE_INTERNAL_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wire_writer {
    uint8_t *bytes;
    size_t len, cap;
};

static inline void wire_put(struct wire_writer *w, const void *bytes, size_t len)
{
    assert(len <= w->cap - w->len);
    if (len > 0) memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
}

static inline void wire_put_uint(struct wire_writer *w, uint64_t value, unsigned octets)
{
    uint8_t be[8];
    for (unsigned i = 0; i < octets; i++)
        be[i] = (uint8_t)(value >> (8 * (octets - 1 - i)));
    wire_put(w, be, octets);
}

struct wire_reader {
    const uint8_t *bytes;
    size_t len, at;
    bool short_; /* something was asked for beyond the end */
};

static inline size_t wire_left(const struct wire_reader *r)
{
    return r->len - r->at;
}

/* @len bytes of the input, or NULL. */
static inline const uint8_t *wire_take(struct wire_reader *r, size_t len)
{
    if (r->short_ || len > wire_left(r)) {
        r->short_ = true;
        return NULL;
    }
    const uint8_t *at = r->bytes + r->at;
    r->at += len;
    return at;
}

/* A field of @octets octets; 0 beyond the end. */
static inline uint64_t wire_take_uint(struct wire_reader *r, unsigned octets)
{
    const uint8_t *be = wire_take(r, octets);
    uint64_t value = 0;
    for (unsigned i = 0; be != NULL && i < octets; i++)
        value = value << 8 | be[i];
    return value;
}

#endif
