/* The field is a field, alpha generates it, and every kernel agrees with the portable one. */
#include "tests/unit/fountain/codec/helpers.h"

#include "fountain/codec/code_internal.h"
#include "fountain/codec/gf256_internal.h"

/* Schoolbook: shift and add modulo x^8 + x^4 + x^3 + x^2 + 1. */
static uint8_t product(uint8_t a, uint8_t b)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 8; i++)
        if (b >> i & 1) sum ^= (unsigned)a << i;
    for (unsigned i = 15; i >= 8; i--)
        if (sum >> i & 1) sum ^= 0x11Du << (i - 8);
    return (uint8_t)sum;
}

static void products_are_those_of_the_polynomial(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++)
            assert_int_equal(urd_fountain_multiply((uint8_t)a, (uint8_t)b),
                             product((uint8_t)a, (uint8_t)b));
}

static void every_element_but_zero_has_an_inverse(void **state)
{
    (void)state;
    for (unsigned a = 1; a < 256; a++)
        assert_int_equal(urd_fountain_multiply((uint8_t)a, urd_fountain_inverse((uint8_t)a)), 1);
}

static void multiplication_associates_and_distributes(void **state)
{
    (void)state;
    uint32_t random = 5;
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t a = (uint8_t)next_random(&random), b = (uint8_t)next_random(&random);
        uint8_t c = (uint8_t)next_random(&random);
        assert_int_equal(urd_fountain_multiply(a, urd_fountain_multiply(b, c)),
                         urd_fountain_multiply(urd_fountain_multiply(a, b), c));
        assert_int_equal(urd_fountain_multiply(a, b ^ c),
                         urd_fountain_multiply(a, b) ^ urd_fountain_multiply(a, c));
    }
}

static void alpha_generates_the_field(void **state)
{
    (void)state;
    uint8_t seen[256] = { 0 };
    uint8_t power = 1;
    for (unsigned i = 0; i < 255; i++) {
        assert_int_equal(seen[power]++, 0);
        power = urd_fountain_multiply(power, URD_FOUNTAIN_ALPHA);
    }
    assert_int_equal(power, 1);
}

#define STRIPS 24u
#define STRIDE 700u /* no multiple of a vector */
#define ROWS   10u

/* Every length up to a few blocks of vectors, at shifting alignments. */
static void against_plain(const struct urd_fountain_kernels *kernels)
{
    const struct urd_fountain_kernels *plain = urd_fountain_kernels_named("plain");
    uint8_t *strips = random_bytes(STRIPS * STRIDE + 64, 1);
    uint8_t *init = random_bytes(STRIDE + 64, 2);
    uint8_t *got = random_bytes(ROWS * STRIDE + 64, 3), *expected = random_bytes(ROWS * STRIDE, 3);
    uint8_t coef[STRIPS], pairs[2 * STRIPS];
    uint16_t index[STRIPS];
    uint32_t random = 9;
    for (size_t len = 0; len < 620; len++) {
        size_t shift = len % 33;
        size_t count = next_random(&random) % STRIPS;
        for (unsigned i = 0; i < STRIPS; i++) {
            index[i] = (uint16_t)(next_random(&random) % STRIPS);
            coef[i] = (uint8_t)next_random(&random);
            pairs[2 * i] = (uint8_t)(next_random(&random) % ROWS);
            pairs[2 * i + 1] = (uint8_t)((pairs[2 * i] + 1 + i % (ROWS - 1)) % ROWS);
        }
        const uint8_t *start = (len & 1) != 0 ? init + shift / 2 : NULL;
        uint8_t guard = got[shift + len];

        kernels->gather(got + shift, start, strips + shift, STRIDE, index, count, len);
        plain->gather(expected, start, strips + shift, STRIDE, index, count, len);
        assert_memory_equal(got + shift, expected, len);
        assert_int_equal(got[shift + len], guard);

        kernels->dot(got + shift, strips + shift, STRIDE, coef, count, len);
        plain->dot(expected, strips + shift, STRIDE, coef, count, len);
        assert_memory_equal(got + shift, expected, len);
        assert_int_equal(got[shift + len], guard);

        memcpy(got + shift, init, STRIDE);
        memcpy(expected, init, STRIDE);
        for (unsigned row = 1; row < ROWS; row++) {
            memcpy(got + shift + row * STRIDE, strips + row, STRIDE);
            memcpy(expected + row * STRIDE, strips + row, STRIDE);
        }
        kernels->horner(got + shift, strips + shift, STRIDE, pairs, count + 1, ROWS, len);
        plain->horner(expected, strips + shift, STRIDE, pairs, count + 1, ROWS, len);
        assert_memory_equal(got + shift, expected, ROWS * STRIDE);
    }
    free(strips);
    free(init);
    free(got);
    free(expected);
}

