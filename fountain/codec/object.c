/* Whole objects: a block coder for each source block, made when it is first needed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/codec/fountain.h"

/* --- encoding ------------------------------------------------------------------------ */

struct encoder_block {
    struct urd_fountain_encoder *encoder; /* NULL: not made */
    uint8_t *symbols;                     /* NULL: the object's own bytes do */
};

struct urd_fountain_object_encoder {
    struct urd_fountain_oti oti;
    const uint8_t *object;
    struct urd_fountain_plan *plans[2]; /* of long blocks and of short ones, if their K' differ */
    struct encoder_block blocks[URD_FOUNTAIN_Z_MAX];
};

urd_err urd_fountain_object_encoder_new(const struct urd_fountain_oti *oti, const uint8_t *object,
                                        struct urd_fountain_object_encoder **ret)
{
    urd_err err = urd_fountain_oti_validate(oti);
    if (err != URD_OK) return err;
    if (oti->F > SIZE_MAX) return URD_E_TOO_BIG;

    struct urd_fountain_object_encoder *o = calloc(1, sizeof *o);
    if (o == NULL) return URD_E_NOMEM;
    o->oti = *oti;
    o->object = object;
    *ret = o;
    return URD_OK;
}

/* The plan for blocks of @K symbols; at most two are ever made. */
static urd_err plan_for(struct urd_fountain_object_encoder *o, uint32_t K,
                        struct urd_fountain_plan **ret_plan)
{
    for (unsigned i = 0; i < 2; i++) {
        if (o->plans[i] == NULL) {
            urd_err err = urd_fountain_plan_new(K, &o->plans[i]);
            if (err != URD_OK) return err;
        }
        if (urd_fountain_plan_fits(o->plans[i], K)) {
            *ret_plan = o->plans[i];
            return URD_OK;
        }
    }
    assert(false && "a partition has blocks of two lengths");
    return URD_E_INVALID;
}

/* The block's symbols where the object's bytes are not already that: padded at the object's end,
 * and interleaved.  *ret_copy stays NULL when they are. */
static urd_err copy_symbols(const struct urd_fountain_object_encoder *o,
                            const struct urd_fountain_block *block, uint8_t **ret_copy)
{
    size_t bytes = (size_t)block->K * o->oti.T;
    const uint8_t *source = o->object + block->offset;
    if (block->len == bytes && o->oti.N == 1) return URD_OK;

    uint8_t *copy = calloc(1, bytes);
    if (copy == NULL) return URD_E_NOMEM;
    if (block->len < bytes) memcpy(copy, source, (size_t)block->len);
    if (o->oti.N > 1) {
        uint8_t *symbols = malloc(bytes);
        if (symbols == NULL) {
            free(copy);
            return URD_E_NOMEM;
        }
        urd_fountain_interleave(&o->oti, block->K, block->len < bytes ? copy : source, symbols);
        free(copy);
        copy = symbols;
    }
    *ret_copy = copy;
    return URD_OK;
}

urd_err urd_fountain_object_encoder_block(struct urd_fountain_object_encoder *object, uint32_t sbn,
                                          struct urd_fountain_encoder **ret_encoder)
{
    struct urd_fountain_object_encoder *o = object;
    struct urd_fountain_block block;
    urd_err err = urd_fountain_block_of(&o->oti, sbn, &block);
    if (err != URD_OK) return err;

    struct encoder_block *b = &o->blocks[sbn];
    if (b->encoder == NULL) {
        struct urd_fountain_plan *plan;
        uint8_t *copy = NULL;
        err = plan_for(o, block.K, &plan);
        if (err == URD_OK) err = copy_symbols(o, &block, &copy);
        if (err != URD_OK) return err;
        const uint8_t *source = copy != NULL ? copy : o->object + block.offset;
        err = urd_fountain_encoder_new(block.K, o->oti.T, source, plan, &b->encoder);
        if (err != URD_OK) {
            free(copy);
            return err;
        }
        b->symbols = copy;
    }
    *ret_encoder = b->encoder;
    return URD_OK;
}

urd_err urd_fountain_object_encoder_symbol(struct urd_fountain_object_encoder *object, uint32_t sbn,
                                           uint32_t esi, uint8_t *ret_symbol)
{
    struct urd_fountain_encoder *encoder;
    urd_err err = urd_fountain_object_encoder_block(object, sbn, &encoder);
    if (err != URD_OK) return err;
    return urd_fountain_encoder_symbol(encoder, esi, ret_symbol);
}

void urd_fountain_object_encoder_drop(struct urd_fountain_object_encoder *object, uint32_t sbn)
{
    if (sbn >= object->oti.Z) return;
    struct encoder_block *b = &object->blocks[sbn];
    urd_fountain_encoder_free(b->encoder);
    free(b->symbols);
    *b = (struct encoder_block){ 0 };
}

void urd_fountain_object_encoder_free(struct urd_fountain_object_encoder *object)
{
    if (object == NULL) return;
    for (uint32_t sbn = 0; sbn < object->oti.Z; sbn++)
        urd_fountain_object_encoder_drop(object, sbn);
    for (unsigned i = 0; i < 2; i++)
        urd_fountain_plan_free(object->plans[i]);
    free(object);
}

/* --- decoding ------------------------------------------------------------------------ */

struct decoder_block {
    struct urd_fountain_decoder *decoder; /* NULL: not made, or dropped */
    bool dropped;                         /* it was complete */
};

struct urd_fountain_object_decoder {
    struct urd_fountain_oti oti;
    uint64_t memory_max;
    uint64_t memory;
    uint32_t complete; /* blocks */
    struct decoder_block blocks[URD_FOUNTAIN_Z_MAX];
};

