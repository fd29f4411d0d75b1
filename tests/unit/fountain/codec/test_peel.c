/* Peeling: pivots in an order in which each needs only earlier ones, few inactive columns, a limit.
 */
#include "tests/unit/fountain/codec/helpers.h"

#include "fountain/codec/fountain.h"
#include "fountain/codec/peel_internal.h"

enum mark { NEW, SOLVED, INACTIVE };

static void mark_all(uint8_t *marks, const uint16_t *columns, uint32_t count, uint8_t mark)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(marks[columns[i]], NEW);
        marks[columns[i]] = mark;
    }
}

/* Each row's columns: solved earlier, then inactive, then a pivot's own. */
static void check_row(const struct urd_fountain_peel *p, const uint8_t *marks, uint32_t row,
                      const uint16_t *own)
{
    uint32_t start = p->row_start[row], end = p->row_start[row + 1];
    if (own != NULL) assert_int_equal(p->columns[--end], *own);
    for (uint32_t i = start; i < end; i++)
        assert_int_equal(marks[p->columns[i]], i < start + p->row_solved[row] ? SOLVED : INACTIVE);
}

static void check_peel(const struct urd_fountain_peel *p)
{
    const struct urd_fountain_code *code = p->code;
    uint8_t *marks = calloc(code->L, 1);
    assert_non_null(marks);
    assert_int_equal(p->pivots + p->inactive_count, code->L);
    assert_int_equal(p->pivots + p->left_count, p->rows);
    mark_all(marks, p->inactive, p->inactive_count, INACTIVE);
    for (uint32_t column = code->W; column < code->L; column++)
        assert_int_equal(marks[column], INACTIVE);
    for (uint32_t i = 0; i < p->pivots; i++) {
        check_row(p, marks, p->pivot_row[i], &p->pivot_column[i]);
        mark_all(marks, &p->pivot_column[i], 1, SOLVED);
    }
    for (uint32_t i = 0; i < p->left_count; i++)
        check_row(p, marks, p->left[i], NULL);
    free(marks);
}

static struct urd_fountain_given *give(uint32_t count, uint32_t first, uint32_t step)
{
    struct urd_fountain_given *given = malloc(count * sizeof *given);
    assert_non_null(given);
    for (uint32_t i = 0; i < count; i++)
        given[i] = (struct urd_fountain_given){ .isi = first + i * step, .data = i };
    return given;
}

static void every_pivot_needs_only_earlier_ones(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 10, 26, 101, 1002, 10017, 56403 };
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        struct urd_fountain_code code;
        assert_int_equal(urd_fountain_code_for(sizes[s], &code), URD_OK);
        for (uint32_t round = 0; round < 3; round++) {
            uint32_t count = code.K_prime + round * 5; /* source, then repair only */
            struct urd_fountain_given *given =
                give(count, round * code.K_prime, round == 2 ? 7 : 1);
            struct urd_fountain_peel peel;
            assert_int_equal(urd_fountain_peel_init(&peel, &code, given, count), URD_OK);
            check_peel(&peel);
            urd_fountain_peel_done(&peel);
            free(given);
        }
    }
}

static void inactive_columns_go_with_the_square_root(void **state)
{
    (void)state;
    struct urd_fountain_code code;
    assert_int_equal(urd_fountain_code_for(10017, &code), URD_OK);
    struct urd_fountain_given *given = give(code.K_prime, code.K_prime, 3);
    struct urd_fountain_peel peel;
    assert_int_equal(urd_fountain_peel_init(&peel, &code, given, code.K_prime), URD_OK);
    assert_in_range(peel.inactive_count, code.P, 300); /* 2.3 * sqrt(K') = 230 */
    urd_fountain_peel_done(&peel);
    free(given);
}

/* Symbols picked for their high degree keep peeling from starting: a fair channel never does that.
 */
static void symbols_picked_to_stop_peeling_are_refused(void **state)
{
    (void)state;
    struct urd_fountain_code code;
    assert_int_equal(urd_fountain_code_for(10017, &code), URD_OK);
    struct urd_fountain_given *given = malloc(code.K_prime * sizeof *given);
    assert_non_null(given);
    uint32_t count = 0;
    for (uint32_t isi = code.K_prime; count < code.K_prime; isi++)
        if (urd_fountain_tuple(&code, isi).d >= 20) {
            given[count] = (struct urd_fountain_given){ .isi = isi, .data = count };
            count++;
        }
    struct urd_fountain_peel peel;
    assert_int_equal(urd_fountain_peel_init(&peel, &code, given, count), URD_E_SHORT);
    assert_null(peel.memory);
    free(given);
}

static void too_few_rows_leave_columns_inactive(void **state)
{
    (void)state;
    struct urd_fountain_code code;
    assert_int_equal(urd_fountain_code_for(100, &code), URD_OK);
    struct urd_fountain_peel peel;
    assert_int_equal(urd_fountain_peel_init(&peel, &code, NULL, 0), URD_OK);
    check_peel(&peel);
    assert_int_equal(peel.rows, code.S);
    urd_fountain_peel_done(&peel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pivot_needs_only_earlier_ones),
        cmocka_unit_test(inactive_columns_go_with_the_square_root),
        cmocka_unit_test(symbols_picked_to_stop_peeling_are_refused),
        cmocka_unit_test(too_few_rows_leave_columns_inactive),
    };
    return cmocka_run_group_tests_name("fountain/codec/peel", tests, NULL, NULL);
}
