/* fountain/transfer/layout.h -- how a stream of bytes is cut into parts and source blocks.
 *
 * The files of a manifest, one after the other, are one stream.  The stream is cut into parts, each
 * one RFC 6330 object of at most 1 GiB with one sub-block (N = 1); a part into source blocks of
 * about K symbols of T bytes.  Blocks are counted through all parts: block = part * blocks of a
 * full part + SBN.  Both ends derive the same layout from (total_bytes, T, K) alone. */
#ifndef FOUNTAIN_TRANSFER_LAYOUT_H
#define FOUNTAIN_TRANSFER_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#define URD_FOUNTAIN_SYMBOL_BYTES_DEFAULT 1280u
#define URD_FOUNTAIN_SYMBOL_BYTES_NARROW  1152u /* where a path is below 1400 bytes */
#define URD_FOUNTAIN_SYMBOL_BYTES_MIN     64u
#define URD_FOUNTAIN_SYMBOL_BYTES_MAX     1280u
#define URD_FOUNTAIN_PART_BYTES_MAX       (UINT64_C(1) << 30)
#define URD_FOUNTAIN_PART_BLOCKS          204u /* source blocks of a full part */
#define URD_FOUNTAIN_BLOCK_SYMBOLS_MIN    16u
#define URD_FOUNTAIN_BLOCK_SYMBOLS_MAX    4096u /* a full part stays below PART_BYTES_MAX */
#define URD_FOUNTAIN_STREAM_BYTES_MAX     (UINT64_C(1) << 44)
#define URD_FOUNTAIN_BLOCKS_MAX           (UINT32_C(1) << 23)

struct urd_fountain_layout {
    uint64_t total_bytes;
    uint64_t part_bytes;    /* of every part but the last */
    uint32_t parts, blocks; /* 0 when the stream is empty */
    uint16_t symbol_bytes;  /* T */
    uint16_t block_symbols; /* the most symbols a block has */
};

/* One source block, and where it lies. */
struct urd_fountain_extent {
    uint64_t offset; /* in the stream */
    uint32_t len;    /* bytes of the stream in it; the last symbol is padded with zeroes */
    uint32_t K;      /* source symbols */
    uint32_t part;
    uint8_t sbn;
};

/* The block_symbols that suit a stream of @total_bytes: about 1000, where the codec is fastest,
 * more for streams that would otherwise have too many blocks to keep digests of. */
uint16_t urd_fountain_layout_block_symbols(uint64_t total_bytes);

/* Lay out @total_bytes in symbols of @symbol_bytes (a multiple of 8 in SYMBOL_BYTES_MIN..MAX) and
 * blocks of at most @block_symbols.  The arguments may come from a stranger.
 * Errors: URD_E_INVALID a field out of range; URD_E_TOO_BIG more bytes or blocks than the bounds.
 */
URD_MUST_USE urd_err urd_fountain_layout_init(uint64_t total_bytes, uint32_t symbol_bytes,
                                              uint32_t block_symbols,
                                              struct urd_fountain_layout *ret);

/* Where block @block (< layout->blocks) lies. */
void urd_fountain_layout_extent(const struct urd_fountain_layout *layout, uint32_t block,
                                struct urd_fountain_extent *ret);

/* The block that @part and @sbn of a datagram name.  Errors: URD_E_INVALID no such block. */
URD_MUST_USE urd_err urd_fountain_layout_block(const struct urd_fountain_layout *layout,
                                               uint32_t part, uint8_t sbn, uint32_t *ret_block);

#endif
