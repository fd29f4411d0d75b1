/* The code's sizes and an encoding symbol's columns.  (Tuples themselves:
 * interop.fountain_codec.vectors.) */
#include "tests/unit/fountain/codec/helpers.h"

#include "fountain/codec/code_internal.h"
#include "fountain/codec/fountain.h"
#include "fountain/codec/tables_internal.h"

static bool prime(uint32_t n)
{
    for (uint32_t i = 2; i * i <= n; i++)
        if (n % i == 0) return false;
    return n > 1;
}

static void table_2_keeps_the_rules_it_was_made_by(void **state)
{
    (void)state;
    for (unsigned i = 0; i < URD_FOUNTAIN_TABLE2_ROWS; i++) {
        const struct urd_fountain_table2_row *row = &urd_fountain_table2[i];
        uint32_t L = (uint32_t)row->k_prime + row->s + row->h;
        assert_true(i == 0 || row->k_prime > urd_fountain_table2[i - 1].k_prime);
        assert_true(prime(row->s) && prime(row->w));
        assert_true(row->h >= 10 && row->h <= URD_FOUNTAIN_H_MAX);
        assert_true(L - row->w >= row->h && L <= UINT16_MAX);
    }
    assert_int_equal(urd_fountain_table2[URD_FOUNTAIN_TABLE2_ROWS - 1].k_prime, URD_FOUNTAIN_K_MAX);
    assert_int_equal(urd_fountain_degree[URD_FOUNTAIN_DEGREE_MAX], 1 << 20);
}

static void the_least_extended_block_is_chosen(void **state)
{
    (void)state;
    unsigned row = 0;
    for (uint32_t K = 1; K <= URD_FOUNTAIN_K_MAX; K++) {
        if (K > urd_fountain_table2[row].k_prime) row++;
        uint32_t K_prime, L;
        assert_int_equal(urd_fountain_extended_block(K, &K_prime, &L), URD_OK);
        assert_int_equal(K_prime, urd_fountain_table2[row].k_prime);
        assert_int_equal(L, K_prime + urd_fountain_table2[row].s + urd_fountain_table2[row].h);
    }
}

static void no_symbols_and_too_many_are_refused(void **state)
{
    (void)state;
    uint32_t K_prime = 1, L = 2;
    assert_int_equal(urd_fountain_extended_block(0, &K_prime, &L), URD_E_INVALID);
    assert_int_equal(urd_fountain_extended_block(URD_FOUNTAIN_K_MAX + 1, &K_prime, &L),
                     URD_E_TOO_BIG);
    assert_int_equal(urd_fountain_extended_block(UINT32_MAX, &K_prime, &L), URD_E_TOO_BIG);
    assert_true(K_prime == 1 && L == 2);
}

static void a_symbols_columns_are_in_range_different_and_sorted_by_kind(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 1, 10, 11, 100, 1000, 10000, 56403 };
    uint32_t random = 11;
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        struct urd_fountain_code code;
        assert_int_equal(urd_fountain_code_for(sizes[s], &code), URD_OK);
        uint8_t *used = calloc(code.L, 1);
        assert_non_null(used);
        for (unsigned i = 0; i < 3000; i++) {
            uint32_t isi = i < 1000 ? i : next_random(&random) + (i & 63);
            uint16_t columns[URD_FOUNTAIN_LT_MAX];
            struct urd_fountain_tuple t = urd_fountain_tuple(&code, isi);
            uint32_t count = urd_fountain_lt_row(&code, isi, columns);
            assert_int_equal(count, t.d + t.d1);
            assert_true(t.d >= 1 && t.d <= 30 && t.d <= code.W - 2);
            for (uint32_t c = 0; c < count; c++) {
                assert_true(c < t.d ? columns[c] < code.W : columns[c] >= code.W);
                assert_true(columns[c] < code.L && !used[columns[c]]);
                used[columns[c]] = 1;
            }
            for (uint32_t c = 0; c < count; c++)
                used[columns[c]] = 0;
        }
        free(used);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_2_keeps_the_rules_it_was_made_by),
        cmocka_unit_test(the_least_extended_block_is_chosen),
        cmocka_unit_test(no_symbols_and_too_many_are_refused),
        cmocka_unit_test(a_symbols_columns_are_in_range_different_and_sorted_by_kind),
    };
    return cmocka_run_group_tests_name("fountain/codec/tuple", tests, NULL, NULL);
}
