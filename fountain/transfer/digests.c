/* A board is an array of digests and one state byte each: EMPTY -> BEING WRITTEN -> SET.
 *
 * Whoever takes a slot from EMPTY to BEING WRITTEN writes it and releases it as SET; readers look
 * at the state first (acquire).  So no lock is needed and a digest, once seen, never changes.  The
 * root is one more slot, after the last block's. */
#include "fountain/transfer/digests.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/transfer/wire_internal.h"
#include "runtime/sync.h"

#define BATCH_VERSION    1u
#define BATCH_HEADER_LEN 9u

enum slot_state { SLOT_EMPTY, SLOT_WRITING, SLOT_SET };

struct urd_fountain_digests {
    uint32_t blocks;
    _Atomic uint32_t known; /* a lower bound of the gapless prefix */
    _Atomic bool closed;
    struct urd_notify changed;
    uint8_t (*digests)[URD_FOUNTAIN_DIGEST_LEN]; /* blocks + 1: the root is last */
    _Atomic uint8_t *states;
};

urd_err urd_fountain_digests_new(uint32_t blocks, struct urd_fountain_digests **ret)
{
    if (blocks > URD_FOUNTAIN_BLOCKS_MAX) return URD_E_TOO_BIG;
    struct urd_fountain_digests *board = calloc(1, sizeof *board);
    if (board == NULL) return URD_E_NOMEM;
    board->blocks = blocks;
    board->changed = URD_NOTIFY_INIT;
    board->digests = calloc(blocks + 1u, sizeof *board->digests);
    board->states = calloc(blocks + 1u, sizeof *board->states);
    if (board->digests == NULL || board->states == NULL) {
        urd_fountain_digests_free(board);
        return URD_E_NOMEM;
    }
    *ret = board;
    return URD_OK;
}

void urd_fountain_digests_free(struct urd_fountain_digests *board)
{
    if (board == NULL) return;
    free(board->digests);
    free((void *)board->states);
    free(board);
}

static const uint8_t *slot_get(const struct urd_fountain_digests *board, uint32_t slot)
{
    if (atomic_load_explicit(&board->states[slot], memory_order_acquire) != SLOT_SET) return NULL;
    return board->digests[slot];
}

static urd_err slot_put(struct urd_fountain_digests *board, uint32_t slot, const uint8_t *digest)
{
    uint8_t expected = SLOT_EMPTY;
    if (!atomic_compare_exchange_strong(&board->states[slot], &expected, SLOT_WRITING)) {
        /* Taken: the same digest is fine; one being written this instant is taken to be the same,
         * for the receiver checks every digest against its own in the end. */
        const uint8_t *there = slot_get(board, slot);
        bool same = there == NULL || memcmp(there, digest, URD_FOUNTAIN_DIGEST_LEN) == 0;
        return same ? URD_OK : URD_E_CONFLICT;
    }
    memcpy(board->digests[slot], digest, URD_FOUNTAIN_DIGEST_LEN);
    atomic_store_explicit(&board->states[slot], SLOT_SET, memory_order_release);
    urd_notify_all(&board->changed);
    return URD_OK;
}

urd_err urd_fountain_digests_put(struct urd_fountain_digests *board, uint32_t block,
                                 const uint8_t digest[static URD_FOUNTAIN_DIGEST_LEN])
{
    if (block >= board->blocks) return URD_E_INVALID;
    return slot_put(board, block, digest);
}

const uint8_t *urd_fountain_digests_get(const struct urd_fountain_digests *board, uint32_t block)
{
    return block < board->blocks ? slot_get(board, block) : NULL;
}

urd_err urd_fountain_digests_put_root(struct urd_fountain_digests *board,
                                      const uint8_t digest[static URD_FOUNTAIN_DIGEST_LEN])
{
    return slot_put(board, board->blocks, digest);
}

const uint8_t *urd_fountain_digests_root(const struct urd_fountain_digests *board)
{
    return slot_get(board, board->blocks);
}

uint32_t urd_fountain_digests_known(struct urd_fountain_digests *board)
{
    uint32_t known = atomic_load(&board->known), start = known;
    while (known <= board->blocks && slot_get(board, known) != NULL)
        known++;
    while (start < known && !atomic_compare_exchange_weak(&board->known, &start, known)) {
        /* another task got further or nearer; keep the larger */
    }
    return known;
}

