/* fountain/transfer/digests.h -- the board on which block digests and the root digest appear.
 *
 * A board has a slot for each block's digest and a last one for the root: layout.blocks + 1.
 * The sender writes digests as it reads blocks; they travel in datagrams of the session, or over
 * RPC, in batches, by the caller of the transfer; at the receiver they are put on a board of its
 * own, which the receiver compares its blocks with.
 *
 *     sending side:    while (next <= layout.blocks) {
 *                          urd_fountain_digests_wait(cx, board, next, deadline);
 *                          urd_fountain_digests_encode(board, next, bytes, cap, &len, &next); ->
 * RPC
 *                      }
 *     receiving side:  RPC -> urd_fountain_digests_decode(board, bytes, len, NULL)
 *
 * A board may be used by any number of tasks at once.  A digest, once set, never changes. */
#ifndef FOUNTAIN_TRANSFER_DIGESTS_H
#define FOUNTAIN_TRANSFER_DIGESTS_H

#include "fountain/transfer/manifest.h"
#include "runtime/cx.h"

#define URD_FOUNTAIN_DIGESTS_BATCH_MAX 4096u /* digests in one encoded batch */
#define URD_FOUNTAIN_DIGESTS_BATCH_BYTES_MAX                                                       \
    (9u + URD_FOUNTAIN_DIGESTS_BATCH_MAX * URD_FOUNTAIN_DIGEST_LEN)

struct urd_fountain_digests;

/* A board for @blocks digests (layout.blocks; 0 is fine) and a root digest; 33 bytes a block.
 * Errors: URD_E_TOO_BIG, URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_digests_new(uint32_t blocks, struct urd_fountain_digests **ret);
void urd_fountain_digests_free(struct urd_fountain_digests *board);

/* Set the digest of @block; to preset what a cache or a journal knows, too.
 * Errors: URD_E_INVALID no such block; URD_E_CONFLICT another digest stands there. */
URD_MUST_USE urd_err urd_fountain_digests_put(struct urd_fountain_digests *board, uint32_t block,
                                              const uint8_t digest[static URD_FOUNTAIN_DIGEST_LEN]);
/* The digest of @block, or NULL while it is not known; valid as long as the board. */
const uint8_t *urd_fountain_digests_get(const struct urd_fountain_digests *board, uint32_t block);
/* Set or read the root digest, the same way. */
URD_MUST_USE urd_err urd_fountain_digests_put_root(
    struct urd_fountain_digests *board, const uint8_t digest[static URD_FOUNTAIN_DIGEST_LEN]);
const uint8_t *urd_fountain_digests_root(const struct urd_fountain_digests *board);
/* How many slots are set from block 0 on without a gap; blocks + 1: everything is known. */
uint32_t urd_fountain_digests_known(struct urd_fountain_digests *board);
/* All block digests in order, blocks * 32 bytes; to be read only when all are known. */
const uint8_t *urd_fountain_digests_all(const struct urd_fountain_digests *board);

/* Wait until more than @have slots are known without a gap.  Blocks.
 * Errors: URD_E_TIMEOUT, URD_E_CANCELLED, URD_E_CLOSED nothing more will come. */
URD_MUST_USE urd_err urd_fountain_digests_wait(struct urd_cx *cx,
                                               struct urd_fountain_digests *board, uint32_t have,
                                               uint64_t deadline_ns);
/* Nothing more will come: wakes all waiters.  The sender calls it when it ends. */
void urd_fountain_digests_close(struct urd_fountain_digests *board);

/* Encode the slots known without a gap from slot @from on, at most BATCH_MAX of them, none is fine:
 * at most BATCH_BYTES_MAX bytes to @ret.  *@ret_next: the @from of the next batch; blocks + 1: that
 * was the last.
 * Errors: URD_E_TOO_BIG @cap is too small for one; URD_E_INVALID @from beyond the last. */
URD_MUST_USE urd_err urd_fountain_digests_encode(struct urd_fountain_digests *board, uint32_t from,
                                                 uint8_t *ret, size_t cap, size_t *ret_len,
                                                 uint32_t *ret_next);
/* Put an untrusted batch on the board; all of it or nothing.  *@ret_next (may be NULL) as above.
 * Errors: URD_E_SHORT, URD_E_INVALID, URD_E_VERSION, URD_E_CONFLICT. */
URD_MUST_USE urd_err urd_fountain_digests_decode(struct urd_fountain_digests *board,
                                                 const uint8_t *bytes, size_t bytes_len,
                                                 uint32_t *ret_next);

#endif
