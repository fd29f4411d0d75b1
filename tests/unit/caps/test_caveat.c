/* The predicates: exact texts, and each refuses what it is there to refuse. */
#include "tests/unit/caps/fixture.h"

#include "caps/caveat.h"
#include "caps/time_text.h"

#define SECONDS(s) ((uint64_t)(s)*UINT64_C(1000000000))
#define T2030      1893456000 /* 2030-01-01T00:00:00Z */

static bool reads(const char *text, struct urd_caps_predicate *ret)
{
    return urd_caps_predicate_parse(text_bytes(text), ret, NULL, 0) == URD_OK;
}

static bool holds(const char *text, const struct urd_caps_request *request)
{
    struct urd_caps_predicate p;
    if (!reads(text, &p)) fail_msg("does not parse: %s", text);
    return urd_caps_predicate_holds(&p, request);
}

static void well_formed_predicates_read_and_write_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum urd_caps_kind kind;
    } good[] = {
        { "time < 2030-01-01T00:00:00Z", URD_CAPS_TIME_BEFORE },
        { "time >= 2030-01-01T00:00:00Z", URD_CAPS_TIME_FROM },
        { "region = saga-1.x_y", URD_CAPS_REGION },
        { "task = book%20hotel", URD_CAPS_TASK },
        { "uses <= 0", URD_CAPS_USES },
        { "uses <= 1000000000000", URD_CAPS_USES },
        { "rate <= 10/1m", URD_CAPS_RATE },
        { "resource = saga/*,file/**", URD_CAPS_RESOURCE },
        { "action = saga.submit,file.*", URD_CAPS_ACTION },
        { "link = 000102030405060708090a0b0c0d0e0f", URD_CAPS_LINK },
        { "fresh <= 5s", URD_CAPS_FRESH },
        { "node = b", URD_CAPS_CUSTOM },
        { "account = 3735928559", URD_CAPS_CUSTOM },
        { "timed = a=b,c<d", URD_CAPS_CUSTOM },
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct urd_caps_predicate p;
        char text[128];
        if (!reads(good[i].text, &p)) fail_msg("does not parse: %s", good[i].text);
        assert_int_equal(p.kind, good[i].kind);
        assert_ok(urd_caps_predicate_format(&p, text, sizeof text));
        assert_string_equal(text, good[i].text);
        assert_int_equal(urd_caps_predicate_format(&p, text, strlen(good[i].text)), URD_E_TOO_BIG);
    }
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "time",
        "time <",
        "time < ",
        "time<2030-01-01T00:00:00Z",
        "time  < 2030-01-01T00:00:00Z",
        "time <  2030-01-01T00:00:00Z",
        " time < 2030-01-01T00:00:00Z",
        "time < 2030-01-01T00:00:00Z ",
        "time\t< 2030-01-01T00:00:00Z",
        "time <= 2030-01-01T00:00:00Z",
        "time > 2030-01-01T00:00:00Z",
        "time = 2030-01-01T00:00:00Z",
        "Time < 2030-01-01T00:00:00Z",
        "time < tomorrow",
        "region = ",
        "region = a/b",
        "region = a b",
        "region = ..",
        "region != a",
        "task <= a",
        "uses <= 01",
        "uses <= +1",
        "uses <= -1",
        "uses <= 1.0",
        "uses <= 0x1",
        "uses <= 1000000000001",
        "uses <= 99999999999999999999",
        "uses < 1",
        "uses = 1",
        "rate <= 10",
        "rate <= /1m",
        "rate <= 10/",
        "rate <= 10/1",
        "rate <= 10/31d",
        "rate <= 10/1m/1m",
        "resource = ",
        "resource = /a",
        "resource = a//b",
        "resource = a/../b",
        "resource = a, b",
        "resource = a,",
        "resource = %41",
        "resource = **/**/**/**/**",
        "resource != a",
        "action = saga/submit",
        "action = .submit",
        "link = 000102030405060708090A0B0C0D0E0F",
        "link = 0001",
        "link = 000102030405060708090a0b0c0d0e0f00",
        "fresh <= 0s",
        "fresh < 5s",
        "Node = b",
        "1node = b",
        "node = b c",
        "node = ",
        "node < b",
        "node == b",
        "node = \x7f",
        "node = \xc3\xa4",
        "no de = b",
        " = b",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct urd_caps_predicate p = { .count = 7 };
        char errmsg[128] = "";
        urd_err err = urd_caps_predicate_parse(text_bytes(bad[i]), &p, errmsg, sizeof errmsg);
        if (err != URD_E_INVALID) fail_msg("parses: `%s`", bad[i]);
        assert_int_equal(p.count, 7);
        assert_true(strlen(errmsg) > 0);
    }
    struct urd_caps_predicate p;
    uint8_t nul[] = "node = b\0c";
    assert_int_equal(
        urd_caps_predicate_parse((struct urd_caps_bytes){ nul, sizeof nul - 1 }, &p, NULL, 0),
        URD_E_INVALID);
    static uint8_t huge[URD_CAPS_PREDICATE_BYTES_MAX + 1];
    memset(huge, 'a', sizeof huge);
    memcpy(huge, "node = ", 7);
    assert_int_equal(
        urd_caps_predicate_parse((struct urd_caps_bytes){ huge, sizeof huge }, &p, NULL, 0),
        URD_E_TOO_BIG);
    assert_ok(
        urd_caps_predicate_parse((struct urd_caps_bytes){ huge, sizeof huge - 1 }, &p, NULL, 0));
}

