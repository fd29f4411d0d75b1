/* fountain/codec/fountain.h -- RaptorQ (RFC 6330): any K of the symbols bring back the block.
 *
 * An object of F bytes is cut into Z source blocks of K symbols of T bytes.  An encoder gives any
 * of 2^24 encoding symbols of a block; a decoder takes symbols in any order and, from about any K
 * of them, gives the block back.  Symbols, payload ids and object transmission information (OTI)
 * are bit-exact RFC 6330, so either end may be another implementation.
 *
 * Two floors:
 *   block    plan, encoder, decoder: one source block in memory at a time; what a streamer uses
 *   object   object_encoder, object_decoder: blocks, padding and sub-blocks (N > 1) done for you
 *
 * All of it is computation: no clock, no I/O, no global state.  Nothing blocks, nothing needs
 * cancelling.  Objects are not locked: one thread at a time each; a plan is immutable and may be
 * shared.  Every failure leaves its object as it was.  Kernels are chosen by what the processor
 * has; the environment variable URD_FOUNTAIN_KERNEL (plain, ssse3, avx2) asks for another one.
 *
 * One-letter names are those of the RFC, section 2 and 5.1.2. */
#ifndef FOUNTAIN_CODEC_FOUNTAIN_H
#define FOUNTAIN_CODEC_FOUNTAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#define URD_FOUNTAIN_K_MAX          56403u                    /* section 5.1.2: K'_max */
#define URD_FOUNTAIN_ESI_MAX        ((UINT32_C(1) << 24) - 1) /* 24 bits in the payload id */
#define URD_FOUNTAIN_T_MAX          65535u
#define URD_FOUNTAIN_Z_MAX          255u                   /* 8 bits; 0 does not mean 256 */
#define URD_FOUNTAIN_F_MAX          UINT64_C(942574504275) /* 255 * 56403 * 65535, erratum 5548 */
#define URD_FOUNTAIN_OTI_LEN        12u
#define URD_FOUNTAIN_PAYLOAD_ID_LEN 4u

/* --- parameters (oti.c, partition.c) ------------------------------------------------- */

/* What sender and receiver must agree on: section 3.3.2 and 3.3.3. */
struct urd_fountain_oti {
    uint64_t F; /* object, bytes */
    uint16_t T; /* symbol, bytes; a multiple of Al */
    uint8_t Z;  /* source blocks */
    uint16_t N; /* sub-blocks a source block */
    uint8_t Al; /* alignment, bytes */
};

/* What section 4.3 derives an OTI from. */
struct urd_fountain_wish {
    uint64_t F;       /* object, bytes */
    uint16_t P_prime; /* P': largest symbol, bytes */
    uint8_t Al;       /* alignment, bytes */
    uint16_t SS;      /* least sub-symbol, in units of Al */
    uint64_t WS;      /* largest sub-block a receiver decodes in working memory, bytes */
};

/* Can this codec carry out @oti?  URD_E_INVALID when a field contradicts another (T no multiple of
 * Al, more blocks than symbols, N > T/Al, a zero), URD_E_TOO_BIG beyond F_MAX or K_MAX. */
URD_MUST_USE urd_err urd_fountain_oti_validate(const struct urd_fountain_oti *oti);

/* Section 4.3: T, Z and N for @wish.  URD_E_INVALID for a wish without an answer (a zero, SS*Al >
 * P', WS below ten sub-symbols), URD_E_TOO_BIG when more than 255 blocks would be needed. */
URD_MUST_USE urd_err urd_fountain_oti_derive(const struct urd_fountain_wish *wish,
                                             struct urd_fountain_oti *ret_oti);

/* The 8 bytes of common and the 4 of scheme-specific OTI, big endian (sections 3.3.2, 3.3.3).
 * @oti must be valid. */
void urd_fountain_oti_encode(const struct urd_fountain_oti *oti,
                             uint8_t ret_bytes[URD_FOUNTAIN_OTI_LEN]);

/* Decode untrusted @bytes and validate what they say.  URD_E_SHORT below 12 bytes, else as
 * urd_fountain_oti_validate; the reserved byte is ignored, bytes after the twelfth are not read. */
