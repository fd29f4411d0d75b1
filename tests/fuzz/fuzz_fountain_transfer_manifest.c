/* Any bytes: what is accepted holds every promise of manifest.h, and encodes to the same bytes. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/transfer/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct urd_fountain_manifest manifest;
    if (urd_fountain_manifest_decode(bytes, bytes_len, &manifest) != URD_OK) return 0;

    uint64_t total = 0;
    for (uint32_t i = 0; i < manifest.entries_count; i++) {
        const struct urd_fountain_entry *e = &manifest.entries[i];
        assert(urd_fountain_path_is_clean(e->path, strlen(e->path)));
        assert(e->mode <= 0777 && e->offset == total);
        assert(e->target == NULL || e->target[0] != '/');
        total += e->size_bytes;
    }
    assert(total == manifest.layout.total_bytes);
    assert(urd_fountain_manifest_find(&manifest, total) == manifest.entries_count);

    uint8_t *again;
    size_t again_len;
    urd_err err = urd_fountain_manifest_encode(&manifest, &again, &again_len);
    assert(err == URD_OK && again_len == bytes_len && memcmp(again, bytes, bytes_len) == 0);
    free(again);
    urd_fountain_manifest_done(&manifest);
    return 0;
}
