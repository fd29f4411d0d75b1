/* First byte: the kind; the rest: a payload.  What decodes encodes to a payload that decodes to the
 * same bytes again, and can be shown and offered to a saga without harm. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "saga/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

static void round_trip(const struct saga_record *record)
{
    struct saga_record again;
    uint8_t *once, *twice;
    size_t once_len, twice_len;
    if (saga_record_encode(record, &once, &once_len) != URD_OK) return;
    urd_err err = saga_record_decode((uint8_t)record->kind, once, once_len, &again);
    assert(err == URD_OK || err == URD_E_NOMEM);
    if (err == URD_OK && saga_record_encode(&again, &twice, &twice_len) == URD_OK) {
        assert(once_len == twice_len && memcmp(once, twice, once_len) == 0);
        free(twice);
    }
    if (err == URD_OK) saga_record_done(&again);
    free(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    static const uint8_t id[SAGA_ID_BYTES];
    struct saga_record record;
    struct saga *saga;

    if (bytes_len == 0) return 0;
    if (saga_record_decode(bytes[0], bytes + 1, bytes_len - 1, &record) != URD_OK) return 0;
    round_trip(&record);
    json_decref(saga_record_json(&record, 1, NULL));
    if (saga_new(id, &saga) == URD_OK) {
        urd_err err = saga_apply(saga, &record, NULL, 0);
        assert(err == URD_OK || err == URD_E_CORRUPT || err == URD_E_NOMEM);
        if (err == URD_OK) json_decref(saga_json(saga));
        saga_free(saga);
    }
    saga_record_done(&record);
    return 0;
}