URD_MUST_USE urd_err urd_fountain_oti_parse(const uint8_t *bytes, size_t bytes_len,
                                            struct urd_fountain_oti *ret_oti);

/* FEC payload id (section 3.2): SBN 8 bits, ESI 24 bits (<= URD_FOUNTAIN_ESI_MAX), big endian. */
void urd_fountain_payload_id_encode(uint8_t sbn, uint32_t esi,
                                    uint8_t ret_bytes[URD_FOUNTAIN_PAYLOAD_ID_LEN]);
void urd_fountain_payload_id_parse(const uint8_t bytes[URD_FOUNTAIN_PAYLOAD_ID_LEN],
                                   uint8_t *ret_sbn, uint32_t *ret_esi);

/* Section 4.4.1.2, Partition[I, J]: JL parts of IL and JS parts of IS, the long ones first. */
struct urd_fountain_partition {
    uint64_t IL;
    uint64_t IS;
    uint64_t JL;
    uint64_t JS;
};
struct urd_fountain_partition urd_fountain_partition(uint64_t I, uint32_t J); /* J > 0 */

/* Where source block @sbn lies in the object. */
struct urd_fountain_block {
    uint64_t offset; /* first byte in the object */
    uint64_t len;    /* bytes of the object in it; the last block's may be short of K*T */
    uint32_t K;      /* source symbols */
};

/* URD_E_INVALID when @sbn >= Z.  @oti must be valid. */
URD_MUST_USE urd_err urd_fountain_block_of(const struct urd_fountain_oti *oti, uint32_t sbn,
                                           struct urd_fountain_block *ret_block);

/* Between a block as it lies in the object (K*T bytes, zeroes after the object's end) and its K
 * symbols of T bytes (section 4.4.1.2: sub-symbol i of each sub-block, one after the other).  With
 * N = 1 both are the same bytes.  @block and @symbols must not overlap. */
void urd_fountain_interleave(const struct urd_fountain_oti *oti, uint32_t K, const uint8_t *block,
                             uint8_t *ret_symbols);
void urd_fountain_deinterleave(const struct urd_fountain_oti *oti, uint32_t K,
                               const uint8_t *symbols, uint8_t *ret_block);

/* K' for @K (section 5.3.1) and L, the number of intermediate symbols.  URD_E_INVALID for 0,
 * URD_E_TOO_BIG above URD_FOUNTAIN_K_MAX. */
URD_MUST_USE urd_err urd_fountain_extended_block(uint32_t K, uint32_t *ret_K_prime,
                                                 uint32_t *ret_L);

/* --- one source block: encoding (plan.c, encoder.c) ---------------------------------- */

/* How to make the intermediate symbols of a block, for every block with the same K': the
 * elimination done once, without data.  Immutable: any number of encoders, in any threads, may use
 * it at once. */
struct urd_fountain_plan;

/* Make the plan for blocks of @K symbols.  Memory: about 45 bytes a symbol kept (2.5 MB at the
 * largest K), 300 a symbol while it is made.  URD_E_INVALID, URD_E_TOO_BIG for K; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_plan_new(uint32_t K, struct urd_fountain_plan **ret_plan);

/* Is @plan good for blocks of @K symbols?  (Their K' are equal.) */
bool urd_fountain_plan_fits(const struct urd_fountain_plan *plan, uint32_t K);

void urd_fountain_plan_free(struct urd_fountain_plan *plan);

struct urd_fountain_encoder;

/* An encoder for blocks of @K symbols of @T bytes.
 *
 *   source  K*T bytes, borrowed until the encoder is freed or given another source; the caller
 *           zero-pads a last symbol that is short
 *   plan    one that fits K, borrowed as long as the encoder lives; NULL: it makes its own
 *
 * Memory: L*T bytes (L is K plus a few per cent) and scratch under 1 MB, allocated here, plus the
 * own plan; nothing afterwards.  The intermediate symbols wait for the first repair symbol, so that
 * a block of which nothing is lost costs nothing.
 *
 * URD_E_INVALID for a zero, a T above T_MAX or a plan that does not fit, URD_E_TOO_BIG for K,
 * URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_encoder_new(uint32_t K, uint32_t T, const uint8_t *source,
                                              const struct urd_fountain_plan *plan,
                                              struct urd_fountain_encoder **ret_encoder);

/* Go on to another block of the same K and T; memory and plan are kept. */
void urd_fountain_encoder_reset(struct urd_fountain_encoder *encoder, const uint8_t *source);

