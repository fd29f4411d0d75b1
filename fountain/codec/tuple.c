/* The code for a K', its random generator and the columns of an encoding symbol (section 5.3). */
#include <assert.h>
#include <stdbool.h>

#include "fountain/codec/code_internal.h"
#include "fountain/codec/fountain.h"
#include "fountain/codec/tables_internal.h"

static bool is_prime(uint32_t n)
{
    for (uint32_t i = 2; i * i <= n; i++)
        if (n % i == 0) return false;
    return n >= 2;
}

urd_err urd_fountain_code_for(uint32_t K, struct urd_fountain_code *ret_code)
{
    if (K == 0) return URD_E_INVALID;
    if (K > URD_FOUNTAIN_K_MAX) return URD_E_TOO_BIG;

    unsigned low = 0, high = URD_FOUNTAIN_TABLE2_ROWS - 1; /* the least row with K' >= K */
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (urd_fountain_table2[middle].k_prime < K)
            low = middle + 1;
        else
            high = middle;
    }

    const struct urd_fountain_table2_row *row = &urd_fountain_table2[low];
    struct urd_fountain_code code = {
        .K_prime = row->k_prime, .J = row->j, .S = row->s, .H = row->h, .W = row->w
    };
    code.L = code.K_prime + code.S + code.H;
    code.P = code.L - code.W;
    code.B = code.W - code.S;
    code.P1 = code.P;
    while (!is_prime(code.P1))
        code.P1++;
    assert(code.H <= URD_FOUNTAIN_H_MAX && code.P >= code.H);
    *ret_code = code;
    return URD_OK;
}

urd_err urd_fountain_extended_block(uint32_t K, uint32_t *ret_K_prime, uint32_t *ret_L)
{
    struct urd_fountain_code code;
    urd_err err = urd_fountain_code_for(K, &code);
    if (err != URD_OK) return err;
    *ret_K_prime = code.K_prime;
    *ret_L = code.L;
    return URD_OK;
}

uint32_t urd_fountain_rand(uint32_t y, uint32_t i, uint32_t m)
{
    uint32_t x0 = (y + i) & 255;
    uint32_t x1 = ((y >> 8) + i) & 255;
    uint32_t x2 = ((y >> 16) + i) & 255;
    uint32_t x3 = ((y >> 24) + i) & 255;
    return (urd_fountain_v[0][x0] ^ urd_fountain_v[1][x1] ^ urd_fountain_v[2][x2] ^
            urd_fountain_v[3][x3]) %
           m;
}

/* Section 5.3.5.2: Deg[v], v < 2^20. */
static uint32_t degree_of(uint32_t v, uint32_t W)
{
    uint32_t d = 1;
    while (v >= urd_fountain_degree[d])
        d++;
    return d < W - 2 ? d : W - 2;
}

struct urd_fountain_tuple urd_fountain_tuple(const struct urd_fountain_code *code, uint32_t X)
{
    uint32_t A = (53591 + code->J * 997) | 1;
    uint32_t B = 10267 * (code->J + 1);
    uint32_t y = B + X * A; /* mod 2^32; X may exceed 24 bits */
    struct urd_fountain_tuple t;
    t.d = degree_of(urd_fountain_rand(y, 0, UINT32_C(1) << 20), code->W);
    t.a = 1 + urd_fountain_rand(y, 1, code->W - 1);
    t.b = urd_fountain_rand(y, 2, code->W);
    t.d1 = t.d < 4 ? 2 + urd_fountain_rand(X, 3, 2) : 2;
    t.a1 = 1 + urd_fountain_rand(X, 4, code->P1 - 1);
    t.b1 = urd_fountain_rand(X, 5, code->P1);
    return t;
}

/* The next of the P inactive columns in steps of a1 modulo P1, past the P1 - P places that do not
 * exist. */
static uint32_t next_inactive(const struct urd_fountain_code *code, uint32_t b1, uint32_t a1)
{
    do {
        b1 += a1;
        if (b1 >= code->P1) b1 -= code->P1;
    } while (b1 >= code->P);
    return b1;
}

uint32_t urd_fountain_lt_row(const struct urd_fountain_code *code, uint32_t isi,
                             uint16_t ret_columns[URD_FOUNTAIN_LT_MAX])
{
    struct urd_fountain_tuple t = urd_fountain_tuple(code, isi);
    uint32_t count = 0;

    uint32_t b = t.b;
    for (uint32_t i = 0; i < t.d; i++) {
        ret_columns[count++] = (uint16_t)b;
        b += t.a;
        if (b >= code->W) b -= code->W;
    }

    uint32_t b1 = t.b1 < code->P ? t.b1 : next_inactive(code, t.b1, t.a1);
    for (uint32_t i = 0; i < t.d1; i++) {
        ret_columns[count++] = (uint16_t)(code->W + b1);
        b1 = next_inactive(code, b1, t.a1);
    }
    assert(count <= URD_FOUNTAIN_LT_MAX);
    return count;
}
