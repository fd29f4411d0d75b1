#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "saga/resource.h"

static void is(const char *action, const char *resource)
{
    char text[SAGA_RESOURCE_BYTES_MAX];
    assert_int_equal(saga_resource_of_action(action, text), URD_OK);
    assert_string_equal(text, resource);
}

static void workers_and_services_have_resources_of_their_own(void **state)
{
    (void)state;
    is("hotel.hold", "do/hotel.hold");
    is("h\xc3\xb6tel hold*", "do/h%C3%B6tel%20hold%2A");
    is("https://Pay.Example/v1/capture", "http/pay.example/v1/capture");
    is("http://pay.example", "http/pay.example");
    is("http://pay.example/", "http/pay.example");
    is("http://pay.example:8080/a?b=/c#d", "http/pay.example%3A8080/a");
}

static void one_place_has_one_name(void **state)
{
    (void)state;
    is("https://h/%61b", "http/h/ab");
    is("https://h/a%2Fb", "http/h/a%2Fb"); /* one part, not two */
    is("https://h/a%2fb", "http/h/a%2Fb");
}

static void what_could_name_another_place_is_refused(void **state)
{
    (void)state;
    static const char *const urls[] = { "https://h/a/../b", "https://h/./b",  "https://h/a//b",
                                        "https://h/%2e%2e", "https://me@h/a", "https://h/a%2",
                                        "https://h/%zz",    "https://?x" };
    char text[SAGA_RESOURCE_BYTES_MAX];
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        assert_int_equal(saga_resource_of_action(urls[i], text), URD_E_INVALID);
}

static void the_longest_url_fits(void **state)
{
    (void)state;
    char url[SAGA_URL_BYTES_MAX + 1], text[SAGA_RESOURCE_BYTES_MAX];
    memset(url, '*', sizeof url - 1);
    memcpy(url, "http://h/", 9);
    url[sizeof url - 1] = '\0';
    assert_int_equal(saga_resource_of_action(url, text), URD_OK);
    memset(url + 8, '/', 1);
    saga_resource_of_thing("queue", "a b", text);
    assert_string_equal(text, "queue/a%20b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_and_services_have_resources_of_their_own),
        cmocka_unit_test(one_place_has_one_name),
        cmocka_unit_test(what_could_name_another_place_is_refused),
        cmocka_unit_test(the_longest_url_fits),
    };
    return cmocka_run_group_tests_name("saga/resource", tests, NULL, NULL);
}