/* Make the intermediate symbols now, not at the first repair symbol. */
void urd_fountain_encoder_prepare(struct urd_fountain_encoder *encoder);

/* Encoding symbol @esi (0 .. K-1 are the source symbols), T bytes to @ret_symbol.
 * URD_E_INVALID when esi > URD_FOUNTAIN_ESI_MAX. */
URD_MUST_USE urd_err urd_fountain_encoder_symbol(struct urd_fountain_encoder *encoder, uint32_t esi,
                                                 uint8_t *ret_symbol);

/* Encoding symbols @esis[0 .. esis_len), symbol i at @ret_symbols + i*stride (stride >= T).  Faster
 * than one at a time.  URD_E_INVALID, and nothing written, when an ESI is out of range. */
URD_MUST_USE urd_err urd_fountain_encoder_symbols(struct urd_fountain_encoder *encoder,
                                                  const uint32_t *esis, size_t esis_len,
                                                  uint8_t *ret_symbols, size_t stride);

/* Intermediate symbol C[@i] (section 5.3.3), T bytes.  URD_E_INVALID when i >= L. */
URD_MUST_USE urd_err urd_fountain_encoder_intermediate(struct urd_fountain_encoder *encoder,
                                                       uint32_t i, uint8_t *ret_symbol);

void urd_fountain_encoder_free(struct urd_fountain_encoder *encoder);

/* --- one source block: decoding (decoder.c) ------------------------------------------ */

struct urd_fountain_decoder;

/* A decoder for a block of @K symbols of @T bytes.
 *
 * Memory: (K + 16)*T bytes and 20 bytes a symbol, allocated here and touched as symbols arrive:
 * repair symbols lie where source symbols are missing.  urd_fountain_decoder_solve takes, until it
 * returns, about 300 bytes a symbol and L strips of at most 512 bytes.
 *
 * URD_E_INVALID for a zero or T above T_MAX, URD_E_TOO_BIG for K, URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_decoder_new(uint32_t K, uint32_t T,
                                              struct urd_fountain_decoder **ret_decoder);

/* Forget everything received: ready for another block of the same K and T. */
void urd_fountain_decoder_reset(struct urd_fountain_decoder *decoder);

/* Take encoding symbol @esi.  A duplicate, or a symbol after the block is complete, is no error and
 * changes nothing.  URD_E_INVALID when esi > URD_FOUNTAIN_ESI_MAX or symbol_len != T.  URD_E_FULL
 * when K + 16 distinct symbols are held: urd_fountain_decoder_solve either completes the block, or
 * makes room by letting go of symbols that add nothing (a sender that picks its ESIs so that none
 * can be told from the others makes it let go of all repair symbols). */
URD_MUST_USE urd_err urd_fountain_decoder_add(struct urd_fountain_decoder *decoder, uint32_t esi,
                                              const uint8_t *symbol, size_t symbol_len);

/* The least number of further symbols without which an attempt is in vain: K less what is held;
 * after a failed attempt what the rank lacked.  0 when the block is complete. */
uint32_t urd_fountain_decoder_missing(const struct urd_fountain_decoder *decoder);

/* Is urd_fountain_decoder_solve worth calling?  (Nothing is missing, and the block is not
 * complete.) */
bool urd_fountain_decoder_ready(const struct urd_fountain_decoder *decoder);

/* Is the whole block there? */
bool urd_fountain_decoder_complete(const struct urd_fountain_decoder *decoder);

/* Recover what is missing.  URD_OK when the block is complete (also when it was before).
 * URD_E_SHORT when the symbols held do not suffice (urd_fountain_decoder_missing now says how many
 * more); with K symbols this happens about once in 200, with K+1 once in 25 000.  URD_E_NOMEM.
 * After either the decoder goes on taking symbols and the next attempt starts from what is held. */
URD_MUST_USE urd_err urd_fountain_decoder_solve(struct urd_fountain_decoder *decoder);

