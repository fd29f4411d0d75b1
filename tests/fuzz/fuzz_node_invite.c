/* Any text: an invite that is accepted is written back as the same line. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "node/invite.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct node_invite invite, again;
    char text[NODE_INVITE_TEXT_MAX];
    if (node_invite_decode((const char *)bytes, bytes_len, &invite, NULL, 0) != URD_OK) return 0;
    urd_err err = node_invite_encode(&invite, text);
    assert(err == URD_OK);
    err = node_invite_decode(text, strlen(text), &again, NULL, 0);
    assert(err == URD_OK);
    assert(memcmp(&invite, &again, sizeof invite) == 0);
    return 0;
}
