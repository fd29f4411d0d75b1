/* Object transmission information: its twelve bytes (sections 3.3.2, 3.3.3), the payload id's four
 * (section 3.2) and how the parameters follow from an object and a receiver (section 4.3). */
#include "fountain/codec/fountain.h"

#include <assert.h>

#include "fountain/codec/tables_internal.h"

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

static uint64_t load_be(const uint8_t *bytes, unsigned bytes_len)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes_len; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void store_be(uint64_t value, uint8_t *bytes, unsigned bytes_len)
{
    for (unsigned i = bytes_len; i-- > 0; value >>= 8)
        bytes[i] = (uint8_t)value;
}

urd_err urd_fountain_oti_validate(const struct urd_fountain_oti *oti)
{
    if (oti->F == 0 || oti->T == 0 || oti->Z == 0 || oti->N == 0 || oti->Al == 0)
        return URD_E_INVALID;
    if (oti->F > URD_FOUNTAIN_F_MAX) return URD_E_TOO_BIG;
    if (oti->T % oti->Al != 0) return URD_E_INVALID;
    if (oti->N > oti->T / oti->Al) return URD_E_INVALID;

    uint64_t Kt = divide_up(oti->F, oti->T);
    if (Kt < oti->Z) return URD_E_INVALID;
    if (divide_up(Kt, oti->Z) > URD_FOUNTAIN_K_MAX) return URD_E_TOO_BIG;
    return URD_OK;
}

/* KL(n): the largest K' of table 2 of which a sub-block fits in @WS; 0 when none does. */
static uint32_t largest_block(uint64_t WS, uint32_t T, uint32_t Al, uint32_t n)
{
    uint64_t sub_symbol = (uint64_t)Al * divide_up(T, (uint64_t)Al * n);
    uint64_t limit = WS / sub_symbol;
    for (unsigned i = URD_FOUNTAIN_TABLE2_ROWS; i-- > 0;)
        if (urd_fountain_table2[i].k_prime <= limit) return urd_fountain_table2[i].k_prime;
    return 0;
}

urd_err urd_fountain_oti_derive(const struct urd_fountain_wish *wish,
                                struct urd_fountain_oti *ret_oti)
{
    if (wish->F == 0 || wish->Al == 0 || wish->SS == 0 || wish->P_prime < wish->Al)
        return URD_E_INVALID;
    if (wish->F > URD_FOUNTAIN_F_MAX) return URD_E_TOO_BIG;

    uint32_t Al = wish->Al;
    uint32_t T = wish->P_prime / Al * Al;
    uint64_t Kt = divide_up(wish->F, T);
    uint32_t N_max = T / (wish->SS * Al);
    if (N_max == 0) return URD_E_INVALID;

    uint32_t K_most = largest_block(wish->WS, T, Al, N_max);
    if (K_most == 0) return URD_E_INVALID;
    uint64_t Z = divide_up(Kt, K_most);
    if (Z > URD_FOUNTAIN_Z_MAX) return URD_E_TOO_BIG;

    uint32_t N = 1;
    while (divide_up(Kt, Z) > largest_block(wish->WS, T, Al, N))
        N++;
    assert(N <= N_max); /* n = N_max satisfies it by the choice of Z */

    *ret_oti = (struct urd_fountain_oti){
        .F = wish->F, .T = (uint16_t)T, .Z = (uint8_t)Z, .N = (uint16_t)N, .Al = wish->Al
    };
    return URD_OK;
}

void urd_fountain_oti_encode(const struct urd_fountain_oti *oti,
                             uint8_t ret_bytes[URD_FOUNTAIN_OTI_LEN])
{
    store_be(oti->F, ret_bytes, 5);
    ret_bytes[5] = 0; /* reserved */
    store_be(oti->T, ret_bytes + 6, 2);
    store_be(oti->Z, ret_bytes + 8, 1);
    store_be(oti->N, ret_bytes + 9, 2);
    store_be(oti->Al, ret_bytes + 11, 1);
}

urd_err urd_fountain_oti_parse(const uint8_t *bytes, size_t bytes_len,
                               struct urd_fountain_oti *ret_oti)
{
    if (bytes_len < URD_FOUNTAIN_OTI_LEN) return URD_E_SHORT;

    struct urd_fountain_oti oti = { .F = load_be(bytes, 5),
                                    .T = (uint16_t)load_be(bytes + 6, 2),
                                    .Z = bytes[8],
                                    .N = (uint16_t)load_be(bytes + 9, 2),
                                    .Al = bytes[11] };
    urd_err err = urd_fountain_oti_validate(&oti);
    if (err != URD_OK) return err;

    *ret_oti = oti;
    return URD_OK;
}

void urd_fountain_payload_id_encode(uint8_t sbn, uint32_t esi,
                                    uint8_t ret_bytes[URD_FOUNTAIN_PAYLOAD_ID_LEN])
{
    assert(esi <= URD_FOUNTAIN_ESI_MAX);
    ret_bytes[0] = sbn;
    store_be(esi, ret_bytes + 1, 3);
}

void urd_fountain_payload_id_parse(const uint8_t bytes[URD_FOUNTAIN_PAYLOAD_ID_LEN],
                                   uint8_t *ret_sbn, uint32_t *ret_esi)
{
    *ret_sbn = bytes[0];
    *ret_esi = (uint32_t)load_be(bytes + 1, 3);
}
