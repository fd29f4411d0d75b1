/* Keys: what is built in order sorts in order, and what is read back is what was put. */
#include "tests/unit/storage/fixture.h"

#include "storage/bytes.h"

static int order(const struct storage_key *a, const struct storage_key *b)
{
    return storage_compare(a->bytes, a->len, b->bytes, b->len);
}

static void integers_sort_as_numbers(void **state)
{
    static const uint64_t rising[] = { 0, 1, 255, 256, 65535, 1ull << 32, UINT64_MAX };
    (void)state;
    struct storage_key before, key;
    for (size_t i = 1; i < sizeof rising / sizeof *rising; i++) {
        storage_key_init(&before, STORAGE_TABLE_TIMER);
        storage_key_add_u64(&before, rising[i - 1]);
        storage_key_init(&key, STORAGE_TABLE_TIMER);
        storage_key_add_u64(&key, rising[i]);
        assert_true(order(&before, &key) < 0);
    }
}

static void key_of_texts(struct storage_key *key, const char *a, size_t a_len, const char *b,
                         size_t b_len)
{
    storage_key_init(key, STORAGE_TABLE_LABEL);
    storage_key_add_text(key, a, a_len);
    storage_key_add_text(key, b, b_len);
}

static void texts_sort_field_by_field(void **state)
{
    (void)state;
    struct storage_key a, b;
    key_of_texts(&a, "ab", 2, "z", 1);
    key_of_texts(&b, "abc", 3, "a", 1);
    assert_true(order(&a, &b) < 0); /* "ab" < "abc", whatever follows */
    key_of_texts(&a, "a", 1, "bc", 2);
    key_of_texts(&b, "ab", 2, "c", 1);
    assert_true(order(&a, &b) != 0); /* the same letters in other fields are another key */
    key_of_texts(&a, "a", 1, "", 0);
    key_of_texts(&b, "a\0", 2, "", 0);
    assert_true(order(&a, &b) < 0); /* zero bytes are letters like others */
}

static void fields_read_back_as_put(void **state)
{
    (void)state;
    struct storage_key key;
    struct storage_key_reader reader;
    char text[8];
    size_t text_len;
    uint8_t u8, id[3];
    uint32_t u32;
    uint64_t u64;
    storage_key_init(&key, STORAGE_TABLE_QUEUE);
    storage_key_add_text(&key, "a\0\xff", 3);
    storage_key_add_u64(&key, 1ull << 40);
    storage_key_add_u32(&key, 7);
    storage_key_add_u8(&key, 9);
    storage_key_add_bytes(&key, "\1\2\3", 3);

    assert_false(storage_key_read(&reader, key.bytes, key.len, STORAGE_TABLE_LEASE));
    assert_true(storage_key_read(&reader, key.bytes, key.len, STORAGE_TABLE_QUEUE));
    assert_true(storage_key_take_text(&reader, text, sizeof text, &text_len));
    assert_int_equal(text_len, 3);
    assert_memory_equal(text, "a\0\xff", 3);
    assert_true(storage_key_take_u64(&reader, &u64) && u64 == 1ull << 40);
    assert_true(storage_key_take_u32(&reader, &u32) && u32 == 7);
    assert_true(storage_key_take_u8(&reader, &u8) && u8 == 9);
    assert_true(storage_key_take_bytes(&reader, id, 3));
    assert_memory_equal(id, "\1\2\3", 3);
    assert_int_equal(reader.left, 0);
    assert_false(storage_key_take_u8(&reader, &u8));
}

static void broken_text_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } broken[] = { { "abc", 3 }, { "ab\0", 3 }, { "a\0\2", 3 }, { "", 0 } };
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct storage_key_reader reader = { .at = (const uint8_t *)broken[i].bytes,
                                             .left = broken[i].len };
        char text[8];
        size_t text_len;
        assert_false(storage_key_take_text(&reader, text, sizeof text, &text_len));
        assert_int_equal(reader.left, broken[i].len);
    }
    struct storage_key_reader reader = { .at = (const uint8_t *)"abcd\0\1", .left = 6 };
    char small[3];
    size_t len;
    assert_false(storage_key_take_text(&reader, small, sizeof small, &len));
}

static void a_key_over_the_limit_stays_over(void **state)
{
    struct world *w = *state;
    struct storage_key key;
    char long_text[STORAGE_KEY_BYTES_MAX] = { 0 };
    storage_key_init(&key, STORAGE_TABLE_SAGA);
    storage_key_add_bytes(&key, long_text, sizeof long_text);
    storage_key_add_u8(&key, 1);
    assert_true(key.len > STORAGE_KEY_BYTES_MAX);
    storage_key_init(&key, STORAGE_TABLE_SAGA);
    storage_key_add_text(&key, long_text, sizeof long_text);
    storage_key_add_u64(&key, 1);
    assert_true(key.len > STORAGE_KEY_BYTES_MAX);

    struct storage_snapshot *snapshot = snapshot_of(w->store);
    struct storage_value value;
    assert_int_equal(storage_snapshot_get(snapshot, &key, &value), URD_E_TOO_BIG);
    storage_snapshot_end(snapshot);
    struct storage_tx *tx;
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_int_equal(storage_tx_put(tx, &key, "", 0), URD_E_TOO_BIG);
    assert_int_equal(storage_tx_delete(tx, &key), URD_E_TOO_BIG);
    assert_int_equal(storage_tx_commit(tx, false), URD_E_TOO_BIG);
}

static void the_longest_key_works(void **state)
{
    struct world *w = *state;
    struct storage_key key;
    char filler[STORAGE_KEY_BYTES_MAX - 1] = { 0 };
    struct storage_value value;
    struct storage_tx *tx;
    storage_key_init(&key, STORAGE_TABLE_SAGA);
    storage_key_add_bytes(&key, filler, sizeof filler);
    assert_int_equal(key.len, STORAGE_KEY_BYTES_MAX);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_int_equal(storage_tx_put(tx, &key, "x", 1), URD_OK);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    assert_int_equal(storage_snapshot_get(snapshot, &key, &value), URD_OK);
    storage_snapshot_end(snapshot);
}

static void a_key_is_printed_with_its_table_and_cut_to_fit(void **state)
{
    (void)state;
    char text[64], small[14];
    struct storage_key key = text_key("\x01\xab");
    storage_key_print(key.bytes, key.len, text, sizeof text);
    assert_string_equal(text, "saga 01ab");
    key = text_key("0123456789");
    storage_key_print(key.bytes, key.len, small, sizeof small);
    assert_true(strlen(small) < sizeof small);
    assert_memory_equal(small, "saga 3031", 9);
    storage_key_print("", 0, text, sizeof text);
    assert_string_equal(text, "(empty key)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_sort_as_numbers),
        cmocka_unit_test(texts_sort_field_by_field),
        cmocka_unit_test(fields_read_back_as_put),
        cmocka_unit_test(broken_text_is_refused),
        ON_BOTH(a_key_over_the_limit_stays_over),
        ON_BOTH(the_longest_key_works),
        cmocka_unit_test(a_key_is_printed_with_its_table_and_cut_to_fit),
    };
    return cmocka_run_group_tests_name("storage/keys", tests, NULL, NULL);
}
