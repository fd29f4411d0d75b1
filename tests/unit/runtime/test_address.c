/* What an address is as text, and which addresses are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/net.h"

static struct urd_address parsed(const char *text)
{
    struct urd_address address;
    assert_int_equal(urd_address_parse(text, &address), URD_OK);
    return address;
}

static void what_is_parsed_formats_back(void **state)
{
    (void)state;
    const char *const texts[] = { "127.0.0.1:7000", "0.0.0.0:0", "255.255.255.255:65535",
                                  "[::1]:7000",     "[::]:1",    "[fe80::1:2]:65535" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct urd_address address = parsed(texts[i]);
        char text[URD_ADDRESS_TEXT_MAX];
        urd_address_format(&address, text);
        assert_string_equal(text, texts[i]);
    }
}

static void malformed_text_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    const char *const texts[] = { "",
                                  ":",
                                  "127.0.0.1",
                                  "127.0.0.1:",
                                  "1.2.3:4",
                                  "1.2.3.4:65536",
                                  "1.2.3.4:-1",
                                  "1.2.3.4:1x",
                                  "host:1",
                                  "[::1]",
                                  "[::1]:",
                                  "[::1:1",
                                  "[::1]7000",
                                  "::1:7000",
                                  "1.2.3.4: 1",
                                  "[1.2.3.4]:1",
                                  "1.2.3.4:000001",
                                  "[0000:0000:0000:0000:0000:0000:0000:0000:0]:1" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct urd_address address = { .bytes = { 0xaa }, .len = 7 };
        assert_int_equal(urd_address_parse(texts[i], &address), URD_E_INVALID);
        assert_int_equal(address.bytes[0], 0xaa);
        assert_int_equal(address.len, 7);
    }
}

static void equality_is_of_family_host_and_port(void **state)
{
    (void)state;
    struct urd_address a = parsed("10.0.0.1:1"), b = parsed("10.0.0.1:1");
    struct urd_address other_port = parsed("10.0.0.1:2"), other_host = parsed("10.0.0.2:1");
    struct urd_address v6 = parsed("[::1]:1"), v6_again = parsed("[0::1]:1"), none = { .len = 0 };
    assert_true(urd_address_equal(&a, &b));
    assert_false(urd_address_equal(&a, &other_port));
    assert_false(urd_address_equal(&a, &other_host));
    assert_false(urd_address_equal(&a, &v6));
    assert_true(urd_address_equal(&v6, &v6_again));
    assert_false(urd_address_equal(&a, &none));
    assert_true(urd_address_equal(&none, &none));
}

static void loopback_is_all_of_127_and_colon_colon_1(void **state)
{
    (void)state;
    const char *const yes[] = { "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1" };
    const char *const no[] = { "128.0.0.1:1", "10.0.0.127:1",        "0.0.0.0:1",
                               "[::]:1",      "[::ffff:10.0.0.1]:1", "[7f00::1]:1" };
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        struct urd_address address = parsed(yes[i]);
        assert_true(urd_address_is_loopback(&address));
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        struct urd_address address = parsed(no[i]);
        assert_false(urd_address_is_loopback(&address));
    }
    assert_false(urd_address_is_loopback(&(struct urd_address){ .len = 0 }));
}

static void the_port_is_in_host_order(void **state)
{
    (void)state;
    struct urd_address v4 = parsed("127.0.0.1:258"), v6 = parsed("[::1]:7000");
    assert_int_equal(urd_address_port(&v4), 258);
    assert_int_equal(urd_address_port(&v6), 7000);
    assert_int_equal(urd_address_port(&(struct urd_address){ .len = 0 }), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_parsed_formats_back),
        cmocka_unit_test(malformed_text_is_refused_and_changes_nothing),
        cmocka_unit_test(equality_is_of_family_host_and_port),
        cmocka_unit_test(loopback_is_all_of_127_and_colon_colon_1),
        cmocka_unit_test(the_port_is_in_host_order),
    };
    return cmocka_run_group_tests_name("runtime/address", tests, NULL, NULL);
}
