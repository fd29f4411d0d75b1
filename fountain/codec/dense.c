/* Elimination over the inactive columns.
 *
 *   1. every solved column as a sum of inactive ones: bit rows, gathered in the order of the pivots
 *   2. every row without a pivot likewise; Gauss-Jordan over GF(2), keeping what makes each row up
 *   3. if columns are left free (at most H are): the HDPC rows over the inactive columns, found by
 *      eliminating the solved columns from the back; a small system over GF(256)
 *
 * Only step 3 leaves GF(2), and only for the last few columns. */
#include "fountain/codec/dense_internal.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/codec/arena_internal.h"
#include "fountain/codec/gf256_internal.h"

#define WORD_BITS 64u
#define NONE      UINT16_MAX

struct work {
    struct urd_fountain_dense *dense;
    const struct urd_fountain_peel *peel;
    const struct urd_fountain_kernels *kernels;
    uint64_t *expressed; /* by column, all L: which inactive ones it is the sum of */
    uint16_t *basis_of;  /* by position: the basis row with its pivot there, or NONE */
    uint64_t *has_basis; /* the same as bits */
    uint64_t *candidate; /* a row to insert */
    uint16_t *to_add;    /* basis rows to add to it */
    void *memory;
};

static bool bit(const uint64_t *bits, uint32_t i)
{
    return bits[i / WORD_BITS] >> (i % WORD_BITS) & 1;
}

static void flip(uint64_t *bits, uint32_t i)
{
    bits[i / WORD_BITS] ^= UINT64_C(1) << (i % WORD_BITS);
}

/* Words in a row of @bits: whole vectors, once it is longer than one. */
static uint32_t words_for(uint32_t bits)
{
    uint32_t words = (bits + WORD_BITS - 1) / WORD_BITS;
    return words <= 2 ? words : (words + 3) / 4 * 4;
}

static void layout_result(struct urd_fountain_dense *d, struct urd_fountain_arena *arena,
                          uint32_t rows, uint32_t H)
{
    d->taken = urd_fountain_carve(arena, d->u, sizeof *d->taken);
    d->pivot = urd_fountain_carve(arena, d->u, sizeof *d->pivot);
    d->free = urd_fountain_carve(arena, H, sizeof *d->free);
    d->basis = urd_fountain_carve(arena, (size_t)d->u * d->row_words, sizeof *d->basis);
    d->coef = urd_fountain_carve(arena, H, d->u + H);
    d->rejected = urd_fountain_carve(arena, rows, sizeof *d->rejected);
}

static void layout_work(struct work *w, struct urd_fountain_arena *arena)
{
    const struct urd_fountain_dense *d = w->dense;
    w->expressed =
        urd_fountain_carve(arena, (size_t)w->peel->code->L * d->words, sizeof *w->expressed);
    w->basis_of = urd_fountain_carve(arena, d->u, sizeof *w->basis_of);
    w->has_basis = urd_fountain_carve(arena, d->words, sizeof *w->has_basis);
    w->candidate = urd_fountain_carve(arena, d->row_words, sizeof *w->candidate);
    w->to_add = urd_fountain_carve(arena, d->u, sizeof *w->to_add);
}

/* The sum of the expressions of @row's columns, without its own when it is a pivot's. */
static void gather_row(const struct work *w, uint32_t row, bool is_pivot, uint64_t *ret_bits)
{
    const struct urd_fountain_peel *p = w->peel;
    size_t bytes = w->dense->words * sizeof(uint64_t);
    uint32_t start = p->row_start[row];
    uint32_t count = p->row_start[row + 1] - start - is_pivot;
    w->kernels->gather((uint8_t *)ret_bits, NULL, (const uint8_t *)w->expressed, bytes,
                       p->columns + start, count, bytes);
}

static void express_columns(struct work *w)
{
    const struct urd_fountain_peel *p = w->peel;
    size_t words = w->dense->words;
    for (uint32_t i = 0; i < p->inactive_count; i++) {
        uint64_t *bits = w->expressed + p->inactive[i] * words;
        memset(bits, 0, words * sizeof *bits);
        flip(bits, i);
    }
    for (uint32_t i = 0; i < p->pivots; i++)
        gather_row(w, p->pivot_row[i], true, w->expressed + p->pivot_column[i] * words);
}

/* dst ^= src over a whole row. */
static void add_row(uint64_t *dst, const uint64_t *src, uint32_t words)
{
    typedef uint64_t four __attribute__((vector_size(32), aligned(8), may_alias));
    uint32_t i = 0;
    for (; i + 4 <= words; i += 4)
        *(four *)(dst + i) ^= *(const four *)(src + i);
    for (; i < words; i++)
        dst[i] ^= src[i];
}

