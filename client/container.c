#include "client/container.h"

#include <sodium.h>
#include <string.h>

static const uint8_t magic[8] = "URDFOUNT";
static const uint8_t zero_key[crypto_shorthash_KEYBYTES];
_Static_assert(crypto_shorthash_BYTES == 8, "a check is 8 bytes");

void client_container_encode(const struct client_container *container,
                             uint8_t ret[static CLIENT_CONTAINER_HEADER_BYTES])
{
    memcpy(ret, magic, 8);
    urd_fountain_oti_encode(&container->oti, ret + 8);
    memcpy(ret + 20, container->digest, CLIENT_CONTAINER_DIGEST_BYTES);
    (void)crypto_shorthash(ret + 52, ret, 52, zero_key);
}

urd_err client_container_parse(const uint8_t *bytes, size_t bytes_len, struct client_container *ret)
{
    uint8_t check[8];
    struct client_container container;
    if (bytes_len < CLIENT_CONTAINER_HEADER_BYTES) return URD_E_SHORT;
    if (memcmp(bytes, magic, 8) != 0) return URD_E_INVALID;
    (void)crypto_shorthash(check, bytes, 52, zero_key);
    if (memcmp(check, bytes + 52, 8) != 0) return URD_E_CORRUPT;
    urd_err err = urd_fountain_oti_parse(bytes + 8, URD_FOUNTAIN_OTI_LEN, &container.oti);
    if (err != URD_OK) return err;
    memcpy(container.digest, bytes + 20, CLIENT_CONTAINER_DIGEST_BYTES);
    *ret = container;
    return URD_OK;
}

/* Over payload id and symbol, which stand apart in a record. */
static void check_of(const uint8_t id[4], const uint8_t *symbol, size_t symbol_len, uint8_t ret[8])
{
    uint8_t both[8 + 4];
    (void)crypto_shorthash(both, symbol, symbol_len, zero_key);
    memcpy(both + 8, id, 4);
    (void)crypto_shorthash(ret, both, sizeof both, zero_key);
}

void client_record_encode(uint8_t sbn, uint32_t esi, const uint8_t *symbol, size_t symbol_len,
                          uint8_t ret[static CLIENT_CONTAINER_RECORD_BYTES])
{
    urd_fountain_payload_id_encode(sbn, esi, ret);
    check_of(ret, symbol, symbol_len, ret + 4);
}

urd_err client_record_parse(const uint8_t *bytes, size_t symbol_len, uint8_t *ret_sbn,
                            uint32_t *ret_esi)
{
    uint8_t check[8];
    check_of(bytes, bytes + CLIENT_CONTAINER_RECORD_BYTES, symbol_len, check);
    if (memcmp(check, bytes + 4, 8) != 0) return URD_E_CORRUPT;
    urd_fountain_payload_id_parse(bytes, ret_sbn, ret_esi);
    return URD_OK;
}
