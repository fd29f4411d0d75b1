/* The header of values: any one bit changed, in key, header or value, is noticed. */
#include "tests/unit/storage/fixture.h"

#include "storage/value.h"

static size_t seal(const char *key, const char *value, uint8_t *ret)
{
    storage_value_seal(key, strlen(key), value, strlen(value), ret);
    memcpy(ret + STORAGE_VALUE_HEADER_BYTES, value, strlen(value));
    return STORAGE_VALUE_HEADER_BYTES + strlen(value);
}

static void what_was_sealed_opens(void **state)
{
    (void)state;
    uint8_t raw[64];
    struct storage_value value;
    for (unsigned i = 0; i < 2; i++) {
        const char *text = i == 0 ? "" : "a value of some length";
        size_t len = seal("key", text, raw);
        struct storage_value sealed = { .bytes = raw, .len = len };
        assert_int_equal(storage_value_open("key", 3, sealed, &value), URD_OK);
        assert_int_equal(value.len, strlen(text));
        assert_memory_equal(value.bytes, text, value.len);
    }
}

static void every_flipped_bit_is_corrupt(void **state)
{
    (void)state;
    uint8_t raw[64];
    char key[] = "key";
    size_t len = seal(key, "value", raw);
    struct storage_value sealed = { .bytes = raw, .len = len }, value;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(storage_value_open(key, 3, sealed, &value), URD_E_CORRUPT);
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * 3; bit++) {
        key[bit / 8] ^= (char)(1u << bit % 8);
        assert_int_equal(storage_value_open(key, 3, sealed, &value), URD_E_CORRUPT);
        key[bit / 8] ^= (char)(1u << bit % 8);
    }
    assert_int_equal(storage_value_open(key, 3, sealed, &value), URD_OK);
}

static void a_cut_value_is_corrupt(void **state)
{
    (void)state;
    uint8_t raw[64];
    size_t len = seal("key", "value", raw);
    for (size_t cut = 0; cut < len; cut++) {
        struct storage_value sealed = { .bytes = raw, .len = cut }, value;
        assert_int_equal(storage_value_open("key", 3, sealed, &value), URD_E_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens),
        cmocka_unit_test(every_flipped_bit_is_corrupt),
        cmocka_unit_test(a_cut_value_is_corrupt),
    };
    return cmocka_run_group_tests_name("storage/value", tests, NULL, NULL);
}
