/* Any bytes as object transmission information: what is accepted is valid, reads back to the same
 * bytes (but for the reserved one, which is written as zero), and its blocks tile the object. */
#include <assert.h>
#include <string.h>

#include "fountain/codec/fountain.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct urd_fountain_oti oti;
    if (urd_fountain_oti_parse(bytes, bytes_len, &oti) != URD_OK) return 0;
    assert(urd_fountain_oti_validate(&oti) == URD_OK);

    uint8_t again[URD_FOUNTAIN_OTI_LEN];
    urd_fountain_oti_encode(&oti, again);
    assert(memcmp(again, bytes, 5) == 0 && memcmp(again + 6, bytes + 6, 6) == 0);

    uint64_t end = 0;
    for (uint32_t sbn = 0; sbn < oti.Z; sbn++) {
        struct urd_fountain_block block;
        urd_err err = urd_fountain_block_of(&oti, sbn, &block);
        assert(err == URD_OK && block.offset == end && block.len > 0);
        assert(block.K > 0 && block.K <= URD_FOUNTAIN_K_MAX);
        end += block.len;
    }
    assert(end == oti.F);
    return 0;
}
