/* client/container.h -- a file of encoding symbols: what `urd fountain` writes and reads.
 *
 *     magic "URDFOUNT" 8 | OTI 12 (RFC 6330 section 3.3) | BLAKE2b-256 of the object 32 | check 8
 *     then any number of symbols:  FEC payload id 4 | check 8 | T bytes
 *
 * A check is SipHash-2-4 under the zero key over the bytes it stands for (payload id and symbol;
 * header): it finds damage, not malice; the digest finds both.  Symbols stand in any order; some
 * may be missing or damaged. */
#ifndef CLIENT_CONTAINER_H
#define CLIENT_CONTAINER_H

#include "fountain/codec/fountain.h"

#define CLIENT_CONTAINER_HEADER_BYTES 60u
#define CLIENT_CONTAINER_RECORD_BYTES 12u /* before the symbol's T bytes */
#define CLIENT_CONTAINER_DIGEST_BYTES 32u

struct client_container {
    struct urd_fountain_oti oti;
    uint8_t digest[CLIENT_CONTAINER_DIGEST_BYTES];
};

void client_container_encode(const struct client_container *container,
                             uint8_t ret[static CLIENT_CONTAINER_HEADER_BYTES]);
/* Decode @bytes (hostile until checked).  Errors: URD_E_SHORT; URD_E_INVALID no container, or an
 * impossible OTI; URD_E_CORRUPT. */
URD_MUST_USE urd_err client_container_parse(const uint8_t *bytes, size_t bytes_len,
                                            struct client_container *ret);

/* Write payload id and check of @symbol (@symbol_len bytes) into @ret. */
void client_record_encode(uint8_t sbn, uint32_t esi, const uint8_t *symbol, size_t symbol_len,
                          uint8_t ret[static CLIENT_CONTAINER_RECORD_BYTES]);
/* Check the record at @bytes, CLIENT_CONTAINER_RECORD_BYTES + @symbol_len long.  Errors:
 * URD_E_CORRUPT. */
URD_MUST_USE urd_err client_record_parse(const uint8_t *bytes, size_t symbol_len, uint8_t *ret_sbn,
                                         uint32_t *ret_esi);

#endif
