/* caps/writer_internal.h -- bytes appended to a buffer of fixed size that remembers an overflow. */
#ifndef CAPS_WRITER_INTERNAL_H
#define CAPS_WRITER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "caps/token.h"

struct urd_caps_writer {
    uint8_t *bytes;
    size_t len;
    size_t size;
    bool full;
};

static inline void urd_caps_write(struct urd_caps_writer *w, const void *data, size_t len)
{
    if (w->full || len > w->size - w->len) {
        w->full = true;
        return;
    }
    if (len > 0) memcpy(w->bytes + w->len, data, len);
    w->len += len;
}

static inline void urd_caps_write_byte(struct urd_caps_writer *w, uint8_t byte)
{
    urd_caps_write(w, &byte, 1);
}

#endif
