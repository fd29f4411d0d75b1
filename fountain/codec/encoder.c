/* Encoding one source block.
 *
 *     source -> plan, strip by strip -> intermediate symbols -> a sum of a few: any encoding symbol
 *
 * Intermediate symbols are kept as they are made: strip 0 of all of them, strip 1 of all, ... */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/codec/arena_internal.h"
#include "fountain/codec/fountain.h"
#include "fountain/codec/plan_internal.h"

#define BATCH 64u /* symbols whose columns are worked out before the strips are walked */

struct urd_fountain_encoder {
    struct urd_fountain_code code;
    uint32_t K;
    uint32_t T;
    const uint8_t *source;
    const struct urd_fountain_kernels *kernels;
    const struct urd_fountain_plan *plan; /* borrowed, or own_plan */
    struct urd_fountain_plan *own_plan;
    bool prepared; /* intermediate holds the symbols of source */

    size_t strip_len;
    uint8_t *intermediate; /* strip s of C[i] at s*strip_len*L + i*stride_of(s) */
    uint8_t *scratch;
    size_t scratch_strips;
};

static void check(const struct urd_fountain_encoder *e)
{
    assert(e->K > 0 && e->K <= e->code.K_prime && e->source != NULL);
    assert(!e->prepared || e->plan != NULL);
}

static size_t len_of(const struct urd_fountain_encoder *e, size_t at)
{
    return e->T - at < e->strip_len ? e->T - at : e->strip_len;
}

/* Strips lie on whole vectors; the last may be narrower. */
static size_t stride_of(const struct urd_fountain_encoder *e, size_t at)
{
    return urd_fountain_round_up(len_of(e, at), 16);
}

/* The strips that start at byte @at of each symbol. */
static uint8_t *strip_of(const struct urd_fountain_encoder *e, size_t at)
{
    return e->intermediate + at * e->code.L;
}

static urd_err allocate(struct urd_fountain_encoder *e)
{
    e->strip_len = urd_fountain_strip_len(e->code.L, e->T);
    size_t bytes = urd_fountain_round_up(e->T, 16) * e->code.L;
    e->intermediate = aligned_alloc(URD_FOUNTAIN_CACHE_LINE,
                                    urd_fountain_round_up(bytes, URD_FOUNTAIN_CACHE_LINE));
    if (e->intermediate == NULL) return URD_E_NOMEM;

    if (e->plan == NULL) {
        urd_err err = urd_fountain_plan_new(e->K, &e->own_plan);
        if (err != URD_OK) return err;
        e->plan = e->own_plan;
    }
    size_t scratch = urd_fountain_plan_scratch(e->plan) * e->strip_len;
    e->scratch = aligned_alloc(URD_FOUNTAIN_CACHE_LINE,
                               urd_fountain_round_up(scratch, URD_FOUNTAIN_CACHE_LINE));
    return e->scratch != NULL ? URD_OK : URD_E_NOMEM;
}

urd_err urd_fountain_encoder_new(uint32_t K, uint32_t T, const uint8_t *source,
                                 const struct urd_fountain_plan *plan,
                                 struct urd_fountain_encoder **ret_encoder)
{
    struct urd_fountain_code code;
    urd_err err = urd_fountain_code_for(K, &code);
    if (err != URD_OK) return err;
    if (T == 0 || T > URD_FOUNTAIN_T_MAX) return URD_E_INVALID;
    if (plan != NULL && !urd_fountain_plan_fits(plan, K)) return URD_E_INVALID;

    struct urd_fountain_encoder *e = calloc(1, sizeof *e);
    if (e == NULL) return URD_E_NOMEM;
    e->code = code;
    e->K = K;
    e->T = T;
    e->source = source;
    e->plan = plan;
    e->kernels = urd_fountain_kernels_best();
    err = allocate(e);
    if (err != URD_OK) {
        urd_fountain_encoder_free(e);
        return err;
    }
    check(e);
    *ret_encoder = e;
    return URD_OK;
}

