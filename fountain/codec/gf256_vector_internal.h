/* The kernels over any byte-vector type.  Included once by each gf256_<name>.c, which defines
 *
 *     KERNEL                attributes of every function: the target
 *     vec, VEC_LEN          the type and its bytes
 *     vec_load, vec_store, vec_xor, vec_zero      unaligned access
 *     vec_times_alpha       each byte times alpha
 *     vec_table             16 bytes of a nibble table, repeated over the vector
 *     vec_low, vec_high     the low and high nibble of each byte
 *     vec_look_up           each byte replaced by the table's entry for it */
#include <string.h>

/* Eight vectors at a time: a strip of 256 bytes is summed in registers and written once. */
KERNEL static void vec_gather(uint8_t *dst, const uint8_t *init, const uint8_t *base, size_t stride,
                              const uint16_t *index, size_t count, size_t len)
{
    size_t at = 0;
    for (; at + 8 * VEC_LEN <= len; at += 8 * VEC_LEN) {
        vec a0 = vec_zero(), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
        if (init != NULL) {
            const uint8_t *p = init + at;
            a0 = vec_load(p);
            a1 = vec_load(p + VEC_LEN);
            a2 = vec_load(p + 2 * VEC_LEN);
            a3 = vec_load(p + 3 * VEC_LEN);
            a4 = vec_load(p + 4 * VEC_LEN);
            a5 = vec_load(p + 5 * VEC_LEN);
            a6 = vec_load(p + 6 * VEC_LEN);
            a7 = vec_load(p + 7 * VEC_LEN);
        }
        for (size_t i = 0; i < count; i++) {
            const uint8_t *p = base + index[i] * stride + at;
            a0 = vec_xor(a0, vec_load(p));
            a1 = vec_xor(a1, vec_load(p + VEC_LEN));
            a2 = vec_xor(a2, vec_load(p + 2 * VEC_LEN));
            a3 = vec_xor(a3, vec_load(p + 3 * VEC_LEN));
            a4 = vec_xor(a4, vec_load(p + 4 * VEC_LEN));
            a5 = vec_xor(a5, vec_load(p + 5 * VEC_LEN));
            a6 = vec_xor(a6, vec_load(p + 6 * VEC_LEN));
            a7 = vec_xor(a7, vec_load(p + 7 * VEC_LEN));
        }
        vec_store(dst + at, a0);
        vec_store(dst + at + VEC_LEN, a1);
        vec_store(dst + at + 2 * VEC_LEN, a2);
        vec_store(dst + at + 3 * VEC_LEN, a3);
        vec_store(dst + at + 4 * VEC_LEN, a4);
        vec_store(dst + at + 5 * VEC_LEN, a5);
        vec_store(dst + at + 6 * VEC_LEN, a6);
        vec_store(dst + at + 7 * VEC_LEN, a7);
    }
    for (; at + VEC_LEN <= len; at += VEC_LEN) {
        vec a = init != NULL ? vec_load(init + at) : vec_zero();
        for (size_t i = 0; i < count; i++)
            a = vec_xor(a, vec_load(base + index[i] * stride + at));
        vec_store(dst + at, a);
    }
    if (at < len)
        urd_fountain_plain_gather(dst + at, init != NULL ? init + at : NULL, base + at, stride,
                                  index, count, len - at);
}

KERNEL static inline vec vec_multiply(vec low_table, vec high_table, vec x)
{
    return vec_xor(vec_look_up(low_table, vec_low(x)), vec_look_up(high_table, vec_high(x)));
}

KERNEL static void vec_dot(uint8_t *dst, const uint8_t *base, size_t stride, const uint8_t *coef,
                           size_t count, size_t len)
{
    size_t at = 0;
    for (; at + 4 * VEC_LEN <= len; at += 4 * VEC_LEN) {
        vec a0 = vec_zero(), a1 = a0, a2 = a0, a3 = a0;
        for (size_t i = 0; i < count; i++) {
            vec low = vec_table(urd_fountain_nibble[coef[i]]);
            vec high = vec_table(urd_fountain_nibble[urd_fountain_times16[coef[i]]]);
            const uint8_t *p = base + i * stride + at;
            a0 = vec_xor(a0, vec_multiply(low, high, vec_load(p)));
            a1 = vec_xor(a1, vec_multiply(low, high, vec_load(p + VEC_LEN)));
            a2 = vec_xor(a2, vec_multiply(low, high, vec_load(p + 2 * VEC_LEN)));
            a3 = vec_xor(a3, vec_multiply(low, high, vec_load(p + 3 * VEC_LEN)));
        }
        vec_store(dst + at, a0);
        vec_store(dst + at + VEC_LEN, a1);
        vec_store(dst + at + 2 * VEC_LEN, a2);
        vec_store(dst + at + 3 * VEC_LEN, a3);
    }
    for (; at + VEC_LEN <= len; at += VEC_LEN) {
        vec a = vec_zero();
        for (size_t i = 0; i < count; i++) {
            vec low = vec_table(urd_fountain_nibble[coef[i]]);
            vec high = vec_table(urd_fountain_nibble[urd_fountain_times16[coef[i]]]);
            a = vec_xor(a, vec_multiply(low, high, vec_load(base + i * stride + at)));
        }
        vec_store(dst + at, a);
    }
    if (at < len) urd_fountain_plain_dot(dst + at, base + at, stride, coef, count, len - at);
}

KERNEL static inline void vec_add_to(uint8_t *sum, vec a)
{
    vec_store(sum, vec_xor(vec_load(sum), a));
}

/* Two vectors at a time: each is a chain of dependent steps, so one alone would wait on itself. */
KERNEL static void vec_horner(uint8_t *sum, const uint8_t *base, size_t stride,
                              const uint8_t *pairs, size_t count, unsigned rows, size_t len)
{
    size_t at = 0;
    for (; at + 2 * VEC_LEN <= len; at += 2 * VEC_LEN) {
        vec a0 = vec_zero(), a1 = a0;
        for (size_t i = 0; i + 1 < count; i++) {
            const uint8_t *p = base + i * stride + at;
            uint8_t *first = sum + pairs[2 * i] * stride + at;
            uint8_t *second = sum + pairs[2 * i + 1] * stride + at;
            a0 = vec_xor(vec_times_alpha(a0), vec_load(p));
            a1 = vec_xor(vec_times_alpha(a1), vec_load(p + VEC_LEN));
            vec_add_to(first, a0);
            vec_add_to(first + VEC_LEN, a1);
            vec_add_to(second, a0);
            vec_add_to(second + VEC_LEN, a1);
        }
        const uint8_t *p = base + (count - 1) * stride + at;
        a0 = vec_xor(vec_times_alpha(a0), vec_load(p));
        a1 = vec_xor(vec_times_alpha(a1), vec_load(p + VEC_LEN));
        for (unsigned row = 0; row < rows; row++) {
            vec_add_to(sum + row * stride + at, a0);
            vec_add_to(sum + row * stride + at + VEC_LEN, a1);
            a0 = vec_times_alpha(a0);
            a1 = vec_times_alpha(a1);
        }
    }
    if (at < len)
        urd_fountain_plain_horner(sum + at, base + at, stride, pairs, count, rows, len - at);
}
