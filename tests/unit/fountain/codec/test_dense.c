/* The dense part: full rank is found where there is one, and what is missing is counted where not.
 */
#include "tests/unit/fountain/codec/helpers.h"

#include "fountain/codec/dense_internal.h"
#include "fountain/codec/fountain.h"

struct system {
    struct urd_fountain_code code;
    struct urd_fountain_peel peel;
    struct urd_fountain_dense dense;
    uint8_t *pairs;
    urd_err err;
};

static void solve(struct system *s, uint32_t K, const struct urd_fountain_given *given,
                  uint32_t count)
{
    assert_int_equal(urd_fountain_code_for(K, &s->code), URD_OK);
    s->pairs = malloc(2 * (size_t)(s->code.K_prime + s->code.S));
    assert_non_null(s->pairs);
    urd_fountain_hdpc_pairs(&s->code, s->pairs);
    assert_int_equal(urd_fountain_peel_init(&s->peel, &s->code, given, count), URD_OK);
    s->err = urd_fountain_dense_init(&s->dense, &s->peel, s->pairs);
}

static void done(struct system *s)
{
    urd_fountain_dense_done(&s->dense);
    urd_fountain_peel_done(&s->peel);
    free(s->pairs);
}

static void fill(struct urd_fountain_given *given, uint32_t from, uint32_t to, uint32_t first_isi)
{
    for (uint32_t i = from; i < to; i++)
        given[i] = (struct urd_fountain_given){ .isi = first_isi + i - from, .data = i };
}

static bool bit(const uint64_t *bits, uint32_t i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

static void the_source_symbols_matrix_needs_every_hdpc_row(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 10, 18, 101, 1002, 3015 };
    for (size_t c = 0; c < COUNT_OF(sizes); c++) {
        struct urd_fountain_given given[3015];
        struct system s;
        fill(given, 0, sizes[c], 0);
        solve(&s, sizes[c], given, sizes[c]);
        assert_int_equal(s.err, URD_OK);
        assert_int_equal(s.dense.free_count, s.code.H); /* L rows, none to spare */
        assert_int_equal(s.dense.rank + s.dense.free_count, s.dense.u);
        done(&s);
    }
}

static void the_basis_is_fully_reduced(void **state)
{
    (void)state;
    struct urd_fountain_given given[1002];
    struct system s;
    fill(given, 0, 1002, 5000);
    solve(&s, 1002, given, 1002);
    assert_int_equal(s.err, URD_OK);
    for (uint32_t p = 0; p < s.dense.rank; p++)
        for (uint32_t q = 0; q < s.dense.rank; q++)
            assert_int_equal(bit(urd_fountain_dense_bits(&s.dense, p), s.dense.pivot[q]), p == q);
    done(&s);
}

static void with_overhead_the_hdpc_rows_are_not_needed(void **state)
{
    (void)state;
    struct urd_fountain_given given[1002 + 60];
    struct system s;
    fill(given, 0, COUNT_OF(given), 5000);
    solve(&s, 1002, given, COUNT_OF(given));
    assert_int_equal(s.err, URD_OK);
    assert_int_equal(s.dense.free_count, 0);
    done(&s);
}

static void every_missing_row_is_counted(void **state)
{
    (void)state;
    struct urd_fountain_given given[101];
    for (uint32_t missing = 1; missing < 60; missing++) {
        struct system s;
        fill(given, 0, 101 - missing, 0);
        solve(&s, 101, given, 101 - missing);
        assert_int_equal(s.err, URD_E_SHORT);
        assert_int_equal(s.dense.lacking, missing);
        done(&s);
    }
}

/* The same symbol again adds nothing: it, or its twin, is named, and no other. */
static void a_dependent_row_is_named(void **state)
{
    (void)state;
    struct urd_fountain_given given[101];
    struct system s;
    fill(given, 0, 101, 0);
    given[100].isi = 40;
    solve(&s, 101, given, 101);
    assert_int_equal(s.err, URD_E_SHORT);
    assert_int_equal(s.dense.lacking, 1);
    unsigned rejected = 0;
    for (uint32_t row = 0; row < s.peel.rows; row++)
        rejected += s.dense.rejected[row];
    assert_int_equal(rejected, 1);
    assert_true(s.dense.rejected[s.code.S + 40] || s.dense.rejected[s.code.S + 100]);
    done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_source_symbols_matrix_needs_every_hdpc_row),
        cmocka_unit_test(the_basis_is_fully_reduced),
        cmocka_unit_test(with_overhead_the_hdpc_rows_are_not_needed),
        cmocka_unit_test(every_missing_row_is_counted),
        cmocka_unit_test(a_dependent_row_is_named),
    };
    return cmocka_run_group_tests_name("fountain/codec/dense", tests, NULL, NULL);
}
