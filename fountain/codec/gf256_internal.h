/* fountain/codec/gf256_internal.h -- GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1 (section 5.7), and
 * the three kernels in which all work on symbols is done.
 *
 * A kernel works on strips: the same few hundred bytes of many symbols, that of symbol i at
 * base + i*stride.  Any length and alignment will do; multiples of 64 are fastest.  A destination
 * may be one of the strips of @base as long as it is not among those read. */
#ifndef FOUNTAIN_CODEC_GF256_INTERNAL_H
#define FOUNTAIN_CODEC_GF256_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

struct urd_fountain_kernels {
    const char *name;

    /* dst = init + sum of strips index[0 .. count); @init NULL counts as zero. */
    void (*gather)(uint8_t *dst, const uint8_t *init, const uint8_t *base, size_t stride,
                   const uint16_t *index, size_t count, size_t len);

    /* dst = sum over i < count of coef[i] * strip i. */
    void (*dot)(uint8_t *dst, const uint8_t *base, size_t stride, const uint8_t *coef, size_t count,
                size_t len);

    /* Add MT * GAMMA * (strips 0 .. count) to the @rows strips at sum + row*stride, by Horner's
     * rule: the running value is multiplied by alpha, the next strip added, and the result added to
     * the two rows of @pairs; the last strip's to row i times alpha^i.  (precode.c makes @pairs.)
     */
    void (*horner)(uint8_t *sum, const uint8_t *base, size_t stride, const uint8_t *pairs,
                   size_t count, unsigned rows, size_t len);
};

/* The best kernels this processor has, or those that URD_FOUNTAIN_KERNEL names. */
const struct urd_fountain_kernels *urd_fountain_kernels_best(void);

/* By name (plain, ssse3, avx2); NULL when this build or processor has none of that name. */
const struct urd_fountain_kernels *urd_fountain_kernels_named(const char *name);

/* The portable ones; they also finish the odd bytes that others leave. */
void urd_fountain_plain_gather(uint8_t *dst, const uint8_t *init, const uint8_t *base,
                               size_t stride, const uint16_t *index, size_t count, size_t len);
void urd_fountain_plain_dot(uint8_t *dst, const uint8_t *base, size_t stride, const uint8_t *coef,
                            size_t count, size_t len);
void urd_fountain_plain_horner(uint8_t *sum, const uint8_t *base, size_t stride,
                               const uint8_t *pairs, size_t count, unsigned rows, size_t len);

extern const struct urd_fountain_kernels urd_fountain_kernels_ssse3;
extern const struct urd_fountain_kernels urd_fountain_kernels_avx2;

/* Products of c and 0 .. 15, and c * 16: what a product of bytes, and a byte shuffle, needs. */
extern const uint8_t urd_fountain_nibble[256][16];
extern const uint8_t urd_fountain_times16[256];

static inline uint8_t urd_fountain_multiply(uint8_t a, uint8_t b)
{
    return urd_fountain_nibble[a][b & 15] ^ urd_fountain_nibble[urd_fountain_times16[a]][b >> 4];
}

/* 1/@a; @a must not be 0. */
uint8_t urd_fountain_inverse(uint8_t a);

#endif