void urd_fountain_encoder_reset(struct urd_fountain_encoder *encoder, const uint8_t *source)
{
    encoder->source = source;
    encoder->prepared = false;
    check(encoder);
}

void urd_fountain_encoder_prepare(struct urd_fountain_encoder *encoder)
{
    struct urd_fountain_encoder *e = encoder;
    check(e);
    if (e->prepared) return;
    for (size_t at = 0; at < e->T; at += e->strip_len) {
        struct urd_fountain_strip strip = { .data = e->source + at,
                                            .data_stride = e->T,
                                            .data_count = e->K,
                                            .columns = strip_of(e, at),
                                            .scratch = e->scratch,
                                            .stride = stride_of(e, at),
                                            .len = len_of(e, at) };
        urd_fountain_plan_replay(e->plan, e->kernels, &strip);
    }
    e->prepared = true;
}

/* Repair symbols @esis[0 .. count), count <= BATCH; source symbols among them are left alone. */
static void repair_batch(struct urd_fountain_encoder *e, const uint32_t *esis, size_t count,
                         uint8_t *symbols, size_t stride)
{
    uint16_t columns[BATCH][URD_FOUNTAIN_LT_MAX];
    uint32_t counts[BATCH] = { 0 };
    for (size_t i = 0; i < count; i++)
        if (esis[i] >= e->K)
            counts[i] =
                urd_fountain_lt_row(&e->code, esis[i] + (e->code.K_prime - e->K), columns[i]);

    for (size_t at = 0; at < e->T; at += e->strip_len)
        for (size_t i = 0; i < count; i++)
            if (counts[i] > 0)
                e->kernels->gather(symbols + i * stride + at, NULL, strip_of(e, at),
                                   stride_of(e, at), columns[i], counts[i], len_of(e, at));
}

urd_err urd_fountain_encoder_symbols(struct urd_fountain_encoder *encoder, const uint32_t *esis,
                                     size_t esis_len, uint8_t *ret_symbols, size_t stride)
{
    struct urd_fountain_encoder *e = encoder;
    check(e);
    assert(stride >= e->T || esis_len <= 1);
    bool repair = false;
    for (size_t i = 0; i < esis_len; i++) {
        if (esis[i] > URD_FOUNTAIN_ESI_MAX) return URD_E_INVALID;
        repair |= esis[i] >= e->K;
    }
    for (size_t i = 0; i < esis_len; i++)
        if (esis[i] < e->K)
            memcpy(ret_symbols + i * stride, e->source + (size_t)esis[i] * e->T, e->T);
    if (!repair) return URD_OK;

    urd_fountain_encoder_prepare(e);
    for (size_t i = 0; i < esis_len; i += BATCH) {
        size_t count = esis_len - i < BATCH ? esis_len - i : BATCH;
        repair_batch(e, esis + i, count, ret_symbols + i * stride, stride);
    }
    return URD_OK;
}

urd_err urd_fountain_encoder_symbol(struct urd_fountain_encoder *encoder, uint32_t esi,
                                    uint8_t *ret_symbol)
{
    return urd_fountain_encoder_symbols(encoder, &esi, 1, ret_symbol, encoder->T);
}

urd_err urd_fountain_encoder_intermediate(struct urd_fountain_encoder *encoder, uint32_t i,
                                          uint8_t *ret_symbol)
{
    struct urd_fountain_encoder *e = encoder;
    if (i >= e->code.L) return URD_E_INVALID;
    urd_fountain_encoder_prepare(e);
    for (size_t at = 0; at < e->T; at += e->strip_len)
        memcpy(ret_symbol + at, strip_of(e, at) + i * stride_of(e, at), len_of(e, at));
    return URD_OK;
}

void urd_fountain_encoder_free(struct urd_fountain_encoder *encoder)
{
    if (encoder == NULL) return;
    urd_fountain_plan_free(encoder->own_plan);
    free(encoder->intermediate);
    free(encoder->scratch);
    free(encoder);
}
