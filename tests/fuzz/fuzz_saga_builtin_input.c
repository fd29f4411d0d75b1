/* First byte: the kind; the rest: a step's input.  What a step takes passes the door, what passes
 * has what its kind needs, and the door takes any JSON without harm. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "saga/builtin_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

urd_err saga_dispatch_take(struct urd_cx *cx, struct saga_dispatch *d, const char *store)
{
    (void)cx, (void)d, (void)store;
    return URD_E_CANCELLED;
}

static void complete(enum saga_kind kind, const struct saga_builtin_input *in)
{
    const char *thing = saga_kind_info(kind)->thing;
    assert(saga_kind_info(kind)->builtin);
    assert(thing == NULL || (in->name != NULL && strlen(in->name) <= SAGA_NAME_BYTES_MAX));
    assert((kind == SAGA_KIND_RESERVE) == (in->amount != 0));
    assert((kind == SAGA_KIND_ACQUIRE || kind == SAGA_KIND_RENEW) == (in->ttl_ms != 0));
    assert((kind == SAGA_KIND_SEND) == (in->message != NULL));
    assert(in->message == NULL || strlen(in->message) <= SAGA_MESSAGE_BYTES_MAX);
    assert(in->amount <= SAGA_AMOUNT_MAX && in->ttl_ms <= SAGA_MS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct saga_builtin_input input;
    char why[128] = "";
    json_t *json;
    if (bytes_len == 0) return 0;
    enum saga_kind kind = (enum saga_kind)(bytes[0] % SAGA_KIND_COUNT);
    char *text = malloc(bytes_len);
    if (text == NULL) return 0;
    memcpy(text, bytes + 1, bytes_len - 1);
    text[bytes_len - 1] = '\0';

    urd_err door = URD_E_INVALID;
    if (saga_json_decode(text, strlen(text), SAGA_INPUT_BYTES_MAX, &json, NULL, 0) == URD_OK) {
        door = saga_builtin_check(kind, json, why, sizeof why);
        assert(door == URD_OK || why[0] != '\0');
        json_decref(json);
    }
    if (saga_builtin_input_decode(kind, text, &input, why, sizeof why) == URD_OK) {
        assert(door == URD_OK);
        complete(kind, &input);
        saga_builtin_input_done(&input);
    }
    free(text);
    return 0;
}
