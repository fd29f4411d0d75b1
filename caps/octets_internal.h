/* caps/octets_internal.h -- big-endian integers in byte strings, and hex read strictly. */
#ifndef CAPS_OCTETS_INTERNAL_H
#define CAPS_OCTETS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void urd_caps_put_be64(uint8_t *to, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        to[i] = (uint8_t)value;
}

static inline uint64_t urd_caps_get_be64(const uint8_t *from)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | from[i];
    return value;
}

/* The value of a lower-case hex digit, or -1. */
static inline int urd_caps_hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* Read @count bytes from 2*@count lower-case hex digits. */
static inline bool urd_caps_hex_read(const uint8_t *text, uint8_t *ret, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int high = urd_caps_hex_digit(text[2 * i]), low = urd_caps_hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

#endif
