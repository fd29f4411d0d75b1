/* From an eliminated matrix to a list of gathers, and the replay of that list. */
#include "fountain/codec/plan_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/codec/arena_internal.h"
#include "fountain/codec/dense_internal.h"
#include "fountain/codec/fountain.h"

#define WORD_BITS 64u

struct sizes {
    uint32_t columns;
    uint32_t dense_sum;
};

static void layout(struct urd_fountain_plan *p, struct urd_fountain_arena *arena,
                   struct sizes sizes)
{
    uint32_t H = p->code.H;
    p->rows = urd_fountain_carve(arena, p->pivots + p->rank, sizeof *p->rows);
    p->columns = urd_fountain_carve(arena, sizes.columns, sizeof *p->columns);
    p->free_column = urd_fountain_carve(arena, p->free_count, sizeof *p->free_column);
    p->dense_column = urd_fountain_carve(arena, p->rank, sizeof *p->dense_column);
    p->dense_start = urd_fountain_carve(arena, p->rank + 1, sizeof *p->dense_start);
    p->dense_sum = urd_fountain_carve(arena, sizes.dense_sum, sizeof *p->dense_sum);
    p->coef = urd_fountain_carve(arena, p->free_count, p->rank + H);
    p->pairs = urd_fountain_carve(arena, p->code.K_prime + p->code.S, 2);
}

static uint32_t row_len(const struct urd_fountain_peel *peel, uint32_t row)
{
    return peel->row_start[row + 1] - peel->row_start[row];
}

static struct sizes measure(const struct urd_fountain_peel *peel,
                            const struct urd_fountain_dense *dense)
{
    struct sizes sizes = { 0 };
    for (uint32_t i = 0; i < peel->pivots; i++)
        sizes.columns += row_len(peel, peel->pivot_row[i]) - 1;
    for (uint32_t k = 0; k < dense->rank; k++)
        sizes.columns += peel->row_solved[dense->taken[k]];
    for (uint32_t i = 0; i < dense->rank; i++) {
        const uint64_t *bits = urd_fountain_dense_bits(dense, i);
        for (uint32_t word = 0; word < dense->row_words; word++)
            sizes.dense_sum += (uint32_t)__builtin_popcountll(bits[word]);
        sizes.dense_sum -= 1; /* its own pivot */
    }
    return sizes;
}

/* Copy @row of the peel; a row without a pivot is only ever summed over its solved columns. */
static uint32_t copy_row(struct urd_fountain_plan *plan, const struct urd_fountain_peel *peel,
                         uint32_t row, uint32_t count, struct urd_fountain_plan_row *ret)
{
    uint32_t S = peel->code->S;
    *ret = (struct urd_fountain_plan_row){
        .data = row < S ? URD_FOUNTAIN_NO_DATA : peel->given[row - S].data,
        .start = ret->start,
        .solved = peel->row_solved[row],
        .count = (uint16_t)count,
    };
    memcpy(plan->columns + ret->start, peel->columns + peel->row_start[row],
           count * sizeof *plan->columns);
    return ret->start + count;
}

static void fill_rows(struct urd_fountain_plan *plan, const struct urd_fountain_peel *peel,
                      const struct urd_fountain_dense *dense)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < plan->pivots; i++) {
        struct urd_fountain_plan_row *row = &plan->rows[i];
        row->start = end;
        end = copy_row(plan, peel, peel->pivot_row[i], row_len(peel, peel->pivot_row[i]) - 1, row);
        row->column = peel->pivot_column[i];
    }
    for (uint32_t k = 0; k < plan->rank; k++) {
        struct urd_fountain_plan_row *row = &plan->rows[plan->pivots + k];
        row->start = end;
        end = copy_row(plan, peel, dense->taken[k], peel->row_solved[dense->taken[k]], row);
    }
}

/* Step 1 is for the pivots that step 3, or step 2, reads, directly or by way of others. */
static urd_err mark_forward(struct urd_fountain_plan *plan)
{
    uint8_t *needed = calloc(plan->code.L, 1);
    if (needed == NULL) return URD_E_NOMEM;
    if (plan->free_count > 0) memset(needed, 1, plan->code.L);

    for (uint32_t i = plan->pivots + plan->rank; i-- > 0;) {
        struct urd_fountain_plan_row *row = &plan->rows[i];
        row->forward = i >= plan->pivots || needed[row->column];
        if (!row->forward) continue;
        for (uint32_t at = 0; at < row->solved; at++)
            needed[plan->columns[row->start + at]] = 1;
    }
    free(needed);
    return URD_OK;
}

