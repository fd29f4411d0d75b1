/* Reports: round trip, and nothing malformed gets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fountain/transfer/report.h"

static struct urd_fountain_report sample(void)
{
    struct urd_fountain_report r = { .flags = URD_FOUNTAIN_REPORT_HEARD,
                                     .needs_count = 2,
                                     .highest = UINT64_C(1) << 40,
                                     .received = 77,
                                     .bytes = 99999,
                                     .newest_us = 4000000000u,
                                     .echo_us = 5,
                                     .hold_us = 6,
                                     .delay_us = 0xfffffff0u,
                                     .window_end = 50,
                                     .digests = 51 };
    r.needs[0] = (struct urd_fountain_need){ .block = 3, .need = 0 };
    r.needs[1] = (struct urd_fountain_need){ .block = 49, .need = 1024 };
    return r;
}

static void a_report_survives_the_way(void **state)
{
    (void)state;
    uint8_t bytes[URD_FOUNTAIN_REPORT_LEN_MAX], again[sizeof bytes];
    struct urd_fountain_report in = sample(), out;
    size_t len = urd_fountain_report_encode(&in, bytes);
    assert_int_equal(len, URD_FOUNTAIN_REPORT_HEADER_LEN + 12);
    assert_int_equal(urd_fountain_report_decode(bytes, len, &out), URD_OK);
    assert_int_equal(urd_fountain_report_encode(&out, again), len);
    assert_memory_equal(bytes, again, len);
    assert_int_equal(out.needs[1].need, 1024);
    assert_int_equal(out.highest, in.highest);
    assert_int_equal(out.digests, 51);
}

static void a_malformed_report_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[URD_FOUNTAIN_REPORT_LEN_MAX + 1] = { 0 };
    struct urd_fountain_report r = sample(), out = { .received = 1 };
    size_t len = urd_fountain_report_encode(&r, bytes);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(urd_fountain_report_decode(bytes, cut, &out), URD_E_SHORT);
    assert_int_equal(urd_fountain_report_decode(bytes, len + 1, &out), URD_E_INVALID);
    bytes[3] = 1;
    assert_int_equal(urd_fountain_report_decode(bytes, len, &out), URD_E_INVALID);
    bytes[3] = 0;
    bytes[1] = 0x80;
    assert_int_equal(urd_fountain_report_decode(bytes, len, &out), URD_E_INVALID);
    bytes[1] = 0;
    bytes[2] = 200;
    assert_int_equal(urd_fountain_report_decode(bytes, len, &out), URD_E_INVALID);

    r.needs[1].block = 3; /* not ascending */
    len = urd_fountain_report_encode(&r, bytes);
    assert_int_equal(urd_fountain_report_decode(bytes, len, &out), URD_E_INVALID);
    r.needs[1].block = 50; /* beyond the window */
    len = urd_fountain_report_encode(&r, bytes);
    assert_int_equal(urd_fountain_report_decode(bytes, len, &out), URD_E_INVALID);
    assert_int_equal(out.received, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_survives_the_way),
        cmocka_unit_test(a_malformed_report_is_refused),
    };
    return cmocka_run_group_tests_name("fountain/transfer/report", tests, NULL, NULL);
}