/* Is source symbol @i (< K) there, by arrival or by decoding? */
bool urd_fountain_decoder_has(const struct urd_fountain_decoder *decoder, uint32_t i);

/* The K*T bytes of the block, owned by the decoder, valid until it is reset or freed.  Symbol i
 * stands at i*T once urd_fountain_decoder_has says so; until then its place holds anything. */
const uint8_t *urd_fountain_decoder_source(const struct urd_fountain_decoder *decoder);

void urd_fountain_decoder_free(struct urd_fountain_decoder *decoder);

/* --- whole objects (object.c) -------------------------------------------------------- */

struct urd_fountain_object_encoder;

/* An encoder for a whole object.  @object: F bytes, borrowed as long as the encoder lives.  A
 * block's memory (2*K*T bytes) is taken when its first symbol is asked for and kept until
 * urd_fountain_object_encoder_drop.  Errors as urd_fountain_oti_validate; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_object_encoder_new(const struct urd_fountain_oti *oti,
                                                     const uint8_t *object,
                                                     struct urd_fountain_object_encoder **ret);

/* Symbol @esi of block @sbn, T bytes.  URD_E_INVALID for an sbn >= Z or esi out of range;
 * URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_object_encoder_symbol(struct urd_fountain_object_encoder *object,
                                                        uint32_t sbn, uint32_t esi,
                                                        uint8_t *ret_symbol);

/* The encoder of block @sbn, owned by @object, valid until that block is dropped. */
URD_MUST_USE urd_err urd_fountain_object_encoder_block(struct urd_fountain_object_encoder *object,
                                                       uint32_t sbn,
                                                       struct urd_fountain_encoder **ret_encoder);

/* Give back the memory of block @sbn; it is made again when asked for. */
void urd_fountain_object_encoder_drop(struct urd_fountain_object_encoder *object, uint32_t sbn);

void urd_fountain_object_encoder_free(struct urd_fountain_object_encoder *object);

struct urd_fountain_object_decoder;

/* A decoder for a whole object whose @oti may come from a stranger.  A block's memory ((K + 16)*T
 * bytes and 20 a symbol) is taken at its first symbol and given back by
 * urd_fountain_object_decoder_drop; blocks never hold more than @memory_max bytes together.  Errors
 * as urd_fountain_oti_validate; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_object_decoder_new(const struct urd_fountain_oti *oti,
                                                     uint64_t memory_max,
                                                     struct urd_fountain_object_decoder **ret);

/* Take a symbol; decodes its block when that may succeed.  Late symbols and duplicates are no
 * error.  URD_E_INVALID for a wrong length, sbn or esi; URD_E_TOO_BIG when a new block would pass
 * memory_max; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_object_decoder_add(struct urd_fountain_object_decoder *object,
                                                     uint32_t sbn, uint32_t esi,
                                                     const uint8_t *symbol, size_t symbol_len);

/* Least number of further symbols block @sbn (< Z) needs; 0: it is complete. */
uint32_t urd_fountain_object_decoder_missing(const struct urd_fountain_object_decoder *object,
                                             uint32_t sbn);

/* Is every block complete (read and dropped ones are)? */
bool urd_fountain_object_decoder_complete(const struct urd_fountain_object_decoder *object);

/* Copy the bytes of complete block @sbn (urd_fountain_block_of says where they go and how many they
 * are) to @ret_bytes.  URD_E_INVALID for the sbn or a bytes_len that is not the block's,
 * URD_E_STATE when the block is not complete or was dropped; URD_E_NOMEM (N > 1 needs a copy). */
URD_MUST_USE urd_err
urd_fountain_object_decoder_read(const struct urd_fountain_object_decoder *object, uint32_t sbn,
                                 uint8_t *ret_bytes, size_t bytes_len);

/* Give back the memory of complete block @sbn; its late symbols go on being ignored.  URD_E_STATE
 * when it is not complete, URD_E_INVALID for the sbn. */
URD_MUST_USE urd_err urd_fountain_object_decoder_drop(struct urd_fountain_object_decoder *object,
                                                      uint32_t sbn);

void urd_fountain_object_decoder_free(struct urd_fountain_object_decoder *object);

#endif