urd_err urd_fountain_object_decoder_new(const struct urd_fountain_oti *oti, uint64_t memory_max,
                                        struct urd_fountain_object_decoder **ret)
{
    urd_err err = urd_fountain_oti_validate(oti);
    if (err != URD_OK) return err;

    struct urd_fountain_object_decoder *o = calloc(1, sizeof *o);
    if (o == NULL) return URD_E_NOMEM;
    o->oti = *oti;
    o->memory_max = memory_max;
    *ret = o;
    return URD_OK;
}

/* What a decoder for @K symbols takes; its header says how this comes about. */
static uint64_t memory_for(const struct urd_fountain_object_decoder *o, uint32_t K)
{
    return ((uint64_t)K + 16) * (o->oti.T + 20u);
}

static urd_err make_block(struct urd_fountain_object_decoder *o, struct decoder_block *b,
                          uint32_t K)
{
    uint64_t need = memory_for(o, K);
    if (need > o->memory_max - o->memory) return URD_E_TOO_BIG;
    urd_err err = urd_fountain_decoder_new(K, o->oti.T, &b->decoder);
    if (err == URD_OK) o->memory += need;
    return err;
}

urd_err urd_fountain_object_decoder_add(struct urd_fountain_object_decoder *object, uint32_t sbn,
                                        uint32_t esi, const uint8_t *symbol, size_t symbol_len)
{
    struct urd_fountain_object_decoder *o = object;
    struct urd_fountain_block block;
    urd_err err = urd_fountain_block_of(&o->oti, sbn, &block);
    if (err != URD_OK) return err;
    if (esi > URD_FOUNTAIN_ESI_MAX || symbol_len != o->oti.T) return URD_E_INVALID;

    struct decoder_block *b = &o->blocks[sbn];
    if (b->dropped) return URD_OK;
    if (b->decoder == NULL) {
        err = make_block(o, b, block.K);
        if (err != URD_OK) return err;
    }
    if (urd_fountain_decoder_complete(b->decoder)) return URD_OK;

    err = urd_fountain_decoder_add(b->decoder, esi, symbol, symbol_len);
    if (err != URD_OK) return err;
    if (urd_fountain_decoder_ready(b->decoder)) {
        err = urd_fountain_decoder_solve(b->decoder);
        if (err != URD_OK && err != URD_E_SHORT) return err;
    }
    if (urd_fountain_decoder_complete(b->decoder)) o->complete++;
    return URD_OK;
}

static bool is_complete(const struct decoder_block *b)
{
    return b->dropped || (b->decoder != NULL && urd_fountain_decoder_complete(b->decoder));
}

uint32_t urd_fountain_object_decoder_missing(const struct urd_fountain_object_decoder *object,
                                             uint32_t sbn)
{
    struct urd_fountain_block block;
    if (urd_fountain_block_of(&object->oti, sbn, &block) != URD_OK) return 0;
    const struct decoder_block *b = &object->blocks[sbn];
    if (is_complete(b)) return 0;
    if (b->decoder == NULL) return block.K;
    uint32_t missing = urd_fountain_decoder_missing(b->decoder);
    return missing > 0 ? missing : 1; /* only when an attempt ran out of memory */
}

bool urd_fountain_object_decoder_complete(const struct urd_fountain_object_decoder *object)
{
    return object->complete == object->oti.Z;
}

urd_err urd_fountain_object_decoder_read(const struct urd_fountain_object_decoder *object,
                                         uint32_t sbn, uint8_t *ret_bytes, size_t bytes_len)
{
    const struct urd_fountain_object_decoder *o = object;
    struct urd_fountain_block block;
    urd_err err = urd_fountain_block_of(&o->oti, sbn, &block);
    if (err != URD_OK) return err;
    if (bytes_len != block.len) return URD_E_INVALID;

    const struct decoder_block *b = &o->blocks[sbn];
    if (b->decoder == NULL || !is_complete(b)) return URD_E_STATE;
    const uint8_t *symbols = urd_fountain_decoder_source(b->decoder);
    if (o->oti.N == 1) {
        memcpy(ret_bytes, symbols, bytes_len);
        return URD_OK;
    }
    uint8_t *bytes = malloc((size_t)block.K * o->oti.T);
    if (bytes == NULL) return URD_E_NOMEM;
    urd_fountain_deinterleave(&o->oti, block.K, symbols, bytes);
    memcpy(ret_bytes, bytes, bytes_len);
    free(bytes);
    return URD_OK;
}

urd_err urd_fountain_object_decoder_drop(struct urd_fountain_object_decoder *object, uint32_t sbn)
{
    struct urd_fountain_object_decoder *o = object;
    struct urd_fountain_block block;
    urd_err err = urd_fountain_block_of(&o->oti, sbn, &block);
    if (err != URD_OK) return err;
    struct decoder_block *b = &o->blocks[sbn];
    if (!is_complete(b)) return URD_E_STATE;
    if (b->dropped) return URD_OK;
    urd_fountain_decoder_free(b->decoder);
    *b = (struct decoder_block){ .dropped = true };
    o->memory -= memory_for(o, block.K);
    return URD_OK;
}

void urd_fountain_object_decoder_free(struct urd_fountain_object_decoder *object)
{
    if (object == NULL) return;
    for (uint32_t sbn = 0; sbn < object->oti.Z; sbn++)
        urd_fountain_decoder_free(object->blocks[sbn].decoder);
    free(object);
}
