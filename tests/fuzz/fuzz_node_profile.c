/* Any text: a profile that is accepted, written and read again says the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/profile.h"

static int same(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct node_place first, second;
    char *text;
    if (node_profile_parse((const char *)bytes, bytes_len, &first, NULL, 0) != URD_OK) return 0;
    urd_err err = node_profile_format(&first, &text);
    assert(err == URD_OK);
    err = node_profile_parse(text, strlen(text), &second, NULL, 0);
    assert(err == URD_OK);
    assert(strcmp(first.cluster, second.cluster) == 0 && first.nodes_count == second.nodes_count);
    assert(memcmp(first.nodes, second.nodes, sizeof first.nodes) == 0);
    assert(same(first.cap, second.cap) && same(first.ca_pem, second.ca_pem));
    node_place_done(&first);
    node_place_done(&second);
    free(text);
    return 0;
}
