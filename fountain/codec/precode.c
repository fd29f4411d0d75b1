/* The two pre-coding relations (section 5.3.3.3): sparse LDPC rows, and a few dense HDPC rows. */
#include <assert.h>
#include <string.h>

#include "fountain/codec/code_internal.h"

uint32_t urd_fountain_ldpc_len(const struct urd_fountain_code *code)
{
    return 3 * code->B + code->S + 2 * code->S;
}

/* The three LDPC rows that LT column @i < B takes part in. */
static void ldpc_rows_of(const struct urd_fountain_code *code, uint32_t i, uint32_t ret_rows[3])
{
    uint32_t a = 1 + i / code->S;
    uint32_t b = i % code->S;
    for (unsigned j = 0; j < 3; j++) {
        ret_rows[j] = b;
        b = (b + a) % code->S;
    }
}

void urd_fountain_ldpc_rows(const struct urd_fountain_code *code, uint32_t *ret_start,
                            uint16_t *ret_columns)
{
    uint32_t rows[3];
    memset(ret_start, 0, (code->S + 1) * sizeof *ret_start);
    for (uint32_t i = 0; i < code->B; i++) {
        ldpc_rows_of(code, i, rows);
        for (unsigned j = 0; j < 3; j++)
            ret_start[rows[j] + 1]++;
    }
    for (uint32_t i = 0; i < code->S; i++) /* the identity and two inactive columns */
        ret_start[i + 1] += ret_start[i] + 3;
    assert(ret_start[code->S] == urd_fountain_ldpc_len(code));

    for (uint32_t i = 0; i < code->B; i++) { /* ret_start[row] runs to the row's end meanwhile */
        ldpc_rows_of(code, i, rows);
        for (unsigned j = 0; j < 3; j++)
            ret_columns[ret_start[rows[j]]++] = (uint16_t)i;
    }
    for (uint32_t i = 0; i < code->S; i++) {
        ret_columns[ret_start[i]++] = (uint16_t)(code->B + i);
        ret_columns[ret_start[i]++] = (uint16_t)(code->W + i % code->P);
        ret_columns[ret_start[i]++] = (uint16_t)(code->W + (i + 1) % code->P);
    }
    memmove(ret_start + 1, ret_start,
            code->S * sizeof *ret_start); /* ends become the next starts */
    ret_start[0] = 0;
}

void urd_fountain_hdpc_pairs(const struct urd_fountain_code *code, uint8_t *ret_pairs)
{
    for (uint32_t j = 0; j + 1 < code->K_prime + code->S; j++) {
        uint32_t first = urd_fountain_rand(j + 1, 6, code->H);
        uint32_t step = urd_fountain_rand(j + 1, 7, code->H - 1) + 1;
        ret_pairs[2 * j] = (uint8_t)first;
        ret_pairs[2 * j + 1] = (uint8_t)((first + step) % code->H);
    }
}

/* Eight field elements times alpha. */
static uint64_t times_alpha(uint64_t x)
{
    uint64_t carry = (x >> 7) & UINT64_C(0x0101010101010101);
    return ((x << 1) & UINT64_C(0xfefefefefefefefe)) ^ carry * URD_FOUNTAIN_FIELD_LOW;
}

static void set_entry(struct urd_fountain_hdpc_column *column, uint32_t row, uint8_t value)
{
    column->word[row / 8] ^= (uint64_t)value << (row % 8 * 8);
}

void urd_fountain_hdpc_columns(const struct urd_fountain_code *code, const uint8_t *pairs,
                               struct urd_fountain_hdpc_column *ret_columns)
{
    memset(ret_columns, 0, code->L * sizeof *ret_columns);
    uint32_t last = code->K_prime + code->S - 1;

    uint8_t power = 1; /* alpha^i */
    for (uint32_t i = 0; i < code->H; i++) {
        set_entry(&ret_columns[last], i, power);
        set_entry(&ret_columns[last + 1 + i], i, 1);
        power = (uint8_t)times_alpha(power);
    }
    for (uint32_t j = last; j-- > 0;) {
        ret_columns[j].word[0] = times_alpha(ret_columns[j + 1].word[0]);
        ret_columns[j].word[1] = times_alpha(ret_columns[j + 1].word[1]);
        set_entry(&ret_columns[j], pairs[2 * j], 1);
        set_entry(&ret_columns[j], pairs[2 * j + 1], 1);
    }
}