/* Insert w->candidate into the basis, which stays fully reduced: no basis row has a bit at
 * another's pivot.  False, and nothing changed, when it depends on the basis. */
static bool insert_candidate(struct work *w)
{
    struct urd_fountain_dense *d = w->dense;
    uint64_t *candidate = w->candidate;
    memset(candidate + d->words, 0, (d->row_words - d->words) * sizeof *candidate);

    uint32_t adds = 0; /* adding one basis row leaves the bits at other pivots as they are */
    for (uint32_t i = 0; i < d->words; i++)
        for (uint64_t hit = candidate[i] & w->has_basis[i]; hit != 0; hit &= hit - 1)
            w->to_add[adds++] = w->basis_of[i * WORD_BITS + (uint32_t)__builtin_ctzll(hit)];
    size_t bytes = d->row_words * sizeof *candidate;
    w->kernels->gather((uint8_t *)candidate, (const uint8_t *)candidate, (const uint8_t *)d->basis,
                       bytes, w->to_add, adds, bytes);

    uint32_t word = 0;
    while (word < d->words && candidate[word] == 0)
        word++;
    if (word == d->words) return false;
    uint32_t pivot = word * WORD_BITS + (uint32_t)__builtin_ctzll(candidate[word]);

    flip(candidate + d->words, d->rank);
    for (uint32_t p = 0; p < d->rank; p++) {
        uint64_t *row = urd_fountain_dense_bits(d, p);
        if (bit(row, pivot)) add_row(row, candidate, d->row_words);
    }
    memcpy(urd_fountain_dense_bits(d, d->rank), candidate, bytes);
    w->basis_of[pivot] = (uint16_t)d->rank;
    flip(w->has_basis, pivot);
    d->pivot[d->rank] = (uint16_t)pivot;
    return true;
}

static void eliminate_rows(struct work *w)
{
    struct urd_fountain_dense *d = w->dense;
    const struct urd_fountain_peel *p = w->peel;
    memset(w->basis_of, 0xff, d->u * sizeof *w->basis_of);
    memset(w->has_basis, 0, d->words * sizeof *w->has_basis);
    memset(d->rejected, 0, p->rows);
    for (uint32_t i = 0; i < p->left_count && d->rank < d->u; i++) {
        gather_row(w, p->left[i], false, w->candidate);
        if (insert_candidate(w))
            d->taken[d->rank++] = p->left[i];
        else
            d->rejected[p->left[i]] = 1;
    }
    for (uint32_t i = 0; i < d->u; i++) {
        if (w->basis_of[i] != NONE) continue;
        if (d->free_count < p->code->H) d->free[d->free_count] = (uint16_t)i;
        d->free_count++;
    }
}

static uint8_t entry(const struct urd_fountain_hdpc_column *column, uint32_t row)
{
    return (uint8_t)(column->word[row / 8] >> (row % 8 * 8));
}

static void add_column(struct urd_fountain_hdpc_column *dst,
                       const struct urd_fountain_hdpc_column *src)
{
    dst->word[0] ^= src->word[0];
    dst->word[1] ^= src->word[1];
}

/* The HDPC rows with every solved column replaced by what its pivot row says it is.  Last pivot
 * first: a pivot's row has no columns of later pivots. */
static void eliminate_solved(const struct urd_fountain_peel *p,
                             struct urd_fountain_hdpc_column *columns)
{
    for (uint32_t i = p->pivots; i-- > 0;) {
        const struct urd_fountain_hdpc_column own = columns[p->pivot_column[i]];
        uint32_t row = p->pivot_row[i];
        for (uint32_t at = p->row_start[row]; at < p->row_start[row + 1] - 1; at++)
            add_column(&columns[p->columns[at]], &own);
    }
}

/* Gauss-Jordan on @matrix: H rows of @count columns and, beside them, the H columns of an identity.
 * When the rank returned is @count, those H columns of the first @count rows are a left inverse. */
static uint32_t invert(uint8_t matrix[URD_FOUNTAIN_H_MAX][2 * URD_FOUNTAIN_H_MAX], uint32_t H,
                       uint32_t count)
{
    uint32_t rank = 0;
    uint32_t width = count + H;
    for (uint32_t column = 0; column < count; column++) {
        uint32_t row = rank;
        while (row < H && matrix[row][column] == 0)
            row++;
        if (row == H) continue;

        uint8_t scale = urd_fountain_inverse(matrix[row][column]);
        uint8_t pivot[2 * URD_FOUNTAIN_H_MAX];
        for (uint32_t i = 0; i < width; i++)
            pivot[i] = urd_fountain_multiply(scale, matrix[row][i]);
        memcpy(matrix[row], matrix[rank], width);
        memcpy(matrix[rank], pivot, width);
        for (row = 0; row < H; row++) {
            uint8_t factor = matrix[row][column];
            if (row == rank || factor == 0) continue;
            for (uint32_t i = 0; i < width; i++)
                matrix[row][i] ^= urd_fountain_multiply(factor, pivot[i]);
        }
        rank++;
    }
    return rank;
}

