/* fountain/codec/code_internal.h -- the code for one K': its sizes, and the rows of its matrix.
 *
 * Columns of the matrix are the L intermediate symbols C[0 .. L-1] (section 5.3.3.3):
 *
 *     0 .. B-1   B .. W-1        W .. L-H-1           L-H .. L-1
 *     LT         LT, from LDPC   permanently inactive  permanently inactive, from HDPC
 *
 * Rows: S LDPC rows, H HDPC rows, and an LT row for each encoding symbol at hand. */
#ifndef FOUNTAIN_CODEC_CODE_INTERNAL_H
#define FOUNTAIN_CODEC_CODE_INTERNAL_H

#include <stdint.h>

#include "runtime/error.h"

#define URD_FOUNTAIN_H_MAX     16u   /* HDPC rows, over table 2 */
#define URD_FOUNTAIN_LT_MAX    33u   /* symbols in one LT row: degree 30 and three inactive ones */
#define URD_FOUNTAIN_ALPHA     2u    /* section 5.7.2: the field's generator */
#define URD_FOUNTAIN_FIELD_LOW 0x1Du /* x^8 = x^4 + x^3 + x^2 + 1 */

/* Section 5.3.3.3. */
struct urd_fountain_code {
    uint32_t K_prime;
    uint32_t J;
    uint32_t S;
    uint32_t H;
    uint32_t W;
    uint32_t L;
    uint32_t P;  /* L - W */
    uint32_t P1; /* least prime >= P */
    uint32_t B;  /* W - S */
};

/* The code of the least K' >= @K.  URD_E_INVALID for 0, URD_E_TOO_BIG above URD_FOUNTAIN_K_MAX. */
URD_MUST_USE urd_err urd_fountain_code_for(uint32_t K, struct urd_fountain_code *ret_code);

/* Section 5.3.5.1: Rand[y, i, m]. */
uint32_t urd_fountain_rand(uint32_t y, uint32_t i, uint32_t m);

/* Section 5.3.5.4: Tuple[K', X]. */
struct urd_fountain_tuple {
    uint32_t d, a, b;
    uint32_t d1, a1, b1;
};
struct urd_fountain_tuple urd_fountain_tuple(const struct urd_fountain_code *code, uint32_t X);

/* Section 5.3.5.3: the columns that encoding symbol @isi sums, the LT ones (< W) first.  Returns
 * how many, at most URD_FOUNTAIN_LT_MAX; all different. */
uint32_t urd_fountain_lt_row(const struct urd_fountain_code *code, uint32_t isi,
                             uint16_t ret_columns[URD_FOUNTAIN_LT_MAX]);

/* Section 5.3.3.3, first pre-coding relation, as CSR: the columns of LDPC row i are
 * ret_columns[ret_start[i] .. ret_start[i+1]), LT ones (< W) first, all different.
 * @ret_start has S+1 places, @ret_columns urd_fountain_ldpc_len(). */
uint32_t urd_fountain_ldpc_len(const struct urd_fountain_code *code);
void urd_fountain_ldpc_rows(const struct urd_fountain_code *code, uint32_t *ret_start,
                            uint16_t *ret_columns);

/* Second relation.  G_HDPC = MT * GAMMA; GAMMA makes column j of G the sum of column j of MT and
 * alpha times column j+1 of G, so both the matrix and its product with symbols run by Horner's
 * rule.  MT has two ones in each column but the last (which holds alpha^i): their rows go to
 * @ret_pairs, two bytes for each column j < K'+S-1. */
void urd_fountain_hdpc_pairs(const struct urd_fountain_code *code, uint8_t *ret_pairs);

/* One entry a row, H of them used: a column of the HDPC part, kept in two words for speed. */
struct urd_fountain_hdpc_column {
    uint64_t word[2];
};

/* All L columns of the HDPC rows, [G_HDPC | I_H]. */
void urd_fountain_hdpc_columns(const struct urd_fountain_code *code, const uint8_t *pairs,
                               struct urd_fountain_hdpc_column *ret_columns);

#endif
