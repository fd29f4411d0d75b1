/* Encoding a block.  (That the symbols are the RFC's: interop.fountain_codec.vectors.) */
#include "tests/unit/fountain/codec/helpers.h"

#include "fountain/codec/code_internal.h"
#include "fountain/codec/fountain.h"

/* Encoding symbol @isi by the book, from the intermediate symbols. */
static void sum_of_intermediate(struct urd_fountain_encoder *encoder,
                                const struct urd_fountain_code *code, uint32_t isi, uint32_t T,
                                uint8_t *ret)
{
    uint16_t columns[URD_FOUNTAIN_LT_MAX];
    uint32_t count = urd_fountain_lt_row(code, isi, columns);
    uint8_t *one = malloc(T);
    assert_non_null(one);
    memset(ret, 0, T);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(urd_fountain_encoder_intermediate(encoder, columns[i], one), URD_OK);
        for (uint32_t at = 0; at < T; at++)
            ret[at] ^= one[at];
    }
    free(one);
}

/* The code is systematic: the sum that makes an encoding symbol gives back the source symbols, and
 * zeroes for the padding ones.  T spans one strip, several, and odd ends. */
static void source_symbols_are_encoding_symbols(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 1, 2, 9, 10, 11, 101, 260, 1100 };
    static const uint32_t lengths[] = { 1, 3, 16, 33, 255, 256, 513, 1281 };
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        uint32_t K = sizes[s], T = lengths[s];
        struct urd_fountain_code code;
        assert_int_equal(urd_fountain_code_for(K, &code), URD_OK);
        uint8_t *source = random_bytes((size_t)K * T, K), *symbol = malloc(T), *sum = malloc(T);
        struct urd_fountain_encoder *encoder;
        assert_int_equal(urd_fountain_encoder_new(K, T, source, NULL, &encoder), URD_OK);
        for (uint32_t isi = 0; isi < code.K_prime; isi += 1 + K / 50) {
            sum_of_intermediate(encoder, &code, isi, T, sum);
            if (isi < K) {
                assert_memory_equal(sum, source + (size_t)isi * T, T);
                assert_int_equal(urd_fountain_encoder_symbol(encoder, isi, symbol), URD_OK);
                assert_memory_equal(symbol, sum, T);
            } else {
                for (uint32_t at = 0; at < T; at++)
                    assert_int_equal(sum[at], 0);
            }
        }
        for (uint32_t esi = K; esi < K + 20; esi++) { /* repair: ISI = ESI + K' - K */
            sum_of_intermediate(encoder, &code, esi + code.K_prime - K, T, sum);
            assert_int_equal(urd_fountain_encoder_symbol(encoder, esi, symbol), URD_OK);
            assert_memory_equal(symbol, sum, T);
        }
        urd_fountain_encoder_free(encoder);
        free(source);
        free(symbol);
        free(sum);
    }
}

static void a_batch_gives_what_single_calls_give(void **state)
{
    (void)state;
    enum { K = 300, T = 700, COUNT = 200, STRIDE = 710 };
    uint8_t *source = random_bytes(K * T, 1), *batch = random_bytes(COUNT * STRIDE, 2);
    uint8_t one[T];
    uint32_t esis[COUNT], random = 4;
    struct urd_fountain_encoder *encoder;
    assert_int_equal(urd_fountain_encoder_new(K, T, source, NULL, &encoder), URD_OK);
    for (unsigned i = 0; i < COUNT; i++)
        esis[i] = i % 3 == 0 ? next_random(&random) % K : next_random(&random);
    uint8_t gap = batch[T];
    assert_int_equal(urd_fountain_encoder_symbols(encoder, esis, COUNT, batch, STRIDE), URD_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(urd_fountain_encoder_symbol(encoder, esis[i], one), URD_OK);
        assert_memory_equal(batch + i * STRIDE, one, T);
    }
    assert_int_equal(batch[T], gap);
    urd_fountain_encoder_free(encoder);
    free(source);
    free(batch);
}

static void an_esi_out_of_range_writes_nothing(void **state)
{
    (void)state;
    uint8_t source[40] = { 1 }, out[12] = { 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 };
    const uint8_t before[12] = { 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 };
    const uint32_t esis[] = { 0, 11, URD_FOUNTAIN_ESI_MAX + 1 };
    struct urd_fountain_encoder *encoder;
    assert_int_equal(urd_fountain_encoder_new(10, 4, source, NULL, &encoder), URD_OK);
    assert_int_equal(urd_fountain_encoder_symbols(encoder, esis, 3, out, 4), URD_E_INVALID);
    assert_int_equal(urd_fountain_encoder_symbol(encoder, UINT32_MAX, out), URD_E_INVALID);
    assert_int_equal(urd_fountain_encoder_intermediate(encoder, 27, out), URD_E_INVALID);
    assert_memory_equal(out, before, sizeof out);
    assert_int_equal(urd_fountain_encoder_symbol(encoder, URD_FOUNTAIN_ESI_MAX, out), URD_OK);
    assert_int_equal(urd_fountain_encoder_intermediate(encoder, 26, out), URD_OK);
    urd_fountain_encoder_free(encoder);
}

static void a_shared_plan_serves_blocks_of_its_size_one_after_the_other(void **state)
{
    (void)state;
    enum { K = 99, T = 48 };
    uint8_t *blocks[2] = { random_bytes(K * T, 1), random_bytes(K * T, 2) };
    struct urd_fountain_plan *plan;
    struct urd_fountain_encoder *shared, *own;
    uint8_t a[T], b[T];
    assert_int_equal(urd_fountain_plan_new(K + 2, &plan), URD_OK); /* the same K' */
    assert_int_equal(urd_fountain_encoder_new(K, T, blocks[1], plan, &shared), URD_OK);
    for (unsigned i = 0; i < 2; i++) {
        urd_fountain_encoder_reset(shared, blocks[i]);
        assert_int_equal(urd_fountain_encoder_new(K, T, blocks[i], NULL, &own), URD_OK);
        for (uint32_t esi = 0; esi < 2 * K; esi++) {
            assert_int_equal(urd_fountain_encoder_symbol(shared, esi, a), URD_OK);
            assert_int_equal(urd_fountain_encoder_symbol(own, esi, b), URD_OK);
            assert_memory_equal(a, b, T);
        }
        urd_fountain_encoder_free(own);
    }
    urd_fountain_encoder_free(shared);
    assert_int_equal(urd_fountain_encoder_new(K + 20, T, blocks[0], plan, &own), URD_E_INVALID);
    urd_fountain_plan_free(plan);
    free(blocks[0]);
    free(blocks[1]);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    uint8_t source[1] = { 0 };
    struct urd_fountain_encoder *encoder = NULL;
    assert_int_equal(urd_fountain_encoder_new(0, 1, source, NULL, &encoder), URD_E_INVALID);
    assert_int_equal(urd_fountain_encoder_new(1, 0, source, NULL, &encoder), URD_E_INVALID);
    assert_int_equal(urd_fountain_encoder_new(1, 65536, source, NULL, &encoder), URD_E_INVALID);
    assert_int_equal(urd_fountain_encoder_new(56404, 1, source, NULL, &encoder), URD_E_TOO_BIG);
    assert_null(encoder);
    urd_fountain_encoder_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(source_symbols_are_encoding_symbols),
        cmocka_unit_test(a_batch_gives_what_single_calls_give),
        cmocka_unit_test(an_esi_out_of_range_writes_nothing),
        cmocka_unit_test(a_shared_plan_serves_blocks_of_its_size_one_after_the_other),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests_name("fountain/codec/encoder", tests, NULL, NULL);
}