static void every_kernel_agrees_with_the_portable_one(void **state)
{
    (void)state;
    static const char *const names[] = { "plain", "ssse3", "avx2" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct urd_fountain_kernels *kernels = urd_fountain_kernels_named(names[i]);
        if (kernels == NULL) {
            print_message("no %s on this processor\n", names[i]);
            continue;
        }
        assert_string_equal(kernels->name, names[i]);
        against_plain(kernels);
    }
}

static void the_portable_kernels_do_what_they_say(void **state)
{
    (void)state;
    const struct urd_fountain_kernels *plain = urd_fountain_kernels_named("plain");
    uint8_t strips[3][11], sum[2][11] = { { 0 } }, out[11];
    for (unsigned i = 0; i < 33; i++)
        strips[i / 11][i % 11] = (uint8_t)(i * 37 + 5);
    const uint16_t index[] = { 2, 0 };
    const uint8_t coef[] = { 3, 0, 200 };
    const uint8_t pairs[] = { 0, 1, 1, 0 };

    plain->gather(out, strips[1], strips[0], 11, index, 2, 11);
    for (unsigned i = 0; i < 11; i++)
        assert_int_equal(out[i], strips[0][i] ^ strips[1][i] ^ strips[2][i]);
    plain->dot(out, strips[0], 11, coef, 3, 11);
    for (unsigned i = 0; i < 11; i++)
        assert_int_equal(out[i], product(3, strips[0][i]) ^ product(200, strips[2][i]));
    plain->horner(sum[0], strips[0], 11, pairs, 3, 2, 11);
    for (unsigned i = 0; i < 11; i++) {
        uint8_t first = strips[0][i];
        uint8_t second = product(2, first) ^ strips[1][i];
        uint8_t third = product(2, second) ^ strips[2][i];
        assert_int_equal(sum[0][i], first ^ second ^ third);
        assert_int_equal(sum[1][i], first ^ second ^ product(2, third));
    }
}

static void a_kernel_can_be_asked_for(void **state)
{
    (void)state;
    assert_null(urd_fountain_kernels_named("abacus"));
    assert_int_equal(setenv("URD_FOUNTAIN_KERNEL", "plain", 1), 0);
    assert_string_equal(urd_fountain_kernels_best()->name, "plain");
    assert_int_equal(setenv("URD_FOUNTAIN_KERNEL", "abacus", 1), 0);
    assert_non_null(urd_fountain_kernels_best());
    assert_int_equal(unsetenv("URD_FOUNTAIN_KERNEL"), 0);
    assert_non_null(urd_fountain_kernels_best());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_those_of_the_polynomial),
        cmocka_unit_test(every_element_but_zero_has_an_inverse),
        cmocka_unit_test(multiplication_associates_and_distributes),
        cmocka_unit_test(alpha_generates_the_field),
        cmocka_unit_test(every_kernel_agrees_with_the_portable_one),
        cmocka_unit_test(the_portable_kernels_do_what_they_say),
        cmocka_unit_test(a_kernel_can_be_asked_for),
    };
    return cmocka_run_group_tests_name("fountain/codec/gf256", tests, NULL, NULL);
}
