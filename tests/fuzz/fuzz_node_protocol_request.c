/* Any bytes: what is accepted keeps every limit, and written, read and written again gives the same
 * bytes. */
#include <assert.h>
#include <string.h>

#include "node/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    Urd__V1__Request *first, *second;
    char errmsg[128];
    if (node_request_decode(bytes, bytes_len, &first, errmsg, sizeof errmsg) != URD_OK) return 0;
    uint8_t *once, *twice;
    size_t once_len, twice_len;
    urd_err err = node_request_encode(first, &once, &once_len, NULL, 0);
    assert(err == URD_OK);
    err = node_request_decode(once, once_len, &second, NULL, 0);
    assert(err == URD_OK);
    err = node_request_encode(second, &twice, &twice_len, NULL, 0);
    assert(err == URD_OK);
    assert(once_len == twice_len && memcmp(once, twice, once_len) == 0);
    node_bytes_free(once, once_len);
    node_bytes_free(twice, twice_len);
    node_request_free(first);
    node_request_free(second);
    return 0;
}
