#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saga/json.h"

static urd_err decode(const char *text, json_t **ret)
{
    return saga_json_decode(text, strlen(text), 1 << 20, ret, NULL, 0);
}

static void nesting_is_refused_before_the_parser_recurses(void **state)
{
    (void)state;
    static char text[200001];
    json_t *value = NULL;
    char why[128] = "";
    memset(text, '[', 200000);
    assert_int_equal(saga_json_decode(text, 200000, 1 << 20, &value, why, sizeof why),
                     URD_E_TOO_BIG);
    assert_non_null(strstr(why, "deeper"));
    assert_null(value);

    char fits[2 * SAGA_JSON_DEPTH_MAX + 1];
    memset(fits, '[', SAGA_JSON_DEPTH_MAX);
    memset(fits + SAGA_JSON_DEPTH_MAX, ']', SAGA_JSON_DEPTH_MAX);
    fits[2 * SAGA_JSON_DEPTH_MAX] = '\0';
    assert_int_equal(decode(fits, &value), URD_OK);
    json_decref(value);
}

static void brackets_in_strings_are_not_nesting(void **state)
{
    (void)state;
    char text[128];
    json_t *value;
    memset(text, '[', sizeof text);
    text[0] = '"';
    memcpy(text + 1, "\\\"", 2);
    text[126] = '"';
    text[127] = '\0';
    assert_int_equal(decode(text, &value), URD_OK);
    json_decref(value);
}

static void what_is_too_long_torn_or_doubled_is_refused(void **state)
{
    (void)state;
    json_t *value = NULL;
    assert_int_equal(saga_json_decode("[1,2]", 5, 4, &value, NULL, 0), URD_E_TOO_BIG);
    assert_int_equal(decode("", &value), URD_E_INVALID);
    assert_int_equal(decode("{\"a\":1", &value), URD_E_INVALID);
    assert_int_equal(decode("{\"a\":1,\"a\":2}", &value), URD_E_INVALID);
    assert_int_equal(decode("\"a\\u0000b\"", &value), URD_E_INVALID);
    assert_int_equal(decode("\"\xff\"", &value), URD_E_INVALID);
    assert_null(value);
}

/* RFC 6901 section 5, the examples. */
static void pointers_name_what_the_rfc_says(void **state)
{
    (void)state;
    json_t *doc;
    assert_int_equal(decode("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
                            "\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}",
                            &doc),
                     URD_OK);
    static const struct {
        const char *pointer;
        int value;
    } rows[] = { { "/", 0 },     { "/a~1b", 1 }, { "/c%d", 2 }, { "/e^f", 3 }, { "/g|h", 4 },
                 { "/i\\j", 5 }, { "/k\"l", 6 }, { "/ ", 7 },   { "/m~0n", 8 } };
    assert_ptr_equal(saga_json_pointer_get(doc, ""), doc);
    assert_string_equal(json_string_value(saga_json_pointer_get(doc, "/foo/0")), "bar");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(json_integer_value(saga_json_pointer_get(doc, rows[i].pointer)),
                         rows[i].value);
    assert_null(saga_json_pointer_get(doc, "/foo/2"));
    assert_null(saga_json_pointer_get(doc, "/foo/00"));
    assert_null(saga_json_pointer_get(doc, "/foo/-"));
    assert_null(saga_json_pointer_get(doc, "/foo/0/x"));
    assert_null(saga_json_pointer_get(doc, "/m~1n"));
    json_decref(doc);
}

static void pointers_are_checked(void **state)
{
    (void)state;
    assert_true(saga_json_pointer_valid(""));
    assert_true(saga_json_pointer_valid("/a~0~1"));
    assert_false(saga_json_pointer_valid("a"));
    assert_false(saga_json_pointer_valid("/a~"));
    assert_false(saga_json_pointer_valid("/~2"));
}

static void canonical_text_does_not_depend_on_order_or_spaces(void **state)
{
    (void)state;
    json_t *a, *b;
    assert_int_equal(decode("{\"b\": 1, \"a\": [true, null]}", &a), URD_OK);
    assert_int_equal(decode("{\"a\":[true,null],\"b\":1}", &b), URD_OK);
    char *x = saga_json_canonical(a), *y = saga_json_canonical(b);
    assert_string_equal(x, y);
    assert_string_equal(x, "{\"a\":[true,null],\"b\":1}");
    free(x);
    free(y);
    json_decref(a);
    json_decref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_is_refused_before_the_parser_recurses),
        cmocka_unit_test(brackets_in_strings_are_not_nesting),
        cmocka_unit_test(what_is_too_long_torn_or_doubled_is_refused),
        cmocka_unit_test(pointers_name_what_the_rfc_says),
        cmocka_unit_test(pointers_are_checked),
        cmocka_unit_test(canonical_text_does_not_depend_on_order_or_spaces),
    };
    return cmocka_run_group_tests_name("saga/json", tests, NULL, NULL);
}