const uint8_t *urd_fountain_digests_all(const struct urd_fountain_digests *board)
{
    return board->digests[0];
}

urd_err urd_fountain_digests_wait(struct urd_cx *cx, struct urd_fountain_digests *board,
                                  uint32_t have, uint64_t deadline_ns)
{
    for (;;) {
        if (urd_fountain_digests_known(board) > have) return URD_OK;
        if (atomic_load(&board->closed)) return URD_E_CLOSED;
        urd_err err = urd_notify_wait(cx, &board->changed, deadline_ns);
        if (err != URD_OK) return err;
    }
}

void urd_fountain_digests_close(struct urd_fountain_digests *board)
{
    atomic_store(&board->closed, true);
    urd_notify_all(&board->changed);
}

urd_err urd_fountain_digests_encode(struct urd_fountain_digests *board, uint32_t from, uint8_t *ret,
                                    size_t cap, size_t *ret_len, uint32_t *ret_next)
{
    if (from > board->blocks + 1u) return URD_E_INVALID;
    if (cap < BATCH_HEADER_LEN + URD_FOUNTAIN_DIGEST_LEN) return URD_E_TOO_BIG;
    uint32_t known = urd_fountain_digests_known(board);
    size_t room = (cap - BATCH_HEADER_LEN) / URD_FOUNTAIN_DIGEST_LEN;
    if (room > URD_FOUNTAIN_DIGESTS_BATCH_MAX) room = URD_FOUNTAIN_DIGESTS_BATCH_MAX;
    uint32_t count = known > from ? known - from : 0;
    if (count > room) count = (uint32_t)room;

    struct wire_writer w = { .bytes = ret, .cap = cap };
    wire_put_uint(&w, BATCH_VERSION, 1);
    wire_put_uint(&w, from, 4);
    wire_put_uint(&w, count, 4);
    if (count > 0) wire_put(&w, board->digests[from], (size_t)count * URD_FOUNTAIN_DIGEST_LEN);
    *ret_len = w.len;
    *ret_next = from + count;
    return URD_OK;
}

/* Would @digest stand in @slot after a put? */
static bool slot_admits(const struct urd_fountain_digests *board, uint32_t slot,
                        const uint8_t *digest)
{
    const uint8_t *there = slot_get(board, slot);
    return there == NULL || memcmp(there, digest, URD_FOUNTAIN_DIGEST_LEN) == 0;
}

urd_err urd_fountain_digests_decode(struct urd_fountain_digests *board, const uint8_t *bytes,
                                    size_t bytes_len, uint32_t *ret_next)
{
    struct wire_reader r = { .bytes = bytes, .len = bytes_len };
    uint8_t version = (uint8_t)wire_take_uint(&r, 1);
    uint32_t from = (uint32_t)wire_take_uint(&r, 4), count = (uint32_t)wire_take_uint(&r, 4);
    if (r.short_) return URD_E_SHORT;
    if (version != BATCH_VERSION) return URD_E_VERSION;
    if (from > board->blocks + 1u || count > board->blocks + 1u - from) return URD_E_INVALID;
    if (count > URD_FOUNTAIN_DIGESTS_BATCH_MAX) return URD_E_INVALID;
    const uint8_t *digests = wire_take(&r, (size_t)count * URD_FOUNTAIN_DIGEST_LEN);
    if (r.short_) return URD_E_SHORT;
    if (wire_left(&r) > 0) return URD_E_INVALID;

    for (uint32_t i = 0; i < count; i++)
        if (!slot_admits(board, from + i, digests + (size_t)i * URD_FOUNTAIN_DIGEST_LEN))
            return URD_E_CONFLICT;
    urd_err err = URD_OK;
    for (uint32_t i = 0; err == URD_OK && i < count; i++)
        err = slot_put(board, from + i, digests + (size_t)i * URD_FOUNTAIN_DIGEST_LEN);
    if (err == URD_OK && ret_next != NULL) *ret_next = from + count;
    return err;
}
