/* The container of encoding symbols: what is written is read, what is damaged is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/container.h"

static const struct client_container example = {
    .oti = { .F = 5000, .T = 64, .Z = 2, .N = 1, .Al = 1 }, .digest = { 1, 2, 3 }
};

static void a_header_reads_back(void **state)
{
    (void)state;
    uint8_t bytes[CLIENT_CONTAINER_HEADER_BYTES];
    struct client_container read;
    client_container_encode(&example, bytes);
    assert_int_equal(client_container_parse(bytes, sizeof bytes, &read), URD_OK);
    assert_int_equal(read.oti.F, 5000);
    assert_int_equal(read.oti.T, 64);
    assert_int_equal(read.oti.Z, 2);
    assert_memory_equal(read.digest, example.digest, sizeof read.digest);
}

static void every_flipped_bit_of_a_header_is_found(void **state)
{
    (void)state;
    uint8_t bytes[CLIENT_CONTAINER_HEADER_BYTES];
    struct client_container read;
    client_container_encode(&example, bytes);
    for (unsigned i = 0; i < sizeof bytes * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_not_equal(client_container_parse(bytes, sizeof bytes, &read), URD_OK);
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

static void every_flipped_bit_of_a_record_is_found(void **state)
{
    (void)state;
    uint8_t bytes[CLIENT_CONTAINER_RECORD_BYTES + 32] = { 0 };
    uint8_t sbn;
    uint32_t esi;
    client_record_encode(3, 77, bytes + CLIENT_CONTAINER_RECORD_BYTES, 32, bytes);
    assert_int_equal(client_record_parse(bytes, 32, &sbn, &esi), URD_OK);
    assert_int_equal(sbn, 3);
    assert_int_equal(esi, 77);
    for (unsigned i = 0; i < sizeof bytes * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(client_record_parse(bytes, 32, &sbn, &esi), URD_E_CORRUPT);
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_reads_back),
        cmocka_unit_test(every_flipped_bit_of_a_header_is_found),
        cmocka_unit_test(every_flipped_bit_of_a_record_is_found),
    };
    return cmocka_run_group_tests_name("client/container", tests, NULL, NULL);
}