/* Free columns z from h = HDPC rows: with x = (made of b) + (free bits) z for the others,
 *     (columns_free + columns_pivot * free bits) z = h + columns_pivot * (made of) b. */
static uint32_t solve_free(struct work *w, struct urd_fountain_hdpc_column *columns)
{
    struct urd_fountain_dense *d = w->dense;
    const struct urd_fountain_peel *p = w->peel;
    uint32_t H = p->code->H;
    uint8_t matrix[URD_FOUNTAIN_H_MAX][2 * URD_FOUNTAIN_H_MAX] = { { 0 } };

    for (uint32_t f = 0; f < d->free_count; f++) {
        struct urd_fountain_hdpc_column sum = columns[p->inactive[d->free[f]]];
        for (uint32_t i = 0; i < d->rank; i++)
            if (bit(urd_fountain_dense_bits(d, i), d->free[f]))
                add_column(&sum, &columns[p->inactive[d->pivot[i]]]);
        for (uint32_t row = 0; row < H; row++)
            matrix[row][f] = entry(&sum, row);
    }
    for (uint32_t row = 0; row < H; row++)
        matrix[row][d->free_count + row] = 1;
    uint32_t rank = invert(matrix, H, d->free_count);
    if (rank < d->free_count) return rank;

    uint32_t width = d->rank + H;
    for (uint32_t k = 0; k < d->rank; k++) {
        struct urd_fountain_hdpc_column sum = { { 0, 0 } };
        for (uint32_t i = 0; i < d->rank; i++)
            if (bit(urd_fountain_dense_made_of(d, i), k))
                add_column(&sum, &columns[p->inactive[d->pivot[i]]]);
        for (uint32_t f = 0; f < d->free_count; f++) {
            uint8_t value = 0;
            for (uint32_t row = 0; row < H; row++)
                value ^= urd_fountain_multiply(matrix[f][d->free_count + row], entry(&sum, row));
            d->coef[f * width + k] = value;
        }
    }
    for (uint32_t f = 0; f < d->free_count; f++)
        memcpy(d->coef + f * width + d->rank, matrix[f] + d->free_count, H);
    return rank;
}

static urd_err use_hdpc_rows(struct work *w, const uint8_t *pairs)
{
    struct urd_fountain_dense *d = w->dense;
    const struct urd_fountain_code *code = w->peel->code;
    if (d->free_count == 0) return URD_OK;
    if (d->free_count > code->H) {
        d->lacking = d->free_count - code->H;
        return URD_E_SHORT;
    }

    struct urd_fountain_hdpc_column *columns = malloc(code->L * sizeof *columns);
    if (columns == NULL) return URD_E_NOMEM;
    urd_fountain_hdpc_columns(code, pairs, columns);
    eliminate_solved(w->peel, columns);
    uint32_t rank = solve_free(w, columns);
    free(columns);

    d->lacking = d->free_count - rank;
    return d->lacking == 0 ? URD_OK : URD_E_SHORT;
}

urd_err urd_fountain_dense_init(struct urd_fountain_dense *dense,
                                const struct urd_fountain_peel *peel, const uint8_t *pairs)
{
    uint32_t u = peel->inactive_count;
    *dense = (struct urd_fountain_dense){ .u = u, .words = words_for(u) };
    dense->row_words = 2 * dense->words;
    struct urd_fountain_arena arena = { 0 };
    layout_result(dense, &arena, peel->rows, peel->code->H);
    if (!urd_fountain_arena_allocate(&arena)) return URD_E_NOMEM;
    layout_result(dense, &arena, peel->rows, peel->code->H);
    dense->memory = arena.base;

    struct work w = { .dense = dense, .peel = peel, .kernels = urd_fountain_kernels_best() };
    urd_err err = URD_E_NOMEM;
    arena = (struct urd_fountain_arena){ 0 };
    layout_work(&w, &arena);
    if (!urd_fountain_arena_allocate(&arena)) goto fail;
    layout_work(&w, &arena);

    express_columns(&w);
    eliminate_rows(&w);
    err = use_hdpc_rows(&w, pairs);
    free(arena.base);
    if (err == URD_OK || err == URD_E_SHORT) return err;
fail:
    urd_fountain_dense_done(dense);
    return err;
}

void urd_fountain_dense_done(struct urd_fountain_dense *dense)
{
    free(dense->memory);
    dense->memory = NULL;
}
