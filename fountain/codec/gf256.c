/* The field's tables, its portable kernels, and the choice among kernels. */
#include "fountain/codec/gf256_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/codec/code_internal.h"

/* Products as constant expressions, so that the tables need neither a generator nor a first use. */
#define TWICE(c) ((((c) << 1) & 0xff) ^ (((c) >> 7) * URD_FOUNTAIN_FIELD_LOW))
#define QUAD(c)  TWICE(TWICE(c))
#define NIBBLE_ROW(c)                                                                              \
    {                                                                                              \
        0, (c), TWICE(c), TWICE(c) ^ (c), QUAD(c), QUAD(c) ^ (c), QUAD(c) ^ TWICE(c),              \
            QUAD(c) ^ TWICE(c) ^ (c), TWICE(QUAD(c)), TWICE(QUAD(c)) ^ (c),                        \
            TWICE(QUAD(c)) ^ TWICE(c), TWICE(QUAD(c)) ^ TWICE(c) ^ (c), TWICE(QUAD(c)) ^ QUAD(c),  \
            TWICE(QUAD(c)) ^ QUAD(c) ^ (c), TWICE(QUAD(c)) ^ QUAD(c) ^ TWICE(c),                   \
            TWICE(QUAD(c)) ^ QUAD(c) ^ TWICE(c) ^ (c)                                              \
    }
#define FOUR(M, c)    M(c), M((c) + 1), M((c) + 2), M((c) + 3)
#define SIXTEEN(M, c) FOUR(M, c), FOUR(M, (c) + 4), FOUR(M, (c) + 8), FOUR(M, (c) + 12)
#define SIXTY4(M, c)  SIXTEEN(M, c), SIXTEEN(M, (c) + 16), SIXTEEN(M, (c) + 32), SIXTEEN(M, (c) + 48)
#define TIMES16(c)    QUAD(QUAD(c))

const uint8_t urd_fountain_nibble[256][16] = { SIXTY4(NIBBLE_ROW, 0), SIXTY4(NIBBLE_ROW, 64),
                                               SIXTY4(NIBBLE_ROW, 128), SIXTY4(NIBBLE_ROW, 192) };
const uint8_t urd_fountain_times16[256] = { SIXTY4(TIMES16, 0), SIXTY4(TIMES16, 64),
                                            SIXTY4(TIMES16, 128), SIXTY4(TIMES16, 192) };

uint8_t urd_fountain_inverse(uint8_t a)
{
    assert(a != 0);
    uint8_t power = a, inverse = 1; /* a^254 = a^2 * a^4 * ... * a^128 */
    for (unsigned i = 1; i < 8; i++) {
        power = urd_fountain_multiply(power, power);
        inverse = urd_fountain_multiply(inverse, power);
    }
    return inverse;
}

static uint64_t load8(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

void urd_fountain_plain_gather(uint8_t *dst, const uint8_t *init, const uint8_t *base,
                               size_t stride, const uint16_t *index, size_t count, size_t len)
{
    size_t at = 0;
    for (; at + 8 <= len; at += 8) {
        uint64_t x = init != NULL ? load8(init + at) : 0;
        for (size_t i = 0; i < count; i++)
            x ^= load8(base + index[i] * stride + at);
        memcpy(dst + at, &x, sizeof x);
    }
    for (; at < len; at++) {
        uint8_t x = init != NULL ? init[at] : 0;
        for (size_t i = 0; i < count; i++)
            x ^= base[index[i] * stride + at];
        dst[at] = x;
    }
}

void urd_fountain_plain_dot(uint8_t *dst, const uint8_t *base, size_t stride, const uint8_t *coef,
                            size_t count, size_t len)
{
    memset(dst, 0, len);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *low = urd_fountain_nibble[coef[i]];
        const uint8_t *high = urd_fountain_nibble[urd_fountain_times16[coef[i]]];
        const uint8_t *strip = base + i * stride;
        for (size_t at = 0; at < len; at++)
            dst[at] ^= low[strip[at] & 15] ^ high[strip[at] >> 4];
    }
}

static uint8_t times_alpha(uint8_t x)
{
    return (uint8_t)(x << 1 ^ (x >> 7) * URD_FOUNTAIN_FIELD_LOW);
}

void urd_fountain_plain_horner(uint8_t *sum, const uint8_t *base, size_t stride,
                               const uint8_t *pairs, size_t count, unsigned rows, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        uint8_t x = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            x = times_alpha(x) ^ base[i * stride + at];
            sum[pairs[2 * i] * stride + at] ^= x;
            sum[pairs[2 * i + 1] * stride + at] ^= x;
        }
        x = times_alpha(x) ^ base[(count - 1) * stride + at];
        for (unsigned row = 0; row < rows; row++, x = times_alpha(x))
            sum[row * stride + at] ^= x;
    }
}

static const struct urd_fountain_kernels plain = { "plain", urd_fountain_plain_gather,
                                                   urd_fountain_plain_dot,
                                                   urd_fountain_plain_horner };

const struct urd_fountain_kernels *urd_fountain_kernels_named(const char *name)
{
    if (strcmp(name, "plain") == 0) return &plain;
#if defined(__x86_64__)
    if (strcmp(name, "ssse3") == 0 && __builtin_cpu_supports("ssse3"))
        return &urd_fountain_kernels_ssse3;
    if (strcmp(name, "avx2") == 0 && __builtin_cpu_supports("avx2"))
        return &urd_fountain_kernels_avx2;
#endif
    return NULL;
}

const struct urd_fountain_kernels *urd_fountain_kernels_best(void)
{
    static const char *const best_first[] = { "avx2", "ssse3" };
    const struct urd_fountain_kernels *found = NULL;

    const char *forced = secure_getenv("URD_FOUNTAIN_KERNEL");
    if (forced != NULL) found = urd_fountain_kernels_named(forced);
    for (unsigned i = 0; found == NULL && i < sizeof best_first / sizeof *best_first; i++)
        found = urd_fountain_kernels_named(best_first[i]);
    return found != NULL ? found : &plain;
}
