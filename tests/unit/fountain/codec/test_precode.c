/* The pre-coding relations against a literal reading of section 5.3.3.3. */
#include "tests/unit/fountain/codec/helpers.h"

#include "fountain/codec/code_internal.h"
#include "fountain/codec/gf256_internal.h"

static const uint32_t sizes[] = { 10, 12, 101, 526, 1002 };

/* The RFC's loops, on a dense matrix of S x L bytes. */
static uint8_t *ldpc_by_the_book(const struct urd_fountain_code *c)
{
    uint8_t *D = calloc(c->S, c->L);
    assert_non_null(D);
    for (uint32_t i = 0; i < c->B; i++) {
        uint32_t a = 1 + i / c->S;
        uint32_t b = i % c->S;
        D[b * c->L + i] ^= 1;
        b = (b + a) % c->S;
        D[b * c->L + i] ^= 1;
        b = (b + a) % c->S;
        D[b * c->L + i] ^= 1;
    }
    for (uint32_t i = 0; i < c->S; i++) {
        D[i * c->L + c->B + i] ^= 1;
        D[i * c->L + c->W + i % c->P] ^= 1;
        D[i * c->L + c->W + (i + 1) % c->P] ^= 1;
    }
    return D;
}

static void ldpc_rows_are_those_of_the_rfc(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        struct urd_fountain_code code;
        assert_int_equal(urd_fountain_code_for(sizes[s], &code), URD_OK);
        uint32_t *start = calloc(code.S + 1, sizeof *start);
        uint16_t *columns = calloc(urd_fountain_ldpc_len(&code), sizeof *columns);
        uint8_t *expected = ldpc_by_the_book(&code);
        assert_true(start != NULL && columns != NULL);
        urd_fountain_ldpc_rows(&code, start, columns);
        for (uint32_t row = 0; row < code.S; row++) {
            bool inactive = false;
            for (uint32_t i = start[row]; i < start[row + 1]; i++) {
                assert_true(columns[i] < code.W || (inactive = true));
                assert_true(!inactive || columns[i] >= code.W);
                assert_int_equal(expected[row * code.L + columns[i]], 1);
                expected[row * code.L + columns[i]] = 0;
            }
        }
        for (uint32_t i = 0; i < code.S * code.L; i++)
            assert_int_equal(expected[i], 0);
        free(start);
        free(columns);
        free(expected);
    }
}

static uint8_t alpha_power(uint32_t n)
{
    uint8_t power = 1;
    while (n-- > 0)
        power = urd_fountain_multiply(power, URD_FOUNTAIN_ALPHA);
    return power;
}

static void hdpc_columns_are_mt_times_gamma(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        struct urd_fountain_code c;
        assert_int_equal(urd_fountain_code_for(sizes[s], &c), URD_OK);
        uint32_t width = c.K_prime + c.S;
        uint8_t *mt = calloc(c.H, width), *powers = malloc(width);
        uint8_t *pairs = malloc(2 * (size_t)width);
        struct urd_fountain_hdpc_column *columns = calloc(c.L, sizeof *columns);
        assert_true(mt != NULL && powers != NULL && pairs != NULL && columns != NULL);
        for (uint32_t j = 0; j + 1 < width; j++)
            for (uint32_t i = 0; i < c.H; i++)
                if (i == urd_fountain_rand(j + 1, 6, c.H) ||
                    i == (urd_fountain_rand(j + 1, 6, c.H) + urd_fountain_rand(j + 1, 7, c.H - 1) +
                          1) %
                             c.H)
                    mt[i * width + j] = 1;
        for (uint32_t i = 0; i < c.H; i++)
            mt[i * width + width - 1] = alpha_power(i);
        for (uint32_t n = 0; n < width; n++)
            powers[n] = alpha_power(n);

        urd_fountain_hdpc_pairs(&c, pairs);
        urd_fountain_hdpc_columns(&c, pairs, columns);
        for (uint32_t j = 0; j < c.L; j++) {
            for (uint32_t i = 0; i < c.H; i++) {
                uint8_t expected = j >= width && j - width == i;
                for (uint32_t k = j; k < width; k++) /* GAMMA[k, j] = alpha^(k-j) */
                    expected ^= urd_fountain_multiply(mt[i * width + k], powers[k - j]);
                assert_int_equal((uint8_t)(columns[j].word[i / 8] >> (i % 8 * 8)), expected);
            }
        }
        free(mt);
        free(powers);
        free(pairs);
        free(columns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ldpc_rows_are_those_of_the_rfc),
        cmocka_unit_test(hdpc_columns_are_mt_times_gamma),
    };
    return cmocka_run_group_tests_name("fountain/codec/precode", tests, NULL, NULL);
}
