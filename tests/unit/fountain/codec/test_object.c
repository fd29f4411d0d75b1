/* Whole objects: several blocks, sub-blocks, a short end, bounded memory; and no allocation that
 * may not fail. */
#include "tests/unit/fountain/codec/helpers.h"

#include "fountain/codec/fountain.h"

/* The linker leads the codec's allocations here: the fail_at-th fails. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static unsigned allocations, fail_at;

static bool fails_now(void)
{
    return ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails_now() ? NULL : __real_aligned_alloc(alignment, size);
}

static const struct urd_fountain_oti otis[] = {
    { .F = 1, .T = 1, .Z = 1, .N = 1, .Al = 1 },
    { .F = 5000, .T = 40, .Z = 1, .N = 1, .Al = 8 },
    { .F = 4999, .T = 40, .Z = 7, .N = 1, .Al = 8 },  /* two lengths of block, a short end */
    { .F = 9001, .T = 120, .Z = 3, .N = 4, .Al = 8 }, /* uneven sub-blocks */
    { .F = 1200, .T = 4, .Z = 255, .N = 1, .Al = 4 },
    { .F = 6000, .T = 60, .Z = 2, .N = 15, .Al = 4 },
};

struct transfer {
    const struct urd_fountain_oti *oti;
    uint8_t *object;
    uint8_t *symbol;
    struct urd_fountain_object_encoder *encoder;
    struct urd_fountain_object_decoder *decoder;
};

static urd_err start(struct transfer *t, const struct urd_fountain_oti *oti)
{
    *t = (struct transfer){ .oti = oti };
    t->object = random_bytes((size_t)oti->F, 8);
    t->symbol = malloc(oti->T);
    assert_non_null(t->symbol);
    urd_err err = urd_fountain_object_encoder_new(oti, t->object, &t->encoder);
    if (err == URD_OK) err = urd_fountain_object_decoder_new(oti, UINT64_MAX, &t->decoder);
    return err;
}

static void stop(struct transfer *t)
{
    urd_fountain_object_encoder_free(t->encoder);
    urd_fountain_object_decoder_free(t->decoder);
    free(t->object);
    free(t->symbol);
}

/* Every third symbol arrives, until block @sbn is there. */
static urd_err send_block(struct transfer *t, uint32_t sbn)
{
    urd_err err = URD_OK;
    for (uint32_t esi = sbn; urd_fountain_object_decoder_missing(t->decoder, sbn) > 0; esi += 3) {
        err = urd_fountain_object_encoder_symbol(t->encoder, sbn, esi, t->symbol);
        if (err == URD_OK)
            err = urd_fountain_object_decoder_add(t->decoder, sbn, esi, t->symbol, t->oti->T);
        if (err != URD_OK) break;
    }
    return err;
}

static urd_err receive_block(struct transfer *t, uint32_t sbn)
{
    struct urd_fountain_block block;
    assert_int_equal(urd_fountain_block_of(t->oti, sbn, &block), URD_OK);
    uint8_t *bytes = random_bytes((size_t)block.len, 1);
    urd_err err = urd_fountain_object_decoder_read(t->decoder, sbn, bytes, (size_t)block.len);
    if (err == URD_OK) assert_memory_equal(bytes, t->object + block.offset, (size_t)block.len);
    free(bytes);
    return err;
}

static void an_object_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(otis); i++) {
        struct transfer t;
        assert_int_equal(start(&t, &otis[i]), URD_OK);
        for (uint32_t sbn = 0; sbn < t.oti->Z; sbn++) {
            assert_false(urd_fountain_object_decoder_complete(t.decoder));
            assert_int_equal(receive_block(&t, sbn), URD_E_STATE);
            assert_int_equal(send_block(&t, sbn), URD_OK);
            assert_int_equal(receive_block(&t, sbn), URD_OK);
            urd_fountain_object_encoder_drop(t.encoder, sbn);
        }
        assert_true(urd_fountain_object_decoder_complete(t.decoder));
        stop(&t);
    }
}

static void a_dropped_block_is_done_with(void **state)
{
    (void)state;
    struct transfer t;
    assert_int_equal(start(&t, &otis[2]), URD_OK);
    assert_int_equal(urd_fountain_object_decoder_drop(t.decoder, 1), URD_E_STATE);
    assert_int_equal(send_block(&t, 1), URD_OK);
    assert_int_equal(urd_fountain_object_decoder_drop(t.decoder, 1), URD_OK);
    assert_int_equal(urd_fountain_object_decoder_drop(t.decoder, 1), URD_OK);
    assert_int_equal(urd_fountain_object_decoder_missing(t.decoder, 1), 0);
    assert_int_equal(receive_block(&t, 1), URD_E_STATE);
    assert_int_equal(urd_fountain_object_decoder_add(t.decoder, 1, 0, t.symbol, 40), URD_OK);
    assert_false(urd_fountain_object_decoder_complete(t.decoder));
    stop(&t);
}