/* Step 4: bit rows become lists of scratch strips. */
static void fill_dense(struct urd_fountain_plan *plan, const struct urd_fountain_peel *peel,
                       const struct urd_fountain_dense *dense)
{
    uint32_t end = 0;
    uint32_t first_free = plan->rank + plan->code.H;
    for (uint32_t f = 0; f < plan->free_count; f++)
        plan->free_column[f] = peel->inactive[dense->free[f]];
    for (uint32_t i = 0; i < plan->rank; i++) {
        const uint64_t *bits = urd_fountain_dense_bits(dense, i);
        const uint64_t *made_of = urd_fountain_dense_made_of(dense, i);
        plan->dense_column[i] = peel->inactive[dense->pivot[i]];
        plan->dense_start[i] = end;
        for (uint32_t word = 0; word < dense->words; word++)
            for (uint64_t left = made_of[word]; left != 0; left &= left - 1)
                plan->dense_sum[end++] =
                    (uint16_t)(word * WORD_BITS + (uint32_t)__builtin_ctzll(left));
        for (uint32_t f = 0; f < plan->free_count; f++)
            if (bits[dense->free[f] / WORD_BITS] >> (dense->free[f] % WORD_BITS) & 1)
                plan->dense_sum[end++] = (uint16_t)(first_free + f);
    }
    plan->dense_start[plan->rank] = end;
    memcpy(plan->coef, dense->coef, plan->free_count * (plan->rank + plan->code.H));
}

static urd_err assemble(const struct urd_fountain_peel *peel,
                        const struct urd_fountain_dense *dense, const uint8_t *pairs,
                        struct urd_fountain_plan **ret_plan)
{
    struct urd_fountain_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) return URD_E_NOMEM;
    plan->code = *peel->code;
    plan->pivots = peel->pivots;
    plan->rank = dense->rank;
    plan->free_count = dense->free_count;

    struct sizes sizes = measure(peel, dense);
    struct urd_fountain_arena arena = { 0 };
    layout(plan, &arena, sizes);
    if (!urd_fountain_arena_allocate(&arena)) goto fail;
    layout(plan, &arena, sizes);
    plan->memory = arena.base;

    fill_rows(plan, peel, dense);
    fill_dense(plan, peel, dense);
    memcpy(plan->pairs, pairs, 2 * (size_t)(plan->code.K_prime + plan->code.S - 1));
    if (mark_forward(plan) != URD_OK) goto fail;
    *ret_plan = plan;
    return URD_OK;

fail:
    urd_fountain_plan_free(plan);
    return URD_E_NOMEM;
}

urd_err urd_fountain_plan_make(const struct urd_fountain_code *code,
                               const struct urd_fountain_given *given, uint32_t given_count,
                               struct urd_fountain_plan **ret_plan, uint32_t *ret_lacking,
                               uint8_t *ret_rejected)
{
    uint32_t lacking = 1;
    if (ret_rejected != NULL) memset(ret_rejected, 0, given_count);
    uint8_t *pairs = malloc(2 * (size_t)(code->K_prime + code->S));
    if (pairs == NULL) return URD_E_NOMEM;
    urd_fountain_hdpc_pairs(code, pairs);

    struct urd_fountain_peel peel;
    urd_err err = urd_fountain_peel_init(&peel, code, given, given_count);
    if (err != URD_OK) goto out;

    struct urd_fountain_dense dense;
    err = urd_fountain_dense_init(&dense, &peel, pairs);
    if (err == URD_OK) {
        err = assemble(&peel, &dense, pairs, ret_plan);
    } else if (err == URD_E_SHORT) {
        lacking = dense.lacking;
        if (ret_rejected != NULL) memcpy(ret_rejected, dense.rejected + code->S, given_count);
    }
    urd_fountain_dense_done(&dense);
    urd_fountain_peel_done(&peel);
out:
    free(pairs);
    if (err == URD_E_SHORT && ret_lacking != NULL) *ret_lacking = lacking;
    return err;
}

