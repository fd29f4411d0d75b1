/* fountain/codec/dense_internal.h -- the second phase (section 5.4.2.3): the u inactive columns,
 * from the rows that gave no pivot and the HDPC rows. */
#ifndef FOUNTAIN_CODEC_DENSE_INTERNAL_H
#define FOUNTAIN_CODEC_DENSE_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "fountain/codec/peel_internal.h"
#include "runtime/error.h"

/* The inactive columns by position 0 .. u-1 (peel.inactive).  With b_k the right side of the k-th
 * row taken, h_i that of HDPC row i, and z the free columns:
 *
 *     free column f    = sum of coef[f][k] * b_k and coef[f][rank + i] * h_i, over all k and i
 *     column pivot[p]  = sum of b_k where made_of(p) has bit k, and of z where bits(p) has z's
 *
 * b needs the forward values (section 5.4.2.2: what the pivots give when every inactive column is
 * zero) of the row's solved columns, h those of all, if there are free columns. */
struct urd_fountain_dense {
    uint32_t u;
    uint32_t rank;       /* of the rows over GF(2) */
    uint32_t free_count; /* u - rank, at most H */
    uint16_t *taken;     /* rank rows of the peel */
    uint16_t *pivot;     /* rank positions */
    uint16_t *free;      /* free_count positions */
    uint32_t words;      /* in a bit row over positions; rows of made_of are as wide */
    uint32_t row_words;  /* in both */
    uint64_t *basis;     /* rank rows: bits over positions, then bits over b */
    uint8_t *coef;       /* free_count rows of rank + H */

    /* When the rows do not suffice: */
    uint32_t lacking;  /* at least so many independent rows are missing */
    uint8_t *rejected; /* by row of the peel: 1 = depends on the others */

    void *memory;
};

/* Eliminate.  @pairs as urd_fountain_hdpc_pairs made them.  URD_E_NOMEM; URD_E_SHORT when the rank
 * is less than u: then only lacking and rejected are set.  urd_fountain_dense_done is always due.
 */
URD_MUST_USE urd_err urd_fountain_dense_init(struct urd_fountain_dense *dense,
                                             const struct urd_fountain_peel *peel,
                                             const uint8_t *pairs);
void urd_fountain_dense_done(struct urd_fountain_dense *dense);

/* The two halves of basis row @p. */
static inline uint64_t *urd_fountain_dense_bits(const struct urd_fountain_dense *dense, uint32_t p)
{
    return dense->basis + (size_t)p * dense->row_words;
}
static inline uint64_t *urd_fountain_dense_made_of(const struct urd_fountain_dense *dense,
                                                   uint32_t p)
{
    return urd_fountain_dense_bits(dense, p) + dense->words;
}

#endif
