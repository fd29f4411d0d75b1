/* What the codec's tests share: bytes that differ, from a seed. */
#ifndef TESTS_UNIT_FOUNTAIN_CODEC_HELPERS_H
#define TESTS_UNIT_FOUNTAIN_CODEC_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static inline uint32_t next_random(uint32_t *state)
{
    *state = *state * UINT32_C(1664525) + UINT32_C(1013904223);
    return *state >> 8;
}

/* @len bytes to be freed by the caller. */
static inline uint8_t *random_bytes(size_t len, uint32_t seed)
{
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(next_random(&seed) >> 8);
    return bytes;
}

#endif
