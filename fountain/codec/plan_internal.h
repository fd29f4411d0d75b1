/* fountain/codec/plan_internal.h -- what to do with symbols, found out without looking at any.
 *
 * A plan solves one matrix.  It is a list of gathers: "this strip is the sum of those".  Replaying
 * it on a strip (a few hundred bytes) of all symbols turns given symbols into intermediate ones:
 *
 *   1. forward    each pivot from its row, inactive columns counting as zero: for 2 and 3 alone
 *   2. h          HDPC rows of those values, by Horner's rule: only if there are free columns
 *   3. b          the rows that gave no pivot, likewise
 *   4. inactive   free columns from b and h over GF(256), the others from b and those
 *   5. pivots     each once more from its row, everything in it being final now
 *
 * so every step reads far and writes one strip. */
#ifndef FOUNTAIN_CODEC_PLAN_INTERNAL_H
#define FOUNTAIN_CODEC_PLAN_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "fountain/codec/code_internal.h"
#include "fountain/codec/gf256_internal.h"
#include "fountain/codec/peel_internal.h"

struct urd_fountain_plan_row {
    uint32_t data;   /* the right side: symbol of the storage, or URD_FOUNTAIN_NO_DATA */
    uint32_t start;  /* of its columns in plan.columns */
    uint16_t solved; /* columns of pivots, first */
    uint16_t count;  /* all columns but its own */
    uint16_t column; /* a pivot's own */
    uint8_t forward; /* step 1 is needed */
};

struct urd_fountain_plan {
    struct urd_fountain_code code;
    uint32_t pivots; /* rows[0 .. pivots) */
    uint32_t rank;   /* rows[pivots .. pivots + rank): step 3 */
    uint32_t free_count;
    struct urd_fountain_plan_row *rows;
    uint16_t *columns;
    uint16_t *free_column;  /* column of each free inactive */
    uint16_t *dense_column; /* column of each other inactive, */
    uint32_t *dense_start;  /* and of which scratch strips it is the sum: */
    uint16_t *dense_sum;    /* dense_sum[dense_start[i] .. dense_start[i+1]) */
    uint8_t *coef;          /* free_count rows of rank + H, over scratch strips */
    uint8_t *pairs;
    void *memory;
};

/* Scratch strips of a replay: b, h, and the free columns. */
static inline uint32_t urd_fountain_plan_scratch(const struct urd_fountain_plan *plan)
{
    return plan->rank + plan->code.H + plan->free_count;
}

/* Plan for the matrix of @given.  URD_E_NOMEM; URD_E_SHORT when it has no full rank: then
 * *ret_lacking is how many independent rows it lacks at least (>= 1), and ret_rejected[i] is set to
 * 1 for each given symbol known to depend on the others, 0 for the rest.  Both may be NULL. */
URD_MUST_USE urd_err urd_fountain_plan_make(const struct urd_fountain_code *code,
                                            const struct urd_fountain_given *given,
                                            uint32_t given_count,
                                            struct urd_fountain_plan **ret_plan,
                                            uint32_t *ret_lacking, uint8_t *ret_rejected);

/* A strip of everything: len bytes of each symbol. */
struct urd_fountain_strip {
    const uint8_t
        *data; /* strip of symbol 0 of the storage; that of symbol i at data + i*data_stride */
    size_t data_stride;
    uint32_t data_count; /* symbols there are; further ones that the plan names count as zero */
    uint8_t *columns;    /* out: L strips */
    uint8_t *scratch;    /* urd_fountain_plan_scratch() strips */
    size_t stride;       /* of both */
    size_t len;          /* <= stride */
};

void urd_fountain_plan_replay(const struct urd_fountain_plan *plan,
                              const struct urd_fountain_kernels *kernels,
                              const struct urd_fountain_strip *strip);

/* The strip length to work with for symbols of @T bytes when @symbols strips are in use at once. */
size_t urd_fountain_strip_len(uint32_t symbols, uint32_t T);

#endif
