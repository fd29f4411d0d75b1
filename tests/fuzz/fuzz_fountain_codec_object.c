/* Any OTI, then any symbols in any order, true ones and lies.  Nothing is worse than an error, and
 * a block that was told no lies comes out right.
 *
 * Input: 12 bytes of OTI, then five bytes a symbol: SBN, ESI (big endian), and what it holds: 0 the
 * true symbol, else that byte throughout. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/codec/fountain.h"

#define OBJECT_BYTES_MAX 20000u
#define T_MAX            600u
#define MEMORY_MAX       (UINT64_C(1) << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

struct world {
    struct urd_fountain_oti oti;
    uint8_t *object;
    struct urd_fountain_object_encoder *encoder;
    struct urd_fountain_object_decoder *decoder;
    bool lied[256];
};

static void check_block(struct world *w, uint32_t sbn)
{
    struct urd_fountain_block block;
    static uint8_t read[OBJECT_BYTES_MAX];
    if (urd_fountain_block_of(&w->oti, sbn, &block) != URD_OK) return;
    if (urd_fountain_object_decoder_missing(w->decoder, sbn) > 0) return;
    urd_err err = urd_fountain_object_decoder_read(w->decoder, sbn, read, (size_t)block.len);
    assert(err == URD_OK);
    assert(w->lied[sbn] || memcmp(read, w->object + block.offset, (size_t)block.len) == 0);
}

static void send(struct world *w, const uint8_t *record)
{
    static uint8_t symbol[T_MAX];
    uint8_t sbn;
    uint32_t esi;
    urd_fountain_payload_id_parse(record, &sbn, &esi);
    memset(symbol, record[4], sizeof symbol);
    if (record[4] == 0 &&
        urd_fountain_object_encoder_symbol(w->encoder, sbn, esi, symbol) != URD_OK)
        assert(sbn >= w->oti.Z);
    w->lied[sbn] |= record[4] != 0;

    uint32_t before = urd_fountain_object_decoder_missing(w->decoder, sbn);
    urd_err err = urd_fountain_object_decoder_add(w->decoder, sbn, esi, symbol, w->oti.T);
    assert(err != URD_E_FULL);
    assert(err != URD_E_INVALID || sbn >= w->oti.Z);
    if (err != URD_OK)
        assert(urd_fountain_object_decoder_missing(w->decoder, sbn) == before);
    else if (before == 0)
        assert(urd_fountain_object_decoder_missing(w->decoder, sbn) == 0);
    check_block(w, sbn);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct world w = { 0 };
    if (urd_fountain_oti_parse(bytes, bytes_len, &w.oti) != URD_OK) return 0;
    if (w.oti.F > OBJECT_BYTES_MAX || w.oti.T > T_MAX) return 0;

    w.object = malloc((size_t)w.oti.F);
    if (w.object == NULL) return 0;
    for (size_t i = 0; i < w.oti.F; i++)
        w.object[i] = (uint8_t)(i * 2654435761u >> 11);
    urd_err err = urd_fountain_object_encoder_new(&w.oti, w.object, &w.encoder);
    assert(err == URD_OK);
    err = urd_fountain_object_decoder_new(&w.oti, MEMORY_MAX, &w.decoder);
    assert(err == URD_OK);

    for (size_t at = URD_FOUNTAIN_OTI_LEN; at + 5 <= bytes_len; at += 5)
        send(&w, bytes + at);

    urd_fountain_object_encoder_free(w.encoder);
    urd_fountain_object_decoder_free(w.decoder);
    free(w.object);
    return 0;
}
