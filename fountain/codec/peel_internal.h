/* fountain/codec/peel_internal.h -- the first phase of decoding (section 5.4.2.2): which row gives
 * which column, and which columns stay inactive. */
#ifndef FOUNTAIN_CODEC_PEEL_INTERNAL_H
#define FOUNTAIN_CODEC_PEEL_INTERNAL_H

#include <stdint.h>

#include "fountain/codec/code_internal.h"
#include "runtime/error.h"

#define URD_FOUNTAIN_NO_DATA UINT32_MAX /* a row whose right side is zero */

/* One encoding symbol at hand: its row is that of @isi; its bytes are symbol @data of the storage
 * that the plan will be replayed on, or zero (URD_FOUNTAIN_NO_DATA). */
struct urd_fountain_given {
    uint32_t isi;
    uint32_t data;
};

/* Rows are numbered: S LDPC rows, then the given symbols.  Row r has the columns
 * columns[row_start[r] .. row_start[r+1]).  After peeling
 *   - pivot i, from row pivot_row[i], gives column pivot_column[i] from columns of earlier pivots
 *     and inactive ones;
 *   - every row's columns stand in the order: solved by pivots, inactive, and a pivot's own last;
 *     row_solved[r] counts the first;
 *   - rows that are no pivot (left[0 .. left_count)) have solved and inactive columns alone. */
struct urd_fountain_peel {
    const struct urd_fountain_code *code;
    const struct urd_fountain_given *given;
    uint32_t rows;
    uint32_t *row_start;
    uint16_t *row_solved;
    uint16_t *columns;

    uint32_t pivots;
    uint16_t *pivot_row;
    uint16_t *pivot_column;

    uint32_t inactive_count; /* u: the P permanent ones last */
    uint16_t *inactive;

    uint32_t left_count;
    uint16_t *left;

    void *memory;
};

/* Peel the rows of @given[0 .. given_count) and the LDPC rows.  @given is borrowed as long as
 * @peel.  URD_E_NOMEM, or URD_E_SHORT when more columns than a fair channel ever leaves would stay
 * inactive (a sender that picks its ESIs for that may not make the dense part, cubic in them, as
 * large as it likes). */
URD_MUST_USE urd_err urd_fountain_peel_init(struct urd_fountain_peel *peel,
                                            const struct urd_fountain_code *code,
                                            const struct urd_fountain_given *given,
                                            uint32_t given_count);
void urd_fountain_peel_done(struct urd_fountain_peel *peel);

#endif
