/* Kernels for x86-64 processors with AVX2: 32 bytes at a time. */
#include "fountain/codec/gf256_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "fountain/codec/code_internal.h"

#define KERNEL  __attribute__((target("avx2")))
#define VEC_LEN ((size_t)32)
typedef __m256i vec;

KERNEL static inline vec vec_zero(void)
{
    return _mm256_setzero_si256();
}

KERNEL static inline vec vec_load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

KERNEL static inline void vec_store(uint8_t *p, vec a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, a);
}

KERNEL static inline vec vec_xor(vec a, vec b)
{
    return _mm256_xor_si256(a, b);
}

KERNEL static inline vec vec_times_alpha(vec a)
{
    vec carry = _mm256_cmpgt_epi8(_mm256_setzero_si256(), a);
    return _mm256_xor_si256(_mm256_add_epi8(a, a),
                            _mm256_and_si256(carry, _mm256_set1_epi8(URD_FOUNTAIN_FIELD_LOW)));
}

KERNEL static inline vec vec_table(const uint8_t table[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}

KERNEL static inline vec vec_low(vec a)
{
    return _mm256_and_si256(a, _mm256_set1_epi8(15));
}

KERNEL static inline vec vec_high(vec a)
{
    return _mm256_and_si256(_mm256_srli_epi16(a, 4), _mm256_set1_epi8(15));
}

KERNEL static inline vec vec_look_up(vec table, vec a)
{
    return _mm256_shuffle_epi8(table, a);
}

#include "fountain/codec/gf256_vector.inc"

const struct urd_fountain_kernels urd_fountain_kernels_avx2 = { "avx2", vec_gather, vec_dot,
                                                                vec_horner };
#endif
