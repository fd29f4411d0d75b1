#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "saga/header.h"

static void a_header_comes_back_as_it_went(void **state)
{
    (void)state;
    struct saga_header header = { .state = SAGA_STUCK,
                                  .seq = 7,
                                  .lsn = 1u << 20,
                                  .accepted_ns = 1700000000000000000,
                                  .updated_ns = -1 };
    struct saga_header back;
    uint8_t bytes[SAGA_HEADER_BYTES_MAX];
    memset(header.name, 'n', SAGA_NAME_BYTES_MAX);
    size_t len = saga_header_encode(&header, bytes);
    assert_true(len <= sizeof bytes);
    assert_int_equal(saga_header_decode(bytes, len, &back), URD_OK);
    assert_int_equal(back.state, SAGA_STUCK);
    assert_int_equal(back.seq, 7);
    assert_int_equal(back.lsn, 1u << 20);
    assert_int_equal(back.accepted_ns, header.accepted_ns);
    assert_int_equal(back.updated_ns, -1);
    assert_string_equal(back.name, header.name);
}

static void what_is_no_header_is_refused(void **state)
{
    (void)state;
    struct saga_header header = { .state = SAGA_RUNNING, .name = "trip" }, back;
    uint8_t bytes[SAGA_HEADER_BYTES_MAX + 1];
    size_t len = saga_header_encode(&header, bytes);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(saga_header_decode(bytes, cut, &back), URD_E_CORRUPT);
    bytes[len] = 'x';
    assert_int_equal(saga_header_decode(bytes, len + 1, &back), URD_E_CORRUPT);
    bytes[len - 1] = '\0'; /* a NUL inside its name */
    assert_int_equal(saga_header_decode(bytes, len, &back), URD_E_CORRUPT);
    bytes[1] = SAGA_STATES;
    assert_int_equal(saga_header_decode(bytes, len, &back), URD_E_CORRUPT);
    bytes[0] = 2;
    assert_int_equal(saga_header_decode(bytes, len, &back), URD_E_VERSION);
}

static void a_key_row_comes_back_as_it_went(void **state)
{
    (void)state;
    struct saga_key_row row = { .accepted_ns = 5 }, back;
    uint8_t bytes[SAGA_KEY_ROW_BYTES];
    memset(row.id, 1, sizeof row.id);
    memset(row.digest, 2, sizeof row.digest);
    saga_key_row_encode(&row, bytes);
    assert_int_equal(saga_key_row_decode(bytes, sizeof bytes, &back), URD_OK);
    assert_memory_equal(&row, &back, sizeof row);
    assert_int_equal(saga_key_row_decode(bytes, sizeof bytes - 1, &back), URD_E_CORRUPT);
}

static void the_longest_names_make_keys_that_fit(void **state)
{
    (void)state;
    char name[SAGA_NAME_BYTES_MAX + 1], key_text[SAGA_KEY_BYTES_MAX + 1],
        label[SAGA_LABEL_BYTES_MAX + 1];
    uint8_t id[SAGA_ID_BYTES] = { 0 };
    struct storage_key key;
    memset(name, 'n', sizeof name - 1);
    memset(key_text, 'k', sizeof key_text - 1);
    memset(label, 'l', sizeof label - 1);
    name[sizeof name - 1] = key_text[sizeof key_text - 1] = label[sizeof label - 1] = '\0';
    saga_idempotency_key(&key, name, key_text);
    assert_true(key.len <= STORAGE_KEY_BYTES_MAX);
    saga_label_key(&key, label, label, id);
    assert_true(key.len <= STORAGE_KEY_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_comes_back_as_it_went),
        cmocka_unit_test(what_is_no_header_is_refused),
        cmocka_unit_test(a_key_row_comes_back_as_it_went),
        cmocka_unit_test(the_longest_names_make_keys_that_fit),
    };
    return cmocka_run_group_tests_name("saga/header", tests, NULL, NULL);
}
