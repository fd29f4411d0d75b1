/* A replayed plan gives symbols that satisfy every row of the matrix, whatever the matrix. */
#include "tests/unit/fountain/codec/helpers.h"

#include "fountain/codec/fountain.h"
#include "fountain/codec/plan_internal.h"

#define T 3u /* bytes a symbol: any solution is one for each byte */

static void add(uint8_t *sum, const uint8_t *symbol, uint8_t factor)
{
    for (unsigned i = 0; i < T; i++)
        sum[i] ^= urd_fountain_multiply(factor, symbol[i]);
}

static void check_ldpc(const struct urd_fountain_code *code, const uint8_t *C)
{
    uint32_t *start = calloc(code->S + 1, sizeof *start);
    uint16_t *columns = calloc(urd_fountain_ldpc_len(code), sizeof *columns);
    assert_true(start != NULL && columns != NULL);
    urd_fountain_ldpc_rows(code, start, columns);
    for (uint32_t row = 0; row < code->S; row++) {
        uint8_t sum[T] = { 0 };
        for (uint32_t i = start[row]; i < start[row + 1]; i++)
            add(sum, C + columns[i] * T, 1);
        assert_true(sum[0] == 0 && sum[1] == 0 && sum[2] == 0);
    }
    free(start);
    free(columns);
}

static void check_hdpc(const struct urd_fountain_code *code, const uint8_t *C)
{
    uint8_t *pairs = malloc(2 * (size_t)(code->K_prime + code->S));
    struct urd_fountain_hdpc_column *columns = calloc(code->L, sizeof *columns);
    assert_true(pairs != NULL && columns != NULL);
    urd_fountain_hdpc_pairs(code, pairs);
    urd_fountain_hdpc_columns(code, pairs, columns);
    for (uint32_t row = 0; row < code->H; row++) {
        uint8_t sum[T] = { 0 };
        for (uint32_t j = 0; j < code->L; j++)
            add(sum, C + j * T, (uint8_t)(columns[j].word[row / 8] >> (row % 8 * 8)));
        assert_true(sum[0] == 0 && sum[1] == 0 && sum[2] == 0);
    }
    free(pairs);
    free(columns);
}

static void check_solution(const struct urd_fountain_code *code,
                           const struct urd_fountain_given *given, uint32_t count,
                           const uint8_t *data, const uint8_t *C)
{
    check_ldpc(code, C);
    check_hdpc(code, C);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t columns[URD_FOUNTAIN_LT_MAX];
        uint32_t n = urd_fountain_lt_row(code, given[i].isi, columns);
        uint8_t sum[T] = { 0 };
        for (uint32_t k = 0; k < n; k++)
            add(sum, C + columns[k] * T, 1);
        if (given[i].data != URD_FOUNTAIN_NO_DATA) add(sum, data + given[i].data * T, 1);
        assert_true(sum[0] == 0 && sum[1] == 0 && sum[2] == 0);
    }
}

static void replay(const struct urd_fountain_plan *plan, const uint8_t *data, uint32_t data_count,
                   uint8_t *C)
{
    uint8_t *scratch = random_bytes((size_t)urd_fountain_plan_scratch(plan) * T, 1);
    struct urd_fountain_strip strip = { .data = data,
                                        .data_stride = T,
                                        .data_count = data_count,
                                        .columns = C,
                                        .scratch = scratch,
                                        .stride = T,
                                        .len = T };
    urd_fountain_plan_replay(plan, urd_fountain_kernels_best(), &strip);
    free(scratch);
}

static void solve_and_check(uint32_t K, uint32_t extra, uint32_t seed)
{
    struct urd_fountain_code code;
    assert_int_equal(urd_fountain_code_for(K, &code), URD_OK);
    struct urd_fountain_given *given = malloc((code.K_prime + extra) * sizeof *given);
    assert_non_null(given);
    struct urd_fountain_plan *source_plan, *plan;
    assert_int_equal(urd_fountain_plan_new(K, &source_plan), URD_OK);
    uint8_t *data = random_bytes((size_t)(code.K_prime + extra) * T, seed);
    uint8_t *C = random_bytes((size_t)code.L * T, seed + 1);
    for (uint32_t i = 0; i < code.K_prime; i++)
        given[i] = (struct urd_fountain_given){ .isi = i, .data = i };
    replay(source_plan, data, code.K_prime, C);
    check_solution(&code, given, code.K_prime, data, C);

    /* The same C must come back from any symbols made of it. */
    uint8_t *again = random_bytes((size_t)code.L * T, seed + 2);
    uint32_t random = seed;
    for (uint32_t i = 0; i < code.K_prime + extra; i++) {
        uint16_t columns[URD_FOUNTAIN_LT_MAX];
        given[i] = (struct urd_fountain_given){
            .isi = i % 2 == 0 ? i : code.K_prime + i * 64 + next_random(&random) % 64, .data = i
        };
        uint32_t n = urd_fountain_lt_row(&code, given[i].isi, columns);
        memset(data + i * T, 0, T);
        for (uint32_t k = 0; k < n; k++)
            add(data + i * T, C + columns[k] * T, 1);
    }
    urd_err err = urd_fountain_plan_make(&code, given, code.K_prime + extra, &plan, NULL, NULL);
    if (err == URD_OK) {
        replay(plan, data, code.K_prime + extra, again);
        assert_memory_equal(again, C, (size_t)code.L * T);
        urd_fountain_plan_free(plan);
    } else {
        assert_true(err == URD_E_SHORT && extra < 2); /* once in 200 with none to spare */
    }
    urd_fountain_plan_free(source_plan);
    free(given);
    free(data);
    free(C);
    free(again);
}

static void a_replayed_plan_satisfies_every_row(void **state)
{
    (void)state;
    for (uint32_t K = 1; K < 120; K++)
        for (uint32_t extra = 0; extra < 4; extra++)
            solve_and_check(K, extra, K * 16 + extra);
    solve_and_check(1002, 0, 1);
    solve_and_check(1002, 40, 2); /* no HDPC rows needed */
    solve_and_check(10017, 2, 3);
}

static void every_extended_block_has_a_plan(void **state)
{
    (void)state;
    uint32_t K_prime, L, made = 0;
    for (uint32_t K = 1; K <= 2100; K = K_prime + 1, made++) {
        struct urd_fountain_plan *plan;
        assert_int_equal(urd_fountain_extended_block(K, &K_prime, &L), URD_OK);
        assert_int_equal(urd_fountain_plan_new(K, &plan), URD_OK);
        assert_true(urd_fountain_plan_fits(plan, K) && urd_fountain_plan_fits(plan, K_prime));
        assert_false(urd_fountain_plan_fits(plan, K_prime + 1));
        assert_false(urd_fountain_plan_fits(plan, 0));
        urd_fountain_plan_free(plan);
    }
    assert_true(made > 100);
}

static void impossible_sizes_have_none(void **state)
{
    (void)state;
    struct urd_fountain_plan *plan;
    assert_int_equal(urd_fountain_plan_new(0, &plan), URD_E_INVALID);
    assert_int_equal(urd_fountain_plan_new(URD_FOUNTAIN_K_MAX + 1, &plan), URD_E_TOO_BIG);
    urd_fountain_plan_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replayed_plan_satisfies_every_row),
        cmocka_unit_test(every_extended_block_has_a_plan),
        cmocka_unit_test(impossible_sizes_have_none),
    };
    return cmocka_run_group_tests_name("fountain/codec/plan", tests, NULL, NULL);
}
