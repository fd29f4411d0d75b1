/* Kernels for x86-64 processors with SSSE3: 16 bytes at a time. */
#include "fountain/codec/gf256_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "fountain/codec/code_internal.h"

#define KERNEL  __attribute__((target("ssse3")))
#define VEC_LEN ((size_t)16)
typedef __m128i vec;

KERNEL static inline vec vec_zero(void)
{
    return _mm_setzero_si128();
}

KERNEL static inline vec vec_load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

KERNEL static inline void vec_store(uint8_t *p, vec a)
{
    _mm_storeu_si128((__m128i *)(void *)p, a);
}

KERNEL static inline vec vec_xor(vec a, vec b)
{
    return _mm_xor_si128(a, b);
}

KERNEL static inline vec vec_times_alpha(vec a)
{
    vec carry = _mm_cmpgt_epi8(_mm_setzero_si128(), a);
    return _mm_xor_si128(_mm_add_epi8(a, a),
                         _mm_and_si128(carry, _mm_set1_epi8(URD_FOUNTAIN_FIELD_LOW)));
}

KERNEL static inline vec vec_table(const uint8_t table[16])
{
    return vec_load(table);
}

KERNEL static inline vec vec_low(vec a)
{
    return _mm_and_si128(a, _mm_set1_epi8(15));
}

KERNEL static inline vec vec_high(vec a)
{
    return _mm_and_si128(_mm_srli_epi16(a, 4), _mm_set1_epi8(15));
}

KERNEL static inline vec vec_look_up(vec table, vec a)
{
    return _mm_shuffle_epi8(table, a);
}

#include "fountain/codec/gf256_vector.inc"

const struct urd_fountain_kernels urd_fountain_kernels_ssse3 = { "ssse3", vec_gather, vec_dot,
                                                                 vec_horner };
#endif