urd_err urd_fountain_plan_new(uint32_t K, struct urd_fountain_plan **ret_plan)
{
    struct urd_fountain_code code;
    urd_err err = urd_fountain_code_for(K, &code);
    if (err != URD_OK) return err;

    struct urd_fountain_given *given = malloc(code.K_prime * sizeof *given);
    if (given == NULL) return URD_E_NOMEM;
    for (uint32_t isi = 0; isi < code.K_prime; isi++)
        given[isi] = (struct urd_fountain_given){ .isi = isi, .data = isi };
    err = urd_fountain_plan_make(&code, given, code.K_prime, ret_plan, NULL, NULL);
    free(given);
    assert(err != URD_E_SHORT); /* J(K') is chosen so that this matrix is invertible */
    return err;
}

bool urd_fountain_plan_fits(const struct urd_fountain_plan *plan, uint32_t K)
{
    struct urd_fountain_code code;
    return urd_fountain_code_for(K, &code) == URD_OK && code.K_prime == plan->code.K_prime;
}

void urd_fountain_plan_free(struct urd_fountain_plan *plan)
{
    if (plan == NULL) return;
    free(plan->memory);
    free(plan);
}

static const uint8_t *data_of(const struct urd_fountain_strip *strip, uint32_t data)
{
    return data < strip->data_count ? strip->data + data * strip->data_stride : NULL;
}

static void replay_dense(const struct urd_fountain_plan *plan,
                         const struct urd_fountain_kernels *kernels,
                         const struct urd_fountain_strip *strip)
{
    const struct urd_fountain_code *code = &plan->code;
    uint8_t *h = strip->scratch + plan->rank * strip->stride;
    uint8_t *free_strips = h + code->H * strip->stride;
    if (plan->free_count > 0) {
        for (uint32_t f = 0; f < plan->free_count; f++)
            memset(strip->columns + plan->free_column[f] * strip->stride, 0, strip->stride);
        for (uint32_t i = 0; i < plan->rank; i++)
            memset(strip->columns + plan->dense_column[i] * strip->stride, 0, strip->stride);
        memset(h, 0, code->H * strip->stride);
        kernels->horner(h, strip->columns, strip->stride, plan->pairs, code->K_prime + code->S,
                        code->H, strip->len);
    }
    for (uint32_t k = 0; k < plan->rank; k++) {
        const struct urd_fountain_plan_row *row = &plan->rows[plan->pivots + k];
        kernels->gather(strip->scratch + k * strip->stride, data_of(strip, row->data),
                        strip->columns, strip->stride, plan->columns + row->start, row->solved,
                        strip->len);
    }
    uint32_t width = plan->rank + code->H;
    for (uint32_t f = 0; f < plan->free_count; f++) {
        uint8_t *value = free_strips + f * strip->stride;
        kernels->dot(value, strip->scratch, strip->stride, plan->coef + f * width, width,
                     strip->len);
        memcpy(strip->columns + plan->free_column[f] * strip->stride, value, strip->len);
    }
    for (uint32_t i = 0; i < plan->rank; i++)
        kernels->gather(strip->columns + plan->dense_column[i] * strip->stride, NULL,
                        strip->scratch, strip->stride, plan->dense_sum + plan->dense_start[i],
                        plan->dense_start[i + 1] - plan->dense_start[i], strip->len);
}

void urd_fountain_plan_replay(const struct urd_fountain_plan *plan,
                              const struct urd_fountain_kernels *kernels,
                              const struct urd_fountain_strip *strip)
{
    assert(strip->len <= strip->stride);
    for (uint32_t i = 0; i < plan->pivots; i++) {
        const struct urd_fountain_plan_row *row = &plan->rows[i];
        if (!row->forward) continue;
        kernels->gather(strip->columns + row->column * strip->stride, data_of(strip, row->data),
                        strip->columns, strip->stride, plan->columns + row->start, row->solved,
                        strip->len);
    }
    replay_dense(plan, kernels, strip);
    for (uint32_t i = 0; i < plan->pivots; i++) {
        const struct urd_fountain_plan_row *row = &plan->rows[i];
        kernels->gather(strip->columns + row->column * strip->stride, data_of(strip, row->data),
                        strip->columns, strip->stride, plan->columns + row->start, row->count,
                        strip->len);
    }
}

size_t urd_fountain_strip_len(uint32_t symbols, uint32_t T)
{
    /* Long strips cost less in loops, short ones keep all of them in the cache: in a second-level
     * one up to some thousand symbols, in the last level above. */
    const size_t small_cache_bytes = 512 * 1024;
    size_t len = symbols * (size_t)512 <= small_cache_bytes ? 512 : 256;
    size_t whole = urd_fountain_round_up(T, 16);
    return len < whole ? len : whole;
}
