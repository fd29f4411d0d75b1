/* Any bytes: what is accepted can be planned, and its canonical text decodes to a document with the
 * same digest. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "saga/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct saga_document *document, *again;
    struct saga_plan *plan;
    char why[64], *text, *text_again;
    uint8_t digest[SAGA_DIGEST_BYTES], digest_again[SAGA_DIGEST_BYTES];

    if (saga_document_decode((const char *)bytes, bytes_len, &document, why, sizeof why) != URD_OK)
        return 0;
    if (saga_plan_make(document, &plan) == URD_OK) {
        assert(saga_plan_fits(plan, document));
        assert(plan->waits_calm <= plan->waits_naive);
        saga_plan_free(plan);
    }
    if (saga_document_canonical(document, &text, digest) != URD_OK) goto done;
    urd_err err = saga_document_decode(text, strlen(text), &again, why, sizeof why);
    assert(err == URD_OK || err == URD_E_NOMEM || err == URD_E_TOO_BIG);
    if (err == URD_OK) {
        if (saga_document_canonical(again, &text_again, digest_again) == URD_OK) {
            assert(strcmp(text, text_again) == 0);
            assert(memcmp(digest, digest_again, sizeof digest) == 0);
            free(text_again);
        }
        saga_document_free(again);
    }
    free(text);
done:
    saga_document_free(document);
    return 0;
}
