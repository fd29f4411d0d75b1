/* How an object falls into blocks and a block into sub-blocks (section 4.4.1.2).
 *
 *     object  F bytes, and zeroes up to Kt*T
 *     block   KL or KS symbols of it, by Partition[Kt, Z]:  sub-block 0 | sub-block 1 | ... | N-1
 *             each K sub-symbols of TL or TS units of Al, by Partition[T/Al, N], end to end
 *     symbol  sub-symbol of sub-block 0, of 1, ... of N-1:  T bytes */
#include "fountain/codec/fountain.h"

#include <assert.h>
#include <string.h>

struct urd_fountain_partition urd_fountain_partition(uint64_t I, uint32_t J)
{
    assert(J > 0);
    uint64_t IS = I / J;
    uint64_t JL = I - IS * J;
    return (
        struct urd_fountain_partition){ .IL = IS + (JL != 0), .IS = IS, .JL = JL, .JS = J - JL };
}

urd_err urd_fountain_block_of(const struct urd_fountain_oti *oti, uint32_t sbn,
                              struct urd_fountain_block *ret_block)
{
    assert(urd_fountain_oti_validate(oti) == URD_OK);
    if (sbn >= oti->Z) return URD_E_INVALID;

    uint64_t Kt = oti->F / oti->T + (oti->F % oti->T != 0);
    struct urd_fountain_partition p = urd_fountain_partition(Kt, oti->Z);
    uint64_t first = sbn < p.JL ? sbn * p.IL : p.JL * p.IL + (sbn - p.JL) * p.IS;
    uint64_t K = sbn < p.JL ? p.IL : p.IS;
    uint64_t offset = first * oti->T;
    uint64_t len = K * oti->T;
    if (len > oti->F - offset) len = oti->F - offset;
    *ret_block = (struct urd_fountain_block){ .offset = offset, .len = len, .K = (uint32_t)K };
    return URD_OK;
}

/* Bytes of a sub-symbol of sub-block @n. */
static size_t sub_symbol_len(const struct urd_fountain_partition *p, uint32_t Al, uint32_t n)
{
    return (size_t)((n < p->JL ? p->IL : p->IS) * Al);
}

void urd_fountain_interleave(const struct urd_fountain_oti *oti, uint32_t K, const uint8_t *block,
                             uint8_t *ret_symbols)
{
    struct urd_fountain_partition p = urd_fountain_partition(oti->T / oti->Al, oti->N);
    size_t in_symbol = 0;
    for (uint32_t n = 0; n < oti->N; n++) {
        size_t len = sub_symbol_len(&p, oti->Al, n);
        for (size_t i = 0; i < K; i++, block += len)
            memcpy(ret_symbols + i * oti->T + in_symbol, block, len);
        in_symbol += len;
    }
}

void urd_fountain_deinterleave(const struct urd_fountain_oti *oti, uint32_t K,
                               const uint8_t *symbols, uint8_t *ret_block)
{
    struct urd_fountain_partition p = urd_fountain_partition(oti->T / oti->Al, oti->N);
    size_t in_symbol = 0;
    for (uint32_t n = 0; n < oti->N; n++) {
        size_t len = sub_symbol_len(&p, oti->Al, n);
        for (size_t i = 0; i < K; i++, ret_block += len)
            memcpy(ret_block, symbols + i * oti->T + in_symbol, len);
        in_symbol += len;
    }
}