static void writing_checks_the_fields(void **state)
{
    (void)state;
    char text[64];
    struct urd_caps_predicate p = { .kind = URD_CAPS_TIME_BEFORE, .time_s = -1 };
    assert_int_equal(urd_caps_predicate_format(&p, text, sizeof text), URD_E_INVALID);
    p = (struct urd_caps_predicate){ .kind = URD_CAPS_USES, .count = URD_CAPS_COUNT_MAX + 1 };
    assert_int_equal(urd_caps_predicate_format(&p, text, sizeof text), URD_E_INVALID);
    p = (struct urd_caps_predicate){ .kind = URD_CAPS_REGION, .value = text_bytes("a b") };
    assert_int_equal(urd_caps_predicate_format(&p, text, sizeof text), URD_E_INVALID);
    p = (struct urd_caps_predicate){ .kind = URD_CAPS_ACTION };
    assert_int_equal(urd_caps_predicate_format(&p, text, sizeof text), URD_E_INVALID);
    p = (struct urd_caps_predicate){ .kind = URD_CAPS_THIRD_PARTY };
    assert_int_equal(urd_caps_predicate_format(&p, text, sizeof text), URD_E_INVALID);
    p = (struct urd_caps_predicate){ .kind = URD_CAPS_RATE,
                                     .count = 3,
                                     .duration_ns = SECONDS(60) };
    assert_ok(urd_caps_predicate_format(&p, text, sizeof text));
    assert_string_equal(text, "rate <= 3/1m");
    p = (struct urd_caps_predicate){ .kind = URD_CAPS_CUSTOM,
                                     .name = text_bytes("node"),
                                     .value = text_bytes("b") };
    assert_ok(urd_caps_predicate_format(&p, text, sizeof text));
    assert_string_equal(text, "node = b");
}

static void time_has_leeway_on_one_side_only(void **state)
{
    (void)state;
    struct urd_caps_request r = { .now_ns = SECONDS(T2030) - 1, .leeway_ns = SECONDS(2) };
    assert_true(holds("time < 2030-01-01T00:00:00Z", &r));
    r.now_ns = SECONDS(T2030);
    assert_false(holds("time < 2030-01-01T00:00:00Z", &r));
    assert_true(holds("time >= 2030-01-01T00:00:00Z", &r));
    r.now_ns = SECONDS(T2030 - 2);
    assert_true(holds("time >= 2030-01-01T00:00:00Z", &r));
    r.now_ns = SECONDS(T2030 - 2) - 1;
    assert_false(holds("time >= 2030-01-01T00:00:00Z", &r));
    r.leeway_ns = 0;
    r.now_ns = SECONDS(T2030) - 1;
    assert_false(holds("time >= 2030-01-01T00:00:00Z", &r));
    r = (struct urd_caps_request){ .now_ns = UINT64_MAX, .leeway_ns = UINT64_MAX };
    assert_true(holds("time >= 2030-01-01T00:00:00Z", &r));
    assert_false(holds("time < 2030-01-01T00:00:00Z", &r));
}

static void what_the_request_has_not_refuses(void **state)
{
    (void)state;
    struct urd_caps_request empty = { .home_heard_ago_ns = URD_CAPS_NEVER_HEARD_NS };
    static const char *const all[] = { "region = a",  "task = a",     "resource = **",
                                       "action = **", "fresh <= 30d", "node = b" };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_false(holds(all[i], &empty));
}

static void what_the_request_has_is_compared(void **state)
{
    (void)state;
    const struct urd_caps_pair pairs[] = { { "node", "b" }, { "tenant", "x" }, { "node", "c" } };
    struct urd_caps_request r = { .action = "saga.submit",
                                  .resource = "saga/trip",
                                  .region = "s1",
                                  .task = "hotel",
                                  .pairs = pairs,
                                  .pair_count = 3,
                                  .home_heard_ago_ns = SECONDS(5) };
    assert_true(holds("region = s1", &r));
    assert_false(holds("region = s", &r));
    assert_false(holds("region = s11", &r));
    assert_true(holds("task = hotel", &r));
    assert_false(holds("task = s1", &r));
    assert_true(holds("action = cap.*,saga.*", &r));
    assert_false(holds("action = cap.*,file.*", &r));
    assert_true(holds("resource = saga/*", &r));
    assert_false(holds("resource = file/**", &r));
    assert_true(holds("node = b", &r));
    assert_true(holds("node = c", &r));
    assert_false(holds("node = x", &r));
    assert_false(holds("tenant = b", &r));
    assert_true(holds("fresh <= 5s", &r));
    assert_false(holds("fresh <= 4999ms", &r));
    assert_true(holds("uses <= 0", &r)); /* spending is somebody else's */
    assert_true(holds("link = 000102030405060708090a0b0c0d0e0f", &r));
    r.resource = "saga/../trip"; /* not canonical: nothing matches it */
    assert_false(holds("resource = **", &r));
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < URD_CAPS_KIND_COUNT; i++) {
        assert_true(strlen(urd_caps_kind_name((enum urd_caps_kind)i)) > 0);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(urd_caps_kind_name((enum urd_caps_kind)i),
                                    urd_caps_kind_name((enum urd_caps_kind)k));
    }
    assert_string_equal(urd_caps_kind_name((enum urd_caps_kind)999), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_predicates_read_and_write_back),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(writing_checks_the_fields),
        cmocka_unit_test(time_has_leeway_on_one_side_only),
        cmocka_unit_test(what_the_request_has_not_refuses),
        cmocka_unit_test(what_the_request_has_is_compared),
        cmocka_unit_test(every_kind_has_a_name),
    };
    return RUN("caveat", tests);
}
