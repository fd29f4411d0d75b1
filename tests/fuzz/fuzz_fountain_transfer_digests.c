/* Any bytes, as a batch of digests: all of it or nothing stands on the board afterwards; and as an
 * offer: what is accepted encodes to the same bytes. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "fountain/transfer/digests.h"
#include "fountain/transfer/session.h"

#define BLOCKS 5u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct urd_fountain_offer offer;
    if (urd_fountain_offer_decode(bytes, bytes_len, &offer) == URD_OK) {
        uint8_t again[URD_FOUNTAIN_OFFER_LEN];
        urd_fountain_offer_encode(&offer, again);
        assert(bytes_len == sizeof again && memcmp(again, bytes, bytes_len) == 0);
    }

    struct urd_fountain_digests *board;
    static const uint8_t third[URD_FOUNTAIN_DIGEST_LEN] = { 3 };
    uint32_t next = UINT32_MAX, set = 0;
    urd_err err = urd_fountain_digests_new(BLOCKS, &board);
    assert(err == URD_OK);
    err = urd_fountain_digests_put(board, 3, third);
    assert(err == URD_OK);
    err = urd_fountain_digests_decode(board, bytes, bytes_len, &next);
    for (uint32_t i = 0; i < BLOCKS; i++)
        set += urd_fountain_digests_get(board, i) != NULL;
    set += urd_fountain_digests_root(board) != NULL;
    if (err != URD_OK) {
        assert(set == 1 && next == UINT32_MAX);
    } else {
        uint8_t again[9 + (BLOCKS + 1) * URD_FOUNTAIN_DIGEST_LEN];
        uint32_t from = next - (uint32_t)((bytes_len - 9) / URD_FOUNTAIN_DIGEST_LEN), after;
        size_t len;
        assert(next <= BLOCKS + 1);
        err = urd_fountain_digests_encode(board, from, again, sizeof again, &len, &after);
        assert(err == URD_OK);
        /* without a gap before them they come out as they went in */
        if (from == 0 && after == next) assert(memcmp(again, bytes, bytes_len) == 0);
    }
    assert(memcmp(urd_fountain_digests_get(board, 3), third, sizeof third) == 0);
    urd_fountain_digests_free(board);
    return 0;
}
