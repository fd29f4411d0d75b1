/* The rows of built-in kinds: what is written is read back, in the order the store needs, and what
 * was never written is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "saga/builtin_rows.h"
#include "storage/bytes.h"

static const uint8_t saga[SAGA_ID_BYTES] = { 1, 2, 3, [15] = 0xff };

static void keys_come_apart_into_what_they_were_made_of(void **state)
{
    struct storage_key key;
    char name[SAGA_NAME_BYTES_MAX + 1];
    enum saga_queue_part part;
    uint64_t position;
    uint8_t id[SAGA_ID_BYTES];
    uint32_t step;
    (void)state;

    saga_quantity_key(&key, "seats");
    assert_true(saga_quantity_key_parse(key.bytes, key.len, name));
    assert_string_equal(name, "seats");
    assert_false(saga_queue_key_parse(key.bytes, key.len, name, &part, &position));

    saga_queue_key(&key, "q", SAGA_QUEUE_HEADER);
    assert_true(saga_queue_key_parse(key.bytes, key.len, name, &part, &position));
    assert_int_equal(part, SAGA_QUEUE_HEADER);
    saga_queue_position_key(&key, "q", SAGA_QUEUE_READY, 77);
    assert_true(saga_queue_key_parse(key.bytes, key.len, name, &part, &position));
    assert_int_equal(part, SAGA_QUEUE_READY);
    assert_int_equal(position, 77);
    assert_false(saga_queue_key_parse(key.bytes, key.len - 1u, name, &part, &position));

    saga_held_key(&key, saga, 9);
    assert_true(saga_held_key_parse(key.bytes, key.len, id, &step));
    assert_memory_equal(id, saga, sizeof id);
    assert_int_equal(step, 9);
    assert_false(saga_held_key_parse(key.bytes, key.len - 1u, id, &step));
}

static void the_longest_name_fits_a_key(void **state)
{
    char name[SAGA_NAME_BYTES_MAX + 1], found[SAGA_NAME_BYTES_MAX + 1];
    struct storage_key key;
    enum saga_queue_part part;
    uint64_t position;
    (void)state;
    memset(name, 0xff, SAGA_NAME_BYTES_MAX);
    name[SAGA_NAME_BYTES_MAX] = '\0';
    saga_queue_position_key(&key, name, SAGA_QUEUE_MESSAGE, UINT64_MAX);
    assert_true(key.len <= STORAGE_KEY_BYTES_MAX);
    assert_true(saga_queue_key_parse(key.bytes, key.len, found, &part, &position));
    assert_string_equal(found, name);
}

static void positions_are_in_order(void **state)
{
    static const uint64_t rising[] = { 1, 2, 255, 256, 65536, 1ull << 40 };
    struct storage_key a, b;
    (void)state;
    for (unsigned i = 1; i < sizeof rising / sizeof rising[0]; i++) {
        saga_queue_position_key(&a, "q", SAGA_QUEUE_READY, rising[i - 1]);
        saga_queue_position_key(&b, "q", SAGA_QUEUE_READY, rising[i]);
        assert_true(storage_compare(a.bytes, a.len, b.bytes, b.len) < 0);
    }
}

static void values_are_read_back(void **state)
{
    uint8_t bytes[SAGA_HELD_ROW_BYTES_MAX];
    struct saga_quantity q = { .amount = 10, .held = 4, .consumed = 6 }, q2;
    struct saga_queue_row row = { .next = 8, .len = 7 }, row2;
    struct saga_held held = { .kind = SAGA_HELD_LEASE, .number = 1ull << 50, .name = "door" },
                     held2 = { 0 };
    (void)state;
    saga_quantity_encode(&q, bytes);
    struct storage_value value = { bytes, SAGA_QUANTITY_ROW_BYTES };
    assert_int_equal(saga_quantity_decode(value, &q2), URD_OK);
    assert_memory_equal(&q2, &q, sizeof q);
    saga_queue_row_encode(&row, bytes);
    value.len = SAGA_QUEUE_ROW_BYTES;
    assert_int_equal(saga_queue_row_decode(value, &row2), URD_OK);
    assert_memory_equal(&row2, &row, sizeof row);
    value.len = saga_held_encode(&held, bytes);
    assert_int_equal(saga_held_decode(value, &held2), URD_OK);
    assert_int_equal(held2.kind, held.kind);
    assert_int_equal(held2.number, held.number);
    assert_string_equal(held2.name, held.name);
}

static void rows_that_cannot_be_are_damage(void **state)
{
    uint8_t bytes[SAGA_HELD_ROW_BYTES_MAX + 1] = { 0 };
    struct saga_quantity q = { .amount = 10, .held = 5, .consumed = 6 };
    struct saga_queue_row row = { .next = 3, .len = 3 };
    struct saga_held held;
    struct storage_value value = { bytes, SAGA_QUANTITY_ROW_BYTES };
    (void)state;
    saga_quantity_encode(&q, bytes);
    assert_int_equal(saga_quantity_decode(value, &q), URD_E_CORRUPT); /* more than there is */
    value.len--;
    assert_int_equal(saga_quantity_decode(value, &q), URD_E_CORRUPT);

    value.len = SAGA_QUEUE_ROW_BYTES;
    saga_queue_row_encode(&row, bytes);
    assert_int_equal(saga_queue_row_decode(value, &row), URD_E_CORRUPT); /* more than were sent */
    row = (struct saga_queue_row){ 0 };
    saga_queue_row_encode(&row, bytes);
    assert_int_equal(saga_queue_row_decode(value, &row), URD_E_CORRUPT);

    memset(bytes, 'n', sizeof bytes);
    bytes[0] = SAGA_HELD_SENT;
    value.len = 9; /* no name */
    assert_int_equal(saga_held_decode(value, &held), URD_E_CORRUPT);
    value.len = sizeof bytes; /* too long a name */
    assert_int_equal(saga_held_decode(value, &held), URD_E_CORRUPT);
    value.len = 12;
    assert_int_equal(saga_held_decode(value, &held), URD_OK);
    bytes[10] = '\0';
    assert_int_equal(saga_held_decode(value, &held), URD_E_CORRUPT);
    bytes[10] = 'n';
    bytes[0] = 0;
    assert_int_equal(saga_held_decode(value, &held), URD_E_CORRUPT);
    bytes[0] = SAGA_HELD_LEASE + 1;
    assert_int_equal(saga_held_decode(value, &held), URD_E_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_apart_into_what_they_were_made_of),
        cmocka_unit_test(the_longest_name_fits_a_key),
        cmocka_unit_test(positions_are_in_order),
        cmocka_unit_test(values_are_read_back),
        cmocka_unit_test(rows_that_cannot_be_are_damage),
    };
    return cmocka_run_group_tests_name("saga/builtin_rows", tests, NULL, NULL);
}
