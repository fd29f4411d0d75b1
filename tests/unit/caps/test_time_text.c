/* Instants and durations: exact texts, both ways, and nothing else. */
#include "tests/unit/caps/fixture.h"

#include <time.h>

#include "caps/time_text.h"

static void refused(const char *text)
{
    int64_t s = -7;
    assert_int_equal(urd_caps_time_parse(text, strlen(text), &s), URD_E_INVALID);
    assert_int_equal(s, -7);
}

static void every_day_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t s = 0; s < INT64_C(4 * 146097 + 200) * 86400; s += 86400 + 3607) {
        char text[21], want[32];
        struct tm tm;
        time_t t = (time_t)s;
        int64_t back;
        assert_non_null(gmtime_r(&t, &tm));
        assert_int_equal(strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm), 20);
        assert_ok(urd_caps_time_format(s, text));
        assert_string_equal(text, want);
        assert_ok(urd_caps_time_parse(text, 20, &back));
        assert_int_equal(back, s);
    }
}

static void the_ends_of_time_are_exact(void **state)
{
    (void)state;
    char text[21];
    int64_t s;
    assert_ok(urd_caps_time_format(URD_CAPS_TIME_S_MAX, text));
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    assert_ok(urd_caps_time_parse(text, 20, &s));
    assert_int_equal(s, URD_CAPS_TIME_S_MAX);
    assert_int_equal(urd_caps_time_format(URD_CAPS_TIME_S_MAX + 1, text), URD_E_INVALID);
    assert_int_equal(urd_caps_time_format(-1, text), URD_E_INVALID);
}

static void what_is_no_instant_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2030-01-01T00:00:00",
        "2030-01-01T00:00:00z",
        "2030-01-01t00:00:00Z",
        "2030-01-01 00:00:00Z",
        "2030-01-01T00:00:00ZZ",
        " 2030-01-01T00:00:0Z",
        "2030-1-01T00:00:000Z",
        "2030-00-01T00:00:00Z",
        "2030-13-01T00:00:00Z",
        "2030-01-00T00:00:00Z",
        "2030-04-31T00:00:00Z",
        "2030-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2030-01-01T24:00:00Z",
        "2030-01-01T00:60:00Z",
        "2030-12-31T23:59:60Z",
        "1969-12-31T23:59:59Z",
        "2030-01-01T+1:00:00Z",
        "2030-01-01T00:-1:00Z",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        refused(texts[i]);
    int64_t s;
    assert_ok(urd_caps_time_parse("2000-02-29T00:00:00Z", 20, &s));
    assert_int_equal(s, 951782400);
}

static void durations_are_a_number_and_one_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = { { "1ms", 1000000 },      { "250ms", 250000000 },
                 { "5s", 5000000000 },    { "90s", 90000000000 },
                 { "2h", 7200000000000 }, { "30d", URD_CAPS_DURATION_NS_MAX },
                 { "1m", 60000000000 },   { "2592000000ms", URD_CAPS_DURATION_NS_MAX } };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t ns, again;
        char text[URD_CAPS_DURATION_TEXT_BYTES];
        assert_ok(urd_caps_duration_parse(good[i].text, strlen(good[i].text), &ns));
        assert_int_equal(ns, good[i].ns);
        assert_ok(urd_caps_duration_format(ns, text));
        assert_ok(urd_caps_duration_parse(text, strlen(text), &again));
        assert_int_equal(again, ns);
    }
    static const char *const bad[] = { "",    "s",     "5",   "0s",   "05s",          "-5s",
                                       "+5s", "5 s",   "5S",  "5s ",  " 5s",          "1.5s",
                                       "5us", "1h30m", "31d", "5mss", "99999999999ms" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t ns = 7;
        assert_int_not_equal(urd_caps_duration_parse(bad[i], strlen(bad[i]), &ns), URD_OK);
        assert_int_equal(ns, 7);
    }
}

static void a_duration_is_written_in_its_largest_exact_unit(void **state)
{
    (void)state;
    char text[URD_CAPS_DURATION_TEXT_BYTES];
    assert_ok(urd_caps_duration_format(UINT64_C(86400000000000), text));
    assert_string_equal(text, "1d");
    assert_ok(urd_caps_duration_format(UINT64_C(90000000000), text));
    assert_string_equal(text, "90s");
    assert_int_equal(urd_caps_duration_format(0, text), URD_E_INVALID);
    assert_int_equal(urd_caps_duration_format(1, text), URD_E_INVALID);
    assert_int_equal(urd_caps_duration_format(URD_CAPS_DURATION_NS_MAX + 1000000, text),
                     URD_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_agrees_with_the_c_library),
        cmocka_unit_test(the_ends_of_time_are_exact),
        cmocka_unit_test(what_is_no_instant_is_refused),
        cmocka_unit_test(durations_are_a_number_and_one_unit),
        cmocka_unit_test(a_duration_is_written_in_its_largest_exact_unit),
    };
    return RUN("time_text", tests);
}
