/* Any text, and any bytes under a right check: an invite that is accepted is written back as the
 * same line. */
#include <assert.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "caps/text.h"
#include "node/invite.h"

static void try_line(const char *text, size_t text_len)
{
    struct node_invite invite, again;
    char line[NODE_INVITE_TEXT_MAX];
    if (node_invite_decode(text, text_len, &invite, NULL, 0) != URD_OK) return;
    urd_err err = node_invite_encode(&invite, line);
    assert(err == URD_OK);
    err = node_invite_decode(line, strlen(line), &again, NULL, 0);
    assert(err == URD_OK);
    assert(memcmp(&invite, &again, sizeof invite) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    try_line((const char *)bytes, bytes_len);

    /* A check keeps mistyped lines out, and the fuzzer with them: put the right one behind. */
    uint8_t whole[4096], hash[crypto_generichash_BYTES_MIN];
    char line[sizeof NODE_INVITE_PREFIX + URD_CAPS_BASE64_SIZE(sizeof whole)] = NODE_INVITE_PREFIX;
    if (bytes_len > sizeof whole - 8) return 0;
    if (bytes_len > 0) memcpy(whole, bytes, bytes_len);
    (void)crypto_generichash(hash, sizeof hash, whole, bytes_len, NULL, 0);
    memcpy(whole + bytes_len, hash, 8);
    urd_caps_base64_encode(whole, bytes_len + 8, line + strlen(line));
    try_line(line, strlen(line));
    return 0;
}
