/* Durations, sizes and rates: what people type, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/units.h"

static void a_duration_has_a_number_and_a_unit(void **state)
{
    (void)state;
    uint64_t ns = 0;
    assert_true(client_parse_duration("250ms", &ns));
    assert_int_equal(ns, 250000000);
    assert_true(client_parse_duration("2h", &ns));
    assert_int_equal(ns, UINT64_C(7200000000000));
    assert_true(client_parse_duration("0s", &ns));
    assert_int_equal(ns, 0);
}

static void what_is_no_duration_changes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "5",
                                       "s",
                                       "-5s",
                                       "1.5s",
                                       "5 s",
                                       "5S",
                                       "5sx",
                                       "99999999999999999999s",
                                       "18446744073709551615h" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t ns = 77;
        assert_false(client_parse_duration(bad[i], &ns));
        assert_int_equal(ns, 77);
    }
}

static void sizes_know_both_kinds_of_thousand(void **state)
{
    (void)state;
    uint64_t bytes = 0;
    assert_true(client_parse_size("64KiB", &bytes));
    assert_int_equal(bytes, 65536);
    assert_true(client_parse_size("64KB", &bytes));
    assert_int_equal(bytes, 64000);
    assert_true(client_parse_size("512", &bytes));
    assert_int_equal(bytes, 512);
    assert_false(client_parse_size("1kib", &bytes));
    assert_false(client_parse_size("18446744073709551615GiB", &bytes));
}

static void rates_are_in_bits(void **state)
{
    (void)state;
    uint64_t bps = 0;
    assert_true(client_parse_rate("100Mbit", &bps));
    assert_int_equal(bps, 100000000);
    assert_false(client_parse_rate("100", &bps));
    assert_false(client_parse_rate("100MB", &bps));
}

static void people_read_sizes_and_durations(void **state)
{
    (void)state;
    char text[32];
    client_format_size(512, text, sizeof text);
    assert_string_equal(text, "512 B");
    client_format_size(67108864, text, sizeof text);
    assert_string_equal(text, "67.11 MB");
    client_format_duration(250000000, text, sizeof text);
    assert_string_equal(text, "250 ms");
    client_format_duration(UINT64_C(250000000000), text, sizeof text);
    assert_string_equal(text, "4 min 10 s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_has_a_number_and_a_unit),
        cmocka_unit_test(what_is_no_duration_changes_nothing),
        cmocka_unit_test(sizes_know_both_kinds_of_thousand),
        cmocka_unit_test(rates_are_in_bits),
        cmocka_unit_test(people_read_sizes_and_durations),
    };
    return cmocka_run_group_tests_name("client/units", tests, NULL, NULL);
}