static void a_strangers_object_takes_no_more_memory_than_allowed(void **state)
{
    (void)state;
    const struct urd_fountain_oti huge = {
        .F = URD_FOUNTAIN_F_MAX, .T = 65535, .Z = 255, .N = 1, .Al = 1
    };
    uint8_t *symbol = calloc(1, 65535);
    struct urd_fountain_object_decoder *decoder;
    assert_int_equal(urd_fountain_object_decoder_new(&huge, 1 << 20, &decoder), URD_OK);
    for (uint32_t sbn = 0; sbn < 255; sbn++)
        assert_int_equal(urd_fountain_object_decoder_add(decoder, sbn, 9, symbol, 65535),
                         URD_E_TOO_BIG);
    urd_fountain_object_decoder_free(decoder);

    /* Room for one block: a second one has to wait until the first is dropped. */
    struct transfer t;
    assert_int_equal(start(&t, &otis[2]), URD_OK);
    urd_fountain_object_decoder_free(t.decoder);
    assert_int_equal(urd_fountain_object_decoder_new(t.oti, 3000, &t.decoder), URD_OK);
    assert_int_equal(send_block(&t, 0), URD_OK);
    assert_int_equal(send_block(&t, 1), URD_E_TOO_BIG);
    assert_int_equal(urd_fountain_object_decoder_drop(t.decoder, 0), URD_OK);
    assert_int_equal(send_block(&t, 1), URD_OK);
    stop(&t);
    free(symbol);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct transfer t;
    const struct urd_fountain_oti bad = { .F = 10, .T = 3, .Z = 1, .N = 1, .Al = 2 };
    struct urd_fountain_encoder *encoder;
    assert_int_equal(urd_fountain_object_encoder_new(&bad, NULL, &t.encoder), URD_E_INVALID);
    assert_int_equal(urd_fountain_object_decoder_new(&bad, 1000, &t.decoder), URD_E_INVALID);

    assert_int_equal(start(&t, &otis[2]), URD_OK);
    uint8_t *symbol = t.symbol;
    struct urd_fountain_object_decoder *d = t.decoder;
    assert_int_equal(urd_fountain_object_decoder_add(d, 7, 0, symbol, 40), URD_E_INVALID);
    assert_int_equal(urd_fountain_object_decoder_add(d, 0, 0, symbol, 39), URD_E_INVALID);
    assert_int_equal(urd_fountain_object_decoder_add(d, 0, 1u << 24, symbol, 40), URD_E_INVALID);
    assert_int_equal(urd_fountain_object_decoder_drop(d, 7), URD_E_INVALID);
    assert_int_equal(urd_fountain_object_decoder_read(d, 7, symbol, 40), URD_E_INVALID);
    assert_int_equal(urd_fountain_object_decoder_read(d, 0, symbol, 40), URD_E_INVALID);
    assert_int_equal(urd_fountain_object_encoder_symbol(t.encoder, 7, 0, symbol), URD_E_INVALID);
    assert_int_equal(urd_fountain_object_encoder_symbol(t.encoder, 0, 1u << 24, symbol),
                     URD_E_INVALID);
    assert_int_equal(urd_fountain_object_encoder_block(t.encoder, 255, &encoder), URD_E_INVALID);
    urd_fountain_object_encoder_drop(t.encoder, 255);
    stop(&t);
}

/* Let the n-th allocation fail, for every n: an error, no leak, and the next try goes through. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    bool reached_the_end = false;
    for (unsigned n = 1; !reached_the_end; n++) {
        struct transfer t = { 0 };
        assert_true(n < 200);
        fail_at = 0;
        t.oti = &otis[3];
        t.object = random_bytes((size_t)t.oti->F, 8);
        t.symbol = malloc(t.oti->T);
        allocations = 0;
        fail_at = n;
        urd_err err = urd_fountain_object_encoder_new(t.oti, t.object, &t.encoder);
        if (err == URD_OK) err = urd_fountain_object_decoder_new(t.oti, UINT64_MAX, &t.decoder);
        for (uint32_t sbn = 0; err == URD_OK && sbn < t.oti->Z; sbn++)
            err = send_block(&t, sbn);
        reached_the_end = allocations < n;
        assert_int_equal(err, reached_the_end ? URD_OK : URD_E_NOMEM);
        fail_at = 0;
        if (!reached_the_end && t.decoder != NULL) { /* memory is back: it goes on */
            for (uint32_t sbn = 0; sbn < t.oti->Z; sbn++) {
                assert_int_equal(send_block(&t, sbn), URD_OK);
                assert_int_equal(receive_block(&t, sbn), URD_OK);
            }
        }
        stop(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_comes_back),
        cmocka_unit_test(a_dropped_block_is_done_with),
        cmocka_unit_test(a_strangers_object_takes_no_more_memory_than_allowed),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("fountain/codec/object", tests, NULL, NULL);
}
