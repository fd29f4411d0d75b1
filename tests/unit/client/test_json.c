/* JSON that came from elsewhere: what is read, and what is not even tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/json.h"

static json_t *read_text(const char *text)
{
    return client_json_read(text, strlen(text));
}

static void any_value_is_read(void **state)
{
    (void)state;
    static const char *const good[] = { "7", "\"text\"", "null", "{\"a\":[1,{}]}", " [ ] " };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        json_t *json = read_text(good[i]);
        assert_non_null(json);
        json_decref(json);
    }
}

static void what_is_no_json_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "text", "{\"a\":1,\"a\":2}", "[1,]", "1 2", "\"\xff\"" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(read_text(bad[i]));
}

/* @depth brackets, in and out. */
static json_t *read_nested(size_t depth)
{
    char text[2 * 4096];
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return client_json_read(text, 2 * depth);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    json_t *json = read_nested(CLIENT_JSON_DEPTH_MAX);
    assert_non_null(json);
    json_decref(json);
    assert_null(read_nested(CLIENT_JSON_DEPTH_MAX + 1));
    assert_null(read_nested(4096));
}

static void brackets_in_strings_do_not_count(void **state)
{
    (void)state;
    char text[1024];
    memset(text, '[', sizeof text);
    text[0] = text[sizeof text - 1] = '"';
    text[5] = '\\';
    text[6] = '"';
    json_t *json = client_json_read(text, sizeof text);
    assert_non_null(json);
    json_decref(json);
}

static void a_member_that_is_not_there_is_empty(void **state)
{
    (void)state;
    json_t *json = read_text("{\"a\":\"x\",\"b\":7}");
    assert_string_equal(client_json_text(json, "a"), "x");
    assert_string_equal(client_json_text(json, "b"), "");
    assert_string_equal(client_json_text(json, "c"), "");
    assert_string_equal(client_json_text(NULL, "a"), "");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_value_is_read),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(brackets_in_strings_do_not_count),
        cmocka_unit_test(a_member_that_is_not_there_is_empty),
    };
    return cmocka_run_group_tests_name("client/json", tests, NULL, NULL);
}
