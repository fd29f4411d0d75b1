/* Any bytes, twice: as a datagram off the wire, and as the payload of one that opened.
 *
 * Off the wire: behind a valid clear header nothing opens and nothing is remembered.  As a payload:
 * the symbols of what is accepted lie within it, and what is no error code encodes to the same
 * bytes. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "fountain/transfer/datagram.h"

#define SYMBOL_BYTES 64u

static void off_the_wire(const uint8_t *bytes, size_t bytes_len)
{
    static const struct urd_fountain_agreement agreement = { .id = 7, .secret = { 1 } };
    struct urd_fountain_opener opener;
    struct urd_fountain_opened opened;
    uint8_t datagram[URD_FOUNTAIN_DATAGRAM_MAX] = { [7] = 7 };
    urd_err err = urd_fountain_opener_init(&opener, &agreement, URD_FOUNTAIN_TO_RECEIVER);
    assert(err == URD_OK);
    if (bytes_len > sizeof datagram - 16) bytes_len = sizeof datagram - 16;
    if (bytes_len > 0) memcpy(datagram + 16, bytes, bytes_len);
    err = urd_fountain_open(&opener, datagram, 16 + bytes_len, &opened);
    assert(err != URD_OK && opener.accepted == 0 && opener.next == 0);
    urd_fountain_opener_done(&opener);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct urd_fountain_message m;
    uint8_t again[URD_FOUNTAIN_PAYLOAD_MAX];
    off_the_wire(bytes, bytes_len);
    if (bytes_len > URD_FOUNTAIN_PAYLOAD_MAX) return 0;
    if (urd_fountain_message_decode(bytes, bytes_len, SYMBOL_BYTES, &m) != URD_OK) return 0;
    if (m.type == URD_FOUNTAIN_MESSAGE_REPORT) return 0; /* report.h's */
    size_t len = urd_fountain_message_encode(&m, again);
    if (m.type == URD_FOUNTAIN_MESSAGE_DATA) {
        assert(m.symbols == bytes + len);
        assert(len + (size_t)m.symbols_count * SYMBOL_BYTES == bytes_len);
    } else if (m.type == URD_FOUNTAIN_MESSAGE_CLOSE && m.close == URD_E_FAILED) {
        return 0; /* a code that this build does not know */
    } else {
        assert(len == bytes_len);
    }
    assert(memcmp(again, bytes, len) == 0);
    return 0;
}
