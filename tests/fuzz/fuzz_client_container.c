/* Any bytes: the header decoder accepts only what encodes back to the same bytes; a record is read
 * within bounds. */
#include <assert.h>
#include <string.h>

#include "client/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct client_container container;
    if (client_container_parse(bytes, bytes_len, &container) == URD_OK) {
        uint8_t again[CLIENT_CONTAINER_HEADER_BYTES];
        struct client_container twice;
        client_container_encode(&container, again);
        assert(client_container_parse(again, sizeof again, &twice) == URD_OK);
        assert(memcmp(&container.digest, &twice.digest, sizeof twice.digest) == 0);
        assert(container.oti.F == twice.oti.F && container.oti.T == twice.oti.T);
    }
    if (bytes_len > CLIENT_CONTAINER_RECORD_BYTES) {
        uint8_t sbn;
        uint32_t esi;
        (void)!client_record_parse(bytes, bytes_len - CLIENT_CONTAINER_RECORD_BYTES, &sbn, &esi);
    }
    return 0;
}
