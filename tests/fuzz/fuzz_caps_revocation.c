/* Any bytes: what decodes as a revocation encodes back to the same bytes; and entries one after the
 * other, each behind its length, joined into a set, are all there and known a second time. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "caps/revocation.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    static const uint8_t seed[URD_CAPS_REVOKED_SEED_BYTES] = { 1 };
    struct urd_caps_revoked *set;
    if (urd_caps_revoked_new(seed, 1000, &set) != URD_OK) return 0;
    while (bytes_len > 0 && bytes_len - 1 >= bytes[0]) {
        struct urd_caps_revocation entry;
        const uint8_t *one = bytes + 1;
        size_t one_len = bytes[0], again_len;
        bytes += 1 + one_len;
        bytes_len -= 1 + one_len;
        if (urd_caps_revocation_decode(one, one_len, &entry) != URD_OK) continue;

        uint8_t again[URD_CAPS_REVOCATION_BYTES_MAX];
        uint64_t sequence;
        urd_err err = urd_caps_revocation_encode(&entry, again, &again_len);
        assert(err == URD_OK && again_len == one_len && memcmp(again, one, one_len) == 0);
        if (urd_caps_revoked_add(set, &entry, &sequence) != URD_OK) break;
        err = urd_caps_revoked_add(set, &entry, &sequence);
        assert(err == URD_OK && sequence == 0);
        if (entry.kind == URD_CAPS_REVOKE_LINK)
            assert(urd_caps_revoked_has_link(set, entry.token_id, entry.link));
    }
    urd_caps_revoked_free(set);
    return 0;
}
