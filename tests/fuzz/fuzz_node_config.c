/* Any text: what is accepted as urd.conf, written and read again is the same configuration. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct node_config *first = malloc(sizeof *first), *second = malloc(sizeof *second);
    assert(first != NULL && second != NULL);
    char why[128], *text = NULL;
    if (node_config_parse((const char *)bytes, bytes_len, first, why, sizeof why) == URD_OK) {
        urd_err err = node_config_format(first, &text);
        assert(err == URD_OK);
        err = node_config_parse(text, strlen(text), second, why, sizeof why);
        assert(err == URD_OK);
        assert(memcmp(first, second, sizeof *first) == 0);
        free(text);
    }
    free(first);
    free(second);
    return 0;
}
