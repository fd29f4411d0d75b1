/* Any bytes: a report that is accepted encodes to the same bytes. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "fountain/transfer/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct urd_fountain_report report;
    uint8_t again[URD_FOUNTAIN_REPORT_LEN_MAX];
    if (urd_fountain_report_decode(bytes, bytes_len, &report) != URD_OK) return 0;
    assert(report.needs_count <= URD_FOUNTAIN_WINDOW_BLOCKS_MAX);
    size_t again_len = urd_fountain_report_encode(&report, again);
    assert(again_len == bytes_len && memcmp(again, bytes, bytes_len) == 0);
    return 0;
}
