/* total bytes -> parts of PART_BLOCKS * block_symbols symbols -> blocks by Partition[Kt, Z].
 *
 * A full part has exactly PART_BLOCKS blocks of exactly block_symbols symbols; the last part has as
 * few blocks as hold its symbols, the long ones first (RFC 6330 section 4.4.1.2). */
#include "fountain/transfer/layout.h"

#include <assert.h>

#define BLOCK_SYMBOLS_USUAL 1024u
#define BLOCK_SYMBOLS_HUGE  4096u
#define STREAM_BYTES_USUAL  (UINT64_C(1) << 40) /* beyond: HUGE blocks, fewer digests */

_Static_assert((uint64_t)URD_FOUNTAIN_PART_BLOCKS *URD_FOUNTAIN_BLOCK_SYMBOLS_MAX
                       *URD_FOUNTAIN_SYMBOL_BYTES_MAX <= URD_FOUNTAIN_PART_BYTES_MAX,
               "no part is too big, whatever a manifest says");

uint16_t urd_fountain_layout_block_symbols(uint64_t total_bytes)
{
    return total_bytes > STREAM_BYTES_USUAL ? BLOCK_SYMBOLS_HUGE : BLOCK_SYMBOLS_USUAL;
}

static uint64_t div_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* Blocks of a part of @bytes bytes. */
static uint32_t part_blocks(const struct urd_fountain_layout *layout, uint64_t bytes)
{
    return (uint32_t)div_up(div_up(bytes, layout->symbol_bytes), layout->block_symbols);
}

urd_err urd_fountain_layout_init(uint64_t total_bytes, uint32_t symbol_bytes,
                                 uint32_t block_symbols, struct urd_fountain_layout *ret)
{
    if (symbol_bytes < URD_FOUNTAIN_SYMBOL_BYTES_MIN ||
        symbol_bytes > URD_FOUNTAIN_SYMBOL_BYTES_MAX || symbol_bytes % 8 != 0)
        return URD_E_INVALID;
    if (block_symbols < URD_FOUNTAIN_BLOCK_SYMBOLS_MIN ||
        block_symbols > URD_FOUNTAIN_BLOCK_SYMBOLS_MAX)
        return URD_E_INVALID;
    uint64_t part_bytes = (uint64_t)URD_FOUNTAIN_PART_BLOCKS * block_symbols * symbol_bytes;
    if (total_bytes > URD_FOUNTAIN_STREAM_BYTES_MAX) return URD_E_TOO_BIG;

    struct urd_fountain_layout layout = { .total_bytes = total_bytes,
                                          .part_bytes = part_bytes,
                                          .symbol_bytes = (uint16_t)symbol_bytes,
                                          .block_symbols = (uint16_t)block_symbols };
    if (total_bytes > 0) {
        uint64_t parts = div_up(total_bytes, part_bytes);
        uint64_t blocks = (parts - 1) * URD_FOUNTAIN_PART_BLOCKS +
                          part_blocks(&layout, total_bytes - (parts - 1) * part_bytes);
        if (blocks > URD_FOUNTAIN_BLOCKS_MAX) return URD_E_TOO_BIG;
        layout.parts = (uint32_t)parts;
        layout.blocks = (uint32_t)blocks;
    }
    *ret = layout;
    return URD_OK;
}

void urd_fountain_layout_extent(const struct urd_fountain_layout *layout, uint32_t block,
                                struct urd_fountain_extent *ret)
{
    assert(block < layout->blocks);
    uint32_t part = block / URD_FOUNTAIN_PART_BLOCKS, sbn = block % URD_FOUNTAIN_PART_BLOCKS;
    uint64_t start = (uint64_t)part * layout->part_bytes;
    uint64_t bytes = layout->total_bytes - start; /* F of this part */
    if (bytes > layout->part_bytes) bytes = layout->part_bytes;

    /* Partition[Kt, Z]: ZL blocks of KL symbols, then blocks of KS. */
    uint32_t Kt = (uint32_t)div_up(bytes, layout->symbol_bytes);
    uint32_t Z = part_blocks(layout, bytes);
    uint32_t KS = Kt / Z, ZL = Kt % Z, KL = KS + (ZL > 0);
    uint64_t symbol = sbn < ZL ? (uint64_t)sbn * KL : (uint64_t)ZL * KL + (uint64_t)(sbn - ZL) * KS;
    uint32_t K = sbn < ZL ? KL : KS;
    uint64_t offset = symbol * layout->symbol_bytes;
    uint64_t len = (uint64_t)K * layout->symbol_bytes;
    if (len > bytes - offset) len = bytes - offset;

    assert(K > 0 && K <= layout->block_symbols && len > 0);
    *ret = (struct urd_fountain_extent){
        .offset = start + offset, .len = (uint32_t)len, .K = K, .part = part, .sbn = (uint8_t)sbn
    };
}

urd_err urd_fountain_layout_block(const struct urd_fountain_layout *layout, uint32_t part,
                                  uint8_t sbn, uint32_t *ret_block)
{
    if (part >= layout->parts || sbn >= URD_FOUNTAIN_PART_BLOCKS) return URD_E_INVALID;
    uint32_t block = part * URD_FOUNTAIN_PART_BLOCKS + sbn;
    if (block >= layout->blocks) return URD_E_INVALID;
    *ret_block = block;
    return URD_OK;
}
