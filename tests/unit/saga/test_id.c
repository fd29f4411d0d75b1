#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "saga/id.h"

static void text_and_bytes_are_one(void **state)
{
    (void)state;
    uint8_t id[SAGA_ID_BYTES], back[SAGA_ID_BYTES];
    char text[SAGA_ID_TEXT_BYTES];
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i < sizeof id; i++)
            id[i] = (uint8_t)(round * 131u + i * i * 57u);
        saga_id_print(id, text);
        assert_int_equal(strlen(text), 26);
        assert_true(saga_id_parse(text, back));
        assert_memory_equal(id, back, sizeof id);
    }
    memset(id, 0xff, sizeof id);
    saga_id_print(id, text);
    assert_string_equal(text, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"); /* the ULID specification's largest */
    assert_true(saga_id_parse("01arz3ndektsv4rrffq69g5fav", back));
    saga_id_print(back, text);
    assert_string_equal(text, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
}

static void what_is_no_id_is_refused(void **state)
{
    (void)state;
    uint8_t id[SAGA_ID_BYTES];
    assert_false(saga_id_parse("", id));
    assert_false(saga_id_parse("8ZZZZZZZZZZZZZZZZZZZZZZZZZ", id)); /* 129 bits */
    assert_false(saga_id_parse("01ARZ3NDEKTSV4RRFFQ69G5FA", id));
    assert_false(saga_id_parse("01ARZ3NDEKTSV4RRFFQ69G5FAVA", id));
    assert_false(saga_id_parse("01ARZ3NDEKTSV4RRFFQ69G5FAU", id)); /* no U in the alphabet */
}

static void effect_keys_name_saga_step_and_direction(void **state)
{
    (void)state;
    uint8_t id[SAGA_ID_BYTES], back[SAGA_ID_BYTES];
    char key[SAGA_EFFECT_KEY_BYTES];
    uint32_t step;
    enum saga_direction direction;
    assert_true(saga_id_parse("01ARZ3NDEKTSV4RRFFQ69G5FAV", id));
    saga_effect_key_print(id, 0, SAGA_DO, key);
    assert_string_equal(key, "01ARZ3NDEKTSV4RRFFQ69G5FAV.0.do");
    saga_effect_key_print(id, 9999, SAGA_UNDO, key);
    assert_string_equal(key, "01ARZ3NDEKTSV4RRFFQ69G5FAV.9999.undo");
    assert_true(saga_effect_key_parse(key, back, &step, &direction));
    assert_memory_equal(id, back, sizeof id);
    assert_int_equal(step, 9999);
    assert_int_equal(direction, SAGA_UNDO);
    assert_false(saga_effect_key_parse("01ARZ3NDEKTSV4RRFFQ69G5FAV", back, &step, &direction));
    assert_false(saga_effect_key_parse("01ARZ3NDEKTSV4RRFFQ69G5FAV.", back, &step, &direction));
    assert_false(saga_effect_key_parse("01ARZ3NDEKTSV4RRFFQ69G5FAV.1", back, &step, &direction));
    assert_false(saga_effect_key_parse("01ARZ3NDEKTSV4RRFFQ69G5FAV..do", back, &step, &direction));
    assert_false(
        saga_effect_key_parse("01ARZ3NDEKTSV4RRFFQ69G5FAV.1.dont", back, &step, &direction));
    assert_false(saga_effect_key_parse("01ARZ3NDEKTSV4RRFFQ69G5FAV.12345678901.do", back, &step,
                                       &direction));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_bytes_are_one),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(effect_keys_name_saga_step_and_direction),
    };
    return cmocka_run_group_tests_name("saga/id", tests, NULL, NULL);
}
